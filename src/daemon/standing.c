/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/standing.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "publish/payload.h"
#include "publish/topic.h"

/* So many wait in the publisher at most: a new alarm comes behind them. */
#define POSTED_MAX 16

#define PAUSE (20 * DAVY_NS_PER_MS)

enum phase { PHASE_IDLE, PHASE_ENDED, PHASE_STANDING, PHASE_MOVED };

struct standing {
    struct route *route;
    struct outbox *outbox;
    enum phase phase;
    int64_t after; /* told up to here */
    char **moved;  /* topics that alarms were moved away from, of which none has one again so far */
    size_t moved_count;
    size_t moved_room;
    uint64_t connects; /* seen of the publisher */
    char url[DAVY_PUBLISHER_URL_SIZE];
    davy_mono due;
};

int standing_new(struct route *route, struct outbox *outbox, struct standing **ret_standing)
{
    *ret_standing = calloc(1, sizeof **ret_standing);
    if (!*ret_standing)
        return -ENOMEM;
    (*ret_standing)->route = route;
    (*ret_standing)->outbox = outbox;
    return 0;
}

struct standing *standing_free(struct standing *standing)
{
    if (!standing)
        return NULL;
    for (size_t i = 0; i < standing->moved_count; i++)
        free(standing->moved[i]);
    free(standing->moved);
    free(standing);
    return NULL;
}

/* ---- topics that were moved away from -------------------------------------------------------------------------- */

static bool grow(struct standing *standing)
{
    size_t room = standing->moved_room ? 2 * standing->moved_room : 16;
    char **grown = reallocarray(standing->moved, room, sizeof *grown);
    if (!grown)
        return false;
    standing->moved = grown;
    standing->moved_room = room;
    return true;
}

/* Once too often does no harm. */
static void add_moved(struct standing *standing, const char *topic)
{
    bool room = standing->moved_count < standing->moved_room || grow(standing);
    char *copy = room ? strdup(topic) : NULL;
    if (copy)
        standing->moved[standing->moved_count++] = copy;
    else
        davy_warning("record", "%s: not cleared, no memory", topic);
}

static void drop_moved(struct standing *standing, size_t index)
{
    free(standing->moved[index]);
    standing->moved[index] = standing->moved[--standing->moved_count];
}

/* An alarm that stands has this topic now. */
static void keep_topic(struct standing *standing, const char *topic)
{
    for (size_t i = standing->moved_count; i-- > 0;)
        if (strcmp(standing->moved[i], topic) == 0)
            drop_moved(standing, i);
}

static void begin(struct standing *standing, enum phase phase)
{
    standing->phase = phase;
    standing->after = 0;
    standing->due = (davy_mono){0};
}

/* Two configurations, of which `from` is NULL where only the topics of the ledger are known. */
struct change {
    struct standing *standing;
    const struct davy_config *from, *to;
};

/* Topics of another gateway or prefix are not ours any more; an alarm that is gone is cleared by its event `retired`. */
static bool is_ours(const struct davy_config *config, const char *topic)
{
    char base[DAVY_TOPIC_SIZE];
    davy_topic(config, "alarm/", base);
    return strncmp(topic, base, strlen(base)) == 0;
}

static void note_moved(void *context, const char *key, const char *stored)
{
    const struct change *change = context;
    char before[DAVY_TOPIC_SIZE], here[DAVY_TOPIC_SIZE];
    struct davy_subject subject;
    if (change->from && davy_subject_parse(change->from, key, &subject))
        davy_topic_alarm(change->from, &subject, before);
    else if (is_ours(change->to, stored))
        snprintf(before, sizeof before, "%s", stored);
    else
        return;
    if (davy_subject_parse(change->to, key, &subject) &&
        strcmp(before, davy_topic_alarm(change->to, &subject, here)) != 0)
        add_moved(change->standing, before);
}

static void note_change(struct change change, struct davy_ledger *ledger)
{
    size_t before = change.standing->moved_count;
    if (ledger && davy_ledger_topics(ledger, note_moved, &change) < 0)
        davy_warning("record", "topics of alarms cannot be read");
    if (change.standing->moved_count > before && change.standing->phase != PHASE_ENDED)
        begin(change.standing, PHASE_STANDING);
}

void standing_switch(struct standing *standing, struct davy_ledger *ledger, const struct davy_config *from,
                     const struct davy_config *to)
{
    note_change((struct change){standing, from, to}, ledger);
}

