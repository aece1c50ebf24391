/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/command.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "base/num.h"
#include "sim/device.h"

#define WORDS_MAX 16

/* The words of a command, and where complaints go. */
struct words {
    char text[DAVY_SIM_COMMAND_SIZE];
    const char *word[WORDS_MAX];
    int count;
    const struct davy_sim_plant *plant;
    struct davy_buf *why;
};

static int refuse(struct words *w, const char *what, const char *word)
{
    davy_buf_printf(w->why, word ? "%s: %s" : "%s", what, word);
    return -EINVAL;
}

static int split(struct words *w, const char *text)
{
    size_t length = strlen(text);
    if (length >= sizeof(w->text))
        return refuse(w, "the command is too long", NULL);
    memcpy(w->text, text, length + 1);
    char *rest = w->text;
    for (char *word; (word = strsep(&rest, " \t\r\n"));) {
        if (*word == '\0')
            continue;
        if (w->count == WORDS_MAX)
            return refuse(w, "too many words", NULL);
        w->word[w->count++] = word;
    }
    return w->count > 0 ? 0 : refuse(w, "an empty command", NULL);
}

/* "nan" and "inf" too: broken sensors send them. */
static int parse_value(struct words *w, const char *word, double *ret)
{
    static const struct {
        const char *name;
        double value;
    } odd[] = {{"nan", NAN}, {"inf", INFINITY}, {"-inf", -INFINITY}, {"true", 1}, {"false", 0}};
    for (size_t i = 0; i < DAVY_LENGTH(odd); i++) {
        if (strcmp(word, odd[i].name) == 0) {
            *ret = odd[i].value;
            return 0;
        }
    }
    return davy_num_parse(word, ret) < 0 ? refuse(w, "not a number", word) : 0;
}

static int parse_seconds(struct words *w, const char *word, double *ret)
{
    davy_span span;
    if (davy_span_parse(word, &span) < 0)
        return refuse(w, "not a duration such as 500ms or 10s", word);
    *ret = (double)span.ns / (double)DAVY_NS_PER_S;
    return 0;
}

static int parse_integer(struct words *w, const char *word, int64_t low, int64_t high, int64_t *ret)
{
    int64_t value;
    if (davy_int_parse(word, &value) < 0 || value < low || value > high) {
        davy_buf_printf(w->why, "%s: not a whole number from %lld to %lld", word, (long long)low, (long long)high);
        return -EINVAL;
    }
    *ret = value;
    return 0;
}

static int parse_device(struct words *w, const char *word, struct davy_sim_command *c)
{
    c->device = davy_sim_plant_device(w->plant, word);
    return c->device ? 0 : refuse(w, "no such device", word);
}

static int parse_point(struct words *w, const char *word, struct davy_sim_command *c)
{
    char id[DAVY_SIM_COMMAND_SIZE];
    const char *dot = strrchr(word, '.');
    if (!dot)
        return refuse(w, "not DEVICE.POINT", word);
    memcpy(id, word, (size_t)(dot - word));
    id[dot - word] = '\0';
    if (parse_device(w, id, c) < 0)
        return -EINVAL;
    c->point = davy_sim_plant_point(c->device, dot + 1);
    return c->point ? 0 : refuse(w, "no such point", word);
}

static int parse_target(struct words *w, const char *word, struct davy_sim_command *c)
{
    c->line = davy_sim_plant_line(w->plant, word);
    if (c->line)
        return 0;
    c->device = davy_sim_plant_device(w->plant, word);
    return c->device ? 0 : refuse(w, "no such device or line", word);
}

static int parse_nothing(struct words *w, struct davy_sim_command *c)
{
    (void)w;
    (void)c;
    return 0;
}

static int parse_point_only(struct words *w, struct davy_sim_command *c)
{
    return parse_point(w, w->word[1], c);
}

static int parse_set(struct words *w, struct davy_sim_command *c)
{
    int rc = parse_point(w, w->word[1], c);
    return rc < 0 ? rc : parse_value(w, w->word[2], &c->value);
}

static int parse_ramp(struct words *w, struct davy_sim_command *c)
{
    int rc = parse_set(w, c);
    if (rc == 0 && !isfinite(c->value))
        rc = refuse(w, "a ramp ends at a finite value", w->word[2]);
    return rc < 0 ? rc : parse_seconds(w, w->word[3], &c->duration_s);
}

