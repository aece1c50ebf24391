/* SPDX-License-Identifier: Apache-2.0 */
#include "evaluate/measure.h"

#include <math.h>
#include <stdlib.h>
#include <time.h>

#include "support/cmocka_all.h"

#define MINUTE 60.0
#define HOUR   3600.0

static void assert_near(double got, double wanted, double tolerance)
{
    if (!(fabs(got - wanted) <= tolerance))
        fail_msg("%.17g instead of %.17g", got, wanted);
}

static int64_t ns(double seconds)
{
    return llround(seconds * 1e9);
}

/* One measure of readings that hold for 3 s, at whatever times. */
struct fixture {
    struct davy_measure_state *state;
    double newest;
    struct davy_measured got;
};

static struct fixture start(enum davy_measure type, struct davy_measure_options options)
{
    struct fixture fixture = {0};
    const struct davy_measure_setup setup = {.type = type, .options = &options, .hold = davy_span_s(3)};
    assert_int_equal(davy_measure_new(&setup, &fixture.state), 0);
    return fixture;
}

static struct fixture start_window(enum davy_measure type, double window)
{
    return start(type, (struct davy_measure_options){.window = {ns(window)}, .coverage = 0.75});
}

static void end(struct fixture *fixture)
{
    fixture->state = davy_measure_free(fixture->state);
    assert_null(fixture->state);
}

static void take(struct fixture *fixture, double at, double value)
{
    davy_measure_take(fixture->state, (davy_mono){ns(at)}, true, value);
    fixture->newest = value;
}

static void take_bad(struct fixture *fixture, double at)
{
    davy_measure_take(fixture->state, (davy_mono){ns(at)}, false, 1e9);
}

/* Readings once a second, from <= time < to. */
static void take_all(struct fixture *fixture, double from, double to, double value)
{
    for (double at = from; at < to; at++)
        take(fixture, at, value);
}

static enum davy_lack ask(struct fixture *fixture, double at)
{
    const struct davy_moment moment = {.now.mono = {ns(at)}, .value = fixture->newest};
    return davy_measure_value(fixture->state, &moment, &fixture->got);
}

static void assert_value(struct fixture *fixture, double at, double value)
{
    assert_int_equal(ask(fixture, at), DAVY_LACK_NONE);
    assert_near(fixture->got.value, value, 1e-12 * fmax(1, fabs(value)));
}

/* Not one bit beside it. */
static void assert_exactly(double got, double wanted)
{
    if (got < wanted || got > wanted || isnan(got))
        fail_msg("%.17g instead of %.17g", got, wanted);
}

static void value_is_the_reading(void **unused)
{
    (void)unused;
    struct fixture f = start_window(DAVY_MEASURE_VALUE, 0);
    take(&f, 1, 4.5);
    assert_value(&f, 1, 4.5);
    assert_exactly(f.got.coverage, 1);
    end(&f);
}

static void mean_weighs_each_value_by_the_time_it_held(void **unused)
{
    (void)unused;
    struct fixture f = start_window(DAVY_MEASURE_MEAN, 10);
    for (int at = 0; at < 10; at += 2)
        take(&f, at, at < 4 ? 10 : 0);
    take(&f, 9, 100);
    assert_value(&f, 10, (4 * 10 + 1 * 100) / 10.0);
    end(&f);
}

static void a_hold_ends_at_the_next_reading_of_any_quality(void **unused)
{
    (void)unused;
    struct fixture f = start(DAVY_MEASURE_MEAN, (struct davy_measure_options){.window = {ns(10)}, .coverage = 0.1});
    take(&f, 0, 10);
    take_bad(&f, 1);
    take(&f, 4, 20);
    assert_value(&f, 5, 15);
    assert_near(f.got.coverage, 0.2, 1e-15);
    end(&f);
}

static void a_hold_lasts_at_most_so_long(void **unused)
{
    (void)unused;
    struct fixture f = start(DAVY_MEASURE_MEAN, (struct davy_measure_options){.window = {ns(20)}, .coverage = 0.1});
    take(&f, 0, 10);
    take(&f, 10, 20);
    assert_value(&f, 19, 15);
    assert_near(f.got.coverage, 0.3, 1e-15);
    end(&f);
}

