/* SPDX-License-Identifier: Apache-2.0 */
/* A small plant for the tests of this floor. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "model/config.h"

enum { POINT_H2S, POINT_O2, POINT_RMS };

static inline void add_zones(struct davy_config *config)
{
    config->zone_count = 1;
    config->zones = davy_config_alloc(config, 1, sizeof *config->zones);
    config->zones[0] =
        (struct davy_zone){.id = "A1", .name = "罐区一", .owner = "zhang.wei", .risk = DAVY_LEVEL_ORANGE};
}

static inline void add_devices(struct davy_config *config)
{
    config->bus_count = 1;
    config->buses = davy_config_alloc(config, 1, sizeof *config->buses);
    config->buses[0] = (struct davy_bus){.name = "rs485-1"};
    config->device_count = 2;
    config->devices = davy_config_alloc(config, 2, sizeof *config->devices);
    config->devices[0] = (struct davy_device){
        .id = "GT-101", .name = "Tank farm H2S", .zone = 0, .first_point = 0, .point_count = 2, .enabled = true};
    config->devices[1] = (struct davy_device){
        .id = "VB-7", .name = "Pump \"7\"", .zone = DAVY_NONE, .first_point = 2, .point_count = 1, .owner = "li"};
    config->point_count = 3;
    config->points = davy_config_alloc(config, 3, sizeof *config->points);
    config->points[POINT_H2S] = (struct davy_point){.name = "h2s",
                                                    .device = 0,
                                                    .zone = 0,
                                                    .kind = DAVY_KIND_GAS,
                                                    .quantity = "H2S",
                                                    .unit = "ppm",
                                                    .report_deadband = 0.5};
    config->points[POINT_O2] = (struct davy_point){
        .name = "o2", .device = 0, .zone = 0, .kind = DAVY_KIND_GAS, .quantity = "O2", .unit = "%VOL"};
    config->points[POINT_RMS] =
        (struct davy_point){.name = "rms", .device = 1, .zone = DAVY_NONE, .kind = DAVY_KIND_VIBRATION, .unit = "mm/s"};
}

static inline void add_rules(struct davy_config *config)
{
    static const struct davy_limit limits[] = {
        {.level = DAVY_LEVEL_YELLOW, .condition = DAVY_CONDITION_ABOVE, .a = 7},
        {.level = DAVY_LEVEL_RED, .condition = DAVY_CONDITION_ABOVE, .a = 14, .owner = "wang.fang"},
    };
    config->rule_count = 2;
    config->rules = davy_config_alloc(config, 2, sizeof *config->rules);
    config->rules[0] = (struct davy_rule){.name = "h2s", .limits = limits, .limit_count = 2};
    static const uint32_t members[] = {POINT_H2S, POINT_O2};
    static const struct davy_step steps[] = {{.after = {900 * DAVY_NS_PER_S}, .owner = "shift-leader"},
                                             {.after = {172800 * DAVY_NS_PER_S}, .unless_cleared = true}};
    config->rules[1] = (struct davy_rule){.name = "any-two",
                                          .vote = 2,
                                          .fault_name = "any-two.fault",
                                          .limits = limits,
                                          .limit_count = 2,
                                          .points = members,
                                          .point_count = 2,
                                          .steps = steps,
                                          .step_count = 2};
}

static inline struct davy_config *new_plant(void)
{
    struct davy_config *config = davy_config_new();
    assert_non_null(config);
    config->gateway = (struct davy_gateway){.id = "edge-07", .site = "north-plant"};
    config->mqtt.enabled = true;
    config->mqtt.prefix = "davy/v1";
    config->mqtt.client_id = "davy-edge-07";
    config->mqtt.telemetry = DAVY_TELEMETRY_CHANGES;
    config->mqtt.telemetry_interval = davy_span_s(10);
    config->mqtt.urls = davy_config_alloc(config, 2, sizeof *config->mqtt.urls);
    config->mqtt.urls[0] = "mqtt://first:1883";
    config->mqtt.urls[1] = "mqtt://second:1883";
    config->mqtt.url_count = 2;
    strcpy(config->hash, "sha256:00ff");
    add_zones(config);
    add_devices(config);
    add_rules(config);
    return config;
}
