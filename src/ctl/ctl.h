/* SPDX-License-Identifier: Apache-2.0 */
/* davyctl: what its verbs share. One process, one thread, one verb; without memory it says so and ends. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "base/clock.h"
#include "base/num.h"

/* Exit statuses of davyctl(1). */
enum ctl_exit { CTL_DONE = 0, CTL_REFUSED = 1, CTL_USAGE = 2, CTL_UNREACHABLE = 3 };

#define CTL_ARGUMENTS 8
#define CTL_OPTIONS   16

struct ctl {
    const char *socket;
    bool json;
    bool colour;
    int fd;        /* to the daemon; -1: not connected yet */
    davy_wall now; /* at the start */
    const char *arguments[CTL_ARGUMENTS + 1];
    size_t argument_count;
    struct {
        const char *name;  /* without the dashes */
        const char *value; /* "" of a flag */
    } options[CTL_OPTIONS];
    size_t option_count;
};

/* The argument at `index`, or NULL. The value of an option ("" of a flag), or NULL where it was not given. */
const char *davy_ctl_argument(const struct ctl *ctl, size_t index);
const char *davy_ctl_option(const struct ctl *ctl, const char *name);

/*
 * Say what is wrong: on standard error, with --json also as {"ok":false,"error":…} on standard output.
 * returns   code
 */
int davy_ctl_fail(const struct ctl *ctl, enum ctl_exit code, const char *format, ...) DAVY_PRINTF(3, 4);

/* A whole number from low to high, or CTL_USAGE, told. */
int davy_ctl_take_number(const struct ctl *ctl, const char *text, int64_t low, int64_t high,
                         int64_t *ret) DAVY_MUST_CHECK;

/* One verb each; they return an exit code. */
int davy_ctl_status(struct ctl *ctl);
int davy_ctl_watch(struct ctl *ctl);
int davy_ctl_points(struct ctl *ctl);
int davy_ctl_alarms(struct ctl *ctl);
int davy_ctl_ack(struct ctl *ctl);
int davy_ctl_reset(struct ctl *ctl);
int davy_ctl_shelve(struct ctl *ctl);
int davy_ctl_unshelve(struct ctl *ctl);
int davy_ctl_out_of_service(struct ctl *ctl);
int davy_ctl_in_service(struct ctl *ctl);
int davy_ctl_inhibit(struct ctl *ctl);
int davy_ctl_uninhibit(struct ctl *ctl);
int davy_ctl_explain(struct ctl *ctl);
int davy_ctl_diff(struct ctl *ctl);
int davy_ctl_reload(struct ctl *ctl);
int davy_ctl_read(struct ctl *ctl);
int davy_ctl_scan(struct ctl *ctl);
int davy_ctl_frames(struct ctl *ctl);
int davy_ctl_identify(struct ctl *ctl);
int davy_ctl_log_level(struct ctl *ctl);
int davy_ctl_events(struct ctl *ctl);
int davy_ctl_history(struct ctl *ctl);
int davy_ctl_verify(struct ctl *ctl);
int davy_ctl_backup(struct ctl *ctl);
int davy_ctl_check(struct ctl *ctl);
int davy_ctl_presets(struct ctl *ctl);
int davy_ctl_replay(struct ctl *ctl);

/*
 * Ask the daemon (client.c). A reply that is not ok is told and is CTL_REFUSED.
 * request    a reference that is taken
 * ret_reply  the caller's
 */
int davy_ctl_ask(struct ctl *ctl, json_t *request, json_t **ret_reply) DAVY_MUST_CHECK;

/* The same without telling and judging a reply that is not ok. */
int davy_ctl_exchange(struct ctl *ctl, json_t *request, json_t **ret_reply) DAVY_MUST_CHECK;

/*
 * Ask page after page.
 * list      the name of the list in the replies; `key` that of its items' names, which `after` takes
 * ret_list  the caller's
 */