static int parse_raw(struct words *w, struct davy_sim_command *c)
{
    int64_t address = 0;
    int64_t value = 0;
    int table = davy_table_find(w->word[2]);
    if (table < 0)
        return refuse(w, "not holding, input, coil or discrete", w->word[2]);
    c->table = (enum davy_table)table;
    bool bit = c->table == DAVY_TABLE_COIL || c->table == DAVY_TABLE_DISCRETE;
    int rc = parse_device(w, w->word[1], c);
    if (rc == 0)
        rc = parse_integer(w, w->word[3], 0, UINT16_MAX, &address);
    if (rc == 0)
        rc = parse_integer(w, w->word[4], 0, bit ? 1 : UINT16_MAX, &value);
    c->address = (uint16_t)address;
    c->value = (double)value;
    return rc;
}

/* for DURATION, count N, probability P */
static int parse_option(struct words *w, const char *name, const char *value, struct davy_sim_fault *fault)
{
    if (strcmp(name, "for") == 0)
        return parse_seconds(w, value, &fault->duration_s);
    if (strcmp(name, "count") == 0)
        return parse_integer(w, value, 1, INT32_MAX, &fault->count);
    if (strcmp(name, "probability") != 0)
        return refuse(w, "not for, count or probability", name);
    double p;
    if (davy_num_parse(value, &p) < 0 || p < 0 || p > 1)
        return refuse(w, "not a probability from 0 to 1", value);
    fault->probability = p;
    return 0;
}

/* A whole number, or a duration of whole milliseconds. */
static int parse_argument(struct words *w, const char *word, int *ret)
{
    davy_span span;
    int64_t value = 0;
    if (davy_span_parse(word, &span) == 0)
        value = span.ns / DAVY_NS_PER_MS;
    else if (davy_int_parse(word, &value) < 0)
        return refuse(w, "not a number or a duration", word);
    if (value < 0 || value > INT32_MAX)
        return refuse(w, "the argument is out of range", word);
    *ret = (int)value;
    return 0;
}

static int parse_fault(struct words *w, struct davy_sim_command *c)
{
    int kind = davy_sim_fault_find(w->word[2]);
    if (kind < 0)
        return refuse(w, "no such fault", w->word[2]);
    if (parse_target(w, w->word[1], c) < 0)
        return -EINVAL;
    c->fault = (struct davy_sim_fault){(enum davy_sim_fault_kind)kind, -1, 1, -1, INFINITY};
    int next = 3;
    if (next < w->count && w->word[next][0] >= '0' && w->word[next][0] <= '9')
        if (parse_argument(w, w->word[next++], &c->fault.arg) < 0)
            return -EINVAL;
    for (; next < w->count; next += 2) {
        if (next + 1 == w->count)
            return refuse(w, "a value is missing behind", w->word[next]);
        if (parse_option(w, w->word[next], w->word[next + 1], &c->fault) < 0)
            return -EINVAL;
    }
    const struct davy_sim_line *line = c->line ? c->line : c->device->line;
    const char *wrong = davy_sim_fault_check(&c->fault, line->type, c->line != NULL);
    return wrong ? refuse(w, wrong, w->word[2]) : 0;
}

static int parse_clear(struct words *w, struct davy_sim_command *c)
{
    return parse_target(w, w->word[1], c);
}

static int parse_line(struct words *w, struct davy_sim_command *c)
{
    c->line = davy_sim_plant_line(w->plant, w->word[1]);
    return c->line ? 0 : refuse(w, "no such line", w->word[1]);
}

static int parse_unplug(struct words *w, struct davy_sim_command *c)
{
    c->duration_s = INFINITY;
    if (w->count == 3 || (w->count == 4 && strcmp(w->word[2], "for") != 0))
        return refuse(w, "not for DURATION", w->word[2]);
    int rc = w->count == 4 ? parse_seconds(w, w->word[3], &c->duration_s) : 0;
    return rc < 0 ? rc : parse_line(w, c);
}

static void run_set(struct davy_sim_plant *plant, const struct davy_sim_command *c, double t_s, struct davy_buf *reply)
{
    (void)plant;
    (void)t_s;
    c->point->source = DAVY_SIM_FROM_HOLD;
    c->point->to = c->value;
    davy_buf_text(reply, "ok");
}

