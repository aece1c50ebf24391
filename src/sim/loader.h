/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What load.c and load_device.c share while they read a plant file. Memory that is missing ends the process: it is
 * start-up, nothing is served yet.
 */
#pragma once

#include "sim/plant.h"
#include "sim/reader.h"

#define REQUIRED NULL /* instead of a default */

struct davy_sim_loader {
    struct davy_sim_reader reader;
    struct davy_sim_plant *plant;
};

/* A copy of `text`; an array of zeros. To be freed. */
char *davy_sim_loader_keep(const char *text);
void *davy_sim_loader_array(size_t count, size_t size);

/* A name of 1 to 64 letters, digits, _ and -, with `dot` also dots. To be freed, also after a complaint. */
char *davy_sim_loader_id(struct davy_sim_loader *l, const config_setting_t *group, const char *key, bool dot);

/* An index from one of the tables of names; 0 after the complaint. */
int davy_sim_loader_name(struct davy_sim_loader *l, const config_setting_t *group, const char *key,
                         const char *fallback, int (*find)(const char *name));

/* The section `devices`; lines are read already. */
void davy_sim_loader_devices(struct davy_sim_loader *l, const config_setting_t *root);
