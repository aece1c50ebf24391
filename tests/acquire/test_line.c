/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A serial line whose other end says what a test wants, as soon as a request is sent: what is taken for a reply, what
 * is dropped, and how it is counted. The value of each register is its address.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "acquire/line.h"
#include "base/num.h"
#include "support/seed.h"

#define UNIT   11
#define TRIALS 20000U

struct script {
    uint8_t bytes[DAVY_LINE_HEARD];
    size_t length;
};

struct rig {
    struct davy_line line;
    struct davy_capture capture;
    struct davy_bus_reply reply;
    int far;
    struct script script;
    unsigned requests;
};

static struct rig rig;

static const struct davy_bus_request two = {UNIT, DAVY_TABLE_HOLDING, 100, 2, {2 * DAVY_NS_PER_MS}};

/* Says it once; later requests are met with silence. */
static enum davy_answer say(void *context, const uint8_t *frame, size_t length)
{
    (void)context;
    (void)frame;
    (void)length;
    rig.requests++;
    if (rig.script.length > 0)
        assert_int_equal(write(rig.far, rig.script.bytes, rig.script.length), rig.script.length);
    rig.script.length = 0;
    return DAVY_ANSWER_OK;
}

static int setup(void **state)
{
    (void)state;
    int ends[2];
    memset(&rig, 0, sizeof rig);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
        return -1;
    rig.far = ends[1];
    rig.line = (struct davy_line){.fd = ends[0], .timeout = {2 * DAVY_NS_PER_MS}, .send = say, .capture = &rig.capture};
    davy_guard_init(&rig.line.guard, (davy_span){0});
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    close(rig.line.fd);
    close(rig.far);
    return 0;
}

/* ---- scripts ---- */

static void add(const void *bytes, size_t length)
{
    assert_true(rig.script.length + length <= sizeof rig.script.bytes);
    memcpy(rig.script.bytes + rig.script.length, bytes, length);
    rig.script.length += length;
}

static void add_with_crc(const uint8_t *body, size_t length)
{
    uint16_t crc = davy_frame_crc(body, length);
    const uint8_t end[2] = {(uint8_t)crc, (uint8_t)(crc >> 8)};
    add(body, length);
    add(end, sizeof end);
}

static void add_reply(uint8_t unit, uint16_t start, uint8_t count)
{
    uint8_t body[3 + 250] = {unit, 3, (uint8_t)(2 * count)};
    for (unsigned i = 0; i < count; i++) {
        body[3 + 2 * i] = (uint8_t)((start + i) >> 8);
        body[4 + 2 * i] = (uint8_t)(start + i);
    }
    add_with_crc(body, 3U + 2U * count);
}

static void add_request(uint8_t unit, uint16_t start, uint8_t count)
{
    const uint8_t body[6] = {unit, 3, (uint8_t)(start >> 8), (uint8_t)start, 0, count};
    add_with_crc(body, sizeof body);
}

static enum davy_answer read_two(void)
{
    memset(&rig.reply, 0xA5, sizeof rig.reply);
    davy_line_read(&rig.line, &two, &rig.reply);
    if (rig.reply.answer == DAVY_ANSWER_OK) {
        assert_int_equal(rig.reply.words[0], 100);
        assert_int_equal(rig.reply.words[1], 101);
    }
    return rig.reply.answer;
}

/* ---- cases ---- */

static void noise_before_and_behind_a_reply_is_dropped_and_counted(void **state)
{
    (void)state;
    static const uint8_t idle[] = {0x00, 0xFF, 0x00, 0xFF, 0xFF};
    add(idle, sizeof idle);
    add_reply(UNIT, 100, 2);
    add(idle, 3);
    assert_int_equal(read_two(), DAVY_ANSWER_OK);
    assert_int_equal(rig.reply.foreign, 8);
    assert_int_equal(rig.reply.strangers, 0);
}

static void a_reply_of_another_unit_does_not_stop_the_timer(void **state)
{
    (void)state;
    add_reply(UNIT + 1, 100, 2);
    add_reply(UNIT, 100, 2);
    assert_int_equal(read_two(), DAVY_ANSWER_OK);
    assert_int_equal(rig.reply.foreign, 9);
}

static void a_reply_of_another_length_is_not_ours(void **state)
{
    (void)state;
    add_reply(UNIT, 100, 3);
    assert_int_equal(read_two(), DAVY_ANSWER_INVALID);
    assert_int_equal(rig.reply.foreign, 11);
}

static void two_replies_are_none(void **state)
{
    (void)state;
    add_reply(UNIT, 100, 2);
    add_reply(UNIT, 100, 2);
    assert_int_equal(read_two(), DAVY_ANSWER_INVALID);
    assert_int_equal(rig.reply.foreign, 9);
}

