/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A plant file to a plant. Every problem is a line "file:line: path: message" on `problems`.
 * Thread: one; reads the file and the environment.
 */
#pragma once

#include <stdio.h>

#include "sim/plant.h"

/* 0, -EINVAL (problems are written), -ENOMEM, or why the file could not be read. *ret_plant to be ended by the caller
 */
int davy_sim_load_file(const char *path, FILE *problems, struct davy_sim_plant *ret_plant) DAVY_MUST_CHECK;

/* The same from text; `name` stands for the file in messages. */
int davy_sim_load_text(const char *name, const char *text, FILE *problems,
                       struct davy_sim_plant *ret_plant) DAVY_MUST_CHECK;
