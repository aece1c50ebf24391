/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs the scenarios beside this file, each NAME.scn a case; with an argument those whose name it matches, "*" by
 * default. A scenario is blocks of configuration, appended to
 * plant.conf, and then a script, one line an action, in order of time:
 *
 *   config NAME … end                    the first one is loaded at 0s
 *   TIME set DEVICE TABLE REGISTER VALUE…
 *   TIME fault DEVICE timeout | invalid | exception CODE | none
 *   TIME line down | up
 *   TIME ack | reset ALARM [refused]     also reset DEVICE.POINT
 *   TIME inhibit DEVICE DURATION [refused], TIME uninhibit DEVICE [refused]
 *   TIME shelve ALARM DURATION [refused], TIME unshelve | out-of-service | in-service ALARM [refused]
 *   TIME reload NAME
 *   TIME kill                            what is not in the ledger is lost
 *   TIME start NAME [reboot]
 *   TIME expect EVENT LEVEL ALARM STATE [KEY=VALUE…]   of the payload
 *   TIME end
 *
 * What happens at TIME comes before the polls of that instant. The events of the ledger must be exactly those that are
 * expected, in their order and at their times: what is not expected must not happen.
 */
#include <assert.h>
#include <glob.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "config/load.h"
#include "gateway.h"
#include "record/query.h"
#include "record/verify.h"
#include "support/cmocka_all.h"

#define LINE_SIZE  512
#define WORDS_MAX  16
#define EXPECT_MAX 64

struct script_line {
    char text[LINE_SIZE];
    char *words[WORDS_MAX];
    size_t count;
    int number;
};

struct scenario {
    const char *file;
    FILE *in;
    struct script_line line;
    char directory[64];
    char first_config[64];
    struct gateway gateway;
    bool running;
    bool ended;
    struct script_line expected[EXPECT_MAX];
    size_t expected_count;
    size_t seen;
    struct {
        char alarm[DAVY_KEY_SIZE];
        char id[DAVY_UUID_TEXT];
    } occurrences[EXPECT_MAX]; /* the latest of each alarm */
    size_t occurrence_count;
    unsigned different;
};

static void say_line(const struct scenario *scenario, const char *what, const struct script_line *line)
{
    print_error("%s:%d: %s:", scenario->file, line->number, what);
    for (size_t i = 0; i < line->count; i++)
        print_error(" %s", line->words[i]);
    print_error("\n");
}

static void split(struct script_line *line)
{
    char *at = line->text;
    line->count = 0;
    for (;;) {
        at += strspn(at, " \t\n");
        if (*at == '\0' || *at == '#' || line->count == WORDS_MAX)
            return;
        line->words[line->count++] = at;
        at += strcspn(at, " \t\n");
        if (*at)
            *at++ = '\0';
    }
}

static bool next_line(struct scenario *scenario)
{
    struct script_line *line = &scenario->line;
    while (fgets(line->text, sizeof line->text, scenario->in)) {
        line->number++;
        split(line);
        if (line->count > 0)
            return true;
    }
    return false;
}

static const char *word(const struct scenario *scenario, size_t index)
{
    if (index >= scenario->line.count)
        fail_msg("%s:%d: too few words", scenario->file, scenario->line.number);
    return scenario->line.words[index];
}

static davy_span time_of(const char *text)
{
    davy_span t = {0};
    if (davy_span_parse(text, &t) < 0)
        fail_msg("not a time: %s", text);
    return t;
}

static void config_path(const struct scenario *scenario, const char *name, char path[128])
{
    snprintf(path, 128, "%s/%s.conf", scenario->directory, name);
}

static void copy_file(const char *from, FILE *to)
{
    char line[LINE_SIZE];
    FILE *in = fopen(from, "re");
    assert_non_null(in);
    while (fgets(line, sizeof line, in))
        fputs(line, to);
    fclose(in);
}

