/* SPDX-License-Identifier: Apache-2.0 */
/* Every measure against a recomputation of its window from all readings, over random times, gaps and windows. */
#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "base/attr.h"
#include "base/num.h"
#include "evaluate/measure.h"
#include "support/cmocka_all.h"
#include "support/seed.h"

enum { READINGS = 400, ROUNDS = 40 };

struct reading {
    int64_t at;
    bool counts;
    double value;
};

struct history {
    struct reading readings[READINGS];
    size_t count;
    struct davy_measure_options options;
    int64_t hold;
    int64_t now;
    int64_t grid;
    double greatest; /* of all readings: what is in the window was measured from there */
};

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Where the value of this reading holds to. */
static int64_t held_to(const struct history *history, size_t index)
{
    int64_t end = earlier(history->readings[index].at + history->hold, history->now);
    return index + 1 < history->count ? earlier(end, history->readings[index + 1].at) : end;
}

struct moments {
    int64_t covered;
    long double sum;
    long double mean;
    long double square; /* deviation, mean */
    double scale;
};

static struct moments naive_moments(const struct history *history, int64_t start, int64_t end)
{
    struct moments m = {0};
    for (int pass = 0; pass < 2; pass++)
        for (size_t i = 0; i < history->count; i++) {
            const struct reading *reading = &history->readings[i];
            int64_t time = earlier(held_to(history, i), end) - later(reading->at, start);
            if (!reading->counts || time <= 0)
                continue;
            long double weight = (long double)time;
            if (pass == 0) {
                m.sum += weight * (long double)reading->value;
                m.covered += time;
                m.scale = fmax(m.scale, fabs(reading->value));
                m.mean = m.sum / (long double)m.covered;
            } else {
                long double off = (long double)reading->value - m.mean;
                m.square += off * off * weight / (long double)m.covered;
            }
        }
    return m;
}

static void assert_near(long double got, long double wanted, long double scale)
{
    if (!(fabsl(got - wanted) <= 1e-12L * scale))
        fail_msg("%.20Lg instead of %.20Lg, of %Lg", got, wanted, scale);
}

static void check_timed(const struct history *h, enum davy_measure type, enum davy_lack lack,
                        const struct davy_measured *got, double newest)
{
    const bool deviation = type == DAVY_MEASURE_DEVIATION;
    const int64_t guard = deviation ? h->options.guard.ns : 0, window = h->options.window.ns;
    const struct moments m = naive_moments(h, h->now - window, h->now - guard);
    const double coverage = (double)m.covered / (double)(window - guard);
    assert_near(got->coverage, coverage, 1e-3L);
    if (m.covered == 0 || (!deviation && coverage < h->options.coverage)) {
        assert_int_equal(lack, DAVY_LACK_COVERAGE);
        return;
    }
    const long double spread = sqrtl(m.square);
    if (deviation && lack == DAVY_LACK_SPREAD) {
        assert_true(spread <= 1e-15L * m.scale);
        return;
    }
    assert_int_equal(lack, DAVY_LACK_NONE);
    if (type == DAVY_MEASURE_MEAN)
        assert_near(got->value, m.mean, m.scale * 1e-3L);
    else if (type == DAVY_MEASURE_STDDEV)
        assert_near(got->value, spread, spread + h->greatest * 1e-3L);
    else if (type == DAVY_MEASURE_RMS)
        assert_near(got->value, sqrtl(m.square + m.mean * m.mean), m.scale);
    else if (spread > 1e-9L * h->greatest)
        assert_near(got->value * spread, newest - m.mean,
                    h->greatest * 1e-3L + fabsl(newest - m.mean) * (1 + h->greatest * 1e-3L / spread));
}

static bool inside(const struct history *h, size_t index)
{
    return h->readings[index].counts && h->readings[index].at > h->now - h->options.window.ns;
}

