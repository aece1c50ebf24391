/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A year of readings once a second: windows drift by nothing. At sampled instants each measure is recomputed from its
 * window in quadruple precision (113 bits, exact two-pass formulas). DAVY_YEAR_S: seconds to run, 31536000 for the year
 * (`tools/dev year`); in the suite a day.
 */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <time.h>

#include "base/attr.h"
#include "base/num.h"
#include "evaluate/measure.h"
#include "support/cmocka_all.h"
#include "support/seed.h"

#if LDBL_MANT_DIG >= 113
typedef long double quad;
#else
typedef __float128 quad;
#endif

enum { HOUR_S = 3600, KEPT = HOUR_S + 10, SUITE_S = 86400, SAMPLE_S = 20011 };

/* The last hour of readings, and some more. */
struct tail {
    double values[KEPT];
    int64_t at[KEPT];
    int64_t count;
};

struct subject {
    const char *name;
    enum davy_measure type;
    int window_s;
    struct davy_measure_state *state;
    double worst;
};

static int64_t index_at(int64_t i)
{
    return i % KEPT;
}

static quad root(quad x)
{
    quad r = sqrtl((long double)x);
    return r > 0 ? (r + x / r) / 2 : 0;
}

/* Readings hold to the next one; the oldest is cut at the beginning of the window. */
static quad weigh(const struct tail *tail, int64_t i, int64_t start)
{
    const int64_t from = tail->at[index_at(i)], to = tail->at[index_at(i + 1)];
    return to <= start ? 0 : to - (from > start ? from : start);
}

static quad timed(const struct tail *tail, const struct subject *subject)
{
    const int64_t now = tail->at[index_at(tail->count - 1)], start = now - subject->window_s * DAVY_NS_PER_S;
    quad mean = 0, squares = 0, spread = 0;
    const quad all = now - start;
    const int64_t oldest = tail->count - KEPT;
    for (int64_t i = oldest; i + 1 < tail->count; i++) {
        const quad value = tail->values[index_at(i)];
        mean += weigh(tail, i, start) * value / all;
        squares += weigh(tail, i, start) * value * value / all;
    }
    for (int64_t i = oldest; i + 1 < tail->count; i++) {
        const quad off = tail->values[index_at(i)] - mean;
        spread += weigh(tail, i, start) * off * off / all;
    }
    if (subject->type == DAVY_MEASURE_MEAN)
        return mean;
    return root(subject->type == DAVY_MEASURE_RMS ? squares : spread);
}

static quad slope(const struct tail *tail, const struct subject *subject)
{
    const int64_t now = tail->at[index_at(tail->count - 1)], start = now - subject->window_s * DAVY_NS_PER_S;
    quad n = 0, time = 0, value = 0, time_time = 0, time_value = 0;
    for (int64_t i = tail->count - 1; i >= tail->count - KEPT && tail->at[index_at(i)] > start; i--) {
        n += 1;
        time += tail->at[index_at(i)] - now;
        value += tail->values[index_at(i)];
    }
    for (int64_t i = tail->count - 1; i >= tail->count - KEPT && tail->at[index_at(i)] > start; i--) {
        const quad t = tail->at[index_at(i)] - now - time / n, v = tail->values[index_at(i)] - value / n;
        time_time += t * t;
        time_value += t * v;
    }
    return time_value / time_time * 60e9;
}

static void compare(const struct tail *tail, struct subject *subject)
{
    const int64_t last = index_at(tail->count - 1);
    const struct davy_moment moment = {.now.mono = {tail->at[last]}, .value = tail->values[last]};
    struct davy_measured got;
    assert_int_equal(davy_measure_value(subject->state, &moment, &got), DAVY_LACK_NONE);
    const quad wanted = subject->type == DAVY_MEASURE_RATE ? slope(tail, subject) : timed(tail, subject);
    subject->worst = fmax(subject->worst, fabs((double)((got.value - wanted) / wanted)));
}

static void start(struct subject *subjects, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct davy_measure_options options = {
            .window = davy_span_s(subjects[i].window_s), .coverage = 0.75, .per = davy_span_s(60)};
        const struct davy_measure_setup setup = {subjects[i].type, &options, davy_span_s(3)};
        assert_int_equal(davy_measure_new(&setup, &subjects[i].state), 0);
        subjects[i].worst = 0;
    }
}

/* A slow wave, so that no slope is nothing by chance for long, and noise; some milliseconds of jitter. */
static void take_next(struct tail *tail, struct davy_random *random, double offset, struct subject *subjects,
                      size_t count)
{
    const int64_t i = tail->count++, jitter = (int64_t)(davy_random_next(random) % 20000000);
    const double value = offset + sin((double)i * 1e-3) + 0.1 * davy_random_unit(random);
    tail->at[index_at(i)] = i * DAVY_NS_PER_S + jitter;
    tail->values[index_at(i)] = value;
    for (size_t k = 0; k < count; k++)
        davy_measure_take(subjects[k].state, (davy_mono){tail->at[index_at(i)]}, true, value);
}

static void no_window_drifts_in_all_the_time(void **unused)
{
    (void)unused;
    static const double offsets[] = {0, 20.9, 1e6};
    struct subject subjects[] = {
        {.name = "mean 1 h", .type = DAVY_MEASURE_MEAN, .window_s = HOUR_S},
        {.name = "rms 1 h", .type = DAVY_MEASURE_RMS, .window_s = HOUR_S},
        {.name = "stddev 1 h", .type = DAVY_MEASURE_STDDEV, .window_s = HOUR_S},
        {.name = "rate 10 min", .type = DAVY_MEASURE_RATE, .window_s = 600},
        {.name = "rate 1 h", .type = DAVY_MEASURE_RATE, .window_s = HOUR_S},
    };
    const char *text = getenv("DAVY_YEAR_S");
    const int64_t seconds = text ? strtoll(text, NULL, 10) : SUITE_S;
    struct davy_random random = {davy_test_seed(20261125)};
    struct tail *tail = calloc(1, sizeof *tail);
    assert_non_null(tail);
    for (size_t i = 0; i < DAVY_LENGTH(offsets); i++) {
        start(subjects, DAVY_LENGTH(subjects));
        tail->count = 0;
        while (tail->count < seconds) {
            take_next(tail, &random, offsets[i], subjects, DAVY_LENGTH(subjects));
            for (size_t k = 0; k < DAVY_LENGTH(subjects) && tail->count % (text ? SAMPLE_S : SAMPLE_S / 20) == 0 &&
                               tail->count > KEPT;
                 k++)
                compare(tail, &subjects[k]);
        }
        for (size_t k = 0; k < DAVY_LENGTH(subjects); k++) {
            print_message("offset %g, %lld readings, %s: worst relative error %.2g\n", offsets[i], (long long)seconds,
                          subjects[k].name, subjects[k].worst);
            assert_true(subjects[k].worst < 1e-9);
            subjects[k].state = davy_measure_free(subjects[k].state);
        }
    }
    free(tail);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_window_drifts_in_all_the_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
