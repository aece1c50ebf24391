/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Waveforms: what a healthy sensor shows as a pure function of plant time and a seed, so that values cost nothing until
 * somebody asks, and a run can be repeated.
 * Thread: any.
 */
#pragma once

#include <stdint.h>

enum davy_sim_wave_type {
    DAVY_SIM_WAVE_CONSTANT,
    DAVY_SIM_WAVE_SINE,
    DAVY_SIM_WAVE_TRIANGLE,
    DAVY_SIM_WAVE_RAMP,        /* rises over a period, then falls at once */
    DAVY_SIM_WAVE_SQUARE,      /* high for the first `duty` of a period */
    DAVY_SIM_WAVE_NOISE,       /* a new value every period, evenly spread */
    DAVY_SIM_WAVE_RANDOM_WALK, /* wanders smoothly; `period` is the time between two turns */
    DAVY_SIM_WAVE_COUNT_
};

struct davy_sim_wave {
    enum davy_sim_wave_type type;
    double mean;
    double amplitude; /* the value stays within mean ± amplitude, apart from `noise` */
    double period_s;  /* > 0 */
    double phase;     /* of a period, 0 to 1 */
    double duty;      /* 0 to 1 */
    double noise;     /* standard deviation of a normal noise on top, renewed every 100 ms */
};

/* "constant" "sine" …; index or -EINVAL. */
int davy_sim_wave_find(const char *name);

/* The value at plant time `t_s` (seconds, any finite number). */
double davy_sim_wave_value(const struct davy_sim_wave *wave, uint64_t seed, double t_s);
