/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/evaluate_stage.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "daemon/answer.h"
#include "daemon/figures.h"
#include "daemon/handover.h"
#include "daemon/operate.h"
#include "daemon/preview.h"
#include "daemon/refill.h"
#include "decode/decode.h"
#include "evaluate/zones.h"
#include "publish/payload.h"
#include "publish/topic.h"

/* Blocks taken in one turn, so that a flood of them does not hold up commands. */
#define BLOCKS_A_TURN 256

/* Counting all alarms and points is not free: at most this often, and each second. */
#define COUNT_AFTER_EVENT (100 * DAVY_NS_PER_MS)

/* What the stage has for one configuration, beside the engine: that of the next one during a reload. */
struct next {
    const struct davy_config *config;
    struct davy_decoder *decoder;
    struct davy_zones *zones;
    struct davy_poller **pollers; /* by bus */
    bool *flagged;      /* by device: an event or a silence may have changed whether it is in alarm, or settles */
    struct pace *paces; /* by point */
};

struct evaluate_stage {
    struct route *route;
    struct davy_thread *thread;
    const struct davy_config *config;
    struct davy_engine *engine;
    struct davy_decoder *decoder;
    struct davy_zones *zones;
    struct preview *preview;
    struct davy_poller **pollers; /* by bus */
    bool *flagged;                /* as in struct next */
    struct pace *paces;           /* by point */
    bool any_flagged;
    struct handover handover; /* to the recorder */
    struct next next;         /* during a reload */
    struct evaluator_status status;
    int64_t wall_offset;  /* of the wall clock from the monotonic one, when memories were last told */
    davy_mono counted_at; /* when status was last put */
    bool news;            /* an event since then */
    bool memories_left_out;
    struct davy_reading readings[DAVY_DECODE_MAX];
};

static void flag_points(struct evaluate_stage *stage, const uint32_t *points, size_t count)
{
    for (size_t i = 0; i < count; i++)
        stage->flagged[stage->config->points[points[i]].device] = true;
}

/*
 * Devices whose alarm_interval the event may begin or end: that of the point, or of each member of a vote. And those
 * that its `when` looks at or its `difference` subtracts, whose readings have to settle over a restart too.
 */
static void flag_devices(struct evaluate_stage *stage, const struct davy_event *event)
{
    const struct davy_subject *subject = &event->subject;
    if (subject->kind != DAVY_ALARM_RULE)
        return;
    const struct davy_rule *rule = &stage->config->rules[subject->rule];
    if (subject->device != DAVY_NONE)
        stage->flagged[subject->device] = true;
    else
        flag_points(stage, rule->points, rule->point_count);
    if (rule->when.points)
        flag_points(stage, rule->when.points, rule->point_count);
    if (rule->options.others)
        flag_points(stage, rule->options.others, rule->point_count);
    stage->any_flagged = true;
}

static void on_event(void *context, const struct davy_event *event)
{
    struct evaluate_stage *stage = context;
    struct davy_stamp now = davy_clock_now(stage->route->clock);
    struct record record = {.kind = RECORD_EVENT, .at = now, .event = *event};
    record.event.decided_after = davy_mono_sub(now.mono, event->at.mono);
    record.ordinal = ++stage->status.events;
    preview_add(stage->preview, &record.event, record.ordinal, now.mono);
    davy_members_ref(event->members);
    handover_record(&stage->handover, &record);
    stage->news = true;
    davy_zones_event(stage->zones, event);
    flag_devices(stage, event);
}

static bool on_memory(void *context, const struct davy_alarm_memory *memory)
{
    struct evaluate_stage *stage = context;
    struct record record = {.kind = RECORD_MEMORY, .at = davy_clock_now(stage->route->clock), .memory = *memory};
    bool taken = handover_memory(&stage->handover, &record);
    stage->memories_left_out |= !taken;
    return taken;
}

/* The ledger was begun anew: all memories, of alarms, points, devices and zones. */
static void tell_all(struct evaluate_stage *stage)
{
    davy_engine_tell_all(stage->engine);
    davy_decoder_tell_again(stage->decoder);
    for (uint32_t z = 0; z < stage->config->zone_count; z++)
        davy_zones_untold(stage->zones, z);
}

/*
 * After a start, and when the wall clock has stepped: what is kept is told once more, with the boot and the clock of
 * now. Else a later restart would count its age by a clock that has stepped since.
 */