static void a_reading_older_than_the_window_counts_with_its_part_inside(void **unused)
{
    (void)unused;
    struct fixture f = start_window(DAVY_MEASURE_MEAN, 4);
    take(&f, 0, 10);
    take(&f, 3, 20);
    assert_value(&f, 6, (1 * 10 + 3 * 20) / 4.0);
    end(&f);
}

static void is_not_evaluated_below_the_coverage_and_is_at_it(void **unused)
{
    (void)unused;
    struct fixture f = start_window(DAVY_MEASURE_MEAN, 8);
    for (int at = 0; at <= 6; at++) {
        take(&f, at, 5);
        assert_int_equal(ask(&f, at), at < 6 ? DAVY_LACK_COVERAGE : DAVY_LACK_NONE);
        assert_near(f.got.coverage, at / 8.0, 1e-15);
    }
    end(&f);
}

static void without_covered_time_there_is_no_mean_even_where_none_is_asked_for(void **unused)
{
    (void)unused;
    struct fixture f = start(DAVY_MEASURE_MEAN, (struct davy_measure_options){.window = {ns(10)}});
    assert_int_equal(ask(&f, 0), DAVY_LACK_COVERAGE);
    take(&f, 1, 5);
    assert_int_equal(ask(&f, 1), DAVY_LACK_COVERAGE);
    assert_value(&f, 1.5, 5);
    assert_int_equal(ask(&f, 20), DAVY_LACK_COVERAGE);
    end(&f);
}

static void stddev_and_rms_weigh_by_time(void **unused)
{
    (void)unused;
    struct fixture f = start_window(DAVY_MEASURE_STDDEV, 8), g = start_window(DAVY_MEASURE_RMS, 8);
    for (double at = 0; at < 8; at += 2) {
        take(&f, at, at < 6 ? 1 : 5);
        take(&g, at, at < 6 ? 1 : 5);
    }
    assert_value(&f, 8, sqrt((6 * 1 + 2 * 9) / 8.0));
    assert_value(&g, 8, sqrt((6 * 1 + 2 * 25) / 8.0));
    end(&f);
    end(&g);
}

static void stddev_keeps_its_digits_beside_a_large_offset(void **unused)
{
    (void)unused;
    struct fixture f = start_window(DAVY_MEASURE_STDDEV, 60);
    for (int at = 0; at < 1000; at++)
        take(&f, at, 1e6 + (at % 2 ? 0.001953125 : -0.001953125));
    assert_int_equal(ask(&f, 1000), DAVY_LACK_NONE);
    assert_near(f.got.value / 0.001953125, 1, 1e-12);
    end(&f);
}

static void min_and_max_are_over_the_readings_inside(void **unused)
{
    (void)unused;
    struct fixture f = start_window(DAVY_MEASURE_MIN, 3), g = start_window(DAVY_MEASURE_MAX, 3);
    const double values[] = {4, 9, 2, 5, 5, 3, 3, 1};
    const double least[] = {4, 4, 2, 2, 2, 3, 3, 1}, greatest[] = {4, 9, 9, 9, 5, 5, 5, 3};
    for (int at = 0; at < 8; at++) {
        take(&f, at, values[at]);
        take(&g, at, values[at]);
        assert_value(&f, at, least[at]);
        assert_value(&g, at, greatest[at]);
    }
    assert_value(&f, 9.999, 1);
    assert_int_equal(ask(&f, 10), DAVY_LACK_HISTORY); /* a reading exactly as old as the window is out */
    end(&f);
    end(&g);
}

static void min_and_max_are_not_of_readings_that_do_not_count(void **unused)
{
    (void)unused;
    struct fixture f = start_window(DAVY_MEASURE_MAX, 10);
    take(&f, 0, 4);
    take_bad(&f, 1);
    assert_value(&f, 1, 4);
    end(&f);
}

static void max_over_hours_keeps_a_lesser_reading_soon_after_the_greatest(void **unused)
{
    (void)unused;
    struct fixture f = start_window(DAVY_MEASURE_MAX, 8 * HOUR);
    take(&f, 1, 9);
    take(&f, 11, 8);
    take(&f, 8 * HOUR, 1);
    assert_value(&f, 8 * HOUR, 9);
    ask(&f, 8 * HOUR + 5); /* the 9 is out, or stays with its bucket */
    assert_true(f.got.value >= 8);
    ask(&f, 8 * HOUR + 70);
    assert_near(f.got.value, 1, 0);
    end(&f);
}