static void the_reply_behind_the_request_of_another_master_may_be_its(void **state)
{
    (void)state;
    add_request(UNIT, 500, 2);
    add_reply(UNIT, 500, 2);
    assert_int_equal(read_two(), DAVY_ANSWER_INVALID);
    assert_int_equal(rig.reply.strangers, 1);
    assert_int_equal(rig.reply.foreign, 8);
}

static void another_master_behind_our_reply_is_only_counted(void **state)
{
    (void)state;
    add_reply(UNIT, 100, 2);
    add_request(UNIT + 1, 500, 2);
    assert_int_equal(read_two(), DAVY_ANSWER_OK);
    assert_int_equal(rig.reply.strangers, 1);
}

/* A reply inside the data of a longer frame of another unit is data. */
static void a_frame_inside_a_frame_is_none(void **state)
{
    (void)state;
    uint8_t body[64] = {UNIT + 1, 3, 20};
    add_reply(UNIT, 100, 2);
    memcpy(body + 5, rig.script.bytes, rig.script.length);
    rig.script.length = 0;
    add_with_crc(body, 23);
    assert_int_equal(read_two(), DAVY_ANSWER_INVALID);
    assert_int_equal(rig.reply.foreign, 25);
}

static void half_a_reply_is_a_timeout_and_not_foreign(void **state)
{
    (void)state;
    add_reply(UNIT, 100, 2);
    rig.script.length = 5;
    assert_int_equal(read_two(), DAVY_ANSWER_TIMEOUT);
    assert_int_equal(rig.reply.foreign, 0);
}

static void a_broken_reply_is_invalid_and_not_foreign(void **state)
{
    (void)state;
    add_reply(UNIT, 100, 2);
    rig.script.bytes[4] ^= 0x10;
    assert_int_equal(read_two(), DAVY_ANSWER_INVALID);
    assert_int_equal(rig.reply.foreign, 0);
}

static void an_echo_that_is_not_configured_is_noise_and_no_master(void **state)
{
    (void)state;
    add_request(UNIT, 100, 2);
    add_reply(UNIT, 100, 2);
    assert_int_equal(read_two(), DAVY_ANSWER_OK);
    assert_int_equal(rig.reply.foreign, 8);
    assert_int_equal(rig.reply.strangers, 0);
    assert_false(davy_guard_is_suspect(&rig.line.guard, &two));
}

static void an_echo_that_is_configured_is_nothing(void **state)
{
    (void)state;
    rig.line.echo = true;
    add_request(UNIT, 100, 2);
    add_reply(UNIT, 100, 2);
    assert_int_equal(read_two(), DAVY_ANSWER_OK);
    assert_int_equal(rig.reply.foreign, 0);
}

static void without_the_echo_that_is_configured_nothing_is_taken(void **state)
{
    (void)state;
    rig.line.echo = true;
    add_reply(UNIT, 100, 2);
    assert_int_equal(read_two(), DAVY_ANSWER_INVALID);
}

static void what_was_there_before_the_request_is_thrown_away(void **state)
{
    (void)state;
    add_reply(UNIT, 300, 2);
    (void)say(NULL, NULL, 0);
    add_reply(UNIT, 100, 2);
    enum davy_answer answer = read_two(); /* nobody was owed that reply: doubtful */
    assert_int_equal(answer, DAVY_ANSWER_INVALID);
    assert_int_equal(rig.reply.foreign, 9);
}

static void exceptions_are_answers_also_those_of_gateways(void **state)
{
    (void)state;
    for (uint8_t code = 1; code < 255; code++) {
        const uint8_t body[3] = {UNIT, 0x83, code};
        add_with_crc(body, sizeof body);
        assert_int_equal(read_two(), DAVY_ANSWER_EXCEPTION);
        assert_int_equal(rig.reply.exception, code);
    }
}

/* The flight recorder has the request, the noise and the reply, byte for byte, with the verdict. */
static void all_that_was_on_the_line_is_recorded(void **state)
{
    (void)state;
    struct davy_capture_cursor cursor = {0};
    struct davy_capture_frame frame;
    add("\x42", 1);
    add_reply(UNIT, 100, 2);
    assert_int_equal(read_two(), DAVY_ANSWER_OK);
    static const enum davy_capture_kind kinds[] = {DAVY_CAPTURE_SENT, DAVY_CAPTURE_HEARD, DAVY_CAPTURE_FOREIGN};
    static const size_t lengths[] = {8, 9, 1};
    for (size_t i = 0; i < 3; i++) {
        assert_true(davy_capture_next(&rig.capture, &cursor, &frame));
        assert_int_equal(frame.kind, kinds[i]);
        assert_int_equal(frame.length, lengths[i]);
        assert_int_equal(frame.verdict, DAVY_ANSWER_OK);
        assert_true(frame.kept);
    }
    assert_int_equal(frame.bytes[0], 0x42);
    assert_false(davy_capture_next(&rig.capture, &cursor, &frame));
}

