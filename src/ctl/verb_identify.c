/* SPDX-License-Identifier: Apache-2.0 */
/*
 * identify: whether a device is what its profile says, or which profile fits it. The file that the daemon runs, or will
 * after a reload, says what it should be; the registers are read through the daemon.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "acquire/request.h"
#include "config/nearest.h"
#include "config/profiles.h"
#include "ctl/identify.h"
#include "ctl/progress.h"
#include "ctl/registers.h"

/* Another profile is named when it fits better by so much, and at least so well: better than one whole number can. */
#define BETTER 0.1
#define LEAST  0.4

/* So many are named. */
#define NAMED 5

struct identify {
    struct ctl *ctl;
    char *file;
    struct unit_words words;
    struct finding finding;
};

/* ---- which device ---- */

/* The file that the daemon was started with, and a warning where it is not what it runs. */
static int ask_file(struct ctl *ctl, char **ret_file, char **ret_hash)
{
    json_t *reply = NULL;
    const int code = davy_ctl_ask(ctl, json_pack("{s:s,s:i}", "verb", "settings", "from", INT32_MAX), &reply);
    if (code != CTL_DONE)
        return code;
    *ret_file = davy_ctl_copy(davy_ctl_text(reply, "file"));
    *ret_hash = davy_ctl_copy(davy_ctl_text(reply, "config"));
    json_decref(reply);
    return CTL_DONE;
}

static int load(struct identify *identify, struct davy_config **ret_config)
{
    DAVY_AUTO_FREE char *hash = NULL;
    int code = ask_file(identify->ctl, &identify->file, &hash);
    if (code == CTL_DONE)
        code = davy_ctl_load_judged(identify->ctl, identify->file, ret_config);
    if (code == CTL_DONE && strcmp((*ret_config)->hash, hash) != 0)
        fprintf(stderr, "davyctl: %s has changed since the daemon read it; what it says now is judged\n",
                identify->file);
    return code;
}

static int no_device(const struct ctl *ctl, const struct davy_config *config, const char *id)
{
    const char **names = davy_ctl_grow(NULL, config->device_count + 1, sizeof *names);
    for (size_t i = 0; i < config->device_count; i++)
        names[i] = config->devices[i].id;
    const char *nearest = davy_nearest(id, names, config->device_count);
    const int code = davy_ctl_fail(ctl, CTL_REFUSED, "there is no device %s%s%s%s", id,
                                   nearest ? "; did you mean " : "", nearest ? nearest : "", nearest ? "?" : "");
    free(names);
    return code;
}

/* DEVICE: what is configured. The configuration passes into the finding. */
static int find_device(struct identify *identify, const char *id)
{
    struct davy_config *config = NULL;
    const int code = load(identify, &config);
    if (code != CTL_DONE)
        return code;
    identify->finding.config = config;
    identify->finding.device = davy_config_find_device(config, id);
    if (identify->finding.device == DAVY_NONE)
        return no_device(identify->ctl, config, id);
    const struct davy_device *device = &config->devices[identify->finding.device];
    if (!device->enabled)
        return davy_ctl_fail(identify->ctl, CTL_REFUSED, "%s is not enabled: its registers are not planned", id);
    davy_unit_words_init(&identify->words, identify->ctl, config->buses[device->bus].name, device->unit);
    return CTL_DONE;
}

/* BUS UNIT: a unit of which nothing is known. */
static int find_unit(struct identify *identify)
{
    int64_t unit;
    DAVY_AUTO_FREE char *hash = NULL;
    int code = davy_ctl_take_number(identify->ctl, davy_ctl_argument(identify->ctl, 1), 0, 255, &unit);
    if (code == CTL_DONE)
        code = ask_file(identify->ctl, &identify->file, &hash);
    if (code == CTL_DONE)
        davy_unit_words_init(&identify->words, identify->ctl, davy_ctl_argument(identify->ctl, 0), (int)unit);
    return code;
}

/* ---- judge ---- */

static int judge(struct identify *identify, const struct davy_config *config, uint32_t device,
                 struct judgement *judgements)
{
    if (davy_verdict_points(config, device, identify->words.map, judgements) == 0)
        return CTL_DONE;
    return davy_ctl_fail(identify->ctl, CTL_REFUSED, "no memory");
}

/* What stands beside doubtful points is read too, and all judged again. */
static int look_beside(struct identify *identify, const struct davy_config *config, uint32_t device)
{
    const struct davy_device *owner = &config->devices[device];
    struct judgement *judgements = identify->finding.judgements;
    int code = CTL_DONE;
    for (uint32_t i = 0; i < owner->point_count && code == CTL_DONE; i++)
        if (judgements[i].verdict == VERDICT_DOUBTFUL || judgements[i].verdict == VERDICT_REFUSED)
            code = davy_unit_words_beside(&identify->words, &config->points[owner->first_point + i]);
    return code == CTL_DONE ? judge(identify, config, device, judgements) : code;
}

static bool is_right(const struct finding *finding)
{
    const struct davy_device *owner = &finding->config->devices[finding->device];
    for (uint32_t i = 0; i < owner->point_count; i++)
        if (finding->judgements[i].verdict > VERDICT_ZERO)
            return false;
    return !davy_identify_status_speaks(finding) &&
           !davy_verdict_all_zero(finding->config, finding->device, finding->words->map);
}

