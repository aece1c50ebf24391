/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From files to a checked configuration (davyd.conf(5)). Reads, never writes; logs nothing: what is wrong goes into
 * the list of problems, all of it in one run. Blocks on the file system only. Thread: any, main by use.
 */
#pragma once

#include "base/attr.h"
#include "config/problems.h"
#include "model/config.h"

/* Outcome: at least one error in the list. */
#define DAVY_CONFIG_BAD 1

/*
 * Load `file` with all that it includes and the profiles that it names, check it whole, build the object.
 * Profiles are looked for in DIR/profiles beside the file, then /etc/davy/profiles, then $DAVY_DATADIR/profiles or the
 * installed data folder.
 * problems    gets errors and warnings; may hold some already
 * ret_config  one reference; requests are not planned yet (acquire/request.h)
 * returns     0, DAVY_CONFIG_BAD, or -ENOMEM
 */
int davy_config_load(const char *file, struct davy_problems *problems, struct davy_config **ret_config) DAVY_MUST_CHECK;