/* From `config NAME` to `end`. */
static void keep_config(struct scenario *scenario, const char *plant)
{
    char path[128], line[LINE_SIZE];
    const char *name = word(scenario, 1);
    if (!scenario->first_config[0])
        snprintf(scenario->first_config, sizeof scenario->first_config, "%s", name);
    config_path(scenario, name, path);
    FILE *out = fopen(path, "we");
    assert_non_null(out);
    copy_file(plant, out);
    while (fgets(line, sizeof line, scenario->in) && strcmp(line, "end\n") != 0) {
        scenario->line.number++;
        fputs(line, out);
    }
    scenario->line.number++;
    fclose(out);
}

static struct davy_config *load(const struct scenario *scenario, const char *name)
{
    char path[128], text[1024];
    struct davy_problems problems = {.count = 0};
    struct davy_config *config = NULL;
    config_path(scenario, name, path);
    int rc = davy_config_load(path, &problems, &config);
    for (size_t i = 0; rc != 0 && i < problems.count; i++)
        print_error("%s\n", davy_problem_format(&problems.items[i], text, sizeof text));
    davy_problems_done(&problems);
    assert_int_equal(rc, 0);
    return config;
}

static void do_set(struct scenario *scenario)
{
    struct gateway_device *device = gateway_device(&scenario->gateway, word(scenario, 2));
    int table = davy_table_find(word(scenario, 3));
    int64_t address, value;
    assert_true(table >= 0);
    assert_int_equal(davy_int_parse(word(scenario, 4), &address), 0);
    for (size_t i = 5; i < scenario->line.count; i++, address++) {
        assert_int_equal(davy_int_parse(word(scenario, i), &value), 0);
        assert_true(address >= 0 && address < GATEWAY_WORDS && value >= 0 && value <= UINT16_MAX);
        device->words[table][address] = (uint16_t)value;
    }
}

static void do_fault(struct scenario *scenario)
{
    static const char *const names[DAVY_ANSWER_COUNT_] = {[DAVY_ANSWER_OK] = "none",
                                                          [DAVY_ANSWER_EXCEPTION] = "exception",
                                                          [DAVY_ANSWER_TIMEOUT] = "timeout",
                                                          [DAVY_ANSWER_INVALID] = "invalid"};
    struct gateway_device *device = gateway_device(&scenario->gateway, word(scenario, 2));
    int answer = davy_name_find(names, DAVY_LENGTH(names), word(scenario, 3));
    int64_t code = 0;
    assert_true(answer >= 0);
    if (answer == DAVY_ANSWER_EXCEPTION)
        assert_int_equal(davy_int_parse(word(scenario, 4), &code), 0);
    device->answer = (enum davy_answer)answer;
    device->exception = (uint8_t)code;
}

static void do_line(struct scenario *scenario)
{
    scenario->gateway.line_down = strcmp(word(scenario, 2), "down") == 0;
}

static void do_command(struct scenario *scenario)
{
    bool ack = strcmp(word(scenario, 1), "ack") == 0;
    bool refused = scenario->line.count > 3 && strcmp(word(scenario, 3), "refused") == 0;
    int rc = gateway_command(&scenario->gateway, ack ? DAVY_COMMAND_ACK : DAVY_COMMAND_RESET, word(scenario, 2));
    if (rc == (refused ? DAVY_REFUSED : 0))
        return;
    say_line(scenario, refused ? "should be refused" : "was refused", &scenario->line);
    scenario->different++;
}

static void check_outcome(struct scenario *scenario, int rc)
{
    bool refused = strcmp(scenario->line.words[scenario->line.count - 1], "refused") == 0;
    if (rc == (refused ? DAVY_REFUSED : 0))
        return;
    say_line(scenario, refused ? "should be refused" : "was refused", &scenario->line);
    scenario->different++;
}

