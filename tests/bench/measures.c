/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What each measure costs alone: readings a second (taken and evaluated at each) and memory of one rule on one point,
 * at one reading a second that differs from the one before. Figures as JSON in the last line. usage: bench_measures
 * [READINGS]
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/attr.h"
#include "base/buf.h"
#include "base/num.h"
#include "evaluate/measure.h"

struct subject {
    enum davy_measure type;
    const char *window;
};

static double seconds_of(const struct davy_measure_setup *setup, const double *values, size_t count, size_t *ret_bytes)
{
    struct davy_measure_state *state;
    if (davy_measure_new(setup, &state) < 0)
        exit(1);
    struct davy_stamp begin = davy_clock_now(&davy_system_clock);
    double sum = 0;
    for (size_t i = 0; i < count; i++) {
        struct davy_moment moment = {.now.mono = {(int64_t)i * DAVY_NS_PER_S}, .value = values[i % 4096]};
        struct davy_measured got = {0};
        davy_measure_take(state, moment.now.mono, true, moment.value);
        if (davy_measure_value(state, &moment, &got) == DAVY_LACK_NONE)
            sum += got.value;
    }
    struct davy_stamp end = davy_clock_now(&davy_system_clock);
    *ret_bytes = davy_measure_bytes(state);
    davy_measure_free(state);
    if (sum > 1e300) /* so that nothing is left out */
        puts("");
    return (double)davy_mono_sub(end.mono, begin.mono).ns / 1e9;
}

/* One line of the table; and the same as a member of the JSON object. */
static void measure(const struct subject *subject, const double *values, size_t count, struct davy_buf *json)
{
    struct davy_measure_options options = {.per = davy_span_s(60), .horizon = davy_span_s(600), .coverage = 0.75};
    if (davy_span_parse(subject->window, &options.window) < 0)
        exit(1);
    options.guard.ns = options.window.ns / 10;
    const struct davy_measure_setup setup = {subject->type, &options, davy_span_s(3)};
    const char *name = davy_measure_name(subject->type);
    size_t bytes;
    double rate = (double)count / seconds_of(&setup, values, count, &bytes);
    printf("%-12s %6s %12.0f readings/s %8zu bytes, at most %8zu\n", name, subject->window, rate, bytes,
           davy_measure_bytes_max(&setup, davy_span_s(1)));
    davy_buf_printf(json, "%s\"%s %s\": {\"readings_per_s\": %.0f, \"bytes\": %zu}", json->length > 0 ? ", " : "", name,
                    subject->window, rate, bytes);
}

int main(int argc, char **argv)
{
    static const struct subject subjects[] = {
        {DAVY_MEASURE_VALUE, "1s"},        {DAVY_MEASURE_MEAN, "1h"},    {DAVY_MEASURE_MEAN, "8h"},
        {DAVY_MEASURE_MIN, "1h"},          {DAVY_MEASURE_MAX, "8h"},     {DAVY_MEASURE_STDDEV, "1h"},
        {DAVY_MEASURE_RMS, "1h"},          {DAVY_MEASURE_RATE, "10min"}, {DAVY_MEASURE_RATE, "8h"},
        {DAVY_MEASURE_FORECAST, "1h"},     {DAVY_MEASURE_STEL, "15min"}, {DAVY_MEASURE_TWA, "8h"},
        {DAVY_MEASURE_DEVIATION, "1h"},    {DAVY_MEASURE_STUCK, "1s"},   {DAVY_MEASURE_DIFFERENCE, "1s"},
        {DAVY_MEASURE_OCCURRENCES, "24h"},
    };
    int64_t count = 1000000;
    if (argc > 1 && davy_int_parse(argv[1], &count) < 0)
        return 1;
    static double values[4096];
    struct davy_random random = {1};
    for (size_t i = 0; i < DAVY_LENGTH(values); i++)
        values[i] = 20.9 + davy_random_unit(&random);
    char text[4096];
    struct davy_buf json;
    davy_buf_init(&json, text, sizeof text);
    for (size_t i = 0; i < DAVY_LENGTH(subjects); i++)
        measure(&subjects[i], values, (size_t)count, &json);
    printf("{%s}\n", text);
    return 0;
}