static void rate_needs_three_readings_and_half_the_window(void **unused)
{
    (void)unused;
    struct fixture f = start(DAVY_MEASURE_RATE, (struct davy_measure_options){.window = {ns(10)}, .per = {ns(60)}});
    take(&f, 0, 0);
    take(&f, 5, 1);
    assert_int_equal(ask(&f, 5), DAVY_LACK_HISTORY);
    take(&f, 5, 1);
    assert_int_equal(ask(&f, 5), DAVY_LACK_NONE);
    end(&f);
    f = start(DAVY_MEASURE_RATE, (struct davy_measure_options){.window = {ns(10)}, .per = {ns(60)}});
    for (double at = 0; at < 5; at++)
        take(&f, at, at);
    assert_int_equal(ask(&f, 4.9), DAVY_LACK_HISTORY);
    take(&f, 5, 5);
    assert_value(&f, 5, 60);
    assert_near(f.got.slope, 1, 1e-15);
    end(&f);
}

static void rate_has_nothing_where_all_times_are_one(void **unused)
{
    (void)unused;
    struct fixture f = start(DAVY_MEASURE_RATE, (struct davy_measure_options){.window = {1}, .per = {ns(60)}});
    take(&f, 1, 1);
    take(&f, 1, 2);
    take(&f, 1, 3);
    assert_int_equal(ask(&f, 1), DAVY_LACK_HISTORY);
    end(&f);
}

static void rate_leaves_out_a_reading_exactly_as_old_as_the_window(void **unused)
{
    (void)unused;
    struct fixture f = start(DAVY_MEASURE_RATE, (struct davy_measure_options){.window = {ns(10)}, .per = {ns(1)}});
    const double times[] = {0, 1, 4, 8}, values[] = {-50, 1, 4, 8};
    for (int i = 0; i < 4; i++)
        take(&f, times[i], values[i]);
    assert_value(&f, 10, 1);
    end(&f);
}

static void rate_over_hours_is_that_of_the_whole_line(void **unused)
{
    (void)unused;
    struct fixture f =
        start(DAVY_MEASURE_RATE, (struct davy_measure_options){.window = {ns(8 * HOUR)}, .per = {ns(HOUR)}});
    for (int at = 0; at < 30 * HOUR; at += 2) {
        take(&f, at, 1e6 + at * 1e-3);
        if (at % 1000 == 0 && at > 4 * HOUR) {
            assert_int_equal(ask(&f, at), DAVY_LACK_NONE);
            assert_near(f.got.value, 3.6, 1e-9);
        }
    }
    end(&f);
}

static void rate_is_the_line_of_least_squares_and_not_the_ends(void **unused)
{
    (void)unused;
    struct fixture f = start(DAVY_MEASURE_RATE, (struct davy_measure_options){.window = {ns(10)}, .per = {ns(1)}});
    const double times[] = {0, 1, 2, 6}, values[] = {0, 3, 1, 2};
    for (int i = 0; i < 4; i++)
        take(&f, times[i], values[i]);
    /* mean time 2.25, mean value 1.5: Stv = 3.5, Stt = 20.75 */
    assert_value(&f, 6, 3.5 / 20.75);
    end(&f);
}

static void forecast_is_the_line_ahead_of_now(void **unused)
{
    (void)unused;
    struct fixture f =
        start(DAVY_MEASURE_FORECAST, (struct davy_measure_options){.window = {ns(10)}, .horizon = {ns(30)}});
    for (double at = 0; at <= 8; at++)
        take(&f, at, 100 + 2 * at);
    assert_value(&f, 9, 100 + 2 * (9 + 30));
    assert_near(f.got.slope, 2, 1e-12);
    assert_near(f.got.level, 118, 1e-10);
    end(&f);
}

