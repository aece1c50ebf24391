/* SPDX-License-Identifier: Apache-2.0 */
/* A configuration file made ready to run: loaded, checked, planned; and the report of --check. */
#pragma once

#include "config/load.h"
#include "model/config.h"

/*
 * Load, check and plan. `generation` becomes the configuration's.
 * returns   0, DAVY_CONFIG_BAD, or -ENOMEM
 */
int setup_load(const char *file, uint32_t generation, struct davy_problems *problems,
               struct davy_config **ret_config) DAVY_MUST_CHECK;

/* Log each problem at its severity. */
void setup_log_problems(const struct davy_problems *problems);

/* davyd --check: the plan and the problems on standard output. Returns the exit status. */
int setup_check(const char *file);
