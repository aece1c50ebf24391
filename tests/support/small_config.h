/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Configurations for tests, built by hand: some buses, devices and points that a case then changes at will. Ends the
 * test program without memory.
 */
#pragma once

#include <stdlib.h>
#include <string.h>

#include "base/attr.h"
#include "model/config.h"

#define SMALL_BUSES   4
#define SMALL_DEVICES 16
#define SMALL_POINTS  256

static DAVY_UNUSED void *small_alloc(struct davy_config *config, size_t count, size_t size)
{
    void *memory = davy_config_alloc(config, count, size);
    if (!memory)
        abort();
    return memory;
}

static DAVY_UNUSED struct davy_config *small_config_new(void)
{
    struct davy_config *config = davy_config_new();
    if (!config)
        abort();
    config->generation = 1;
    config->buses = small_alloc(config, SMALL_BUSES, sizeof *config->buses);
    config->devices = small_alloc(config, SMALL_DEVICES, sizeof *config->devices);
    config->points = small_alloc(config, SMALL_POINTS, sizeof *config->points);
    return config;
}

/* A serial bus of 9600 8N1, timeout 300 ms, no retries; its index. */
static DAVY_UNUSED uint32_t small_bus(struct davy_config *config, const char *name, enum davy_bus_type type)
{
    config->buses[config->bus_count] = (struct davy_bus){.name = name,
                                                         .type = type,
                                                         .device = "/dev/null",
                                                         .baud = 9600,
                                                         .parity = 'N',
                                                         .data_bits = 8,
                                                         .stop_bits = 1,
                                                         .host = "127.0.0.1",
                                                         .port = 502,
                                                         .connections = 1,
                                                         .timeout = davy_span_ms(300),
                                                         .fault_delay = davy_span_s(10)};
    return (uint32_t)config->bus_count++;
}

/* An enabled device read once a second; its index. Its points must be added before the next device. */
static DAVY_UNUSED uint32_t small_device(struct davy_config *config, const char *id, uint32_t bus, uint8_t unit)
{
    config->devices[config->device_count] = (struct davy_device){.id = id,
                                                                 .name = id,
                                                                 .zone = DAVY_NONE,
                                                                 .bus = bus,
                                                                 .unit = unit,
                                                                 .interval = davy_span_s(1),
                                                                 .alarm_interval = davy_span_s(1),
                                                                 .max_reply = davy_span_s(1),
                                                                 .inhibit_max = davy_span_s(1800),
                                                                 .enabled = true,
                                                                 .max_gap = 8,
                                                                 .max_registers = 64,
                                                                 .first_point = (uint32_t)config->point_count};
    return (uint32_t)config->device_count++;
}

/* A holding register point of the newest device; its index. */
static DAVY_UNUSED uint32_t small_point(struct davy_config *config, const char *name, uint16_t address,
                                        enum davy_type type)
{
    uint32_t device = (uint32_t)config->device_count - 1;
    config->points[config->point_count] = (struct davy_point){.name = name,
                                                              .device = device,
                                                              .zone = DAVY_NONE,
                                                              .unit = "1",
                                                              .table = DAVY_TABLE_HOLDING,
                                                              .address = address,
                                                              .type = type,
                                                              .scale = 1.0,
                                                              .interval = config->devices[device].interval,
                                                              .max_age = davy_span_s(5)};
    config->devices[device].point_count++;
    return (uint32_t)config->point_count++;
}
