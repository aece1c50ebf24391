/* SPDX-License-Identifier: Apache-2.0 */
#include "publish/telemetry.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "base/buf.h"
#include "publish/topic.h"

/* A reading as JSON: a full name, a time, a number, two names. */
#define READING_SIZE 512
/* "]}" and the end. */
#define TAIL_SIZE 3

/* What was last put into a batch of one point. */
struct reported {
    bool any;
    struct davy_reading reading;
};

struct davy_telemetry_batcher {
    const struct davy_config *config;
    struct reported *reported; /* by point */
    struct davy_reading *waiting;
    bool *sent; /* beside `waiting`, during a flush */
    size_t count;
    davy_mono first; /* when the oldest of the batch arrived */
    char *payload;
};

int davy_telemetry_new(const struct davy_config *config, struct davy_telemetry_batcher **ret)
{
    struct davy_telemetry_batcher *batcher = calloc(1, sizeof *batcher);
    if (!batcher)
        return -ENOMEM;
    batcher->config = davy_config_ref(config);
    batcher->reported = calloc(config->point_count + 1, sizeof *batcher->reported);
    batcher->waiting = calloc(DAVY_TELEMETRY_ROOM, sizeof *batcher->waiting);
    batcher->sent = calloc(DAVY_TELEMETRY_ROOM, sizeof *batcher->sent);
    batcher->payload = malloc(DAVY_TELEMETRY_SIZE);
    if (!batcher->reported || !batcher->waiting || !batcher->sent || !batcher->payload) {
        davy_telemetry_free(batcher);
        return -ENOMEM;
    }
    *ret = batcher;
    return 0;
}

struct davy_telemetry_batcher *davy_telemetry_free(struct davy_telemetry_batcher *batcher)
{
    if (!batcher)
        return NULL;
    davy_config_unref(batcher->config);
    free(batcher->reported);
    free(batcher->waiting);
    free(batcher->sent);
    free(batcher->payload);
    free(batcher);
    return NULL;
}

/* Is `reading` worth a message, seen from what was last reported? */
static bool moved(const struct reported *last, const struct davy_reading *reading, double deadband)
{
    const struct davy_reading *before = &last->reading;
    if (!last->any || before->quality != reading->quality || before->reason != reading->reason ||
        before->has_value != reading->has_value)
        return true;
    if (!reading->has_value)
        return false;
    double step = fabs(reading->value - before->value);
    return deadband > 0 ? step >= deadband : step > 0;
}

void davy_telemetry_add(struct davy_telemetry_batcher *batcher, const struct davy_reading *reading)
{
    const struct davy_config *config = batcher->config;
    if (config->mqtt.telemetry == DAVY_TELEMETRY_OFF || reading->point >= config->point_count ||
        batcher->count == DAVY_TELEMETRY_ROOM)
        return;
    struct reported *last = &batcher->reported[reading->point];
    if (config->mqtt.telemetry == DAVY_TELEMETRY_CHANGES &&
        !moved(last, reading, config->points[reading->point].report_deadband))
        return;
    *last = (struct reported){.any = true, .reading = *reading};
    if (batcher->count == 0)
        batcher->first = reading->at.mono;
    batcher->waiting[batcher->count++] = *reading;
}

davy_mono davy_telemetry_due(const struct davy_telemetry_batcher *batcher)
{
    if (batcher->count == 0)
        return DAVY_MONO_NEVER;
    if (batcher->count >= DAVY_TELEMETRY_BATCH)
        return batcher->first;
    return davy_mono_add(batcher->first, batcher->config->mqtt.telemetry_interval);
}

/* One message under construction. */
struct batch {
    struct davy_telemetry_batcher *batcher;
    struct davy_buf out;
    uint32_t device; /* DAVY_NONE: of the whole gateway */
    size_t readings;
    void (*each)(void *context, const char *topic, const char *payload);
    void *context;
};