static void twa_of_a_constant_for_its_length_is_the_constant(void **unused)
{
    (void)unused;
    const double values[] = {35, 0.1, 20.9, 1e-3 / 3};
    for (size_t i = 0; i < DAVY_LENGTH(values); i++) {
        struct fixture f = start_window(DAVY_MEASURE_TWA, 8 * HOUR);
        take_all(&f, 0, 8 * HOUR, values[i]);
        ask(&f, 8 * HOUR - 1);
        assert_true(f.got.value < values[i]);
        ask(&f, 8 * HOUR);
        assert_exactly(f.got.value, values[i]);
        assert_exactly(f.got.upper, values[i]);
        assert_exactly(f.got.coverage, 1);
        take_all(&f, 8 * HOUR, 9 * HOUR + 17, values[i]); /* and stays so, whatever the buckets */
        ask(&f, 9 * HOUR + 17);
        assert_exactly(f.got.value, values[i]);
        end(&f);
    }
}

static void twa_of_twice_the_limit_for_half_its_length_reaches_it(void **unused)
{
    (void)unused;
    const double limits[] = {25, 0.7, 1e-3 / 3};
    for (size_t i = 0; i < DAVY_LENGTH(limits); i++) {
        struct fixture f = start_window(DAVY_MEASURE_TWA, 8 * HOUR);
        take_all(&f, 0, 4 * HOUR, 2 * limits[i]);
        take_all(&f, 4 * HOUR, 8 * HOUR, 0);
        ask(&f, 8 * HOUR);
        assert_exactly(f.got.value, limits[i]);
        end(&f);
    }
}

static void twa_reaches_the_limit_in_mid_bucket_too(void **unused)
{
    (void)unused;
    struct fixture f = start_window(DAVY_MEASURE_TWA, 8 * HOUR);
    take_all(&f, 0, 10 * HOUR + 13, 0);
    take_all(&f, 10 * HOUR + 13, 14 * HOUR + 13, 50);
    ask(&f, 14 * HOUR + 13);
    assert_exactly(f.got.value, 25);
    for (int late = 0; late < 200; late += 7) { /* never less than what is really inside, nor more by half a percent */
        take_all(&f, 14 * HOUR + 13, 18 * HOUR + late, 0);
        ask(&f, 18 * HOUR + late);
        double inside = late <= 13 ? 25 : 25 * (4 * HOUR - (late - 13)) / (4 * HOUR);
        assert_true(f.got.value >= inside - 1e-12 && f.got.value < inside * 1.005);
    }
    end(&f);
}

static void stel_reaches_a_pulse_of_its_length_among_zeros_exactly(void **unused)
{
    (void)unused;
    const double limits[] = {15, 0.3, 1e-3 / 3};
    for (size_t i = 0; i < DAVY_LENGTH(limits); i++) {
        struct fixture f = start_window(DAVY_MEASURE_STEL, 15 * MINUTE);
        take_all(&f, 0, HOUR, 0);
        take_all(&f, HOUR, HOUR + 15 * MINUTE, limits[i]);
        ask(&f, HOUR + 15 * MINUTE - 1);
        assert_true(f.got.value < limits[i]);
        take(&f, HOUR + 15 * MINUTE, 0);
        ask(&f, HOUR + 15 * MINUTE);
        assert_exactly(f.got.value, limits[i]);
        take(&f, HOUR + 15 * MINUTE + 1, 0);
        ask(&f, HOUR + 15 * MINUTE + 1);
        assert_true(f.got.value < limits[i]);
        end(&f);
    }
}

static void lower_bound_of_stel_reaches_over_a_gap_of_half(void **unused)
{
    (void)unused;
    struct fixture f = start_window(DAVY_MEASURE_STEL, 15 * MINUTE);
    take_all(&f, 0, 450, 30);
    take_bad(&f, 450);
    ask(&f, 900);
    assert_exactly(f.got.value, 15);
    assert_exactly(f.got.upper, 30);
    assert_exactly(f.got.coverage, 0.5);
    end(&f);
}