void standing_recall(struct standing *standing, struct davy_ledger *ledger, const struct davy_config *config)
{
    note_change((struct change){standing, NULL, config}, ledger);
    if (!davy_ledger_loaded_before(ledger, config->hash)) /* perhaps another broker */
        begin(standing, PHASE_ENDED);
}

/* ---- telling --------------------------------------------------------------------------------------------------- */

/* An empty payload clears the topic. False: to be tried again. */
static bool tell(struct standing *standing, const char *topic, const char *payload)
{
    struct davy_message message;
    if (davy_message_new(DAVY_MESSAGE_EVENT, 0, topic, payload, &message) < 0)
        return false;
    message.retain = true;
    message.schema = "davy.alarm/1";
    message.length = davy_payload_mark_replayed(message.payload);
    if (davy_publisher_post(standing->route->publisher, &message) == 0)
        return true;
    davy_message_done(&message);
    return false;
}

/* What has ended while another broker was connected. returns 0, DAVY_OUTBOX_EMPTY or an error */
static int tell_ended(struct standing *standing, struct davy_ledger *ledger, const struct davy_config *config)
{
    struct davy_standing_row row;
    int rc = davy_ledger_ended_next(ledger, standing->after, &row);
    if (rc != 0)
        return rc;
    if (is_ours(config, row.name) && !tell(standing, row.name, ""))
        return -EAGAIN;
    standing->after = row.at;
    return 0;
}

static int tell_standing(struct standing *standing, struct davy_ledger *ledger, const struct davy_config *config)
{
    char topic[DAVY_TOPIC_SIZE];
    struct davy_subject subject;
    struct davy_standing_row row;
    int rc = davy_ledger_standing_next(ledger, standing->after, &row);
    if (rc != 0)
        return rc;
    if (davy_subject_parse(config, row.name, &subject)) {
        keep_topic(standing, davy_topic_alarm(config, &subject, topic));
        if (!row.held && row.payload[0] && !tell(standing, topic, row.payload))
            return -EAGAIN;
    }
    standing->after = row.at;
    return 0;
}

static int clear_moved(struct standing *standing)
{
    if (standing->moved_count == 0)
        return DAVY_OUTBOX_EMPTY;
    if (!tell(standing, standing->moved[standing->moved_count - 1], ""))
        return -EAGAIN;
    drop_moved(standing, standing->moved_count - 1);
    return 0;
}

static int step(struct standing *standing, struct davy_ledger *ledger, const struct davy_config *config)
{
    switch (standing->phase) {
    case PHASE_ENDED:
        return tell_ended(standing, ledger, config);
    case PHASE_STANDING:
        return tell_standing(standing, ledger, config);
    case PHASE_MOVED:
        return clear_moved(standing);
    case PHASE_IDLE:
        break;
    }
    return -EAGAIN;
}

static enum phase after_phase(enum phase phase)
{
    return phase == PHASE_ENDED ? PHASE_STANDING : phase == PHASE_STANDING ? PHASE_MOVED : PHASE_IDLE;
}

/* Another broker keeps what it had when it was left, or nothing. What was not told to the end is told anew. */
static void look(struct standing *standing)
{
    struct davy_publisher_status status;
    davy_publisher_status(standing->route->publisher, &status);
    if (!status.connected || status.connects == standing->connects)
        return;
    const bool other = standing->url[0] && strcmp(standing->url, status.url) != 0;
    standing->connects = status.connects;
    memcpy(standing->url, status.url, sizeof standing->url);
    if (other || standing->phase == PHASE_ENDED)
        begin(standing, PHASE_ENDED);
    else if (standing->phase != PHASE_IDLE)
        begin(standing, PHASE_STANDING);
}

void standing_turn(struct standing *standing, struct davy_ledger *ledger, const struct davy_config *config,
                   davy_mono now)
{
    if (!standing->route->publisher)
        return;
    look(standing);
    if (standing->phase == PHASE_IDLE || now.ns < standing->due.ns)
        return;
    standing->due = davy_mono_add(now, (davy_span){PAUSE});
    while (standing->phase != PHASE_IDLE && outbox_in_line(standing->outbox) &&
           davy_publisher_waiting(standing->route->publisher, DAVY_MESSAGE_EVENT) < POSTED_MAX) {
        int rc = step(standing, ledger, config);
        if (rc < 0)
            return;
        if (rc == DAVY_OUTBOX_EMPTY)
            begin(standing, after_phase(standing->phase));
    }
}

davy_mono standing_due(const struct standing *standing)
{
    const bool waits = standing->phase != PHASE_IDLE && outbox_connected(standing->outbox);
    return waits ? standing->due : DAVY_MONO_NEVER;
}
