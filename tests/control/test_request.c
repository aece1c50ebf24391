/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/log.h"
#include "control/request.h"

static struct davy_request_line parse(const char *line)
{
    struct davy_request_line request;
    char error[200] = "";
    if (davy_request_parse(line, &request, error, sizeof error) != 0)
        fail_msg("%s: %s", line, error);
    return request;
}

static void takes_each_verb(void **state)
{
    (void)state;
    assert_int_equal(parse("{\"verb\":\"status\"}").verb, DAVY_VERB_STATUS);
    assert_int_equal(parse("{\"verb\":\"reload\"}").verb, DAVY_VERB_RELOAD);
    struct davy_request_line points = parse("{\"verb\":\"points\",\"glob\":\"GT-*\",\"after\":\"GT-1.h2s\"}");
    assert_string_equal(points.alarm, "GT-*");
    assert_string_equal(points.after, "GT-1.h2s");
    assert_true(parse("{\"verb\":\"alarms\",\"all\":true}").all);
    assert_false(parse("{\"verb\":\"alarms\",\"all\":false}").all);
    assert_int_equal(parse("{\"verb\":\"log-level\",\"level\":\"debug\"}").log_level, DAVY_LOG_DEBUG);
    assert_string_equal(parse("{\"verb\":\"reset\",\"alarm\":\"GT-1.h2s\"}").alarm, "GT-1.h2s");
}

static void takes_what_was_seen_with_an_ack(void **state)
{
    (void)state;
    struct davy_request_line ack = parse("{\"verb\":\"ack\",\"alarm\":\"h2s:GT-1.h2s\",\"level\":\"red\","
                                         "\"id\":\"0192f3c1-7b1e-7c44-9d0a-3f6f1f0a2b11\",\"note\":\"on my way\"}");
    assert_string_equal(ack.alarm, "h2s:GT-1.h2s");
    assert_int_equal(ack.level, DAVY_LEVEL_RED);
    assert_int_equal(ack.id.bytes[0], 0x01);
    assert_string_equal(ack.note, "on my way");
    ack = parse("{\"verb\":\"ack\",\"alarm\":\"h2s:GT-1.h2s\"}");
    assert_true(davy_uuid_is_nil(&ack.id));
    assert_int_equal(ack.level, DAVY_LEVEL_NONE);
}

static void takes_a_read(void **state)
{
    (void)state;
    struct davy_request_line read =
        parse("{\"verb\":\"read\",\"bus\":\"b\",\"unit\":3,\"table\":\"input\",\"register\":65535,\"count\":1}");
    assert_string_equal(read.bus, "b");
    assert_int_equal(read.unit, 3);
    assert_int_equal(read.table, DAVY_TABLE_INPUT);
    assert_int_equal(read.address, 65535);
    assert_int_equal(read.count, 1);
    read = parse("{\"verb\":\"read\",\"bus\":\"b\",\"unit\":3,\"table\":\"coil\",\"register\":0,\"count\":2000}");
    assert_int_equal(read.count, 2000);
}

#define SCAN_ID "\"id\":\"0192f3c1-7b1e-7c44-9d0a-3f6f1f0a2b11\""

static void takes_the_steps_of_a_scan(void **state)
{
    (void)state;
    struct davy_request_line scan = parse("{\"verb\":\"scan-begin\",\"bus\":\"b\"," SCAN_ID "}");
    assert_int_equal(scan.verb, DAVY_VERB_SCAN_BEGIN);
    assert_string_equal(scan.bus, "b");
    assert_int_equal(scan.id.bytes[1], 0x92);
    scan = parse("{\"verb\":\"scan\",\"bus\":\"b\",\"unit\":247,\"table\":\"holding\",\"register\":9," SCAN_ID "}");
    assert_int_equal(scan.verb, DAVY_VERB_SCAN);
    assert_int_equal(scan.unit, 247);
    assert_int_equal(scan.table, DAVY_TABLE_HOLDING);
    assert_int_equal(scan.address, 9);
    assert_int_equal(parse("{\"verb\":\"frames\",\"bus\":\"b\",\"connection\":3}").connection, 3);
    assert_int_equal(parse("{\"verb\":\"scan-end\",\"bus\":\"b\"," SCAN_ID "}").verb, DAVY_VERB_SCAN_END);
}