static void tell_kept(struct evaluate_stage *stage)
{
    davy_engine_tell_all(stage->engine);
    davy_decoder_tell_kept(stage->decoder);
    for (uint32_t z = 0; z < stage->config->zone_count; z++)
        davy_zones_untold(stage->zones, z);
    memset(stage->flagged, 1, stage->config->device_count);
    stage->any_flagged = true;
}

/* The wall clock against the monotonic one: a second is what its daemon may slew it by meanwhile. */
static void look_at_clock(struct evaluate_stage *stage, struct davy_stamp now)
{
    int64_t offset = now.wall.ns - now.mono.ns;
    if (offset - stage->wall_offset > DAVY_NS_PER_S || stage->wall_offset - offset > DAVY_NS_PER_S) {
        stage->wall_offset = offset;
        tell_kept(stage);
    }
}

/* What was left out while the recorder could not keep up is told once it has caught up. */
static void tell_left_out(struct evaluate_stage *stage)
{
    if (!stage->memories_left_out || !handover_is_idle(&stage->handover))
        return;
    stage->memories_left_out = false;
    davy_engine_tell_untold(stage->engine);
}

/* A reading that the engine made itself: the silence of a point. */
static void on_made(void *context, const struct davy_reading *reading)
{
    struct evaluate_stage *stage = context;
    handover_reading(&stage->handover, reading);
    davy_decoder_stale(stage->decoder, reading->point);
    stage->flagged[stage->config->points[reading->point].device] = true;
    stage->any_flagged = true;
}

int evaluate_stage_new(struct route *route, struct davy_thread *thread, const struct davy_config *config,
                       struct davy_poller **pollers, struct evaluate_stage **ret_stage)
{
    struct evaluate_stage *stage = calloc(1, sizeof *stage);
    if (!stage)
        return -ENOMEM;
    stage->route = stage->handover.route = route;
    stage->thread = thread;
    stage->config = davy_config_ref(config);
    stage->flagged = calloc(config->device_count + 1, sizeof *stage->flagged);
    stage->paces = calloc(config->point_count + 1, sizeof *stage->paces);
    struct davy_engine_options options = {
        .config = config, .event = on_event, .memory = on_memory, .made = on_made, .context = stage};
    int rc = stage->flagged && stage->paces ? davy_engine_new(&options, &stage->engine) : -ENOMEM;
    if (rc == 0)
        rc = davy_decoder_new(config, &stage->decoder);
    if (rc == 0)
        rc = davy_zones_new(config, NULL, &stage->zones);
    if (rc == 0)
        rc = preview_new(route, &stage->preview);
    if (rc < 0) {
        evaluate_stage_free(stage);
        return rc;
    }
    preview_switch(stage->preview, config);
    stage->pollers = pollers;
    *ret_stage = stage;
    return 0;
}

struct evaluate_stage *evaluate_stage_free(struct evaluate_stage *stage)
{
    if (!stage)
        return NULL;
    handover_done(&stage->handover);
    preview_free(stage->preview);
    davy_zones_free(stage->zones);
    davy_decoder_free(stage->decoder);
    davy_engine_free(stage->engine);
    davy_config_unref(stage->config);
    free(stage->flagged);
    free(stage->paces);
    free(stage->pollers);
    free(stage);
    return NULL;
}

static void publish_state(struct evaluate_stage *stage, const char *topic, const char *payload, const char *schema)
{
    struct davy_message message;
    if (davy_message_new(DAVY_MESSAGE_STATE, 0, topic, payload, &message) < 0)
        return;
    message.retain = true;
    message.schema = schema;
    if (davy_publisher_post(stage->route->publisher, &message) < 0)
        davy_message_done(&message);
}

/* A zone that is gone has no colour: what is retained of it would say for ever that all is well there. */
static void clear_zone(struct evaluate_stage *stage, const char *id)
{
    char topic[DAVY_TOPIC_SIZE], rest[DAVY_KEY_SIZE];
    snprintf(rest, sizeof rest, "zone/%s", id);
    if (stage->route->publisher)
        publish_state(stage, davy_topic(stage->config, rest, topic), "", "davy.zone/1");
}

bool evaluate_stage_restore(struct evaluate_stage *stage, const struct davy_alarm_memory *memory)
{
    if (davy_decoder_recall(stage->decoder, memory) || davy_zones_recall(stage->zones, memory))
        return true;
    if (memory->key[0] == '@')
        clear_zone(stage, memory->key + 1);
    if (!davy_engine_knows(stage->engine, memory->key))
        return false;
    davy_engine_restore(stage->engine, memory, davy_clock_now(stage->route->clock));
    return true;
}

void evaluate_stage_refill(struct evaluate_stage *stage, const char *directory)
{
    refill(stage->engine, stage->config, directory, stage->route->clock);
}