static void check_peak(const struct history *h, enum davy_measure type, enum davy_lack lack,
                       const struct davy_measured *got)
{
    bool any = false;
    double wanted = 0;
    for (size_t i = 0; i < h->count; i++) {
        const double value = h->readings[i].value;
        if (inside(h, i) && (!any || (type == DAVY_MEASURE_MIN ? value < wanted : value > wanted)))
            wanted = value;
        any = any || inside(h, i);
    }
    assert_int_equal(lack, any ? DAVY_LACK_NONE : DAVY_LACK_HISTORY);
    if (any)
        assert_near(got->value, wanted, 0);
    const struct moments m = naive_moments(h, h->now - h->options.window.ns, h->now);
    assert_near(got->coverage, (long double)m.covered / (long double)h->options.window.ns, 1e-3L);
}

struct fit {
    long double count, time, value, time_time, time_value;
    int64_t oldest, newest;
    double scale;
};

static struct fit naive_fit(const struct history *h)
{
    struct fit f = {.scale = h->greatest * 1e-3};
    for (int pass = 0; pass < 2; pass++)
        for (size_t i = 0; i < h->count; i++) {
            if (!inside(h, i))
                continue;
            const long double time = (long double)(h->readings[i].at - h->now), value = h->readings[i].value;
            if (pass == 0) {
                f.oldest = f.count > 0 ? f.oldest : h->readings[i].at;
                f.newest = h->readings[i].at;
                f.count += 1;
                f.time += time;
                f.value += value;
                f.scale = fmax(f.scale, fabs(h->readings[i].value));
            } else {
                f.time_time += (time - f.time / f.count) * (time - f.time / f.count);
                f.time_value += (time - f.time / f.count) * (value - f.value / f.count);
            }
        }
    return f;
}

static void check_line(const struct history *h, enum davy_measure type, enum davy_lack lack,
                       const struct davy_measured *got)
{
    const struct fit f = naive_fit(h);
    if (f.count < 3 || 2 * (f.newest - f.oldest) < h->options.window.ns) {
        assert_int_equal(lack, DAVY_LACK_HISTORY);
        return;
    }
    assert_int_equal(lack, DAVY_LACK_NONE);
    const long double slope = f.time_value / f.time_time, level = f.value / f.count - slope * f.time / f.count;
    const long double steep = f.scale / ((long double)h->options.window.ns); /* the whole scale within the window */
    assert_near(got->slope, slope * 1e9L, steep * 1e9L);
    if (type == DAVY_MEASURE_RATE) {
        const long double per = (long double)h->options.per.ns;
        assert_near(got->value, slope * per, steep * per);
        return;
    }
    const long double ahead = (long double)h->options.horizon.ns;
    assert_near(got->level, level, f.scale);
    assert_near(got->value, level + slope * ahead, f.scale + steep * ahead);
}

struct dose {
    long double lower, upper;
    bool any; /* a reading counted: there is evidence */
};

static void add_dose(long double *sum, const struct history *h, int64_t from, int64_t to, double value)
{
    int64_t time = earlier(to, h->now) - later(from, h->now - h->options.window.ns);
    if (time > 0)
        *sum += (long double)time * (long double)fmax(value, 0) / (long double)h->options.window.ns;
}

static struct dose naive_dose(const struct history *h)
{
    struct dose dose = {0};
    const struct reading *last = NULL;
    int64_t since = INT64_MIN / 2; /* of the gap */
    for (size_t i = 0; i < h->count; i++) {
        const struct reading *reading = &h->readings[i];
        if (!reading->counts)
            continue;
        add_dose(&dose.upper, h, since, reading->at, last ? fmax(last->value, reading->value) : reading->value);
        add_dose(&dose.upper, h, reading->at, held_to(h, i), reading->value);
        add_dose(&dose.lower, h, reading->at, held_to(h, i), reading->value);
        last = reading;
        since = held_to(h, i);
    }
    dose.any = last;
    if (last)
        add_dose(&dose.upper, h, since, h->now, last->value);
    return dose;
}

