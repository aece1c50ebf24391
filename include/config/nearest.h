/* SPDX-License-Identifier: Apache-2.0 */
/* "Did you mean": the name that a typing error would come from. Pure. Thread: any. */
#pragma once

#include <stddef.h>

/*
 * The first of the names that is least edits away: at most 2, of a name of up to 3 characters 1.
 * returns   NULL where there is none
 */
const char *davy_nearest(const char *name, const char *const *names, size_t count);
