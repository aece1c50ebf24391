/* SPDX-License-Identifier: Apache-2.0 */
/* The steps of one point out of roll-ups, and out of readings where those are finer or not rolled up yet. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "history.h"
#include "model/names.h"

/* Rows of roll-ups in one read transaction. */
#define PAGE 2000

struct table {
    int64_t step_us;
    const char *sql;
};

/* The next row that is of the point or beyond it: of each step at most one other one is looked at. */
#define NEXT(name)                                                                                                     \
    "SELECT r.step, r.point, r.count, r.with_value, r.covered_us, r.mean, r.min, r.max, q.quality, q.reason"           \
    " FROM rollup_" name " r LEFT JOIN quality q ON q.code = r.quality WHERE (r.step, r.point) >= (?1, ?2)"            \
    " AND r.step < ?3 ORDER BY r.step, r.point LIMIT 1"

static const struct table minutes = {HISTORY_MINUTE_US, NEXT("minute")};
static const struct table hours = {HISTORY_HOUR_US, NEXT("hour")};

/* ---- readings that are not rolled up yet ----------------------------------------------------------------------- */

/* One minute of them. */
struct rest {
    struct history_piece piece;
    char quality[16];
    char reason[32];
};

struct rests {
    struct rest *items; /* ascending by time */
    size_t count;
    size_t given;
    bool failed;
};

static int64_t floor_to(int64_t time_us, int64_t step_us)
{
    int64_t rest = time_us % step_us;
    return time_us - (rest < 0 ? rest + step_us : rest);
}

static int64_t ceil_to(int64_t time_us, int64_t step_us)
{
    return floor_to(time_us + step_us - 1, step_us);
}

/* The rest of a minute, made where it is new; NULL without memory. */
static struct rest *rest_of(struct rests *rests, int64_t minute_us)
{
    size_t at = rests->count;
    while (at > 0 && rests->items[at - 1].piece.time_us > minute_us)
        at--;
    if (at > 0 && rests->items[at - 1].piece.time_us == minute_us)
        return &rests->items[at - 1];
    struct rest *grown = reallocarray(rests->items, rests->count + 1, sizeof(*grown));
    if (!grown)
        return NULL;
    rests->items = grown;
    memmove(grown + at + 1, grown + at, (rests->count - at) * sizeof(*grown));
    rests->count++;
    grown[at] = (struct rest){.piece = {.time_us = minute_us}};
    return &grown[at];
}

static int rank(const char *quality)
{
    int found = davy_quality_find(quality);
    return found < 0 ? DAVY_QUALITY_BAD : found;
}

static void take_rest(void *context, const struct history_piece *piece)
{
    struct rests *rests = context;
    struct rest *rest = rest_of(rests, floor_to(piece->time_us, HISTORY_MINUTE_US));
    if (!rest) {
        rests->failed = true;
        return;
    }
    struct history_piece *sum = &rest->piece;
    bool first = sum->with_value == 0;
    sum->count++;
    sum->covered_us += piece->covered_us;
    if (piece->with_value > 0) {
        sum->with_value++;
        sum->sum += piece->sum;
        sum->min = first || piece->min < sum->min ? piece->min : sum->min;
        sum->max = first || piece->max > sum->max ? piece->max : sum->max;
    }
    const char *quality = piece->quality ? piece->quality : "bad";
    if (rest->quality[0] == '\0' || rank(quality) > rank(rest->quality)) {
        snprintf(rest->quality, sizeof(rest->quality), "%s", quality);
        snprintf(rest->reason, sizeof(rest->reason), "%s", piece->reason ? piece->reason : "");
    }
}

/* Those of minutes before `end_us`. */
static void give_rests(struct history *h, struct rests *rests, int64_t end_us)
{
    for (; rests->given < rests->count && rests->items[rests->given].piece.time_us < end_us; rests->given++) {
        struct rest *rest = &rests->items[rests->given];
        rest->piece.quality = rest->quality;
        rest->piece.reason = rest->reason[0] ? rest->reason : NULL;
        davy_history_add(h, &rest->piece);
    }
}

