/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ${NAME} and ${NAME:-default} in the text of a plant file. Comments are left alone. Values may not contain what would
 * end a string of the file: quotes, backslashes, control bytes. Line numbers stay as they are.
 * Thread: any.
 */
#pragma once

#include "base/buf.h"

/*
 * lookup    the value of a variable, or NULL
 * why       receives the reason, with the number of the line in front ("12: …"), when there is one
 * returns   0 with *ret to be freed by the caller, -EINVAL, -ENOMEM
 */
int davy_sim_subst(const char *text, const char *(*lookup)(const char *name), struct davy_buf *why,
                   char **ret) DAVY_MUST_CHECK;