static void upper_bound_of_a_gap_is_the_greater_reading_beside(void **unused)
{
    (void)unused;
    struct fixture f = start_window(DAVY_MEASURE_STEL, 15 * MINUTE);
    take_all(&f, 0, 1000, 4);
    take_bad(&f, 1000);
    ask(&f, 1100); /* while it runs: the last one */
    assert_exactly(f.got.value, 4 * 800 / 900.0);
    assert_exactly(f.got.upper, 4);
    take(&f, 1100, 10);
    ask(&f, 1100);
    assert_near(f.got.value, 4 * 800 / 900.0, 1e-14);
    assert_near(f.got.upper, (4 * 800 + 10 * 100) / 900.0, 1e-14);
    take_all(&f, 1101, 1500, 10);
    take_all(&f, 1600, 1950, 1); /* the last one before holds for 3 s */
    ask(&f, 1950);               /* the older gap is half out */
    assert_near(f.got.value, (10 * 402 + 1 * 350) / 900.0, 1e-14);
    assert_near(f.got.upper, (10 * 450 + 10 * 100 + 1 * 350) / 900.0, 1e-14);
    end(&f);
}

static void upper_bound_is_high_at_once_after_a_fresh_start(void **unused)
{
    (void)unused;
    struct fixture f = start_window(DAVY_MEASURE_STEL, 15 * MINUTE);
    assert_int_equal(ask(&f, 0), DAVY_LACK_HISTORY); /* nobody knows: 0 would be a claim */
    take_bad(&f, 0.5);
    assert_int_equal(ask(&f, 0.5), DAVY_LACK_HISTORY);
    take(&f, 1, 20);
    ask(&f, 1);
    assert_exactly(f.got.value, 0);
    assert_exactly(f.got.upper, 20);
    take(&f, 2, 2); /* what was before the first reading stays at the first */
    ask(&f, 3);
    assert_near(f.got.upper, (20 * 899 + 2) / 900.0, 1e-13);
    end(&f);
}

static void negative_readings_are_no_dose(void **unused)
{
    (void)unused;
    struct fixture f = start_window(DAVY_MEASURE_STEL, 15 * MINUTE);
    take_all(&f, 0, 450, -5);
    take_all(&f, 450, 900, 6);
    ask(&f, 900);
    assert_exactly(f.got.value, 3);
    end(&f);
}

static void calibration_gas_changes_no_dose(void **unused)
{
    (void)unused;
    struct fixture f = start_window(DAVY_MEASURE_TWA, 8 * HOUR);
    take_all(&f, 0, HOUR, 2);
    for (double at = HOUR; at < HOUR + 10 * MINUTE; at++)
        davy_measure_take(f.state, (davy_mono){ns(at)}, false, 25);
    ask(&f, HOUR + 10 * MINUTE);
    assert_exactly(f.got.value, 2 * HOUR / (8 * HOUR));
    assert_exactly(f.got.upper, 2);
    end(&f);
}

static void steps_of_the_wall_clock_change_no_window(void **unused)
{
    (void)unused;
    struct fixture f = start_window(DAVY_MEASURE_TWA, 8 * HOUR);
    take_all(&f, 0, 8 * HOUR, 3);
    for (int step = -1; step <= 1; step++) {
        const struct davy_moment moment = {.now = {{ns(8 * HOUR)}, {step * ns(HOUR)}}, .value = 3};
        assert_int_equal(davy_measure_value(f.state, &moment, &f.got), DAVY_LACK_NONE);
        assert_exactly(f.got.value, 3);
    }
    end(&f);
}

static struct fixture start_deviation(void)
{
    return start(DAVY_MEASURE_DEVIATION, (struct davy_measure_options){.window = {ns(100)}, .guard = {ns(10)}});
}

static void deviation_leaves_the_newest_part_out(void **unused)
{
    (void)unused;
    struct fixture f = start_deviation();
    for (int at = 0; at < 110; at++)
        take(&f, at, at < 95 ? 10 + at % 2 : 1000);
    /* mean and stddev of (9, 99]: 86 s of 10 and 11 by turns, 4 s of 1000 */
    double mean = (43 * 21 + 4 * 1000) / 90.0;
    double square = (43 * (pow(10 - mean, 2) + pow(11 - mean, 2)) + 4 * pow(1000 - mean, 2)) / 90;
    assert_value(&f, 109, (1000 - mean) / sqrt(square));
    end(&f);
    f = start_deviation();
    for (int at = 0; at < 105; at++)
        take(&f, at, at < 95 ? 10 + at % 2 : 1000);
    f.newest = 12;
    assert_value(&f, 105, (12 - 10.5) / 0.5); /* the 1000 begins just where the guard does */
    end(&f);
}