static void check_dose(const struct history *h, enum davy_lack lack, const struct davy_measured *got)
{
    const struct dose dose = naive_dose(h);
    const struct moments m = naive_moments(h, h->now - h->options.window.ns, h->now);
    assert_near(got->coverage, (long double)m.covered / (long double)h->options.window.ns, 1e-3L);
    assert_int_equal(lack, dose.any ? DAVY_LACK_NONE : DAVY_LACK_HISTORY);
    if (lack != DAVY_LACK_NONE)
        return;
    assert_near(got->value, dose.lower, dose.lower * 1e-3L);
    assert_near(got->upper, dose.upper, dose.upper * 1e-3L);
}

static void check(const struct history *h, enum davy_measure type, struct davy_measure_state *state, double newest)
{
    const struct davy_moment moment = {.now.mono = {h->now}, .value = newest};
    struct davy_measured got;
    enum davy_lack lack = davy_measure_value(state, &moment, &got);
    if (type == DAVY_MEASURE_MIN || type == DAVY_MEASURE_MAX)
        check_peak(h, type, lack, &got);
    else if (type == DAVY_MEASURE_RATE || type == DAVY_MEASURE_FORECAST)
        check_line(h, type, lack, &got);
    else if (type == DAVY_MEASURE_STEL)
        check_dose(h, lack, &got);
    else
        check_timed(h, type, lack, &got, newest);
}

static int64_t any_span(struct davy_random *random, double least_s, double most_s)
{
    return llround(1e9 * least_s * pow(most_s / least_s, davy_random_unit(random)));
}

/* On a grid of a second in some rounds, so that things happen at one instant. */
static int64_t on_grid(int64_t span, int64_t grid)
{
    return grid > 0 ? (span / grid + 1) * grid : span;
}

static int64_t any_step(struct davy_random *random, int64_t usual)
{
    const double kind = davy_random_unit(random);
    if (kind < 0.05)
        return 0;
    if (kind < 0.1)
        return any_span(random, 1e-9, 1e-3);
    if (kind < 0.6)
        return usual;
    return any_span(random, kind < 0.97 ? 0.1 : 30, kind < 0.97 ? 10 : 600);
}

static double any_value(struct davy_random *random, double offset, double before)
{
    const double kind = davy_random_unit(random);
    if (kind < 0.3)
        return before;
    if (kind < 0.32)
        return -1000 * davy_random_unit(random);
    return offset + davy_random_unit(random);
}

static void round_of(struct davy_random *random, enum davy_measure type)
{
    const double offsets[] = {-0.5, 0, 20.9, 1e6};
    const double offset = offsets[davy_random_next(random) % 4];
    const int64_t grid = davy_random_next(random) % 3 == 0 ? DAVY_NS_PER_S : 0;
    struct history h = {.hold = on_grid(any_span(random, 0.5, 30), grid), .grid = grid};
    h.now = on_grid((int64_t)(davy_random_next(random) >> 2), grid);
    const int64_t window = on_grid(any_span(random, 1, 3600 - 1), grid), usual = any_span(random, 0.1, 5);
    h.options = (struct davy_measure_options){.window = {window},
                                              .coverage = davy_random_unit(random),
                                              .per = {any_span(random, 1, 3600)},
                                              .horizon = {any_span(random, 1, 3600)},
                                              .guard = {window / (2 + (int64_t)(davy_random_next(random) % 20))}};
    const struct davy_measure_setup setup = {.type = type, .options = &h.options, .hold = {h.hold}};
    struct davy_measure_state *state;
    assert_int_equal(davy_measure_new(&setup, &state), 0);
    const double counting = 0.5 + 0.5 * davy_random_unit(random), asking = davy_random_unit(random);
    double value = offset, newest = offset;
    for (h.count = 0; h.count < READINGS;) {
        h.now += on_grid(any_step(random, usual) - grid, grid);
        value = any_value(random, offset, value);
        const bool counts = davy_random_unit(random) < counting;
        newest = counts ? value : newest;
        h.greatest = fmax(h.greatest, fabs(value));
        h.readings[h.count++] = (struct reading){h.now, counts, value};
        davy_measure_take(state, (davy_mono){h.now}, counts, value);
        if (davy_random_unit(random) < asking)
            check(&h, type, state, newest);
        if (davy_random_unit(random) < asking / 4) {
            h.now += on_grid(any_step(random, usual) - grid, grid);
            check(&h, type, state, newest);
        }
    }
    assert_true(davy_measure_bytes(state) <= davy_measure_bytes_max(&setup, (davy_span){0}));
    davy_measure_free(state);
}

