/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Strict reading of settings: every complaint is a line "file:line: path: message" on a stream, and counted. Readers
 * return something usable in any case, so that one run lists all problems.
 * Thread: one.
 */
#pragma once

#include <libconfig.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/attr.h"

struct davy_sim_reader {
    const char *file;
    FILE *problems;
    int count;
};

void davy_sim_reader_problem(struct davy_sim_reader *r, const config_setting_t *at, const char *format, ...)
    DAVY_PRINTF(3, 4);

/* Complain about members that are not in the NULL-ended list, or when `group` is not a group at all (false then). */
bool davy_sim_reader_keys(struct davy_sim_reader *r, const config_setting_t *group, const char *const *allowed);

/* Members. `fallback` NULL or NAN: required, and "" or 0 after the complaint. */
const char *davy_sim_reader_text(struct davy_sim_reader *r, const config_setting_t *group, const char *key,
                                 const char *fallback);
double davy_sim_reader_number(struct davy_sim_reader *r, const config_setting_t *group, const char *key,
                              double fallback);

/* A whole number from `low` to `high`; fallback INT64_MIN: required. */
int64_t davy_sim_reader_integer(struct davy_sim_reader *r, const config_setting_t *group, const char *key, int64_t low,
                                int64_t high, int64_t fallback);

/* A duration such as "500ms", in seconds. */
double davy_sim_reader_seconds(struct davy_sim_reader *r, const config_setting_t *group, const char *key,
                               const char *fallback);

/* A list "( … )" of groups; NULL where there is none. */
const config_setting_t *davy_sim_reader_list(struct davy_sim_reader *r, const config_setting_t *group, const char *key);

/* A setting as a finite number, whole or not. 0 after the complaint. */
double davy_sim_reader_as_number(struct davy_sim_reader *r, const config_setting_t *setting);