static void deviation_of_readings_that_do_not_differ_is_not_evaluated(void **unused)
{
    (void)unused;
    struct fixture f = start_deviation();
    take_all(&f, 0, 10, 0.1);
    assert_int_equal(ask(&f, 9), DAVY_LACK_COVERAGE);
    take_all(&f, 10, 200, 0.1);
    assert_int_equal(ask(&f, 200), DAVY_LACK_SPREAD);
    end(&f);
}

static void stuck_counts_from_the_last_move_beyond_epsilon(void **unused)
{
    (void)unused;
    struct fixture f = start(DAVY_MEASURE_STUCK, (struct davy_measure_options){.epsilon = 0.5});
    assert_int_equal(ask(&f, 0), DAVY_LACK_HISTORY);
    take(&f, 10, 4);
    assert_value(&f, 10, 0);
    take(&f, 20, 4.5);
    assert_value(&f, 20, 10);
    take_bad(&f, 25);
    take(&f, 30, 4.6); /* from where it was then, not from the reading before */
    assert_value(&f, 31, 1);
    take(&f, 40, 4.2);
    assert_value(&f, 40, 10);
    end(&f);
}

static void difference_needs_the_other_point(void **unused)
{
    (void)unused;
    struct fixture f = start_window(DAVY_MEASURE_DIFFERENCE, 0);
    struct davy_moment moment = {.value = 7, .other = 2.5};
    assert_int_equal(davy_measure_value(f.state, &moment, &f.got), DAVY_LACK_OTHER);
    moment.has_other = true;
    assert_int_equal(davy_measure_value(f.state, &moment, &f.got), DAVY_LACK_NONE);
    assert_exactly(f.got.value, 4.5);
    end(&f);
}

static void raise(struct fixture *fixture, double at, const char *wall)
{
    struct davy_stamp stamp = {.mono = {ns(at)}};
    assert_int_equal(davy_wall_parse(wall, &stamp.wall), 0);
    davy_measure_raised(fixture->state, stamp);
}

static void occurrences_are_counted_in_the_window(void **unused)
{
    (void)unused;
    struct fixture f = start_window(DAVY_MEASURE_OCCURRENCES, HOUR);
    assert_value(&f, 0, 0);
    for (int i = 0; i < 40; i++)
        raise(&f, i * 60, "1000000000");
    assert_value(&f, 2400, 40);
    assert_value(&f, 3599, 40);
    assert_value(&f, 3600, 39);
    assert_value(&f, 3600 + 38 * 60, 1);
    assert_value(&f, 3600 + 39 * 60, 0);
    end(&f);
}

static void set_zone(const char *zone)
{
    setenv("TZ", zone, 1);
    tzset();
}

static struct fixture start_days(void)
{
    return start(DAVY_MEASURE_OCCURRENCES, (struct davy_measure_options){.window = {ns(30 * 24 * HOUR)}, .days = true});
}

static void days_in_a_row_are_of_the_place(void **unused)
{
    (void)unused;
    set_zone("CST-8");
    struct fixture f = start_days();
    raise(&f, 0, "2026-03-01T15:59:59Z"); /* the 1st there */
    raise(&f, 1, "2026-03-01T16:00:00Z"); /* the 2nd */
    raise(&f, 2, "2026-03-02T15:59:00Z"); /* the 2nd again */
    assert_value(&f, 3, 2);
    end(&f);
    set_zone("UTC");
    f = start_days();
    raise(&f, 0, "2026-03-01T15:59:59Z");
    raise(&f, 1, "2026-03-01T16:00:00Z");
    assert_value(&f, 2, 1);
    raise(&f, 2, "2026-03-02T15:59:00Z");
    assert_value(&f, 3, 2);
    raise(&f, 4, "2026-03-04T00:00:00Z"); /* a day without one ends the row */
    assert_value(&f, 5, 1);
    end(&f);
}