/* ---- rows of roll-ups ------------------------------------------------------------------------------------------ */

struct walk {
    struct history *h;
    const struct table *table;
    struct rests *rests; /* to be given in between; NULL: none */
    sqlite3_stmt *statement;
    int64_t step; /* the next one looked at */
    int64_t end;
};

/* Columns as in NEXT. */
static void give_row(const struct walk *walk)
{
    sqlite3_stmt *row = walk->statement;
    struct history_piece piece = {
        .time_us = sqlite3_column_int64(row, 0) * walk->table->step_us,
        .step_us = walk->table->step_us,
        .count = sqlite3_column_int64(row, 2),
        .with_value = sqlite3_column_int64(row, 3),
        .covered_us = sqlite3_column_int64(row, 4),
        .min = sqlite3_column_double(row, 6),
        .max = sqlite3_column_double(row, 7),
        .quality = (const char *)sqlite3_column_text(row, 8),
        .reason = (const char *)sqlite3_column_text(row, 9),
    };
    piece.sum = sqlite3_column_double(row, 5) * (double)piece.with_value;
    if (walk->rests)
        give_rests(walk->h, walk->rests, piece.time_us);
    davy_history_add(walk->h, &piece);
}

/* 0 or an error; at the end `step` is `end`. */
static int look(struct walk *walk)
{
    int r = davy_db_bind(walk->statement, "iii", walk->step, walk->h->point, walk->end);
    if (r == 0)
        r = davy_reader_step(walk->h->reader, walk->statement);
    if (r != 0) {
        walk->step = walk->end;
        return r < 0 ? r : 0;
    }
    int64_t step = sqlite3_column_int64(walk->statement, 0), point = sqlite3_column_int64(walk->statement, 1);
    if (point == walk->h->point)
        give_row(walk);
    walk->step = point >= walk->h->point ? step + 1 : step;
    sqlite3_reset(walk->statement);
    return 0;
}

static int look_at_page(struct walk *walk)
{
    int r = davy_db_exec(&walk->h->reader->db, "BEGIN");
    for (int i = 0; r == 0 && i < PAGE && walk->step < walk->end && !walk->h->stopped; i++)
        r = look(walk);
    int end = davy_db_exec(&walk->h->reader->db, "COMMIT");
    return r < 0 ? r : end;
}

/* The steps that overlap [from, to). */
static int walk_table(struct history *h, const struct table *table, int64_t from_us, int64_t to_us, struct rests *rests)
{
    struct walk walk = {.h = h, .table = table, .rests = rests};
    if (from_us >= to_us)
        return 0;
    walk.step = from_us == INT64_MIN ? INT64_MIN : floor_to(from_us, table->step_us) / table->step_us;
    walk.end = to_us > INT64_MAX - HISTORY_HOUR_US ? INT64_MAX : ceil_to(to_us, table->step_us) / table->step_us;
    int r = davy_reader_prepare(h->reader, table->sql, &walk.statement);
    while (r == 0 && walk.step < walk.end && !h->stopped)
        r = look_at_page(&walk);
    sqlite3_finalize(walk.statement);
    return r;
}

/* ---- what comes from where ------------------------------------------------------------------------------------- */

