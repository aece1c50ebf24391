/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/preview.h"

#include <errno.h>

#include "base/log.h"
#include "publish/payload.h"
#include "publish/topic.h"

/* Events that may wait for the disk and still be announced early; those beyond come when they are stored. */
#define WAITING_MAX 256

struct waiting {
    struct davy_event event;
    const struct davy_config *config; /* that the event is under */
    uint64_t ordinal;
    davy_mono announce_at;
};

struct preview {
    struct route *route;
    const struct davy_config *config;
    struct waiting ring[WAITING_MAX];
    size_t head;
    size_t count;
    uint64_t sent;
    uint64_t early_from; /* the first of those that are announced early now; 0: none */
    uint64_t newest;     /* ordinal of the newest event */
};

int preview_new(struct route *route, struct preview **ret_preview)
{
    *ret_preview = calloc(1, sizeof **ret_preview);
    if (!*ret_preview)
        return -ENOMEM;
    (*ret_preview)->route = route;
    return 0;
}

void preview_switch(struct preview *preview, const struct davy_config *config)
{
    davy_config_ref(config);
    davy_config_unref(preview->config);
    preview->config = config;
}

void preview_add(struct preview *preview, const struct davy_event *event, uint64_t ordinal, davy_mono now)
{
    preview->newest = ordinal;
    if (!preview->config || preview->count == WAITING_MAX)
        return;
    size_t at = (preview->head + preview->count++) % WAITING_MAX;
    davy_members_ref(event->members);
    preview->ring[at] = (struct waiting){*event, davy_config_ref(preview->config), ordinal,
                                         davy_mono_add(now, preview->config->storage.announce_within)};
}

static void drop_first(struct preview *preview)
{
    davy_members_unref(preview->ring[preview->head].event.members);
    davy_config_unref(preview->ring[preview->head].config);
    preview->count--;
    preview->head = preview->count == 0 ? 0 : (preview->head + 1) % WAITING_MAX;
}

struct preview *preview_free(struct preview *preview)
{
    while (preview && preview->count > 0)
        drop_first(preview);
    if (preview)
        davy_config_unref(preview->config);
    free(preview);
    return NULL;
}

static void announce(struct preview *preview, const struct waiting *waiting)
{
    const struct davy_config *config = waiting->config;
    const struct davy_event *event = &waiting->event;
    char topic[DAVY_TOPIC_SIZE];
    size_t size = davy_payload_alarm_size(event);
    DAVY_AUTO_FREE char *text = malloc(size);
    if (!text)
        return;
    struct davy_buf payload;
    davy_buf_init(&payload, text, size);
    struct davy_payload_context about = {
        .boot_id = preview->route->boot_id,
        .clock = davy_clock_synchronized() ? "synchronized" : "unsynchronized",
        .has_latency = true,
        .decided_ms = (double)event->decided_after.ns / 1e6,
        .stored_ms = -1,
    };
    davy_payload_alarm(&payload, config, event, &about);
    struct davy_message message;
    if (payload.overflow ||
        davy_message_new(DAVY_MESSAGE_PREVIEW, 0, davy_topic_alarm(config, &event->subject, topic), text, &message) < 0)
        return;
    message.schema = "davy.alarm/1";
    if (davy_publisher_post(preview->route->publisher, &message) < 0)
        davy_message_done(&message);
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

void preview_turn(struct preview *preview, davy_mono now)
{
    if (preview->count == 0 && preview->early_from == 0)
        return;
    struct recorder_status recorder;
    davy_cell_get(&preview->route->recorder, &recorder);
    while (preview->count > 0 && preview->ring[preview->head].ordinal <= recorder.events)
        drop_first(preview);
    bool early = false;
    while (preview->count > 0 && (recorder.failing || preview->ring[preview->head].announce_at.ns <= now.ns)) {
        if (preview->route->publisher)
            announce(preview, &preview->ring[preview->head]);
        preview->sent++;
        early = true;
        drop_first(preview);
    }
    tell_log(preview, early, recorder.events);
}

davy_mono preview_due(const struct preview *preview)
{
    return preview->count ? preview->ring[preview->head].announce_at : DAVY_MONO_NEVER;
}

uint64_t preview_sent(const struct preview *preview)
{
    return preview->sent;
}