int davy_ctl_pages(struct ctl *ctl, json_t *request, const char *list, const char *key,
                   json_t **ret_list) DAVY_MUST_CHECK;

/* Load a configuration; problems go to standard error. CTL_DONE or an exit code. */
struct davy_config;
int davy_ctl_load_config(const struct ctl *ctl, const char *file, struct davy_config **ret_config) DAVY_MUST_CHECK;

/* The same with the plan, and with --json the problems as a document on standard output. */
int davy_ctl_load_judged(const struct ctl *ctl, const char *file, struct davy_config **ret_config) DAVY_MUST_CHECK;

/* JSON with numbers as the shortest decimal and without raw control bytes (print.c); _print with a newline behind it.
 */
void davy_ctl_write_json(const json_t *json, bool pretty);
void davy_ctl_print_json(const json_t *json, bool pretty);

/* Foreign text with control bytes and what is not UTF-8 escaped: a name cannot move the cursor. Malloc'ed. */
char *davy_ctl_escape(const char *text);

/* A string member, "" where it is not one. A number or boolean as text, "-" where it is null. Malloc'ed, escaped. */
const char *davy_ctl_text(const json_t *object, const char *key);
char *davy_ctl_cell(const json_t *object, const char *key);

/* The state of an alarm, "shelved (returned)" where something hides the one below. Malloc'ed, escaped. */
char *davy_ctl_state_cell(const json_t *alarm);

/* What stands between such a state and the time at which its shelf ends. */
const char *davy_ctl_until(const char *state);

/* Seconds as "2.5s", "40s", "15min"; "-" where it is no number. Malloc'ed. */
char *davy_ctl_age(const json_t *seconds);

/* Columns on a terminal that it takes, East Asian wide characters as two (table.c). */
size_t davy_ctl_width(const char *text);

struct table {
    const char *const *heads; /* "NAME"; a leading '>' aligns to the right; ended by NULL */
    size_t columns;
    size_t *widths;
    char **cells; /* row after row, malloc'ed */
    const char **colours;
    size_t count; /* of cells */
    size_t capacity;
    bool colour;
    bool started;
    size_t room;  /* columns of the screen; 0: no bound */
    bool *hidden; /* by column; NULL: none */
};

void davy_table_init(struct table *table, const char *const *heads, bool colour);

/* Add one cell; takes `cell`, which is malloc'ed. `level` colours it: a level's name, a quality's, or NULL. */
void davy_table_add(struct table *table, char *cell, const char *level);

/*
 * For a screen of so many columns, before the first flush of all rows: columns in which nothing stands ("-") are left
 * out, and the last one is cut where it does not fit. 0: print all.
 */
void davy_table_fit(struct table *table, size_t room);

/* Columns of the screen, 0 where standard output is none. */
size_t davy_ctl_screen(void);

/* Print what is there; a later flush goes on below with the same columns. */
void davy_table_flush(struct table *table);
void davy_table_done(struct table *table);

/* RFC 3339, seconds since 1970, or a duration back from now. 0 or -EINVAL. */
int davy_ctl_time(const struct ctl *ctl, const char *text, davy_wall *ret_t) DAVY_MUST_CHECK;

/*
 * The file of a database: --database, else `name` in the folder that the daemon names.
 * ret_file  malloc'ed, untouched on failure
 * returns   CTL_DONE, or why not, said already
 */
int davy_ctl_find_database(struct ctl *ctl, const char *name, char **ret_file) DAVY_MUST_CHECK;

/* malloc and the like that end the program without memory. */
void *davy_ctl_grow(void *memory, size_t count, size_t size);
/* A value for the eye: six digits; --json has the exact one. Returns text. */
char *davy_ctl_number(double value, char text[DAVY_NUM_TEXT]);

char *davy_ctl_copy(const char *text);
char *davy_ctl_format(const char *format, ...) DAVY_PRINTF(1, 2);
