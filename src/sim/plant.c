/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/plant.h"

#include <stdlib.h>
#include <string.h>

#include "base/num.h"

static void device_done(struct davy_sim_device *device)
{
    for (size_t i = 0; i < device->point_count; i++)
        free(device->points[i].name);
    for (size_t i = 0; i < device->area_count; i++) {
        free(device->areas[i].cells);
        free(device->areas[i].owners);
    }
    free(device->points);
    free(device->areas);
    free(device->id);
}

void davy_sim_plant_done(struct davy_sim_plant *plant)
{
    for (size_t i = 0; i < plant->device_count; i++)
        device_done(&plant->devices[i]);
    for (size_t i = 0; i < plant->line_count; i++) {
        free(plant->lines[i].name);
        free(plant->lines[i].host);
        free(plant->lines[i].link);
    }
    for (size_t i = 0; i < plant->step_count; i++)
        free(plant->steps[i].text);
    free(plant->lines);
    free(plant->devices);
    free(plant->steps);
    *plant = (struct davy_sim_plant){.seed = -1};
}

struct davy_sim_line *davy_sim_plant_line(const struct davy_sim_plant *plant, const char *name)
{
    for (size_t i = 0; i < plant->line_count; i++)
        if (strcmp(plant->lines[i].name, name) == 0)
            return &plant->lines[i];
    return NULL;
}

struct davy_sim_device *davy_sim_plant_device(const struct davy_sim_plant *plant, const char *id)
{
    for (size_t i = 0; i < plant->device_count; i++)
        if (strcmp(plant->devices[i].id, id) == 0)
            return &plant->devices[i];
    return NULL;
}

struct davy_sim_point *davy_sim_plant_point(const struct davy_sim_device *device, const char *name)
{
    for (size_t i = 0; i < device->point_count; i++)
        if (strcmp(device->points[i].name, name) == 0)
            return &device->points[i];
    return NULL;
}

void davy_sim_plant_sow(struct davy_sim_plant *plant, uint64_t seed)
{
    struct davy_random random = {seed};
    for (size_t i = 0; i < plant->device_count; i++)
        for (size_t k = 0; k < plant->devices[i].point_count; k++)
            plant->devices[i].points[k].seed = davy_random_next(&random);
}