static void a_closed_line_is_down(void **state)
{
    (void)state;
    shutdown(rig.far, SHUT_RDWR);
    assert_int_equal(read_two(), DAVY_ANSWER_DOWN);
}

/* ---- anything ---- */

static struct davy_random source;

static unsigned below(unsigned limit)
{
    return (unsigned)(davy_random_unit(&source) * limit);
}

/* Bytes in which no reply of ours begins. */
static size_t add_noise(void)
{
    size_t length = below(12);
    for (size_t i = 0; i < length; i++) {
        uint8_t byte = (uint8_t)below(256);
        byte = byte == UNIT ? 0xFF : byte;
        add(&byte, 1);
    }
    return length;
}

static void add_other(void)
{
    uint8_t unit = (uint8_t)(UNIT + 1 + below(100));
    add_reply(unit, (uint16_t)below(1000), (uint8_t)(1 + below(20)));
}

/* The one true reply between noise and replies of others is found, and all the rest is counted. */
static void the_reply_is_found_in_any_noise(void **state)
{
    (void)state;
    unsigned found = 0;
    for (unsigned trial = 0; trial < TRIALS; trial++) {
        memset(&rig.line.guard, 0, sizeof rig.line.guard);
        davy_guard_init(&rig.line.guard, (davy_span){0});
        for (unsigned i = below(3); i > 0; i--) {
            (void)add_noise();
            add_other();
        }
        (void)add_noise();
        add_reply(UNIT, 100, 2);
        (void)add_noise();
        size_t others = rig.script.length - 9;
        enum davy_answer answer = read_two();
        if (answer == DAVY_ANSWER_OK)
            assert_int_equal(rig.reply.foreign, others);
        found += answer == DAVY_ANSWER_OK;
    }
    /* By chance noise is a frame that ends in the reply: that costs the reading, not its truth. */
    assert_in_range(found, TRIALS - TRIALS / 1000, TRIALS);
}

/* Whatever is changed, cut, doubled or inserted: what is good is true. */
static void no_damage_gives_a_wrong_value(void **state)
{
    (void)state;
    unsigned good = 0;
    for (unsigned trial = 0; trial < 4000; trial++) {
        memset(&rig.line.guard, 0, sizeof rig.line.guard);
        davy_guard_init(&rig.line.guard, (davy_span){0});
        for (unsigned i = 1 + below(3); i > 0; i--)
            add_reply((uint8_t)(UNIT + (below(4) == 0)), 100, (uint8_t)(1 + below(4)));
        for (unsigned i = below(3); i > 0; i--)
            rig.script.bytes[below((unsigned)rig.script.length)] ^= (uint8_t)(1U << below(8));
        if (below(4) == 0)
            rig.script.length = 1 + below((unsigned)rig.script.length);
        good += read_two() == DAVY_ANSWER_OK; /* checks the values */
        rig.line.guard.quiet_until.ns = 0;
    }
    assert_true(good > 0);
}

int main(void)
{
    source.state = davy_test_seed(20261125);
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(noise_before_and_behind_a_reply_is_dropped_and_counted),
        TEST(a_reply_of_another_unit_does_not_stop_the_timer),
        TEST(a_reply_of_another_length_is_not_ours),
        TEST(two_replies_are_none),
        TEST(the_reply_behind_the_request_of_another_master_may_be_its),
        TEST(another_master_behind_our_reply_is_only_counted),
        TEST(a_frame_inside_a_frame_is_none),
        TEST(half_a_reply_is_a_timeout_and_not_foreign),
        TEST(a_broken_reply_is_invalid_and_not_foreign),
        TEST(an_echo_that_is_not_configured_is_noise_and_no_master),
        TEST(an_echo_that_is_configured_is_nothing),
        TEST(without_the_echo_that_is_configured_nothing_is_taken),
        TEST(what_was_there_before_the_request_is_thrown_away),
        TEST(exceptions_are_answers_also_those_of_gateways),
        TEST(all_that_was_on_the_line_is_recorded),
        TEST(a_closed_line_is_down),
        TEST(the_reply_is_found_in_any_noise),
        TEST(no_damage_gives_a_wrong_value),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
