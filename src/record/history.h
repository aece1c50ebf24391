/* SPDX-License-Identifier: Apache-2.0 */
/* How the two sources of a history, readings and roll-ups, give what they have. Private to this floor. */
#pragma once

#include "reader.h"
#include "record/query.h"

#define HISTORY_MINUTE_US INT64_C(60000000)
#define HISTORY_HOUR_US   (60 * HISTORY_MINUTE_US)

/* A reading, or readings of a step rolled up. */
struct history_piece {
    int64_t time_us; /* begin of the step */
    int64_t step_us; /* 0: a reading */
    int64_t count;
    int64_t with_value;
    int64_t covered_us;
    double sum; /* with min and max: where with_value is above 0 */
    double min;
    double max;
    const char *quality; /* until the next call */
    const char *reason;
};

struct history {
    struct reader *reader;
    int64_t point;
    int64_t interval_us; /* between polls of the point */
    int64_t since_us;
    int64_t until_us; /* INT64_MAX: none */
    int64_t every_us; /* 0: each reading */
    bool (*each)(void *context, const struct davy_history_row *row);
    void *context;
    bool stopped;
    bool pending; /* a step is begun */
    int64_t step;
    int64_t step_us;
    int64_t with_value;
    int64_t covered_us;
    int64_t rollup_us; /* the longest step of a roll-up in it */
    double sum;
    int worst;       /* quality of the pending step */
    char reason[32]; /* of the first reading with that quality; "" none */
    struct davy_history_row row;
};

/* Rows of readings: those behind `after_row` of `after_partition` and in later partitions; zeros: all. */
struct history_rows {
    int64_t after_partition;
    int64_t after_row;
    int64_t since_us;
    int64_t until_us;
    void (*each)(void *context, const struct history_piece *piece);
    void *context;
};

/* history.c: one more piece, ascending by time, into the steps that are asked for. The context is the history. */
void davy_history_add(void *context, const struct history_piece *piece);

/* history_rows.c: in order of arrival. */
int davy_history_rows(struct history *h, const struct history_rows *rows) DAVY_MUST_CHECK;

/*
 * history_rows.c: time of the oldest row there is; INT64_MAX: there is none.
 * ret_whole   it is the first one that there ever was: none is gone
 */
int davy_history_first(struct history *h, int64_t *ret_time_us, bool *ret_whole) DAVY_MUST_CHECK;

/* history_rollup.c: where `every` is above 0 and the file has roll-ups. */
int davy_history_steps(struct history *h) DAVY_MUST_CHECK;