static void open_batch(struct batch *batch)
{
    const struct davy_config *config = batch->batcher->config;
    const struct davy_device *device = batch->device != DAVY_NONE ? &config->devices[batch->device] : NULL;
    davy_buf_init(&batch->out, batch->batcher->payload, DAVY_TELEMETRY_SIZE);
    batch->readings = 0;
    davy_json_open(&batch->out, '{');
    davy_json_text(&batch->out, "schema", "davy.telemetry/1");
    davy_json_text(&batch->out, "device", device ? device->id : NULL);
    davy_json_text(&batch->out, "zone", device && device->zone != DAVY_NONE ? config->zones[device->zone].id : NULL);
    davy_json_bool(&batch->out, "replayed", false);
    davy_json_key_open(&batch->out, "readings", '[');
}

static void close_batch(struct batch *batch)
{
    char topic[DAVY_TOPIC_SIZE], rest[DAVY_TOPIC_SIZE];
    const struct davy_config *config = batch->batcher->config;
    struct davy_buf buf;
    if (batch->readings == 0)
        return;
    davy_json_close(&batch->out, ']');
    davy_json_close(&batch->out, '}');
    davy_buf_init(&buf, rest, sizeof rest);
    davy_buf_text(&buf, "telemetry");
    if (batch->device != DAVY_NONE)
        davy_buf_printf(&buf, "/%s", config->devices[batch->device].id);
    batch->each(batch->context, davy_topic(config, rest, topic), batch->out.text);
}

static void write_reading(struct davy_buf *out, const struct batch *batch, const struct davy_reading *reading)
{
    char name[DAVY_KEY_SIZE];
    const struct davy_config *config = batch->batcher->config;
    davy_json_open(out, '{');
    davy_json_text(out, "point",
                   batch->device != DAVY_NONE ? config->points[reading->point].name
                                              : davy_config_point_name(config, reading->point, name));
    davy_json_time(out, "time", reading->at.wall);
    if (reading->has_value)
        davy_json_number(out, "value", reading->value);
    else
        davy_json_null(out, "value");
    davy_json_text(out, "quality", davy_quality_name(reading->quality));
    davy_json_text(out, "reason", davy_reason_name(reading->reason));
    davy_json_close(out, '}');
}

static void add_reading(struct batch *batch, const struct davy_reading *reading)
{
    char text[READING_SIZE];
    struct davy_buf one;
    davy_buf_init(&one, text, sizeof text);
    write_reading(&one, batch, reading);
    if (batch->out.length + one.length + 1 + TAIL_SIZE > DAVY_TELEMETRY_SIZE) {
        close_batch(batch);
        open_batch(batch);
    }
    davy_json_raw(&batch->out, NULL, text);
    batch->readings++;
}

/* All that wait of one device (or of all), from position `from` on. */
static void flush_device(struct batch *batch, size_t from)
{
    struct davy_telemetry_batcher *batcher = batch->batcher;
    open_batch(batch);
    for (size_t i = from; i < batcher->count; i++) {
        uint32_t device = batcher->config->points[batcher->waiting[i].point].device;
        if (batcher->sent[i] || (batch->device != DAVY_NONE && device != batch->device))
            continue;
        add_reading(batch, &batcher->waiting[i]);
        batcher->sent[i] = true;
    }
    close_batch(batch);
}

void davy_telemetry_flush(struct davy_telemetry_batcher *batcher, davy_mono now, bool all,
                          void (*each)(void *context, const char *topic, const char *payload), void *context)
{
    const struct davy_config *config = batcher->config;
    struct batch batch = {.batcher = batcher, .each = each, .context = context};
    if (batcher->count == 0 || (!all && now.ns < davy_telemetry_due(batcher).ns))
        return;
    for (size_t i = 0; i < batcher->count; i++)
        batcher->sent[i] = false;
    for (size_t i = 0; i < batcher->count; i++) {
        if (batcher->sent[i])
            continue;
        batch.device =
            config->mqtt.telemetry_per_gateway ? DAVY_NONE : config->points[batcher->waiting[i].point].device;
        flush_device(&batch, i);
    }
    batcher->count = 0;
}
