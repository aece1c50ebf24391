/* SPDX-License-Identifier: Apache-2.0 */
/* The memory of measures, and where it cannot be had. Linked so that the library allocates with the functions below. */
#include <errno.h>
#include <malloc.h>
#include <stdbool.h>
#include <stdlib.h>

#include "evaluate/measure.h"
#include "support/cmocka_all.h"

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void __real_free(void *memory);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void __wrap_free(void *memory);

static bool none_left;
static size_t in_use, pieces;

static void *account(void *memory)
{
    in_use += malloc_usable_size(memory);
    pieces += memory != NULL;
    return memory;
}

void *__wrap_malloc(size_t size)
{
    return none_left ? NULL : account(__real_malloc(size));
}

void *__wrap_calloc(size_t count, size_t size)
{
    return none_left ? NULL : account(__real_calloc(count, size));
}

void __wrap_free(void *memory)
{
    in_use -= malloc_usable_size(memory);
    pieces -= memory != NULL;
    __real_free(memory);
}

static struct davy_measure_state *start(enum davy_measure type)
{
    const struct davy_measure_options options = {
        .window = davy_span_s(1000), .per = davy_span_s(1), .guard = davy_span_s(100), .horizon = davy_span_s(1)};
    const struct davy_measure_setup setup = {.type = type, .options = &options, .hold = davy_span_s(3)};
    struct davy_measure_state *state = NULL;
    assert_int_equal(davy_measure_new(&setup, &state), 0);
    return state;
}

/* Readings and raises once a second, from <= time < to, that rise by 1. */
static void take(struct davy_measure_state *state, int from, int to)
{
    for (int at = from; at < to; at++) {
        davy_measure_take(state, (davy_mono){at * DAVY_NS_PER_S}, true, at);
        davy_measure_raised(state, (struct davy_stamp){.mono = {at * DAVY_NS_PER_S}});
    }
}

static enum davy_lack ask(struct davy_measure_state *state, int at, struct davy_measured *ret_got)
{
    const struct davy_moment moment = {.now.mono = {at * DAVY_NS_PER_S}, .value = at};
    return davy_measure_value(state, &moment, ret_got);
}

static void new_tells_that_there_is_no_memory(void **unused)
{
    (void)unused;
    const struct davy_measure_options options = {.window = davy_span_s(10)};
    const struct davy_measure_setup setup = {.type = DAVY_MEASURE_MEAN, .options = &options};
    struct davy_measure_state *state = NULL;
    none_left = true;
    assert_int_equal(davy_measure_new(&setup, &state), -ENOMEM);
    none_left = false;
    assert_null(state);
}

static void a_window_that_gets_no_memory_at_all_lacks_and_recovers(void **unused)
{
    (void)unused;
    for (enum davy_measure type = 0; type < DAVY_MEASURE_COUNT_; type++) {
        struct davy_measure_state *state = start(type);
        struct davy_measured got;
        none_left = true;
        take(state, 0, 100);
        (void)ask(state, 100, &got);
        none_left = false;
        take(state, 100, 1100);
        if (type != DAVY_MEASURE_DIFFERENCE)
            assert_int_equal(ask(state, 1100, &got), DAVY_LACK_NONE);
        davy_measure_free(state);
    }
}

static void a_window_that_cannot_grow_forgets_its_oldest_half(void **unused)
{
    (void)unused;
    struct davy_measure_state *min = start(DAVY_MEASURE_MIN), *rate = start(DAVY_MEASURE_RATE);
    struct davy_measure_state *count = start(DAVY_MEASURE_OCCURRENCES), *mean = start(DAVY_MEASURE_MEAN);
    struct davy_measure_state *all[] = {min, rate, count, mean};
    struct davy_measured got;
    for (size_t i = 0; i < 4; i++) {
        take(all[i], 0, 512);
        none_left = true;
        take(all[i], 512, 520); /* 512 kept, 256 forgotten */
        none_left = false;
    }
    assert_int_equal(ask(min, 520, &got), DAVY_LACK_NONE);
    assert_true(got.value >= 255 && got.value <= 257);
    assert_int_equal(ask(count, 520, &got), DAVY_LACK_NONE);
    assert_true(got.value >= 263 && got.value <= 265);
    assert_int_equal(ask(mean, 520, &got), DAVY_LACK_NONE);
    assert_true(got.value > 386 && got.value < 389);
    take(rate, 520, 800);
    assert_int_equal(ask(rate, 800, &got), DAVY_LACK_NONE);
    assert_true(got.value > 1 - 1e-12 && got.value < 1 + 1e-12);
    for (size_t i = 0; i < 4; i++)
        davy_measure_free(all[i]);
}

/* The allocator rounds small pieces up to 16 bytes and large ones up to pages. */
static void check_bytes(const struct davy_measure_setup *setup, int64_t seconds, int counts_each)
{
    const size_t in_use_before = in_use, pieces_before = pieces;
    struct davy_measure_state *state;
    assert_int_equal(davy_measure_new(setup, &state), 0);
    for (int64_t at = 0; at < seconds; at++) {
        const bool counts = at % counts_each == 0;
        davy_measure_take(state, (davy_mono){at * DAVY_NS_PER_S}, counts, (double)-at);
        davy_measure_raised(state, (struct davy_stamp){.mono = {at * DAVY_NS_PER_S}});
    }
    const size_t used = in_use - in_use_before, said = davy_measure_bytes(state);
    assert_true(said <= used && used <= said + (pieces - pieces_before) * 4200);
    assert_true(said <= davy_measure_bytes_max(setup, davy_span_s(1)));
    davy_measure_free(state);
    assert_int_equal(in_use, in_use_before);
    assert_int_equal(pieces, pieces_before);
}

static void bytes_are_those_of_the_heap_and_within_their_bound(void **unused)
{
    (void)unused;
    const int64_t windows[] = {600, 3600, 8 * 3600};
    for (enum davy_measure type = 0; type < DAVY_MEASURE_COUNT_; type++)
        for (size_t i = 0; i < sizeof windows / sizeof windows[0]; i++)
            for (int64_t hold = 0; hold <= 3; hold++) {
                const struct davy_measure_options options = {.window = davy_span_s(windows[i]),
                                                             .guard = davy_span_s(windows[i] / 10)};
                const struct davy_measure_setup setup = {.type = type, .options = &options, .hold = {hold * 700000000}};
                check_bytes(&setup, windows[i] * 3 / 2, 1);
                check_bytes(&setup, windows[i] * 3 / 2, 2);
            }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_are_those_of_the_heap_and_within_their_bound),
        cmocka_unit_test(new_tells_that_there_is_no_memory),
        cmocka_unit_test(a_window_that_gets_no_memory_at_all_lacks_and_recovers),
        cmocka_unit_test(a_window_that_cannot_grow_forgets_its_oldest_half),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
