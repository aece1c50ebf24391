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

struct names {
    char **items;
    size_t count;
    size_t room;
};

struct standing {
    struct route *route;
    struct outbox *outbox;
    enum phase phase;
    int64_t after;       /* told up to here */
    struct names moved;  /* topics that alarms were moved away from, each with the alarm's key behind its end */
    struct names unkept; /* keys of alarms that are to be told elsewhere than the ledger knows of */
    uint64_t connects;   /* seen of the publisher */
    char url[DAVY_PUBLISHER_URL_SIZE];
    davy_mono due;
};

static bool grow(struct names *names)
{
    size_t room = names->room ? 2 * names->room : 16;
    char **grown = reallocarray(names->items, room, sizeof *grown);
    if (!grown)
        return false;
    names->items = grown;
    names->room = room;
    return true;
}

static bool has(const struct names *names, const char *name)
{
    for (size_t i = 0; i < names->count; i++)
        if (strcmp(names->items[i], name) == 0)
            return true;
    return false;
}

/* more: kept behind the end of the name */
static void add(struct names *names, const char *name, const char *more)
{
    const size_t size = strlen(name) + 1, more_size = strlen(more) + 1;
    if (has(names, name))
        return;
    bool room = names->count < names->room || grow(names);
    char *copy = room ? malloc(size + more_size) : NULL;
    if (!copy) {
        davy_warning("record", "%s: not cleared where it was, no memory", name);
        return;
    }
    memcpy(copy, name, size);
    memcpy(copy + size, more, more_size);
    names->items[names->count++] = copy;
}

static void drop(struct names *names, size_t index)
{
    free(names->items[index]);
    names->items[index] = names->items[--names->count];
}

static void drop_all(struct names *names)
{
    while (names->count > 0)
        drop(names, names->count - 1);
}

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
    drop_all(&standing->moved);
    drop_all(&standing->unkept);
    free(standing->moved.items);
    free(standing->unkept.items);
    free(standing);
    return NULL;
}

/* ---- topics that were moved away from -------------------------------------------------------------------------- */

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

/* Topics of another gateway or prefix are not ours any more. */
static bool is_ours(const struct davy_config *config, const char *topic)
{
    char base[DAVY_TOPIC_SIZE];
    davy_topic(config, "alarm/", base);
    return strncmp(topic, base, strlen(base)) == 0;
}

/*
 * Under `from`, the event `retired` clears the topic of an alarm that is gone. After a start it does so only where the
 * latest event was sent, not where that was told since.
 */
static void note_moved(void *context, const char *key, const char *stored)
{
    const struct change *change = context;
    char before[DAVY_TOPIC_SIZE], here[DAVY_TOPIC_SIZE] = "";
    struct davy_subject subject;
    const bool known = change->from && davy_subject_parse(change->from, key, &subject);
    if (known)
        davy_topic_alarm(change->from, &subject, before);
    else
        snprintf(before, sizeof before, "%s", stored);
    const bool stays = davy_subject_parse(change->to, key, &subject);
    if (strcmp(before, stays ? davy_topic_alarm(change->to, &subject, here) : here) == 0)
        return;
    if (stays)
        add(&change->standing->unkept, key, "");
    if (known ? stays : is_ours(change->to, before))
        add(&change->standing->moved, before, key);
}

static int note_change(struct change *change, struct davy_ledger *ledger)
{
    struct standing *standing = change->standing;
    size_t before = standing->moved.count;
    int rc = davy_ledger_topics(ledger, note_moved, change);
    if (rc < 0)
        davy_warning("record", "topics of alarms cannot be read");
    if (standing->moved.count > before && standing->phase != PHASE_ENDED)
        begin(standing, PHASE_STANDING);
    return rc;
}

int standing_switch(struct standing *standing, struct davy_ledger *ledger, const struct davy_config *from,
                    const struct davy_config *to)
{
    struct change change = {standing, from, to};
    if (!standing->url[0]) /* perhaps another broker than that of before the start */
        begin(standing, PHASE_ENDED);
    int rc = note_change(&change, ledger);
    if (rc == 0)
        return 0;
    rc = davy_ledger_begin(ledger); /* it may have been let go */
    if (rc < 0)
        return rc;
    davy_ledger_rollback(ledger);
    return note_change(&change, ledger);
}

int standing_recall(struct standing *standing, struct davy_ledger *ledger, const struct davy_config *config)
{
    struct change change = {standing, NULL, config};
    if (config->mqtt.url_count > 1 || !davy_ledger_loaded_before(ledger, config->hash)) /* perhaps another broker */
        begin(standing, PHASE_ENDED);
    return note_change(&change, ledger);
}

/* ---- where it is told, kept before it is ----------------------------------------------------------------------- */

bool standing_waits(const struct standing *standing)
{
    return standing->unkept.count > 0;
}

int standing_settle(const struct standing *standing, struct davy_ledger *ledger, const struct davy_config *config)
{
    char topic[DAVY_TOPIC_SIZE];
    struct davy_subject subject;
    int rc = 0;
    for (size_t i = 0; i < standing->unkept.count && rc == 0; i++)
        if (davy_subject_parse(config, standing->unkept.items[i], &subject))
            rc = davy_ledger_place(ledger, standing->unkept.items[i], davy_topic_alarm(config, &subject, topic));
    return rc;
}

void standing_settled(struct standing *standing)
{
    drop_all(&standing->unkept);
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

/* A refusal holds the event up, which will come for itself, but to the topic that it was stored with. */
static bool comes_for_itself(struct davy_ledger *ledger, const struct davy_standing_row *row, const char *topic)
{
    char stored[DAVY_TOPIC_SIZE];
    return row->held && davy_ledger_latest_topic(ledger, row->name, stored, sizeof stored) == 0 &&
           strcmp(stored, topic) == 0;
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
        davy_topic_alarm(config, &subject, topic);
        if (row.payload[0] && !comes_for_itself(ledger, &row, topic) && !tell(standing, topic, row.payload))
            return -EAGAIN;
    }
    standing->after = row.at;
    return 0;
}

/* Whether it is the topic of that alarm again, which stands: raised perhaps since what stands was told. */
static int is_back(struct davy_ledger *ledger, const struct davy_config *config, const char *moved, bool *ret_back)
{
    char topic[DAVY_TOPIC_SIZE], stored[DAVY_TOPIC_SIZE];
    struct davy_subject subject;
    const char *key = moved + strlen(moved) + 1;
    *ret_back = false;
    if (!davy_subject_parse(config, key, &subject) || strcmp(davy_topic_alarm(config, &subject, topic), moved) != 0)
        return 0;
    int rc = davy_ledger_latest_topic(ledger, key, stored, sizeof stored);
    *ret_back = rc == 0;
    return rc < 0 ? rc : 0;
}

static int clear_moved(struct standing *standing, struct davy_ledger *ledger, const struct davy_config *config)
{
    bool back;
    if (standing->moved.count == 0)
        return DAVY_OUTBOX_EMPTY;
    const char *moved = standing->moved.items[standing->moved.count - 1];
    int rc = is_back(ledger, config, moved, &back);
    if (rc < 0 || (!back && !tell(standing, moved, "")))
        return -EAGAIN;
    drop(&standing->moved, standing->moved.count - 1);
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
        return clear_moved(standing, ledger, config);
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
    const bool unseen = status.connects > standing->connects + 1; /* one that may have been with another broker */
    const bool other = unseen || (standing->url[0] && strcmp(standing->url, status.url) != 0);
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
    while (standing->phase != PHASE_IDLE && !standing_waits(standing) && outbox_in_line(standing->outbox) &&
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