static void tell_of_point(struct evaluate_stage *stage, uint32_t point)
{
    struct davy_alarm_memory memory;
    bool in_alarm = davy_engine_point_in_alarm(stage->engine, point);
    if (davy_decoder_tell(stage->decoder, point, in_alarm, &memory) && !on_memory(stage, &memory))
        davy_decoder_untold(stage->decoder, point);
}

/*
 * Devices in alarm are polled at their alarm_interval; and what their readings have to settle is worth keeping from
 * then on, also where it is a timer or silence that has raised the alarm.
 */
static void tell_of_alarms(struct evaluate_stage *stage)
{
    for (uint32_t d = 0; stage->any_flagged && d < stage->config->device_count; d++) {
        const struct davy_device *device = &stage->config->devices[d];
        if (!stage->flagged[d])
            continue;
        stage->flagged[d] = false;
        bool in_alarm = false;
        for (uint32_t p = device->first_point; p < device->first_point + device->point_count; p++) {
            in_alarm |= davy_engine_point_level(stage->engine, p) != DAVY_LEVEL_NONE;
            tell_of_point(stage, p);
        }
        davy_poller_alarm(stage->pollers[device->bus], stage->config->generation, d, in_alarm);
    }
    stage->any_flagged = false;
}

/* Inhibits by an operator that began, changed or ended. */
static void tell_of_devices(struct evaluate_stage *stage, davy_mono now)
{
    struct davy_alarm_memory memory;
    for (uint32_t d = 0; d < stage->config->device_count; d++)
        if (davy_decoder_tell_device(stage->decoder, d, now, &memory) && !on_memory(stage, &memory))
            davy_decoder_untold_device(stage->decoder, d);
}

/* One answer of the wire: its readings are recorded and judged. A block of an older configuration says nothing now. */
static void take_block(struct evaluate_stage *stage, const struct davy_block *block)
{
    if (block->generation != stage->config->generation)
        return;
    size_t count = davy_decode_block(stage->decoder, block, stage->readings);
    for (size_t i = 0; i < count; i++) {
        stage->paces[stage->readings[i].point].count++;
        handover_reading(&stage->handover, &stage->readings[i]);
        davy_engine_reading(stage->engine, &stage->readings[i]);
        tell_of_point(stage, stage->readings[i].point);
        handover_end_cause(&stage->handover);
    }
    tell_of_alarms(stage);
    handover_end_cause(&stage->handover);
}

static void take_blocks(struct evaluate_stage *stage)
{
    struct davy_block block;
    for (int i = 0; i < BLOCKS_A_TURN && davy_queue_pop(&stage->route->blocks, &block); i++)
        take_block(stage, &block);
    if (davy_queue_count(&stage->route->blocks) > 0)
        davy_waker_ring(&stage->thread->waker);
}

/* ---- reload ---------------------------------------------------------------------------------------------------- */

static void free_next(struct next *next)
{
    davy_zones_free(next->zones);
    davy_decoder_free(next->decoder);
    davy_config_unref(next->config);
    free(next->flagged);
    free(next->paces);
    free(next->pollers);
    *next = (struct next){.config = NULL};
}

/* All that the stage keeps beside the engine, made for the next configuration. The ask's reference and array pass. */
static int prepare_next(struct evaluate_stage *stage, const struct ask *ask, struct next *ret_next)
{
    struct next next = {.config = ask->config, .pollers = ask->pollers};
    next.flagged = malloc(ask->config->device_count + 1);
    next.paces = calloc(ask->config->point_count + 1, sizeof *next.paces);
    int rc = next.flagged && next.paces ? davy_decoder_renew(stage->decoder, ask->config, &next.decoder) : -ENOMEM;
    if (rc == 0)
        rc = davy_zones_new(ask->config, stage->zones, &next.zones);
    bool room = davy_queue_space(&stage->route->records) > 0 && davy_queue_space(&stage->route->readings) > 0;
    if (rc == 0 && !room)
        rc = -EBUSY; /* the recorder must be told of the change, in its place */
    if (rc < 0) {
        free_next(&next);
        return rc;
    }
    memset(next.flagged, 1, ask->config->device_count);
    *ret_next = next;
    return 0;
}

static void swap_next(struct evaluate_stage *stage)
{
    struct next *next = &stage->next;
    const struct next old = {.config = stage->config,
                             .decoder = stage->decoder,
                             .zones = stage->zones,
                             .pollers = stage->pollers,
                             .flagged = stage->flagged,
                             .paces = stage->paces};
    stage->config = next->config;
    stage->decoder = next->decoder;
    stage->zones = next->zones;
    stage->pollers = next->pollers;
    stage->flagged = next->flagged;
    stage->paces = next->paces;
    stage->any_flagged = true;
    stage->news = true;
    *next = old; /* freed when the engine has switched */
}