/* The window as it is, and with as much before it as the oldest bucket may reach out of it. */
struct frame {
    struct moments inside, outside;
    double least, greatest; /* with what is outside */
    double reach;           /* of the covered time that part which may be too much */
};

static struct frame frame_of(const struct history *h)
{
    const int64_t window = h->options.window.ns, bucket = window / 480;
    struct frame f = {naive_moments(h, h->now - window, h->now), naive_moments(h, h->now - window - bucket, h->now),
                      INFINITY, -INFINITY, 0};
    for (size_t i = 0; i < h->count; i++)
        if (h->readings[i].counts && held_to(h, i) >= h->now - window - bucket) {
            f.least = fmin(f.least, h->readings[i].value);
            f.greatest = fmax(f.greatest, h->readings[i].value);
        }
    f.reach = f.inside.covered > 0 ? (double)bucket / (double)f.inside.covered : INFINITY;
    return f;
}

static void assert_between(double got, long double least, long double greatest)
{
    if (!(got >= least - 1e-12L * fabsl(least) && got <= greatest + 1e-12L * fabsl(greatest)))
        fail_msg("%.17g not in %.17Lg to %.17Lg", got, least, greatest);
}

static void check_long_dose(const struct history *h, enum davy_lack lack, const struct davy_measured *got)
{
    struct history longer = *h;
    longer.options.window.ns += h->options.window.ns / 480;
    const long double whole = (long double)longer.options.window.ns / (long double)h->options.window.ns;
    const struct dose least = naive_dose(h), greatest = naive_dose(&longer);
    assert_int_equal(lack, least.any ? DAVY_LACK_NONE : DAVY_LACK_HISTORY);
    if (lack != DAVY_LACK_NONE)
        return;
    assert_between(got->value, least.lower, greatest.lower * whole);
    assert_between(got->upper, least.upper, greatest.upper * whole);
}

static void check_long_peak(const struct history *h, enum davy_measure type, enum davy_lack lack, double got)
{
    double least = INFINITY, greatest = -INFINITY, longer_least = INFINITY, longer_greatest = -INFINITY;
    for (size_t i = 0; i < h->count; i++) {
        const struct reading *reading = &h->readings[i];
        if (!reading->counts || reading->at <= h->now - h->options.window.ns - h->options.window.ns / 480)
            continue;
        longer_least = fmin(longer_least, reading->value);
        longer_greatest = fmax(longer_greatest, reading->value);
        least = inside(h, i) ? fmin(least, reading->value) : least;
        greatest = inside(h, i) ? fmax(greatest, reading->value) : greatest;
    }
    if (lack != DAVY_LACK_NONE)
        assert_true(least > greatest);
    else if (type == DAVY_MEASURE_MIN)
        assert_between(got, longer_least, least);
    else
        assert_between(got, greatest, longer_greatest);
}