static void run_release(struct davy_sim_plant *plant, const struct davy_sim_command *c, double t_s,
                        struct davy_buf *reply)
{
    (void)plant;
    (void)t_s;
    c->point->source = DAVY_SIM_FROM_WAVE;
    davy_buf_text(reply, "ok");
}

static void run_ramp(struct davy_sim_plant *plant, const struct davy_sim_command *c, double t_s, struct davy_buf *reply)
{
    (void)plant;
    double from = davy_sim_point_value(c->point, t_s);
    c->point->from = isfinite(from) ? from : c->value;
    c->point->to = c->value;
    c->point->since_s = t_s;
    c->point->ramp_s = c->duration_s;
    c->point->source = DAVY_SIM_FROM_RAMP;
    davy_buf_text(reply, "ok");
}

static void run_raw(struct davy_sim_plant *plant, const struct davy_sim_command *c, double t_s, struct davy_buf *reply)
{
    (void)plant;
    int rc = davy_sim_device_write(c->device, c->table, c->address, (uint16_t)c->value, t_s);
    davy_buf_text(reply, rc == 0 ? "ok" : "error the device has no such register");
}

static void run_fault(struct davy_sim_plant *plant, const struct davy_sim_command *c, double t_s,
                      struct davy_buf *reply)
{
    (void)plant;
    davy_sim_faults_add(c->line ? &c->line->faults : &c->device->faults, &c->fault, t_s);
    davy_buf_text(reply, "ok");
}

static void run_clear(struct davy_sim_plant *plant, const struct davy_sim_command *c, double t_s,
                      struct davy_buf *reply)
{
    (void)plant;
    (void)t_s;
    davy_sim_faults_clear(c->line ? &c->line->faults : &c->device->faults);
    davy_buf_text(reply, "ok");
}

/* The loop does it: see davy_sim_line_follow(). */
static void run_unplug(struct davy_sim_plant *plant, const struct davy_sim_command *c, double t_s,
                       struct davy_buf *reply)
{
    (void)plant;
    c->line->unplugged_until_s = t_s + c->duration_s;
    davy_buf_text(reply, "ok");
}

static void run_plug(struct davy_sim_plant *plant, const struct davy_sim_command *c, double t_s, struct davy_buf *reply)
{
    (void)plant;
    c->line->unplugged_until_s = t_s;
    davy_buf_text(reply, "ok");
}

static void run_get(struct davy_sim_plant *plant, const struct davy_sim_command *c, double t_s, struct davy_buf *reply)
{
    (void)plant;
    double value = davy_sim_point_value(c->point, t_s);
    char text[DAVY_NUM_TEXT];
    if (c->point->source == DAVY_SIM_FROM_RAW)
        davy_buf_text(reply, "ok raw");
    else if (isfinite(value))
        davy_buf_printf(reply, "ok %s", davy_num_print(value, text));
    else
        davy_buf_text(reply, isnan(value) ? "ok nan" : value > 0 ? "ok inf" : "ok -inf");
}

static void run_stats(struct davy_sim_plant *plant, const struct davy_sim_command *c, double t_s,
                      struct davy_buf *reply)
{
    (void)c;
    davy_buf_printf(reply, "ok plant_seconds=%.1f", t_s);
    for (size_t i = 0; i < plant->line_count; i++) {
        const struct davy_sim_stats *s = &plant->lines[i].stats;
        davy_buf_printf(reply, "; %s requests=%llu replies=%llu exceptions=%llu faults=%llu", plant->lines[i].name,
                        (unsigned long long)s->requests, (unsigned long long)s->replies,
                        (unsigned long long)s->exceptions, (unsigned long long)s->faults);
        davy_buf_printf(reply, " bad_frames=%llu connections=%llu", (unsigned long long)s->bad_frames,
                        (unsigned long long)s->connections);
        if (davy_sim_wire_is_timed(&plant->lines[i].wire))
            davy_buf_printf(reply, " t35_violations=%llu collisions=%llu", (unsigned long long)s->t35_violations,
                            (unsigned long long)s->collisions);
    }
}