static void do_inhibit(struct scenario *scenario)
{
    bool begins = strcmp(word(scenario, 1), "inhibit") == 0;
    davy_span duration = begins ? time_of(word(scenario, 3)) : (davy_span){0};
    check_outcome(scenario, gateway_inhibit(&scenario->gateway, word(scenario, 2), duration));
}

static void do_cover(struct scenario *scenario)
{
    static const struct {
        const char *name;
        enum davy_command_verb verb;
    } covers[] = {{"shelve", DAVY_COMMAND_SHELVE},
                  {"unshelve", DAVY_COMMAND_UNSHELVE},
                  {"out-of-service", DAVY_COMMAND_OUT_OF_SERVICE},
                  {"in-service", DAVY_COMMAND_IN_SERVICE}};
    for (size_t i = 0; i < DAVY_LENGTH(covers); i++) {
        if (strcmp(covers[i].name, word(scenario, 1)) != 0)
            continue;
        davy_span duration = i == 0 ? time_of(word(scenario, 3)) : (davy_span){0};
        check_outcome(scenario, gateway_cover(&scenario->gateway, covers[i].verb, word(scenario, 2), duration));
    }
}

static void do_reload(struct scenario *scenario)
{
    gateway_reload(&scenario->gateway, load(scenario, word(scenario, 2)));
}

static void do_kill(struct scenario *scenario)
{
    gateway_kill(&scenario->gateway);
    scenario->running = false;
}

static void do_start(struct scenario *scenario)
{
    if (scenario->line.count > 3 && strcmp(word(scenario, 3), "reboot") == 0)
        gateway_reboot(&scenario->gateway);
    gateway_start(&scenario->gateway, load(scenario, word(scenario, 2)));
    scenario->running = true;
}

static void do_expect(struct scenario *scenario)
{
    (void)word(scenario, 5);
    assert_true(scenario->expected_count < EXPECT_MAX);
    struct script_line *kept = &scenario->expected[scenario->expected_count++];
    *kept = scenario->line;
    for (size_t i = 0; i < kept->count; i++)
        kept->words[i] = kept->text + (scenario->line.words[i] - scenario->line.text);
}

static void do_end(struct scenario *scenario)
{
    scenario->ended = true;
}

static const struct {
    const char *name;
    void (*act)(struct scenario *scenario);
} verbs[] = {
    {"inhibit", do_inhibit}, {"uninhibit", do_inhibit},    {"shelve", do_cover},
    {"unshelve", do_cover},  {"out-of-service", do_cover}, {"in-service", do_cover},
    {"set", do_set},         {"fault", do_fault},          {"line", do_line},
    {"ack", do_command},     {"reset", do_command},        {"reload", do_reload},
    {"kill", do_kill},       {"start", do_start},          {"expect", do_expect},
    {"end", do_end},
};

static void act(struct scenario *scenario)
{
    const char *verb = word(scenario, 1);
    for (size_t i = 0; i < DAVY_LENGTH(verbs); i++) {
        if (strcmp(verbs[i].name, verb) == 0) {
            verbs[i].act(scenario);
            return;
        }
    }
    fail_msg("%s:%d: no such verb: %s", scenario->file, scenario->line.number, verb);
}

/* Polls and timers before `until`; at `until` itself only with `inclusive`. */
static void run_until(struct scenario *scenario, davy_span until, bool inclusive)
{
    struct gateway *gateway = &scenario->gateway;
    while (scenario->running) {
        davy_span next = gateway_next(gateway);
        if (next.ns > until.ns || (next.ns == until.ns && !inclusive))
            break;
        gateway_set_time(gateway, next);
        gateway_turn(gateway);
    }
    gateway_set_time(gateway, until);
}

static void run_script(struct scenario *scenario)
{
    do {
        davy_span t = time_of(word(scenario, 0));
        if (strcmp(word(scenario, 1), "expect") != 0)
            run_until(scenario, t, false);
        act(scenario);
        if (scenario->ended) {
            run_until(scenario, t, true);
            return;
        }
    } while (next_line(scenario));
    fail_msg("%s: no end", scenario->file);
}