static void days_in_a_row_survive_summer_time_and_a_clock_set_back(void **unused)
{
    (void)unused;
    set_zone("CET-1CEST,M3.5.0,M10.5.0/3");
    struct fixture f = start_days();
    raise(&f, 0, "2026-03-28T22:30:00Z");
    raise(&f, 1, "2026-03-29T21:30:00Z"); /* a day of 23 hours */
    raise(&f, 2, "2026-03-29T22:30:00Z");
    assert_value(&f, 3, 3);
    raise(&f, 4, "2026-03-27T12:00:00Z"); /* set back: the latest day is still the 30th */
    assert_value(&f, 5, 4);
    end(&f);
    set_zone("UTC");
}

static void days_leave_the_window_with_their_latest_raise(void **unused)
{
    (void)unused;
    struct fixture f =
        start(DAVY_MEASURE_OCCURRENCES, (struct davy_measure_options){.window = {ns(100)}, .days = true});
    raise(&f, 0, "2026-03-01T01:00:00Z");
    raise(&f, 50, "2026-03-01T02:00:00Z");
    raise(&f, 60, "2026-03-02T02:00:00Z");
    assert_value(&f, 149, 2);
    assert_value(&f, 150, 1);
    end(&f);
}

static void time_that_goes_back_stands_still(void **unused)
{
    (void)unused;
    struct fixture f = start_window(DAVY_MEASURE_MEAN, 4);
    take_all(&f, 0, 4, 1);
    take(&f, 2, 5);
    take(&f, 4, 9);
    assert_value(&f, 4, (1 * 3 + 5 * 1) / 4.0);
    end(&f);
}

static void numbers_near_the_end_of_a_double_lack_and_leave_nothing_behind(void **unused)
{
    (void)unused;
    for (enum davy_measure type = DAVY_MEASURE_MEAN; type <= DAVY_MEASURE_DEVIATION; type++) {
        struct fixture f = start(type, (struct davy_measure_options){
                                           .window = {ns(30)}, .per = {ns(1)}, .horizon = {ns(1)}, .guard = {ns(1)}});
        for (int at = 0; at < 100; at++) {
            take(&f, at, at % 2 ? 1.7e308 : -1.7e308);
            if (ask(&f, at + 0.5) == DAVY_LACK_NONE)
                assert_true(isfinite(f.got.value) && isfinite(f.got.upper));
        }
        take(&f, 100, NAN);
        for (int at = 101; at < 200; at++)
            take(&f, at, at % 2);
        assert_int_equal(ask(&f, 200), DAVY_LACK_NONE);
        assert_true(fabs(f.got.value) < 3);
        end(&f);
    }
}

static void windows_go_on_only_where_the_setups_are_the_same(void **unused)
{
    (void)unused;
    struct davy_measure_options options = {.window = {ns(60)}, .coverage = 0.75}, other = options;
    const struct davy_measure_setup a = {.type = DAVY_MEASURE_MEAN, .options = &options, .hold = davy_span_s(3)};
    struct davy_measure_setup b = {.type = DAVY_MEASURE_MEAN, .options = &other, .hold = davy_span_s(3)};
    assert_true(davy_measure_same(&a, &b));
    other.coverage = 0.8;
    assert_false(davy_measure_same(&a, &b));
    other.coverage = 0.75;
    b.hold = davy_span_s(4);
    assert_false(davy_measure_same(&a, &b));
    b.hold = a.hold;
    b.type = DAVY_MEASURE_RMS;
    assert_false(davy_measure_same(&a, &b));
    struct davy_measure_options stuck = {.epsilon = 1};
    const struct davy_measure_setup c = {DAVY_MEASURE_STUCK, &stuck, davy_span_s(3)};
    const struct davy_measure_setup d = {DAVY_MEASURE_STUCK, &stuck, davy_span_s(4)};
    assert_true(davy_measure_same(&c, &d)); /* for which nothing holds */
}

static void a_value_that_stays_takes_no_room(void **unused)
{
    (void)unused;
    for (enum davy_measure type = DAVY_MEASURE_MEAN; type <= DAVY_MEASURE_DEVIATION; type++) {
        if (type == DAVY_MEASURE_RATE || type == DAVY_MEASURE_FORECAST)
            continue;
        struct fixture f = start_window(type, HOUR);
        take_all(&f, 0, 3 * HOUR, 20.9);
        assert_true(davy_measure_bytes(f.state) < 3000);
        end(&f);
    }
}