static void tell_gone(void *context, const struct davy_alarm_memory *memory)
{
    (void)on_memory(context, memory);
}

static void clear_zones(struct evaluate_stage *stage, const struct davy_config *next)
{
    for (uint32_t z = 0; z < stage->config->zone_count; z++)
        if (davy_config_find_zone(next, stage->config->zones[z].id) == DAVY_NONE)
            clear_zone(stage, stage->config->zones[z].id);
}

/* Between the last event under the old configuration and the first under the new one. */
static void on_switched(void *context)
{
    struct evaluate_stage *stage = context;
    davy_zones_keep(stage->next.zones, stage->zones);
    clear_zones(stage, stage->next.config);
    davy_decoder_tell_gone(stage->decoder, stage->next.config, tell_gone, stage);
    swap_next(stage);
    handover_switch(&stage->handover, stage->config);
    preview_switch(stage->preview, stage->config);
}

static int take_reload(struct evaluate_stage *stage, const struct ask *ask)
{
    int rc = prepare_next(stage, ask, &stage->next);
    if (rc == 0)
        rc = davy_engine_reload(stage->engine, ask->config, davy_clock_now(stage->route->clock), on_switched);
    free_next(&stage->next);
    return rc;
}

static void answer_reload(struct evaluate_stage *stage, const struct ask *ask)
{
    int rc = take_reload(stage, ask);
    if (rc < 0)
        davy_error("evaluate", "the old configuration runs on: %s", strerror(-rc));
    const enum notice notice = rc < 0 ? NOTICE_NOT_SWITCHED : NOTICE_SWITCHED;
    davy_queue_push(&stage->route->notices, &notice);
}

static void record_action(void *context, struct record *record)
{
    struct evaluate_stage *stage = context;
    handover_record(&stage->handover, record);
}

static void touched_point(void *context, uint32_t point)
{
    tell_of_point(context, point);
}

static void touched_devices(void *context)
{
    struct evaluate_stage *stage = context;
    tell_of_devices(stage, davy_clock_now(stage->route->clock).mono);
}

static void take_action(struct evaluate_stage *stage, const struct ask *ask)
{
    const struct operate operate = {
        .route = stage->route,
        .config = stage->config,
        .engine = stage->engine,
        .decoder = stage->decoder,
        .record = record_action,
        .point = touched_point,
        .devices = touched_devices,
        .context = stage,
    };
    operate_take(&operate, ask);
}

static void take_request(struct evaluate_stage *stage, const struct ask *ask)
{
    if (operate_knows(ask->request.verb))
        take_action(stage, ask);
    else if (ask->request.verb == DAVY_VERB_POINTS)
        answer_points(stage->route, ask, stage->config, stage->engine);
    else if (ask->request.verb == DAVY_VERB_EXPLAIN)
        answer_explain(stage->route, ask, stage->config, stage->engine, stage->decoder);
    else
        answer_alarms(stage->route, ask, stage->config, stage->engine, stage->decoder);
}

/* Alarms that are at rest go on where they stood; one that has been raised anew meanwhile keeps its new occurrence. */
static void take_memories(struct evaluate_stage *stage, const struct ask *ask)
{
    for (size_t i = 0; i < ask->memory_count; i++) {
        struct record orphan = {.kind = RECORD_ORPHAN, .at = davy_clock_now(stage->route->clock)};
        orphan.memory = ask->memories[i];
        if (!evaluate_stage_restore(stage, &ask->memories[i]))
            handover_record(&stage->handover, &orphan);
    }
    free(ask->memories);
}

static void take_ask(struct evaluate_stage *stage, const struct ask *ask)
{
    switch (ask->kind) {
    case ASK_RELOAD:
        answer_reload(stage, ask);
        break;
    case ASK_SELF:
        davy_engine_self_because(stage->engine, ask->self, ask->condition, ask->request.note,
                                 davy_clock_now(stage->route->clock));
        break;
    case ASK_RESTORE:
        take_memories(stage, ask);
        break;
    case ASK_MEMORIES:
        tell_all(stage);
        break;
    case ASK_REQUEST:
        take_request(stage, ask);
        break;
    }
}

static void take_asks(struct evaluate_stage *stage)
{
    struct ask ask;
    while (davy_queue_pop(&stage->route->asks, &ask)) {
        take_ask(stage, &ask);
        handover_end_cause(&stage->handover);
    }
}