struct plan {
    int64_t written_partition;
    int64_t written_row;
    int64_t since_us;  /* roll-ups hold all from here on */
    int64_t minute_us; /* and by the minute from here on, a whole hour; INT64_MIN: all */
    int64_t rows_us;   /* readings begin here, a whole minute; INT64_MIN: none is gone */
};

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t sooner(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int load_state(struct history *h, struct plan *ret_plan)
{
    sqlite3_stmt *statement = NULL;
    int r = davy_reader_prepare(
        h->reader, "SELECT partition, row, since_us, minutes_since_us FROM rollup_state WHERE id = 1", &statement);
    if (r == 0)
        r = davy_reader_step(h->reader, statement);
    if (r == 0) {
        int64_t minute_us = sqlite3_column_int64(statement, 3);
        ret_plan->written_partition = sqlite3_column_int64(statement, 0);
        ret_plan->written_row = sqlite3_column_int64(statement, 1);
        ret_plan->since_us = sqlite3_column_int64(statement, 2);
        ret_plan->minute_us = minute_us > 0 ? ceil_to(minute_us, HISTORY_HOUR_US) : INT64_MIN;
    }
    sqlite3_finalize(statement);
    return r > 0 ? davy_reader_fail(h->reader, -EUCLEAN, "has no state of roll-ups") : r;
}

static int make_plan(struct history *h, struct plan *ret_plan)
{
    bool whole = false;
    int r = load_state(h, ret_plan);
    if (r == 0)
        r = davy_history_first(h, &ret_plan->rows_us, &whole);
    if (whole)
        ret_plan->rows_us = INT64_MIN;
    else if (ret_plan->rows_us != INT64_MAX)
        ret_plan->rows_us = ceil_to(ret_plan->rows_us, HISTORY_MINUTE_US);
    return r;
}

static int give_readings(struct history *h, int64_t from_us, int64_t to_us)
{
    const struct history_rows rows = {.since_us = later(from_us, h->since_us),
                                      .until_us = sooner(to_us, h->until_us),
                                      .each = davy_history_add,
                                      .context = h};
    return rows.since_us < rows.until_us ? davy_history_rows(h, &rows) : 0;
}

/* Hours while there is nothing finer, then minutes. */
static int give_rollups(struct history *h, const struct plan *plan, int64_t from_us, int64_t to_us, struct rests *rests)
{
    int r = walk_table(h, &hours, from_us, sooner(to_us, plan->minute_us), NULL);
    return r == 0 ? walk_table(h, &minutes, later(from_us, plan->minute_us), to_us, rests) : r;
}

/* Steps of less than a minute, or no multiple of it: readings where there are some. */
static int fine_steps(struct history *h, const struct plan *plan, int64_t from_us)
{
    int64_t rows_us = later(plan->rows_us, plan->since_us);
    int r = give_rollups(h, plan, from_us, sooner(rows_us, h->until_us), NULL);
    return r == 0 ? give_readings(h, later(from_us, rows_us), INT64_MAX) : r;
}

/* Multiples of a roll-up's step: its rows, with what is not rolled up yet in its place. */
static int coarse_steps(struct history *h, const struct plan *plan, int64_t from_us, struct rests *rests)
{
    int r = h->every_us % HISTORY_HOUR_US == 0 ? walk_table(h, &hours, from_us, h->until_us, rests)
                                               : give_rollups(h, plan, from_us, h->until_us, rests);
    give_rests(h, rests, INT64_MAX);
    return r;
}

/* By whole minutes, as roll-ups are. */
static int take_rests(struct history *h, const struct plan *plan, int64_t from_us, struct rests *rests)
{
    const struct history_rows rows = {
        .after_partition = plan->written_partition,
        .after_row = plan->written_row,
        .since_us = from_us == INT64_MIN ? from_us : floor_to(from_us, HISTORY_MINUTE_US),
        .until_us = h->until_us > INT64_MAX - HISTORY_HOUR_US ? INT64_MAX : ceil_to(h->until_us, HISTORY_MINUTE_US),
        .each = take_rest,
        .context = rests,
    };
    int r = davy_history_rows(h, &rows);
    return r == 0 && rests->failed ? -ENOMEM : r;
}

int davy_history_steps(struct history *h)
{
    struct plan plan = {0};
    struct rests rests = {0};
    int r = make_plan(h, &plan);
    if (r < 0)
        return r;
    int64_t from_us = h->since_us;
    if (plan.since_us > 0) { /* of a file of version 1 */
        r = give_readings(h, INT64_MIN, plan.since_us);
        from_us = later(from_us, plan.since_us);
    }
    if (r == 0 && h->every_us % HISTORY_MINUTE_US != 0)
        return fine_steps(h, &plan, from_us);
    if (r == 0)
        r = take_rests(h, &plan, from_us, &rests);
    if (r == 0)
        r = coarse_steps(h, &plan, from_us, &rests);
    free(rests.items);
    return r;
}
