/* SPDX-License-Identifier: Apache-2.0 */
/* What is wrong, or unwise, in a configuration: a list that grows to a bound, each entry with its place. */
#pragma once

#include <stddef.h>

#include "base/attr.h"

enum davy_severity { DAVY_PROBLEM_ERROR, DAVY_PROBLEM_WARNING };

struct davy_problem {
    enum davy_severity severity;
    char *file;    /* NULL where none applies */
    int line;      /* 0 where none applies */
    char *path;    /* full key path, "devices[2].points[0].scale"; NULL where none applies */
    char *message; /* what was found, what is allowed, the nearest known key */
};

/* Zeros are an empty list. */
struct davy_problems {
    struct davy_problem *items;
    size_t count;
    size_t errors;
    size_t warnings;
    size_t left_off; /* past the bound of 1000 */
};

/* Add one. `file` and `path` may be NULL. Out of memory counts the entry in left_off and in errors or warnings. */
void davy_problems_add(struct davy_problems *problems, enum davy_severity severity, const char *file, int line,
                       const char *path, const char *format, ...) DAVY_PRINTF(6, 7);

/*
 * One problem as a line: "davyd.conf:12: error: buses[0].baud: 1 is not …" into `text`; returns text.
 */
char *davy_problem_format(const struct davy_problem *problem, char *text, size_t size);

/* Repeatable. */
void davy_problems_done(struct davy_problems *problems);