static void takes_what_hides_and_what_shows(void **state)
{
    (void)state;
    struct davy_request_line shelve =
        parse("{\"verb\":\"shelve\",\"alarm\":\"h2s:GT-1.h2s\",\"duration_s\":3600,\"reason\":\"pump test\"}");
    assert_int_equal(shelve.verb, DAVY_VERB_SHELVE);
    assert_string_equal(shelve.alarm, "h2s:GT-1.h2s");
    assert_int_equal(shelve.duration.ns, 3600 * DAVY_NS_PER_S);
    assert_string_equal(shelve.note, "pump test");
    assert_int_equal(parse("{\"verb\":\"shelve\",\"alarm\":\"a\",\"reason\":\"\"}").duration.ns, 0);
    assert_string_equal(parse("{\"verb\":\"unshelve\",\"alarm\":\"a\",\"note\":\"over\"}").note, "over");
    assert_int_equal(parse("{\"verb\":\"out-of-service\",\"alarm\":\"a\",\"reason\":\"r\"}").verb,
                     DAVY_VERB_OUT_OF_SERVICE);
    assert_int_equal(parse("{\"verb\":\"in-service\",\"alarm\":\"a\"}").verb, DAVY_VERB_IN_SERVICE);
    struct davy_request_line inhibit = parse("{\"verb\":\"inhibit\",\"device\":\"GT-1\",\"reason\":\"bump test\"}");
    assert_string_equal(inhibit.alarm, "GT-1");
    assert_string_equal(inhibit.note, "bump test");
    assert_string_equal(parse("{\"verb\":\"uninhibit\",\"device\":\"GT-1\"}").alarm, "GT-1");
}

static void takes_questions(void **state)
{
    (void)state;
    struct davy_request_line explain =
        parse("{\"verb\":\"explain\",\"rule\":\"h2s\",\"point\":\"GT-*.h2s\",\"after\":\"h2s:GT-1.h2s\"}");
    assert_string_equal(explain.alarm, "h2s");
    assert_string_equal(explain.point, "GT-*.h2s");
    assert_string_equal(explain.after, "h2s:GT-1.h2s");
    assert_string_equal(parse("{\"verb\":\"explain\",\"rule\":\"h2s\"}").point, "");
    assert_int_equal(parse("{\"verb\":\"settings\",\"from\":500}").from, 500);
    assert_int_equal(parse("{\"verb\":\"settings\"}").from, 0);
}

#define READ(unit, table, start, count)                                                                                \
    "{\"verb\":\"read\",\"bus\":\"b\",\"unit\":" unit ",\"table\":\"" table "\",\"register\":" start                   \
    ",\"count\":" count "}"

static const struct {
    const char *line;
    const char *reason; /* part of the sentence */
} refused[] = {
    {"", "not JSON"},
    {"{\"verb\":\"scan-begin\",\"bus\":\"b\"}", "needs 'id'"},
    {"{\"verb\":\"scan\",\"bus\":\"b\",\"unit\":1,\"table\":\"input\"," SCAN_ID "}", "needs 'register'"},
    {"{\"verb\":\"scan-end\",\"bus\":\"b\",\"unit\":1," SCAN_ID "}", "'unit' is not known of the verb scan-end"},
    {"{\"verb\":\"scan-begin\",\"bus\":\"b\",\"id\":\"00000000-0000-0000-0000-000000000000\"}", "must not be nil"},
    {"status", "not JSON"},
    {"{\"verb\":\"status\"", "not JSON"},
    {"{\"verb\":\"status\"} x", "not JSON"},
    {"{\"verb\":\"status\",\"verb\":\"reload\"}", "duplicate"},
    {"{\"verb\":\"st\\u0000atus\"}", "not JSON"},
    {"{\"verb\":\"\xff\"}", "not JSON"},
    {"\"status\"", "not JSON"},
    {"[\"status\"]", "not a JSON object"},
    {"{}", "no verb"},
    {"{\"verb\":1}", "no verb"},
    {"{\"verb\":\"explode\"}", "'explode' is not known"},
    {"{\"verb\":\"\"}", "not known"},
    {"{\"verb\":{\"a\":1}}", "flat"},
    {"[[[[[[[[[[", "flat"},
    {"{\"verb\":\"status\",\"glob\":\"x\"}", "'glob' is not known of the verb status"},
    {"{\"verb\":\"status\",\"colour\":\"x\"}", "'colour'"},
    {"{\"verb\":\"ack\"}", "needs 'alarm'"},
    {"{\"verb\":\"ack\",\"alarm\":\"\"}", "alarm"},
    {"{\"verb\":\"ack\",\"alarm\":7}", "must be a string"},
    {"{\"verb\":\"ack\",\"alarm\":null}", "must be a string"},
    {"{\"verb\":\"ack\",\"alarm\":\"a\",\"id\":\"7\"}", "id"},
    {"{\"verb\":\"ack\",\"alarm\":\"a\",\"level\":\"violet\"}", "violet"},
    {"{\"verb\":\"ack\",\"alarm\":\"a\",\"level\":\"\"}", "level"},
    {"{\"verb\":\"alarms\",\"all\":1}", "true or false"},
    {"{\"verb\":\"shelve\",\"alarm\":\"a\"}", "needs 'reason'"},
    {"{\"verb\":\"shelve\",\"alarm\":\"a\",\"note\":\"n\",\"reason\":\"r\"}", "'note' is not known"},
    {"{\"verb\":\"shelve\",\"alarm\":\"a\",\"reason\":\"r\",\"duration_s\":0}", "duration_s: must be 1 to"},
    {"{\"verb\":\"shelve\",\"alarm\":\"a\",\"reason\":\"r\",\"duration_s\":\"1h\"}", "whole number"},
    {"{\"verb\":\"shelve\",\"alarm\":\"a\",\"reason\":\"r\",\"duration_s\":9223372036854775807}", "duration_s"},
    {"{\"verb\":\"unshelve\",\"alarm\":\"a\",\"reason\":\"r\"}", "'reason' is not known"},
    {"{\"verb\":\"out-of-service\",\"alarm\":\"a\",\"reason\":\"r\",\"duration_s\":60}", "'duration_s' is not known"},
    {"{\"verb\":\"inhibit\",\"alarm\":\"a\",\"reason\":\"r\"}", "'alarm' is not known"},
    {"{\"verb\":\"inhibit\",\"reason\":\"r\"}", "needs 'device'"},
    {"{\"verb\":\"explain\",\"point\":\"p\"}", "needs 'rule'"},
    {"{\"verb\":\"settings\",\"from\":-1}", "from: must be 0 to"},
    {"{\"verb\":\"log-level\"}", "needs 'level'"},
    {"{\"verb\":\"log-level\",\"level\":\"red\"}", "red"},
    {READ("256", "input", "0", "1"), "unit: must be 0 to 255"},
    {READ("-1", "input", "0", "1"), "unit"},
    {READ("1.0", "input", "0", "1"), "whole number"},
    {READ("1", "attic", "0", "1"), "table"},
    {READ("1", "input", "65536", "1"), "register"},
    {READ("1", "input", "65535", "2"), "past 65535"},
    {READ("1", "input", "0", "126"), "125"},
    {READ("1", "coil", "0", "2001"), "2000"},
    {READ("1", "input", "0", "0"), "count"},
    {READ("99999999999999999999999", "input", "0", "1"), "not JSON"},
    {"{\"verb\":\"read\",\"bus\":\"b\",\"unit\":1,\"table\":\"input\",\"register\":0}", "needs 'count'"},
};