static void publish_zone(void *context, uint32_t zone, const struct davy_zone_view *view)
{
    struct evaluate_stage *stage = context;
    if (!stage->route->publisher)
        return;
    char ids[DAVY_ZONE_CAUSES][DAVY_UUID_TEXT], text[4096], topic[DAVY_TOPIC_SIZE], rest[DAVY_KEY_SIZE];
    const char *causes[DAVY_ZONE_CAUSES];
    for (size_t i = 0; i < view->cause_count; i++)
        causes[i] = davy_uuid_format(&view->causes[i], ids[i]);
    struct davy_buf payload;
    davy_buf_init(&payload, text, sizeof text);
    davy_payload_zone(&payload, stage->config, zone, view->colour, view->previous, view->since, causes,
                      view->cause_count);
    snprintf(rest, sizeof rest, "zone/%s", stage->config->zones[zone].id);
    if (!payload.overflow)
        publish_state(stage, davy_topic(stage->config, rest, topic), text, "davy.zone/1");
}

static void judge_zones(struct evaluate_stage *stage, struct davy_stamp now)
{
    struct davy_alarm_memory memory;
    davy_zones_judge(stage->zones, stage->engine, now, publish_zone, stage);
    for (uint32_t z = 0; z < stage->config->zone_count; z++)
        if (davy_zones_tell(stage->zones, z, &memory) && !on_memory(stage, &memory))
            davy_zones_untold(stage->zones, z);
}

static void put_status(struct evaluate_stage *stage)
{
    stage->status.previews = preview_sent(stage->preview);
    stage->status.lost_records = stage->handover.lost_records;
    stage->status.lost_readings = stage->handover.lost_readings;
    davy_cell_put(&stage->route->evaluator, &stage->status);
}

/* Each second, and soon after an event: figures, devices and zones as a whole. */
static void look_around(struct evaluate_stage *stage, struct davy_stamp now)
{
    int64_t age = davy_mono_sub(now.mono, stage->counted_at).ns;
    if (age < COUNT_AFTER_EVENT || (age < DAVY_NS_PER_S && !stage->news))
        return;
    stage->counted_at = now.mono;
    stage->news = false;
    figures_count(stage->engine, stage->config, stage->paces, now.mono, &stage->status);
    tell_of_devices(stage, now.mono);
    put_status(stage);
    judge_zones(stage, now);
}

/* How long the stage may sleep: until a timer of the engine or a preview is due, at most a second. */
static davy_span time_to_sleep(struct evaluate_stage *stage, davy_mono now)
{
    davy_mono due = davy_mono_min(davy_engine_due(stage->engine), preview_due(stage->preview));
    if (stage->news)
        due = davy_mono_min(due, davy_mono_add(stage->counted_at, (davy_span){COUNT_AFTER_EVENT}));
    davy_span sleep = davy_mono_sub(due, now);
    return sleep.ns < DAVY_NS_PER_S ? sleep : davy_span_s(1);
}

static void run(struct davy_thread *thread, void *context)
{
    struct evaluate_stage *stage = context;
    struct davy_stamp start = davy_clock_now(stage->route->clock);
    davy_engine_start(stage->engine, start, true);
    stage->wall_offset = start.wall.ns - start.mono.ns;
    tell_kept(stage);
    handover_end_cause(&stage->handover);
    while (!davy_thread_stopping(thread)) {
        davy_waker_wait(&thread->waker, time_to_sleep(stage, davy_clock_now(stage->route->clock).mono));
        take_asks(stage);
        take_blocks(stage);
        struct davy_stamp now = davy_clock_now(stage->route->clock);
        davy_engine_advance(stage->engine, now);
        look_at_clock(stage, now);
        tell_of_alarms(stage);
        handover_end_cause(&stage->handover);
        handover_flush(&stage->handover);
        preview_turn(stage->preview, now.mono);
        tell_left_out(stage);
        look_around(stage, now);
        handover_end_cause(&stage->handover);
        davy_thread_beat(thread);
    }
    take_blocks(stage);
    handover_flush(&stage->handover);
    struct davy_stamp now = davy_clock_now(stage->route->clock);
    tell_of_devices(stage, now.mono);
    judge_zones(stage, now);
    davy_engine_tell_all(stage->engine); /* how far delays have run goes on after the restart */
    handover_end_cause(&stage->handover);
}

int evaluate_stage_start(struct evaluate_stage *stage)
{
    return davy_thread_start(stage->thread, 256 * 1024, run, stage);
}
