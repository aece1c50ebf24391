/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The profiles that devices can refer to, for trying which of them fits a device. Blocks on the file system only.
 * Thread: any.
 */
#pragma once

#include <stddef.h>

#include "base/attr.h"
#include "config/problems.h"
#include "model/config.h"

/*
 * Names of all profiles in files that a configuration `file` could use (config/load.h says where they lie), sorted,
 * each once. The file itself need not exist.
 * ret_names  malloc'ed, as each name is: davy_profile_names_free()
 * returns    0 or -ENOMEM; folders that are not there are left out
 */
int davy_profile_names(const char *file, char ***ret_names, size_t *ret_count) DAVY_MUST_CHECK;
void davy_profile_names_free(char **names, size_t count);

/*
 * A configuration with one device "device" on one bus "bus" that is of this profile, as `file` would find it. It does
 * not settle. Requests are not planned yet (acquire/request.h).
 * returns    0, DAVY_CONFIG_BAD with what is wrong in `problems`, or -ENOMEM
 */
int davy_profile_load(const char *file, const char *profile, struct davy_problems *problems,
                      struct davy_config **ret_config) DAVY_MUST_CHECK;
