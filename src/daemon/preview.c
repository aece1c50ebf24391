/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/preview.h"

#include <errno.h>

#include "base/log.h"
#include "publish/payload.h"
#include "publish/topic.h"

/*
 * Events that may wait for the disk, or for the publisher: at first, and at most, as many as the recorder's queue has.
 */
#define WAITING_LEAST 256
#define WAITING_MOST  ROUTE_RECORDS

/* More events than these before it would keep an alarm from the network for longer than a moment. */
#define AHEAD_MOST 500

/* A publisher that takes no more is asked again after this. */
#define ASK_AGAIN (100 * DAVY_NS_PER_MS)

struct waiting {
    struct davy_event event;
    const struct davy_config *config; /* that the event is under */
    uint64_t ordinal;
    davy_mono announce_at;
};

struct preview {
    struct route *route;
    const struct davy_config *config;
    struct waiting *ring;
    size_t room;
    size_t head;
    size_t count;
    uint64_t sent;
    uint64_t early_from; /* the first of those that are announced early now; 0: none */
    uint64_t newest;     /* ordinal of the newest event */
    davy_mono again_at;  /* the publisher was full: not before; ns = 0: it was not */
};

int preview_new(struct route *route, struct preview **ret_preview)
{
    struct preview *preview = calloc(1, sizeof *preview);
    if (!preview)
        return -ENOMEM;
    preview->route = route;
    preview->ring = calloc(WAITING_LEAST, sizeof *preview->ring);
    preview->room = WAITING_LEAST;
    if (!preview->ring) {
        free(preview);
        return -ENOMEM;
    }
    *ret_preview = preview;
    return 0;
}

void preview_switch(struct preview *preview, const struct davy_config *config)
{
    davy_config_ref(config);
    davy_config_unref(preview->config);
    preview->config = config;
}

static struct waiting *first(struct preview *preview)
{
    return &preview->ring[preview->head];
}

static void drop_first(struct preview *preview)
{
    davy_members_unref(first(preview)->event.members);
    davy_config_unref(first(preview)->config);
    preview->count--;
    preview->head = (preview->head + 1) % preview->room;
}

/* It is announced. */
static void drop_last(struct preview *preview)
{
    struct waiting *last = &preview->ring[(preview->head + --preview->count) % preview->room];
    davy_members_unref(last->event.members);
    davy_config_unref(last->config);
    preview->sent++;
}

/* Another size of the ring, its items in order from 0 on. Without memory it stays as it is. */
static void resize(struct preview *preview, size_t room)
{
    struct waiting *ring = calloc(room, sizeof *ring);
    if (!ring)
        return;
    for (size_t i = 0; i < preview->count; i++)
        ring[i] = preview->ring[(preview->head + i) % preview->room];
    free(preview->ring);
    preview->ring = ring;
    preview->room = room;
    preview->head = 0;
}

struct preview *preview_free(struct preview *preview)
{
    if (!preview)
        return NULL;
    while (preview->count > 0)
        drop_first(preview);
    davy_config_unref(preview->config);
    free(preview->ring);
    free(preview);
    return NULL;
}

static int encode(const struct preview *preview, const struct waiting *waiting, char *text, size_t size)
{
    const struct davy_event *event = &waiting->event;
    struct davy_buf payload;
    davy_buf_init(&payload, text, size);
    struct davy_payload_context about = {
        .boot_id = preview->route->boot_id,
        .clock = davy_clock_synchronized() ? "synchronized" : "unsynchronized",
        .has_latency = true,
        .decided_ms = (double)event->decided_after.ns / 1e6,
        .stored_ms = -1,
    };
    davy_payload_alarm(&payload, waiting->config, event, &about);
    return payload.overflow ? -EMSGSIZE : 0;
}