static const char *text_of(const json_t *payload, const char *key)
{
    const char *text = json_string_value(json_object_get(payload, key));
    return text ? text : "-";
}

/* "RULE:DEVICE.POINT" as the payload says it. */
static void alarm_of(const json_t *payload, char key[DAVY_KEY_SIZE])
{
    const char *point = json_string_value(json_object_get(payload, "point"));
    const char *device = json_string_value(json_object_get(payload, "device"));
    snprintf(key, DAVY_KEY_SIZE, "%s:%s%s%s", text_of(payload, "rule"), device ? device : "_", point ? "." : "",
             point ? point : "");
}

/* KEY=VALUE of the payload; the value as JSON, text without its quotes. */
static bool has_member(const json_t *payload, const char *pair)
{
    char key[64];
    const char *equals = strchr(pair, '=');
    if (!equals || (size_t)(equals - pair) >= sizeof key)
        return false;
    snprintf(key, sizeof key, "%.*s", (int)(equals - pair), pair);
    const json_t *value = json_object_get(payload, key);
    if (json_is_string(value))
        return strcmp(json_string_value(value), equals + 1) == 0;
    double number;
    if (json_is_number(value) && davy_num_parse(equals + 1, &number) == 0)
        return json_number_value(value) <= number && json_number_value(value) >= number;
    char *text = json_dumps(value, JSON_ENCODE_ANY);
    bool same = text && strcmp(text, equals + 1) == 0;
    free(text);
    return same;
}

static bool matches(const struct script_line *line, const char *const facts[5], const json_t *payload)
{
    if (time_of(line->words[0]).ns != time_of(facts[0]).ns)
        return false;
    for (size_t i = 1; i < 5; i++)
        if (strcmp(line->words[i + 1], facts[i]) != 0)
            return false;
    for (size_t i = 6; i < line->count; i++)
        if (!has_member(payload, line->words[i]))
            return false;
    return true;
}

/* An occurrence keeps its id from its first raise to its end, and has it alone. A cover without one has no id. */
static void check_id(struct scenario *scenario, const char *alarm, const json_t *payload)
{
    const char *id = text_of(payload, "id");
    bool begins =
        strcmp(text_of(payload, "event"), "raised") == 0 && json_integer_value(json_object_get(payload, "count")) == 1;
    if (strcmp(id, "-") == 0)
        return;
    size_t own = scenario->occurrence_count;
    for (size_t i = 0; i < scenario->occurrence_count; i++) {
        if (strcmp(scenario->occurrences[i].alarm, alarm) == 0)
            own = i;
        else
            assert_string_not_equal(scenario->occurrences[i].id, id);
    }
    if (own < scenario->occurrence_count && begins)
        assert_string_not_equal(scenario->occurrences[own].id, id);
    else if (!begins)
        assert_string_equal(scenario->occurrences[own].id, id);
    assert_true(own < EXPECT_MAX);
    snprintf(scenario->occurrences[own].alarm, sizeof scenario->occurrences[own].alarm, "%s", alarm);
    snprintf(scenario->occurrences[own].id, sizeof scenario->occurrences[own].id, "%s", id);
    scenario->occurrence_count += own == scenario->occurrence_count;
}

static bool check_event(void *context, int64_t seq, const char *text)
{
    struct scenario *scenario = context;
    char when[DAVY_NUM_TEXT], key[DAVY_KEY_SIZE];
    davy_wall wall = {0};
    json_t *payload = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(payload);
    assert_int_equal(seq, scenario->seen + 1);
    assert_int_equal(json_integer_value(json_object_get(payload, "seq")), seq);
    assert_int_equal(davy_wall_parse(text_of(payload, "time"), &wall), 0);
    davy_span_print((davy_span){wall.ns - scenario->gateway.epoch.ns}, when);
    alarm_of(payload, key);
    const char *const facts[] = {when, text_of(payload, "event"), text_of(payload, "level"), key,
                                 text_of(payload, "state")};
    bool wanted = scenario->seen < scenario->expected_count;
    if (!wanted || !matches(&scenario->expected[scenario->seen], facts, payload)) {
        print_error("happened: %s expect %s %s %s %s\n  %s\n", facts[0], facts[1], facts[2], facts[3], facts[4], text);
        if (wanted)
            say_line(scenario, "expected", &scenario->expected[scenario->seen]);
        scenario->different++;
    }
    check_id(scenario, key, payload);
    scenario->seen++;
    json_decref(payload);
    return true;
}