static void a_full_window_forgets_its_oldest_readings(void **unused)
{
    (void)unused;
    struct fixture f = start(DAVY_MEASURE_MIN, (struct davy_measure_options){.window = {ns(HOUR)}});
    const struct davy_measure_options options = {.window = {ns(HOUR)}};
    const struct davy_measure_setup setup = {.type = DAVY_MEASURE_MIN, .options = &options};
    for (int i = 0; i < DAVY_WINDOW_READINGS + 1000; i++)
        take(&f, i * 1e-3, i);
    assert_value(&f, 600, 1000);
    assert_true(davy_measure_bytes(f.state) <= davy_measure_bytes_max(&setup, davy_span_ms(1)));
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(value_is_the_reading),
        cmocka_unit_test(mean_weighs_each_value_by_the_time_it_held),
        cmocka_unit_test(a_hold_ends_at_the_next_reading_of_any_quality),
        cmocka_unit_test(a_hold_lasts_at_most_so_long),
        cmocka_unit_test(a_reading_older_than_the_window_counts_with_its_part_inside),
        cmocka_unit_test(is_not_evaluated_below_the_coverage_and_is_at_it),
        cmocka_unit_test(without_covered_time_there_is_no_mean_even_where_none_is_asked_for),
        cmocka_unit_test(stddev_and_rms_weigh_by_time),
        cmocka_unit_test(stddev_keeps_its_digits_beside_a_large_offset),
        cmocka_unit_test(min_and_max_are_over_the_readings_inside),
        cmocka_unit_test(min_and_max_are_not_of_readings_that_do_not_count),
        cmocka_unit_test(max_over_hours_keeps_a_lesser_reading_soon_after_the_greatest),
        cmocka_unit_test(rate_needs_three_readings_and_half_the_window),
        cmocka_unit_test(rate_has_nothing_where_all_times_are_one),
        cmocka_unit_test(rate_leaves_out_a_reading_exactly_as_old_as_the_window),
        cmocka_unit_test(rate_over_hours_is_that_of_the_whole_line),
        cmocka_unit_test(rate_is_the_line_of_least_squares_and_not_the_ends),
        cmocka_unit_test(forecast_is_the_line_ahead_of_now),
        cmocka_unit_test(twa_of_a_constant_for_its_length_is_the_constant),
        cmocka_unit_test(twa_of_twice_the_limit_for_half_its_length_reaches_it),
        cmocka_unit_test(twa_reaches_the_limit_in_mid_bucket_too),
        cmocka_unit_test(stel_reaches_a_pulse_of_its_length_among_zeros_exactly),
        cmocka_unit_test(lower_bound_of_stel_reaches_over_a_gap_of_half),
        cmocka_unit_test(upper_bound_of_a_gap_is_the_greater_reading_beside),
        cmocka_unit_test(upper_bound_is_high_at_once_after_a_fresh_start),
        cmocka_unit_test(negative_readings_are_no_dose),
        cmocka_unit_test(calibration_gas_changes_no_dose),
        cmocka_unit_test(steps_of_the_wall_clock_change_no_window),
        cmocka_unit_test(deviation_leaves_the_newest_part_out),
        cmocka_unit_test(deviation_of_readings_that_do_not_differ_is_not_evaluated),
        cmocka_unit_test(stuck_counts_from_the_last_move_beyond_epsilon),
        cmocka_unit_test(difference_needs_the_other_point),
        cmocka_unit_test(occurrences_are_counted_in_the_window),
        cmocka_unit_test(days_in_a_row_are_of_the_place),
        cmocka_unit_test(days_in_a_row_survive_summer_time_and_a_clock_set_back),
        cmocka_unit_test(days_leave_the_window_with_their_latest_raise),
        cmocka_unit_test(time_that_goes_back_stands_still),
        cmocka_unit_test(numbers_near_the_end_of_a_double_lack_and_leave_nothing_behind),
        cmocka_unit_test(windows_go_on_only_where_the_setups_are_the_same),
        cmocka_unit_test(a_value_that_stays_takes_no_room),
        cmocka_unit_test(a_full_window_forgets_its_oldest_readings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