/* 0, or -EAGAIN: there is no room now. What cannot be announced at all comes when it is stored. */
static int announce(struct preview *preview, const struct waiting *waiting)
{
    char topic[DAVY_TOPIC_SIZE];
    struct davy_message message;
    size_t size = davy_payload_alarm_size(&waiting->event);
    DAVY_AUTO_FREE char *text = malloc(size);
    if (!text)
        return -EAGAIN;
    if (encode(preview, waiting, text, size) < 0)
        return 0;
    davy_topic_alarm(waiting->config, &waiting->event.subject, topic);
    if (davy_message_new(DAVY_MESSAGE_PREVIEW, 0, topic, text, &message) < 0)
        return -EAGAIN;
    message.schema = "davy.alarm/1";
    if (davy_publisher_post(preview->route->publisher, &message) == 0)
        return 0;
    davy_message_done(&message);
    return -EAGAIN;
}

/* Announce the first and take it out; false where there is no room. */
static bool announce_first(struct preview *preview)
{
    if (preview->route->publisher && announce(preview, first(preview)) < 0)
        return false;
    preview->sent++;
    drop_first(preview);
    return true;
}

/* Where the broker is away as well, the newest are of more use than the oldest: those come when they are stored. */
static void make_room(struct preview *preview)
{
    if (preview->count == preview->room && preview->room < WAITING_MOST)
        resize(preview, preview->room * 2);
    if (preview->count == preview->room && !announce_first(preview))
        drop_first(preview);
}

/* After an outage all that was decided in it is on its way, in order. */
static bool is_far_behind(const struct preview *preview)
{
    struct recorder_status recorder;
    struct davy_publisher_status publisher;
    davy_cell_get(&preview->route->recorder, &recorder);
    int64_t ahead = recorder.outbox_events - recorder.unconfirmed - recorder.parked;
    if (ahead <= AHEAD_MOST || !preview->route->publisher)
        return false;
    davy_publisher_status(preview->route->publisher, &publisher);
    return publisher.connected;
}

void preview_add(struct preview *preview, const struct davy_event *event, uint64_t ordinal, davy_mono now)
{
    preview->newest = ordinal;
    if (!preview->config)
        return;
    make_room(preview);
    size_t at = (preview->head + preview->count++) % preview->room;
    davy_members_ref(event->members);
    preview->ring[at] = (struct waiting){*event, davy_config_ref(preview->config), ordinal,
                                         davy_mono_add(now, preview->config->storage.announce_within)};
    if (event->active && is_far_behind(preview) && announce(preview, &preview->ring[at]) == 0)
        drop_last(preview); /* else it waits for the disk, as others do */
}

/* The log tells the begin and the end, not each event. */
static void tell_log(struct preview *preview, bool early, uint64_t stored)
{
    if (early && preview->early_from == 0) {
        preview->early_from = preview->sent;
        davy_warning("evaluate", "events are not stored in time: they are announced before");
    } else if (!early && preview->early_from != 0 && stored >= preview->newest) {
        davy_notice("evaluate", "stored now: %llu events that were announced before",
                    (unsigned long long)(preview->sent - preview->early_from + 1));
        preview->early_from = 0;
    }
}

static void forget_stored(struct preview *preview, uint64_t stored)
{
    while (preview->count > 0 && first(preview)->ordinal <= stored)
        drop_first(preview);
    if (preview->count == 0 && preview->room > WAITING_LEAST)
        resize(preview, WAITING_LEAST);
}

void preview_turn(struct preview *preview, davy_mono now)
{
    if (preview->count == 0 && preview->early_from == 0)
        return;
    struct recorder_status recorder;
    davy_cell_get(&preview->route->recorder, &recorder);
    forget_stored(preview, recorder.events);
    bool early = false, room = true;
    while (room && preview->count > 0 && (recorder.failing || first(preview)->announce_at.ns <= now.ns)) {
        room = announce_first(preview);
        early |= room;
    }
    preview->again_at = room ? (davy_mono){0} : davy_mono_add(now, (davy_span){ASK_AGAIN});
    tell_log(preview, early, recorder.events);
}

davy_mono preview_due(const struct preview *preview)
{
    if (preview->count == 0)
        return DAVY_MONO_NEVER;
    return preview->again_at.ns != 0 ? preview->again_at : preview->ring[preview->head].announce_at;
}

uint64_t preview_sent(const struct preview *preview)
{
    return preview->sent;
}