static void check_ledger(struct scenario *scenario)
{
    char file[128], error[256] = "";
    struct davy_ledger_check check;
    snprintf(file, sizeof file, "%s/ledger.db", scenario->directory);
    int rc =
        davy_query_events(file, &(struct davy_event_filter){.limit = 0}, check_event, scenario, error, sizeof error);
    if (rc != 0)
        fail_msg("%s", error);
    for (size_t i = scenario->seen; i < scenario->expected_count; i++, scenario->different++)
        say_line(scenario, "did not happen", &scenario->expected[i]);
    rc = davy_ledger_verify(file, &check, error, sizeof error);
    if (rc != 0)
        fail_msg("ledger: %d at %lld: %s%s", rc, (long long)check.bad_seq, error, check.reason);
    assert_true((size_t)check.events.rows >= scenario->seen);
}

static void remove_directory(const char *directory)
{
    char pattern[80];
    glob_t found;
    snprintf(pattern, sizeof pattern, "%s/*", directory);
    if (glob(pattern, 0, NULL, &found) == 0) {
        for (size_t i = 0; i < found.gl_pathc; i++)
            unlink(found.gl_pathv[i]);
        globfree(&found);
    }
    rmdir(directory);
}

static void scenario_holds(void **state)
{
    static struct scenario scenario;
    char plant[512];
    scenario = (struct scenario){.file = *state, .directory = "/tmp/davy-scenario-XXXXXX"};
    snprintf(plant, sizeof plant, "%s/tests/scenario/plant.conf", getenv("DAVY_SOURCE"));
    assert_non_null(mkdtemp(scenario.directory));
    scenario.in = fopen(scenario.file, "re");
    assert_non_null(scenario.in);
    gateway_init(&scenario.gateway, scenario.directory);
    bool more = next_line(&scenario);
    for (; more && strcmp(word(&scenario, 0), "config") == 0; more = next_line(&scenario))
        keep_config(&scenario, plant);
    assert_true(more);
    gateway_start(&scenario.gateway, load(&scenario, scenario.first_config));
    scenario.running = true;
    run_script(&scenario);
    if (scenario.running)
        gateway_kill(&scenario.gateway);
    fclose(scenario.in);
    check_ledger(&scenario);
    remove_directory(scenario.directory);
    assert_int_equal(scenario.different, 0);
}

int main(int argc, char **argv)
{
    char pattern[512];
    glob_t found;
    assert(getenv("DAVY_SOURCE"));
    snprintf(pattern, sizeof pattern, "%s/tests/scenario/%s.scn", getenv("DAVY_SOURCE"), argc > 1 ? argv[1] : "*");
    if (glob(pattern, 0, NULL, &found) != 0)
        return 1;
    struct CMUnitTest *tests = calloc(found.gl_pathc, sizeof *tests);
    for (size_t i = 0; tests && i < found.gl_pathc; i++)
        tests[i] = (struct CMUnitTest){.name = strrchr(found.gl_pathv[i], '/') + 1,
                                       .test_func = scenario_holds,
                                       .initial_state = found.gl_pathv[i]};
    int failed = tests ? _cmocka_run_group_tests("scenario", tests, found.gl_pathc, NULL, NULL) : 1;
    free(tests);
    globfree(&found);
    return failed;
}
