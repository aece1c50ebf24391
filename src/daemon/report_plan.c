/* SPDX-License-Identifier: Apache-2.0 */
/* What the buses were planned to carry, beside what they do: for `davyctl status`. */
#include "acquire/estimate.h"
#include "acquire/plan_report.h"
#include "daemon/report.h"

/* Limits, and devices, that one reply tells; `davyctl check` tells all limits. */
#define SLOWEST 10

/* A limit and how long a step may go unseen, beside some dead devices. */
struct slow {
    const struct davy_rule *rule;
    const struct davy_limit *limit;
    int64_t ns;
};

struct slowest {
    struct slow rows[SLOWEST];
    size_t count;
    size_t more;
};

/* Into its place by falling time; what falls out at the end is counted. */
static void keep(struct slowest *slowest, struct slow slow)
{
    for (size_t i = 0; i < slowest->count; i++) {
        if (slow.ns <= slowest->rows[i].ns)
            continue;
        struct slow shorter = slowest->rows[i];
        slowest->rows[i] = slow;
        slow = shorter;
    }
    if (slowest->count < SLOWEST)
        slowest->rows[slowest->count++] = slow;
    else
        slowest->more++;
}

static void find_slowest(const struct davy_config *config, struct slowest *slowest)
{
    for (size_t r = 0; r < config->rule_count; r++)
        for (size_t i = 0; i < config->rules[r].limit_count; i++) {
            const struct davy_rule *rule = &config->rules[r];
            const struct davy_limit *limit = &rule->limits[i];
            davy_span span = davy_plan_report_detection(config, rule, limit, DAVY_DEAD_SOME);
            if (!limit->upper && span.ns > 0)
                keep(slowest, (struct slow){rule, limit, span.ns});
        }
}

static void put_seconds(struct davy_buf *out, const char *key, davy_span span)
{
    davy_json_number(out, key, (double)((span.ns + DAVY_NS_PER_MS - 1) / DAVY_NS_PER_MS) / 1e3);
}

static void put_limit(struct davy_buf *out, const struct davy_config *config, const struct slow *slow)
{
    static const char *const keys[DAVY_DEAD_COUNT_] = {"alone_s", "one_dead_s", "some_dead_s"};
    davy_json_open(out, '{');
    davy_json_text(out, "rule", slow->rule->name);
    davy_json_text(out, "level", davy_level_name(slow->limit->level));
    for (size_t dead = 0; dead < DAVY_DEAD_COUNT_; dead++)
        put_seconds(out, keys[dead], davy_plan_report_detection(config, slow->rule, slow->limit, (enum davy_dead)dead));
    davy_json_close(out, '}');
}

static void put_bus(struct davy_buf *out, struct pipeline *pipeline, uint32_t bus)
{
    const struct davy_config *config = pipeline_config(pipeline);
    struct davy_poller_status status;
    davy_poller_status(pipeline_poller_at(pipeline, bus), &status);
    davy_json_open(out, '{');
    davy_json_text(out, "name", config->buses[bus].name);
    davy_json_number(out, "utilization", davy_estimate_utilization(config, bus));
    davy_json_integer(out, "quarantined", status.quarantined);
    davy_json_close(out, '}');
}

/* ---- devices ---- */

/* Those that take longest to turn around, by p95. */
struct slow_devices {
    struct davy_poller_device rows[SLOWEST];
    size_t count;
    size_t more;
};

static void keep_device(struct slow_devices *slow, struct davy_poller_device device)
{
    for (size_t i = 0; i < slow->count; i++) {
        if (device.p95.ns <= slow->rows[i].p95.ns)
            continue;
        struct davy_poller_device quicker = slow->rows[i];
        slow->rows[i] = device;
        device = quicker;
    }
    if (slow->count < SLOWEST)
        slow->rows[slow->count++] = device;
    else
        slow->more++;
}

/* Of some devices nothing may be known yet. */
static void find_devices(struct pipeline *pipeline, uint32_t bus, struct slow_devices *slow)
{
    const struct davy_config *config = pipeline_config(pipeline);
    struct davy_poller *poller = pipeline_poller_at(pipeline, bus);
    struct davy_poller_device device;
    size_t row = 0;
    for (size_t d = 0; d < config->device_count; d++) {
        if (config->devices[d].bus != bus || !config->devices[d].enabled)
            continue;
        bool known = davy_poller_device(poller, row++, &device);
        if (known && device.generation == config->generation && device.p95.ns > 0)
            keep_device(slow, device);
    }
}

static void put_device(struct davy_buf *out, const struct davy_config *config, const struct davy_poller_device *row)
{
    const struct davy_device *device = &config->devices[row->device];
    davy_json_open(out, '{');
    davy_json_text(out, "device", device->id);
    davy_json_text(out, "bus", config->buses[device->bus].name);
    davy_json_number(out, "p50_ms", (double)(row->p50.ns / DAVY_NS_PER_US) / 1e3);
    davy_json_number(out, "p95_ms", (double)(row->p95.ns / DAVY_NS_PER_US) / 1e3);
    davy_json_integer(out, "misses", row->misses);
    davy_json_bool(out, "slow", row->slow);
    davy_json_bool(out, "flapping", row->flapping);
    davy_json_close(out, '}');
}

static void put_devices(struct davy_buf *out, struct pipeline *pipeline)
{
    struct slow_devices slow = {.count = 0};
    for (uint32_t b = 0; b < pipeline_config(pipeline)->bus_count; b++)
        find_devices(pipeline, b, &slow);
    davy_json_key_open(out, "devices", '[');
    for (size_t i = 0; i < slow.count; i++)
        put_device(out, pipeline_config(pipeline), &slow.rows[i]);
    davy_json_close(out, ']');
    davy_json_integer(out, "more_devices", (int64_t)slow.more);
}

void report_plan(struct davy_buf *out, struct pipeline *pipeline)
{
    const struct davy_config *config = pipeline_config(pipeline);
    struct slowest slowest = {.count = 0};
    find_slowest(config, &slowest);
    davy_json_key_open(out, "plan", '{');
    davy_json_key_open(out, "buses", '[');
    for (uint32_t b = 0; b < config->bus_count; b++)
        put_bus(out, pipeline, b);
    davy_json_close(out, ']');
    davy_json_key_open(out, "slowest", '[');
    for (size_t i = 0; i < slowest.count; i++)
        put_limit(out, config, &slowest.rows[i]);
    davy_json_close(out, ']');
    davy_json_integer(out, "more", (int64_t)slowest.more);
    put_devices(out, pipeline);
    davy_json_close(out, '}');
}
