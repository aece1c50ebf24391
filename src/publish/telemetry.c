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

/* What was last put into a batch of one point; small, since it is looked at with each reading. */
struct reported {
    double value;
    uint8_t quality; /* enum davy_quality */
    uint8_t reason;  /* enum davy_reason */
    bool has_value;
    bool any;
};

struct davy_telemetry_batcher {
    const struct davy_config *config;
    struct reported *reported; /* by point */
    struct davy_reading *waiting;
    uint32_t *next;   /* beside `waiting`: the next of the same message */
    uint32_t *firsts; /* during a flush: positions in `waiting` that begin a message */
    uint32_t *newest; /* by device, during a flush: its last in `waiting` so far */
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
    batcher->next = calloc(DAVY_TELEMETRY_ROOM, sizeof *batcher->next);
    batcher->firsts = calloc(config->device_count + 1, sizeof *batcher->firsts);
    batcher->newest = calloc(config->device_count + 1, sizeof *batcher->newest);
    batcher->payload = malloc(DAVY_TELEMETRY_SIZE);
    if (!batcher->reported || !batcher->waiting || !batcher->next || !batcher->firsts || !batcher->newest ||
        !batcher->payload) {
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
    free(batcher->next);
    free(batcher->firsts);
    free(batcher->newest);
    free(batcher->payload);
    free(batcher);
    return NULL;
}

/* Is `reading` worth a message, seen from what was last reported? */
static bool moved(const struct reported *last, const struct davy_reading *reading, double deadband)
{
    if (!last->any || last->quality != reading->quality || last->reason != reading->reason ||
        last->has_value != reading->has_value)
        return true;
    if (!reading->has_value)
        return false;
    double step = fabs(reading->value - last->value);
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
    *last = (struct reported){.any = true,
                              .value = reading->value,
                              .quality = (uint8_t)reading->quality,
                              .reason = (uint8_t)reading->reason,
                              .has_value = reading->has_value};
    if (batcher->count == 0)
        batcher->first = reading->at.mono;
    batcher->waiting[batcher->count++] = *reading;
}

bool davy_telemetry_full(const struct davy_telemetry_batcher *batcher)
{
    return batcher->count >= DAVY_TELEMETRY_BATCH;
}

davy_mono davy_telemetry_due(const struct davy_telemetry_batcher *batcher)
{
    if (batcher->count == 0)
        return DAVY_MONO_NEVER;
    if (davy_telemetry_full(batcher))
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

/* One device (or all): what waits from position `from` on. */
static void flush_chain(struct batch *batch, uint32_t from)
{
    const struct davy_telemetry_batcher *batcher = batch->batcher;
    open_batch(batch);
    for (uint32_t i = from; i != DAVY_NONE; i = batcher->next[i])
        add_reading(batch, &batcher->waiting[i]);
    close_batch(batch);
}

/* The device that the message of a reading is for, as a position in `newest`: the first for all of the gateway. */
static uint32_t message_of(const struct davy_telemetry_batcher *batcher, size_t i)
{
    const struct davy_config *config = batcher->config;
    return config->mqtt.telemetry_per_gateway ? 0 : config->points[batcher->waiting[i].point].device;
}

/* Chain the readings of each message: once over all, however many devices there are. True of a chain's first one. */
static bool chain(struct davy_telemetry_batcher *batcher, uint32_t i)
{
    uint32_t *newest = &batcher->newest[message_of(batcher, i)];
    bool first = *newest == DAVY_NONE;
    if (!first)
        batcher->next[*newest] = i;
    batcher->next[i] = DAVY_NONE;
    *newest = i;
    return first;
}

void davy_telemetry_flush(struct davy_telemetry_batcher *batcher, davy_mono now, bool all,
                          void (*each)(void *context, const char *topic, const char *payload), void *context)
{
    struct batch batch = {.batcher = batcher, .each = each, .context = context};
    uint32_t firsts = 0;
    if (batcher->count == 0 || (!all && now.ns < davy_telemetry_due(batcher).ns))
        return;
    for (size_t i = 0; i < batcher->count; i++)
        batcher->newest[message_of(batcher, i)] = DAVY_NONE;
    for (uint32_t i = 0; i < batcher->count; i++)
        if (chain(batcher, i))
            batcher->firsts[firsts++] = i;
    for (uint32_t i = 0; i < firsts; i++) {
        uint32_t from = batcher->firsts[i];
        batch.device = batcher->config->mqtt.telemetry_per_gateway ? DAVY_NONE : message_of(batcher, from);
        flush_chain(&batch, from);
    }
    batcher->count = 0;
}
