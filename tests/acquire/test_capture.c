/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "acquire/capture.h"
#include "base/attr.h"
#include "base/num.h"
#include "support/seed.h"

static struct davy_capture capture;

static const struct davy_stamp at = {.mono = {77}, .wall = {88}};

static int setup(void **state)
{
    (void)state;
    davy_capture_init(&capture);
    return 0;
}

/* A request of eight bytes, and a reply of `length` with the number of the exchange in it. */
static void run_exchange(uint8_t unit, uint32_t number, size_t length, enum davy_answer verdict)
{
    uint8_t bytes[300];
    memset(bytes, (int)(number & 0xFFU), sizeof bytes);
    memcpy(bytes, &number, sizeof number);
    davy_capture_begin(&capture);
    davy_capture_add(&capture, DAVY_CAPTURE_SENT, at, bytes, 8);
    davy_capture_add(&capture, DAVY_CAPTURE_HEARD, at, bytes, length);
    davy_capture_end(&capture, unit, verdict);
}

/* Whether a frame of the exchange with this number is there. */
static bool has(uint32_t number, bool kept)
{
    struct davy_capture_cursor cursor = {0};
    struct davy_capture_frame frame;
    while (davy_capture_next(&capture, &cursor, &frame)) {
        uint32_t found;
        memcpy(&found, frame.bytes, sizeof found);
        if (found == number && frame.kept >= kept)
            return true;
    }
    return false;
}

static void a_frame_comes_back_as_it_was(void **state)
{
    (void)state;
    struct davy_capture_cursor cursor = {0};
    struct davy_capture_frame frame;
    run_exchange(5, 1000, 13, DAVY_ANSWER_EXCEPTION);
    assert_true(davy_capture_next(&capture, &cursor, &frame));
    assert_int_equal(frame.kind, DAVY_CAPTURE_SENT);
    assert_int_equal(frame.length, 8);
    assert_true(davy_capture_next(&capture, &cursor, &frame));
    assert_int_equal(frame.kind, DAVY_CAPTURE_HEARD);
    assert_int_equal(frame.verdict, DAVY_ANSWER_EXCEPTION);
    assert_int_equal(frame.length, 13);
    assert_int_equal(frame.number, 2);
    assert_int_equal(frame.at.mono.ns, 77);
    assert_int_equal(frame.at.wall.ns, 88);
    assert_false(frame.kept);
    assert_false(davy_capture_next(&capture, &cursor, &frame));
}

static void of_what_is_too_long_the_beginning_is_kept(void **state)
{
    (void)state;
    struct davy_capture_cursor cursor = {0};
    struct davy_capture_frame frame;
    static uint8_t noise[100000];
    davy_capture_add(&capture, DAVY_CAPTURE_FOREIGN, at, noise, 300);
    davy_capture_add(&capture, DAVY_CAPTURE_FOREIGN, at, noise, sizeof noise);
    davy_capture_add(&capture, DAVY_CAPTURE_FOREIGN, at, noise, 0);
    assert_true(davy_capture_next(&capture, &cursor, &frame));
    assert_int_equal(frame.length, 300);
    assert_true(davy_capture_next(&capture, &cursor, &frame));
    assert_int_equal(frame.length, UINT16_MAX);
    assert_int_equal(frame.verdict, DAVY_ANSWER_COUNT_);
    assert_false(davy_capture_next(&capture, &cursor, &frame));
}

static void an_error_and_its_neighbours_outlive_all_later_good_ones(void **state)
{
    (void)state;
    for (uint32_t number = 0; number < 1000; number++)
        run_exchange(7, number, 40, number == 100 ? DAVY_ANSWER_INVALID : DAVY_ANSWER_OK);
    assert_true(has(99, true));
    assert_true(has(100, true));
    assert_true(has(101, true));
    assert_false(has(98, false));
    assert_false(has(102, false));
    assert_true(has(999, false));
}

static void a_dead_unit_does_not_push_the_rare_error_out(void **state)
{
    (void)state;
    for (uint32_t number = 0; number < 10000; number++) {
        bool dead = number % 2 != 0;
        run_exchange(dead ? 9 : 7, number, dead ? 0 : 40,
                     number == 100 ? DAVY_ANSWER_INVALID
                     : dead        ? DAVY_ANSWER_TIMEOUT
                                   : DAVY_ANSWER_OK);
    }
    assert_true(has(100, true));
    assert_true(has(1, true)); /* the first time that it was dead */
    assert_false(has(301, false));
}

static void it_is_kept_again_after_it_answered_well(void **state)
{
    (void)state;
    for (uint32_t number = 0; number < 500; number++)
        run_exchange(7, number, 40, number == 10 || number == 12 ? DAVY_ANSWER_TIMEOUT : DAVY_ANSWER_OK);
    assert_true(has(10, true));
    assert_true(has(12, true));
}

static void foreign_bytes_beside_a_good_answer_are_kept(void **state)
{
    (void)state;
    const uint8_t noise[] = {1, 0, 0, 0, 0xFF};
    davy_capture_begin(&capture);
    davy_capture_add(&capture, DAVY_CAPTURE_FOREIGN, at, noise, sizeof noise);
    davy_capture_end(&capture, 7, DAVY_ANSWER_OK);
    for (uint32_t number = 2; number < 500; number++)
        run_exchange(7, number, 40, DAVY_ANSWER_OK);
    assert_true(has(1, true));
    assert_false(has(10, false));
}

/* Whatever is added: frames come in their order, each once, those of an exchange with one verdict, bytes unharmed. */
static void check_order(uint32_t count)
{
    struct davy_capture_cursor cursor = {0};
    struct davy_capture_frame frame;
    uint64_t last = 0;
    uint32_t seen = 0;
    while (davy_capture_next(&capture, &cursor, &frame)) {
        assert_true(frame.number > last);
        last = frame.number;
        size_t length = frame.length < DAVY_CAPTURE_FRAME ? frame.length : DAVY_CAPTURE_FRAME;
        for (size_t i = 4; i < length; i++)
            assert_int_equal(frame.bytes[i], frame.bytes[0]);
        seen++;
    }
    assert_int_equal(last, capture.frames);
    assert_true(count == 0 || seen > 0);
}

static void random_exchanges_come_back_in_order(void **state)
{
    (void)state;
    struct davy_random random = {davy_test_seed(20261125)};
    for (uint32_t number = 0; number < 20000; number++) {
        size_t length = (size_t)(davy_random_unit(&random) * 300);
        enum davy_answer verdict = (enum davy_answer)(davy_random_unit(&random) * DAVY_ANSWER_COUNT_);
        uint8_t unit = (uint8_t)(davy_random_unit(&random) * 3);
        run_exchange(unit, number, length, davy_random_unit(&random) < 0.8 ? DAVY_ANSWER_OK : verdict);
        if (number % 37 == 0)
            check_order(number);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_frame_comes_back_as_it_was, setup),
        cmocka_unit_test_setup(of_what_is_too_long_the_beginning_is_kept, setup),
        cmocka_unit_test_setup(an_error_and_its_neighbours_outlive_all_later_good_ones, setup),
        cmocka_unit_test_setup(a_dead_unit_does_not_push_the_rare_error_out, setup),
        cmocka_unit_test_setup(it_is_kept_again_after_it_answered_well, setup),
        cmocka_unit_test_setup(foreign_bytes_beside_a_good_answer_are_kept, setup),
        cmocka_unit_test_setup(random_exchanges_come_back_in_order, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
