/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small plant in memory for tests of the floors above the model: one bus, one zone, devices with one point each, and
 * rules added by hand. Everything lives in one davy_config; free it with davy_config_unref().
 */
#pragma once

#include <assert.h>
#include <string.h>

#include "model/config.h"

static inline struct davy_config *plant_new(size_t devices)
{
    struct davy_config *config = davy_config_new();
    assert(config);
    config->gateway = (struct davy_gateway){.id = "edge", .site = "plant"};
    config->mqtt = (struct davy_mqtt){.prefix = "davy/v1"};
    strcpy(config->hash, "sha256:0000000000000000000000000000000000000000000000000000000000000000");
    config->bus_count = 1;
    config->buses = davy_config_alloc(config, 1, sizeof *config->buses);
    config->buses[0] = (struct davy_bus){.name = "bus", .type = DAVY_BUS_TCP, .fault_delay = davy_span_s(10)};
    config->zone_count = 1;
    config->zones = davy_config_alloc(config, 1, sizeof *config->zones);
    config->zones[0] = (struct davy_zone){.id = "A1", .name = "Zone one", .owner = "zhang.wei"};
    config->device_count = config->point_count = devices;
    config->devices = davy_config_alloc(config, devices, sizeof *config->devices);
    config->points = davy_config_alloc(config, devices, sizeof *config->points);
    for (size_t i = 0; i < devices; i++) {
        char id[16];
        snprintf(id, sizeof id, "GT-%zu", 101 + i);
        config->devices[i] = (struct davy_device){.id = davy_config_text(config, id),
                                                  .name = davy_config_text(config, id),
                                                  .unit = (uint8_t)(i + 1),
                                                  .interval = davy_span_s(1),
                                                  .enabled = true,
                                                  .first_point = (uint32_t)i,
                                                  .point_count = 1};
        config->points[i] = (struct davy_point){.name = "h2s",
                                                .device = (uint32_t)i,
                                                .kind = DAVY_KIND_GAS,
                                                .quantity = "H2S",
                                                .unit = "ppm",
                                                .table = DAVY_TABLE_HOLDING,
                                                .type = DAVY_TYPE_FLOAT32,
                                                .scale = 1,
                                                .has_range = true,
                                                .low = 0,
                                                .high = 100,
                                                .interval = davy_span_s(1),
                                                .max_age = davy_span_s(3600)};
    }
    return config;
}

/* A rule over all points. The limits are copied. */
static inline void plant_add_rule(struct davy_config *config, const char *name, const struct davy_limit *limits,
                                  size_t limit_count)
{
    struct davy_rule *rules = davy_config_alloc(config, config->rule_count + 1, sizeof *rules);
    struct davy_limit *copy = davy_config_alloc(config, limit_count, sizeof *copy);
    uint32_t *points = davy_config_alloc(config, config->point_count, sizeof *points);
    assert(rules && copy && points);
    memcpy(copy, limits, limit_count * sizeof *copy);
    for (uint32_t p = 0; p < config->point_count; p++)
        points[p] = p;
    if (config->rule_count)
        memcpy(rules, config->rules, config->rule_count * sizeof *rules);
    rules[config->rule_count] = (struct davy_rule){.name = davy_config_text(config, name),
                                                   .limits = copy,
                                                   .limit_count = limit_count,
                                                   .points = points,
                                                   .point_count = config->point_count};
    config->rules = rules;
    config->rule_count++;
}