static void refuses_what_is_wrong_with_its_reason(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        struct davy_request_line request = {.unit = 77};
        char error[200] = "";
        assert_int_equal(davy_request_parse(refused[i].line, &request, error, sizeof error), -EINVAL);
        if (!strstr(error, refused[i].reason))
            fail_msg("%s: '%s' does not say '%s'", refused[i].line, error, refused[i].reason);
        assert_int_equal(request.unit, 77);
    }
}

static void refuses_texts_that_are_too_long(void **state)
{
    (void)state;
    char line[1024], note[DAVY_NOTE_SIZE + 1];
    memset(note, 'n', sizeof note);
    struct davy_request_line request;
    char error[200];
    snprintf(line, sizeof line, "{\"verb\":\"ack\",\"alarm\":\"a\",\"note\":\"%.*s\"}", DAVY_NOTE_SIZE - 1, note);
    assert_int_equal(davy_request_parse(line, &request, error, sizeof error), 0);
    snprintf(line, sizeof line, "{\"verb\":\"ack\",\"alarm\":\"a\",\"note\":\"%.*s\"}", DAVY_NOTE_SIZE, note);
    assert_int_equal(davy_request_parse(line, &request, error, sizeof error), -EINVAL);
    assert_string_equal(error, "note: too long");
    snprintf(line, sizeof line, "{\"verb\":\"inhibit\",\"reason\":\"r\",\"device\":\"%.65s\"}", note);
    assert_int_equal(davy_request_parse(line, &request, error, sizeof error), -EINVAL);
    assert_string_equal(error, "device: too long");
    snprintf(line, sizeof line, "{\"verb\":\"shelve\",\"alarm\":\"a\",\"reason\":\"%.*s\"}", DAVY_NOTE_SIZE, note);
    assert_int_equal(davy_request_parse(line, &request, error, sizeof error), -EINVAL);
    assert_string_equal(error, "reason: too long");
}

static void brackets_inside_of_strings_are_text(void **state)
{
    (void)state;
    assert_string_equal(parse("{\"verb\":\"points\",\"glob\":\"GT-[12]\\\"{.*\"}").alarm, "GT-[12]\"{.*");
}

static void names_every_verb(void **state)
{
    (void)state;
    for (int i = 0; i < DAVY_VERB_COUNT_; i++)
        assert_non_null(davy_verb_name((enum davy_verb)i));
    assert_null(davy_verb_name(DAVY_VERB_COUNT_));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_each_verb),
        cmocka_unit_test(takes_what_was_seen_with_an_ack),
        cmocka_unit_test(takes_a_read),
        cmocka_unit_test(takes_the_steps_of_a_scan),
        cmocka_unit_test(takes_what_hides_and_what_shows),
        cmocka_unit_test(takes_questions),
        cmocka_unit_test(refuses_what_is_wrong_with_its_reason),
        cmocka_unit_test(refuses_texts_that_are_too_long),
        cmocka_unit_test(brackets_inside_of_strings_are_text),
        cmocka_unit_test(names_every_verb),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