static void check_long(const struct history *h, enum davy_measure type, struct davy_measure_state *state)
{
    const struct davy_moment moment = {.now.mono = {h->now}};
    struct davy_measured got;
    const enum davy_lack lack = davy_measure_value(state, &moment, &got);
    const struct frame f = frame_of(h);
    const double covered = (double)f.inside.covered / (double)h->options.window.ns;
    assert_between(got.coverage, covered, fmin(1, (double)f.outside.covered / (double)h->options.window.ns));
    const long double reach = (f.greatest - f.least) * f.reach;
    if (type == DAVY_MEASURE_TWA)
        check_long_dose(h, lack, &got);
    else if (type == DAVY_MEASURE_MIN || type == DAVY_MEASURE_MAX)
        check_long_peak(h, type, lack, got.value);
    else if (f.inside.covered == 0 || lack != DAVY_LACK_NONE)
        assert_true(lack == DAVY_LACK_COVERAGE || f.outside.covered > 0);
    else if (type == DAVY_MEASURE_MEAN)
        assert_between(got.value, f.inside.mean - reach, f.inside.mean + reach);
    else {
        const long double square = f.inside.square + (type == DAVY_MEASURE_RMS ? f.inside.mean * f.inside.mean : 0);
        const long double most = fmaxl(fabs(f.greatest), fabs(f.least));
        const long double off = (type == DAVY_MEASURE_RMS ? most * most : reach * reach + 4 * most * most) * f.reach;
        assert_between(got.value * got.value, square - off, square + off);
    }
}

static void long_round_of(struct davy_random *random, enum davy_measure type)
{
    struct history h = {.hold = any_span(random, 10, 300), .now = -any_span(random, 1, 20000)};
    h.options.window.ns = any_span(random, 3601, 9000);
    const int64_t usual = any_span(random, 1, 120);
    const struct davy_measure_setup setup = {.type = type, .options = &h.options, .hold = {h.hold}};
    struct davy_measure_state *state;
    assert_int_equal(davy_measure_new(&setup, &state), 0);
    const double counting = 0.5 + 0.5 * davy_random_unit(random);
    double value = 5;
    for (h.count = 0; h.count < READINGS;) {
        h.now += any_step(random, usual);
        value = any_value(random, 5, value);
        h.readings[h.count++] = (struct reading){h.now, davy_random_unit(random) < counting, value};
        davy_measure_take(state, (davy_mono){h.now}, h.readings[h.count - 1].counts, value);
        check_long(&h, type, state);
    }
    assert_true(davy_measure_bytes(state) <= davy_measure_bytes_max(&setup, (davy_span){0}));
    davy_measure_free(state);
}

/* Under valgrind, which calculates with 53 bits, a recomputation is no better than what it is held against. */
static void need_long_double(void)
{
    volatile long double one = 1.0L;
    if (one + LDBL_EPSILON == one)
        skip();
}

static void any_window_is_that_of_a_recomputation(void **unused)
{
    (void)unused;
    need_long_double();
    static const enum davy_measure types[] = {DAVY_MEASURE_MEAN,     DAVY_MEASURE_MIN,  DAVY_MEASURE_MAX,
                                              DAVY_MEASURE_STDDEV,   DAVY_MEASURE_RMS,  DAVY_MEASURE_RATE,
                                              DAVY_MEASURE_FORECAST, DAVY_MEASURE_STEL, DAVY_MEASURE_DEVIATION};
    struct davy_random random = {davy_test_seed(20261125)};
    for (size_t i = 0; i < DAVY_LENGTH(types); i++)
        for (int round = 0; round < ROUNDS; round++)
            round_of(&random, types[i]);
}

static void a_window_of_hours_errs_by_no_more_than_its_oldest_bucket(void **unused)
{
    (void)unused;
    static const enum davy_measure types[] = {DAVY_MEASURE_MEAN,   DAVY_MEASURE_MIN, DAVY_MEASURE_MAX,
                                              DAVY_MEASURE_STDDEV, DAVY_MEASURE_RMS, DAVY_MEASURE_TWA};
    struct davy_random random = {davy_test_seed(20261125)};
    for (size_t i = 0; i < DAVY_LENGTH(types); i++)
        for (int round = 0; round < ROUNDS / 2; round++)
            long_round_of(&random, types[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_window_is_that_of_a_recomputation),
        cmocka_unit_test(a_window_of_hours_errs_by_no_more_than_its_oldest_bucket),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
