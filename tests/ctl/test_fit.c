/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which profile fits: each shipped profile against the register image of each device that has golden vectors
 * (tests/data/profiles), in normal operation. What is not in the image is refused, as by a device that has no more, or
 * zero, as by one that answers for all registers.
 */
#include <limits.h>

#include "support/vectors.h"

#include "acquire/request.h"
#include "config/load.h"
#include "config/profiles.h"
#include "ctl/verdict.h"

#define PROFILES_MAX 128

/* Two profiles of one map, as of gas and vibration: the registers cannot tell them apart. */
#define TIED 0.03

/* Below it nothing is named: a single whole number is no evidence. */
#define NAMED 0.4

struct rig {
    char **names;
    size_t count;
    struct davy_config *configs[PROFILES_MAX];
    struct word_map *maps[PROFILES_MAX]; /* NULL: no vectors */
};

static const char *source_path(const char *name, char path[PATH_MAX])
{
    const char *source = getenv("DAVY_SOURCE");
    snprintf(path, PATH_MAX, "%s/%s", source ? source : ".", name);
    return path;
}

static void put(struct word_map *map, const struct vector_words *words)
{
    for (size_t i = 0; i < words->count; i++) {
        const struct vector_word *w = &words->words[i];
        map->state[w->table][w->address] = WORD_KNOWN;
        map->value[w->table][w->address] = w->word;
    }
}

/* The image with what its first case changes. */
static struct word_map *map_of(const char *profile)
{
    char name[128], path[PATH_MAX];
    snprintf(name, sizeof name, "tests/data/profiles/%s.vec", profile);
    struct word_map *map = calloc(1, sizeof *map);
    assert_non_null(map);
    struct vectors *vectors = vectors_read(source_path(name, path));
    put(map, &vectors->image);
    assert_true(vectors->case_count > 0);
    put(map, &vectors->cases[0].changes);
    free(vectors);
    return map;
}

/* What the device says of the registers that its image does not have. */
static void answer_rest(const struct rig *rig, enum word_state before, enum word_state after)
{
    for (size_t i = 0; i < rig->count; i++)
        for (size_t n = 0; n < sizeof rig->maps[i]->state; n++) {
            uint8_t *state = &rig->maps[i]->state[0][0] + n;
            *state = *state == before ? (uint8_t)after : *state;
        }
}

static double score(const struct rig *rig, size_t profile, size_t device)
{
    struct judgement judgements[128];
    assert_true(rig->configs[profile]->point_count <= DAVY_LENGTH(judgements));
    assert_int_equal(davy_verdict_points(rig->configs[profile], 0, rig->maps[device], judgements), 0);
    return davy_verdict_score(rig->configs[profile], 0, rig->maps[device], judgements);
}

static void the_own_profile_finds_nothing_wrong(void **state)
{
    const struct rig *rig = *state;
    for (size_t i = 0; i < rig->count; i++) {
        struct judgement judgements[128];
        assert_int_equal(davy_verdict_points(rig->configs[i], 0, rig->maps[i], judgements), 0);
        for (size_t p = 0; p < rig->configs[i]->point_count; p++)
            if (judgements[p].verdict > VERDICT_ZERO)
                fail_msg("%s.%s: %s", rig->names[i], rig->configs[i]->points[p].name, judgements[p].why);
    }
}

/* How many devices are known by their own profile alone; none that is named may be known better by another. */
static size_t count_known(const struct rig *rig)
{
    size_t known = 0;
    for (size_t device = 0; device < rig->count; device++) {
        const double own = score(rig, device, device);
        double best = 0;
        size_t which = 0;
        for (size_t i = 0; i < rig->count; i++) {
            const double other = i == device ? 0 : score(rig, i, device);
            which = other > best ? i : which;
            best = other > best ? other : best;
        }
        if (own >= NAMED && best > own + TIED)
            fail_msg("%s fits with %.2f, %s with %.2f", rig->names[device], own, rig->names[which], best);
        known += own >= NAMED && best < own - TIED;
    }
    return known;
}

static void the_own_profile_fits_best_where_the_rest_is_refused(void **state)
{
    const struct rig *rig = *state;
    answer_rest(rig, WORD_UNREAD, WORD_REFUSED);
    assert_true(count_known(rig) >= 2 * rig->count / 3); /* the rest: twins, and single whole numbers */
}

static void the_own_profile_fits_best_where_the_rest_is_zero(void **state)
{
    const struct rig *rig = *state;
    answer_rest(rig, WORD_REFUSED, WORD_KNOWN);
    assert_true(count_known(rig) >= 2 * rig->count / 3);
}

static int set_up(void **state)
{
    static struct rig rig;
    char file[PATH_MAX], data[PATH_MAX];
    setenv("DAVY_DATADIR", source_path("conf", data), 1);
    assert_int_equal(davy_profile_names(source_path("conf/davyd.conf", file), &rig.names, &rig.count), 0);
    assert_in_range(rig.count, 1, PROFILES_MAX);
    for (size_t i = 0; i < rig.count; i++) {
        struct davy_problems problems = {0};
        assert_int_equal(davy_profile_load(file, rig.names[i], &problems, &rig.configs[i]), 0);
        assert_int_equal(davy_requests_plan(rig.configs[i]), 0);
        davy_problems_done(&problems);
        rig.maps[i] = map_of(rig.names[i]);
    }
    *state = &rig;
    return 0;
}

static int tear_down(void **state)
{
    struct rig *rig = *state;
    for (size_t i = 0; i < rig->count; i++) {
        davy_config_unref(rig->configs[i]);
        free(rig->maps[i]);
    }
    davy_profile_names_free(rig->names, rig->count);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_own_profile_finds_nothing_wrong),
        cmocka_unit_test(the_own_profile_fits_best_where_the_rest_is_refused),
        cmocka_unit_test(the_own_profile_fits_best_where_the_rest_is_zero),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