static void run_lines(struct davy_sim_plant *plant, const struct davy_sim_command *c, double t_s,
                      struct davy_buf *reply)
{
    (void)c;
    (void)t_s;
    davy_buf_text(reply, "ok");
    for (size_t i = 0; i < plant->line_count; i++) {
        const struct davy_sim_line *line = &plant->lines[i];
        davy_buf_printf(reply, "%s %s %s %s", i ? ";" : "", line->name, davy_bus_type_name(line->type),
                        line->link ? line->link : line->address);
    }
}

static void run_quit(struct davy_sim_plant *plant, const struct davy_sim_command *c, double t_s, struct davy_buf *reply)
{
    (void)plant;
    (void)c;
    (void)t_s;
    davy_buf_text(reply, "ok");
}

static const struct verb {
    const char *name;
    const char *usage;
    int least, most; /* words behind the verb */
    bool scriptable;
    int (*parse)(struct words *w, struct davy_sim_command *c);
    void (*run)(struct davy_sim_plant *plant, const struct davy_sim_command *c, double t_s, struct davy_buf *reply);
} verbs[] = {
    [DAVY_SIM_VERB_SET] = {"set", "DEVICE.POINT VALUE", 2, 2, true, parse_set, run_set},
    [DAVY_SIM_VERB_RELEASE] = {"release", "DEVICE.POINT", 1, 1, true, parse_point_only, run_release},
    [DAVY_SIM_VERB_RAMP] = {"ramp", "DEVICE.POINT VALUE DURATION", 3, 3, true, parse_ramp, run_ramp},
    [DAVY_SIM_VERB_RAW] = {"raw", "DEVICE TABLE REGISTER VALUE", 4, 4, true, parse_raw, run_raw},
    [DAVY_SIM_VERB_FAULT] = {"fault", "DEVICE|LINE KIND [ARG] [for DURATION] [count N] [probability P]", 2, 9, true,
                             parse_fault, run_fault},
    [DAVY_SIM_VERB_CLEAR] = {"clear", "DEVICE|LINE", 1, 1, true, parse_clear, run_clear},
    [DAVY_SIM_VERB_UNPLUG] = {"unplug", "LINE [for DURATION]", 1, 3, true, parse_unplug, run_unplug},
    [DAVY_SIM_VERB_PLUG] = {"plug", "LINE", 1, 1, true, parse_line, run_plug},
    [DAVY_SIM_VERB_GET] = {"get", "DEVICE.POINT", 1, 1, false, parse_point_only, run_get},
    [DAVY_SIM_VERB_STATS] = {"stats", "", 0, 0, false, parse_nothing, run_stats},
    [DAVY_SIM_VERB_LINES] = {"lines", "", 0, 0, false, parse_nothing, run_lines},
    [DAVY_SIM_VERB_QUIT] = {"quit", "", 0, 0, false, parse_nothing, run_quit},
};
_Static_assert(DAVY_LENGTH(verbs) == DAVY_SIM_VERB_COUNT_, "every verb is in the table");

int davy_sim_command_parse(const struct davy_sim_plant *plant, const char *text, struct davy_buf *why,
                           struct davy_sim_command *ret_command)
{
    struct words w = {.plant = plant, .why = why};
    if (split(&w, text) < 0)
        return -EINVAL;
    for (size_t i = 0; i < DAVY_LENGTH(verbs); i++) {
        const struct verb *verb = &verbs[i];
        if (strcmp(verb->name, w.word[0]) != 0)
            continue;
        if (w.count - 1 < verb->least || w.count - 1 > verb->most) {
            davy_buf_printf(why, "usage: %s %s", verb->name, verb->usage);
            return -EINVAL;
        }
        struct davy_sim_command command = {.verb = (enum davy_sim_verb)i};
        int rc = verb->parse(&w, &command);
        if (rc == 0)
            *ret_command = command;
        return rc;
    }
    return refuse(&w, "no such command", w.word[0]);
}

bool davy_sim_command_scriptable(const struct davy_sim_command *command)
{
    return verbs[command->verb].scriptable;
}

void davy_sim_command_run(struct davy_sim_plant *plant, const struct davy_sim_command *command, double t_s,
                          struct davy_buf *reply)
{
    verbs[command->verb].run(plant, command, t_s, reply);
}