static int judge_device(struct identify *identify)
{
    struct finding *finding = &identify->finding;
    const struct davy_config *config = finding->config;
    const uint32_t device = finding->device;
    finding->judgements = davy_ctl_grow(NULL, config->devices[device].point_count + 1, sizeof *finding->judgements);
    int code = davy_unit_words_device(&identify->words, config, device);
    if (code == CTL_DONE)
        code = judge(identify, config, device, finding->judgements);
    if (code == CTL_DONE)
        code = look_beside(identify, config, device);
    if (code != CTL_DONE)
        return code;
    finding->score = davy_verdict_score(config, device, identify->words.map, finding->judgements);
    finding->right = is_right(finding);
    return CTL_DONE;
}

/* ---- other profiles ---- */

static void add_candidate(struct finding *finding, const char *name, double score, size_t right, size_t points)
{
    finding->candidates = davy_ctl_grow(finding->candidates, finding->candidate_count + 1, sizeof *finding->candidates);
    finding->candidates[finding->candidate_count++] = (struct candidate){davy_ctl_copy(name), score, right, points};
}

static int weigh(struct identify *identify, const struct davy_config *config, const char *name)
{
    const size_t points = config->devices[0].point_count;
    DAVY_AUTO_FREE struct judgement *judgements = davy_ctl_grow(NULL, points + 1, sizeof *judgements);
    int code = davy_unit_words_device(&identify->words, config, 0);
    if (code == CTL_DONE)
        code = judge(identify, config, 0, judgements);
    if (code != CTL_DONE)
        return code;
    size_t right = 0;
    for (size_t i = 0; i < points; i++)
        right += judgements[i].verdict == VERDICT_RIGHT;
    const double score = davy_verdict_score(config, 0, identify->words.map, judgements);
    if (right > 0 && score >= LEAST && score >= identify->finding.score + BETTER)
        add_candidate(&identify->finding, name, score, right, points);
    return CTL_DONE;
}

/* A profile that does not load is none to choose: the daemon would say why. */
static int try_profile(struct identify *identify, const char *name)
{
    struct davy_problems problems = {0};
    struct davy_config *config = NULL;
    int code = CTL_DONE;
    identify->words.ended = false;
    if (davy_profile_load(identify->file, name, &problems, &config) == 0 && davy_requests_plan(config) == 0)
        code = weigh(identify, config, name);
    davy_config_unref(config);
    davy_problems_done(&problems);
    return code;
}

static int by_score(const void *left, const void *right)
{
    const struct candidate *a = left, *b = right;
    return a->score > b->score ? -1 : a->score < b->score ? 1 : strcmp(a->name, b->name);
}

static int try_profiles(struct identify *identify)
{
    struct finding *finding = &identify->finding;
    const char *own = finding->config ? finding->config->devices[finding->device].profile : NULL;
    char **names;
    size_t count;
    if (davy_profile_names(identify->file, &names, &count) < 0)
        return davy_ctl_fail(identify->ctl, CTL_REFUSED, "no memory");
    int code = CTL_DONE;
    struct progress progress;
    davy_progress_begin(&progress);
    identify->words.trial =
        identify->words.answered; /* of a unit of which nothing is known the first read has patience */
    for (size_t i = 0; i < count && code == CTL_DONE && !identify->words.silent; i++) {
        if (!davy_progress_say(&progress, "profile %zu of %zu: %s", i + 1, count, names[i]))
            break;
        if (!own || strcmp(own, names[i]) != 0)
            code = try_profile(identify, names[i]);
        identify->words.trial = identify->words.answered;
    }
    davy_progress_end(&progress); /* a Ctrl-C ends the program here */
    davy_profile_names_free(names, count);
    if (finding->candidate_count > 0)
        qsort(finding->candidates, finding->candidate_count, sizeof *finding->candidates, by_score);
    while (finding->candidate_count > NAMED)
        free(finding->candidates[--finding->candidate_count].name);
    return code;
}

/* ---- the verb ---- */

static void done(struct identify *identify)
{
    for (size_t i = 0; i < identify->finding.candidate_count; i++)
        free(identify->finding.candidates[i].name);
    free(identify->finding.candidates);
    free(identify->finding.judgements);
    davy_config_unref(identify->finding.config);
    davy_unit_words_done(&identify->words);
    free(identify->file);
}

static int work(struct identify *identify)
{
    const bool of_unit = identify->ctl->argument_count == 2;
    int code = of_unit ? find_unit(identify) : find_device(identify, davy_ctl_argument(identify->ctl, 0));
    identify->finding.words = &identify->words;
    if (code == CTL_DONE && !of_unit)
        code = judge_device(identify);
    if (code == CTL_DONE && !identify->finding.right)
        code = try_profiles(identify);
    return code;
}

int davy_ctl_identify(struct ctl *ctl)
{
    struct identify identify = {.ctl = ctl};
    int code = work(&identify);
    if (code == CTL_DONE) {
        if (ctl->json)
            davy_identify_print_json(&identify.finding);
        else
            davy_identify_print(ctl, &identify.finding);
        const bool found = !identify.finding.config && identify.finding.candidate_count > 0;
        code = identify.finding.right || found ? CTL_DONE : CTL_REFUSED;
    }
    done(&identify);
    return code;
}
