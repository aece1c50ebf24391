/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/wave.h"

#include <math.h>

#include "base/attr.h"
#include "base/num.h"
#include "model/names.h"

#define NOISE_PERIOD_S 0.1
#define OCTAVES        3

static const char *const names[] = {
    [DAVY_SIM_WAVE_CONSTANT] = "constant",       [DAVY_SIM_WAVE_SINE] = "sine",
    [DAVY_SIM_WAVE_TRIANGLE] = "triangle",       [DAVY_SIM_WAVE_RAMP] = "ramp",
    [DAVY_SIM_WAVE_SQUARE] = "square",           [DAVY_SIM_WAVE_NOISE] = "noise",
    [DAVY_SIM_WAVE_RANDOM_WALK] = "random-walk",
};
_Static_assert(DAVY_LENGTH(names) == DAVY_SIM_WAVE_COUNT_, "every waveform has a name");

int davy_sim_wave_find(const char *name)
{
    return davy_name_find(names, DAVY_LENGTH(names), name);
}

/* Uniform in [0, 1), a function of seed and step number only. */
static double hash_unit(uint64_t seed, int64_t step)
{
    struct davy_random random = {seed ^ ((uint64_t)step * UINT64_C(0xd1342543de82ef95))};
    (void)davy_random_next(&random);
    return davy_random_unit(&random);
}

/* Smooth noise in [-1, 1): random values at whole numbers, blended by a cubic in between. */
static double smooth_noise(uint64_t seed, double x)
{
    double whole = floor(x);
    double f = x - whole;
    double a = hash_unit(seed, (int64_t)whole);
    double b = hash_unit(seed, (int64_t)whole + 1);
    return 2 * (a + (b - a) * f * f * (3 - 2 * f)) - 1;
}

static double random_walk(uint64_t seed, double x)
{
    double sum = 0;
    double weight = 4.0 / 7; /* 4/7 + 2/7 + 1/7 = 1 */
    for (unsigned octave = 0; octave < OCTAVES; octave++) {
        sum += weight * smooth_noise(seed + octave, x * (double)(1U << octave));
        weight /= 2;
    }
    return sum;
}

/* Standard normal, near enough: twelve uniforms would be nicer and three times as slow. */
static double normal(uint64_t seed, int64_t step)
{
    double sum = 0;
    for (unsigned i = 0; i < 4; i++)
        sum += hash_unit(seed + 0x100 + i, step);
    return (sum - 2) * 1.7320508075688772;
}

/* In [-1, 1]. */
static double shape(const struct davy_sim_wave *wave, uint64_t seed, double t_s)
{
    double turns = t_s / wave->period_s + wave->phase;
    double part = turns - floor(turns);
    switch (wave->type) {
    case DAVY_SIM_WAVE_SINE:
        return sin(2 * M_PI * part);
    case DAVY_SIM_WAVE_TRIANGLE:
        return 1 - 4 * fabs(part - 0.5);
    case DAVY_SIM_WAVE_RAMP:
        return 2 * part - 1;
    case DAVY_SIM_WAVE_SQUARE:
        return part < wave->duty ? 1 : -1;
    case DAVY_SIM_WAVE_NOISE:
        return 2 * hash_unit(seed, (int64_t)floor(turns)) - 1;
    case DAVY_SIM_WAVE_RANDOM_WALK:
        return random_walk(seed, turns);
    case DAVY_SIM_WAVE_CONSTANT:
    case DAVY_SIM_WAVE_COUNT_:
        break;
    }
    return 0;
}

double davy_sim_wave_value(const struct davy_sim_wave *wave, uint64_t seed, double t_s)
{
    double value = wave->mean;
    if (wave->type != DAVY_SIM_WAVE_CONSTANT)
        value += wave->amplitude * shape(wave, seed, t_s);
    if (wave->noise > 0)
        value += wave->noise * normal(seed, (int64_t)floor(t_s / NOISE_PERIOD_S));
    return value;
}
