/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of the measures: what each of them is made of, one row in measure.c. */
#pragma once

#include "evaluate/measure.h"
#include "evaluate/window_count.h"
#include "evaluate/window_dose.h"
#include "evaluate/window_line.h"
#include "evaluate/window_peak.h"
#include "evaluate/window_timed.h"

/* The operations of one measure; NULL: nothing to do, no memory. */
struct davy_measure_type {
    void (*open)(struct davy_measure_state *state); /* what it keeps is zeroed before */
    void (*close)(struct davy_measure_state *state);
    void (*take)(struct davy_measure_state *state, int64_t at, bool counts, double value);
    void (*raised)(struct davy_measure_state *state, struct davy_stamp at);
    /* ret_measured: coverage is 1, upper NaN (which then becomes `value`), the rest 0. */
    enum davy_lack (*value)(struct davy_measure_state *state, const struct davy_moment *moment,
                            struct davy_measured *ret_measured);
    size_t (*bytes)(const struct davy_measure_state *state);
    size_t (*bytes_max)(const struct davy_measure_setup *setup, int64_t interval);
};

struct davy_measure_state {
    const struct davy_measure_type *type;
    struct davy_measure_setup setup;
    struct davy_measure_options options; /* what setup.options points at */
    int64_t newest;                      /* time never goes back */
    struct davy_timed cover;             /* min, max, rate, forecast */
    union {
        struct davy_timed timed;
        struct davy_line line;
        struct davy_peak peak;
        struct davy_dose dose;
        struct davy_count count;
        struct {
            double reference;
            int64_t since;
            bool any;
        } stuck;
    };
};

/* mean, rms, stddev, deviation */
void davy_measure_timed_sums(struct davy_measure_state *state);    /* open */
void davy_measure_timed_moments(struct davy_measure_state *state); /* open */
void davy_measure_timed_close(struct davy_measure_state *state);
void davy_measure_timed_take(struct davy_measure_state *state, int64_t at, bool counts, double value);
/* The sum and the coverage; DAVY_LACK_COVERAGE where it is too low. */
enum davy_lack davy_measure_timed_covered(struct davy_measure_state *state, const struct davy_moment *moment,
                                          struct davy_slide_sum *ret_sum, struct davy_measured *ret_measured);
size_t davy_measure_timed_bytes(const struct davy_measure_state *state);
size_t davy_measure_timed_bytes_max(const struct davy_measure_setup *setup, int64_t interval);

/* The coverage of measures whose own state does not tell it. It is closed with the state. */
void davy_measure_cover_open(struct davy_measure_state *state);
double davy_measure_cover_value(struct davy_measure_state *state, const struct davy_moment *moment);
size_t davy_measure_cover_bytes_max(const struct davy_measure_setup *setup, int64_t interval);

/* rate, forecast */
void davy_measure_line_open(struct davy_measure_state *state);
bool davy_measure_line_fit(struct davy_measure_state *state, const struct davy_moment *moment,
                           struct davy_line_fit *ret_fit, struct davy_measured *ret_measured);
void davy_measure_line_close(struct davy_measure_state *state);
void davy_measure_line_take(struct davy_measure_state *state, int64_t at, bool counts, double value);
size_t davy_measure_line_bytes(const struct davy_measure_state *state);
size_t davy_measure_line_bytes_max(const struct davy_measure_setup *setup, int64_t interval);

/* min, max */
void davy_measure_peak_open(struct davy_measure_state *state);
void davy_measure_peak_take(struct davy_measure_state *state, int64_t at, bool counts, double value);
void davy_measure_peak_close(struct davy_measure_state *state);
enum davy_lack davy_measure_peak_value(struct davy_measure_state *state, const struct davy_moment *moment,
                                       struct davy_measured *ret_measured);
size_t davy_measure_peak_bytes(const struct davy_measure_state *state);
size_t davy_measure_peak_bytes_max(const struct davy_measure_setup *setup, int64_t interval);

/* stel, twa */
void davy_measure_dose_open(struct davy_measure_state *state);
void davy_measure_dose_close(struct davy_measure_state *state);
void davy_measure_dose_take(struct davy_measure_state *state, int64_t at, bool counts, double value);
enum davy_lack davy_measure_dose_value(struct davy_measure_state *state, const struct davy_moment *moment,
                                       struct davy_measured *ret_measured);
size_t davy_measure_dose_bytes(const struct davy_measure_state *state);
size_t davy_measure_dose_bytes_max(const struct davy_measure_setup *setup, int64_t interval);

extern const struct davy_measure_type davy_measure_type_value;
extern const struct davy_measure_type davy_measure_type_mean;
extern const struct davy_measure_type davy_measure_type_min;
extern const struct davy_measure_type davy_measure_type_max;
extern const struct davy_measure_type davy_measure_type_stddev;
extern const struct davy_measure_type davy_measure_type_rms;
extern const struct davy_measure_type davy_measure_type_rate;
extern const struct davy_measure_type davy_measure_type_forecast;
extern const struct davy_measure_type davy_measure_type_stel;
extern const struct davy_measure_type davy_measure_type_twa;
extern const struct davy_measure_type davy_measure_type_deviation;
extern const struct davy_measure_type davy_measure_type_stuck;
extern const struct davy_measure_type davy_measure_type_difference;
extern const struct davy_measure_type davy_measure_type_occurrences;
