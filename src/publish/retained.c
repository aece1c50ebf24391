/* SPDX-License-Identifier: Apache-2.0 */
#include "publish/retained.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* After a refusal. */
#define REFUSED_AGAIN_S 60

static struct davy_retained *of_topic(const struct davy_retained_set *states, const char *topic)
{
    for (size_t i = 0; i < states->count; i++)
        if (strcmp(states->items[i].message.topic, topic) == 0)
            return &states->items[i];
    return NULL;
}

static int grow(struct davy_retained_set *states)
{
    size_t room = states->room ? states->room * 2 : 32;
    if (room > DAVY_RETAINED_MAX)
        return -ENOBUFS;
    struct davy_retained *grown = realloc(states->items, room * sizeof *grown);
    if (!grown)
        return -ENOMEM;
    states->items = grown;
    states->room = room;
    return 0;
}

int davy_retained_put(struct davy_retained_set *states, const struct davy_message *message)
{
    struct davy_retained *state = of_topic(states, message->topic);
    if (!state) {
        int rc = states->count == states->room ? grow(states) : 0;
        if (rc < 0)
            return rc;
        state = &states->items[states->count++];
        *state = (struct davy_retained){.id = ++states->last_id};
    }
    davy_message_done(&state->message);
    state->message = *message;
    state->refused = false;
    if (state->due == 0)
        state->due = ++states->last_id;
    return 0;
}

struct davy_retained *davy_retained_find(const struct davy_retained_set *states, uint64_t id)
{
    for (size_t i = 0; i < states->count; i++)
        if (states->items[i].id == id)
            return &states->items[i];
    return NULL;
}

struct davy_retained *davy_retained_due(const struct davy_retained_set *states)
{
    struct davy_retained *first = NULL;
    for (size_t i = 0; i < states->count; i++)
        if (states->items[i].due != 0 && (!first || states->items[i].due < first->due))
            first = &states->items[i];
    return first;
}

void davy_retained_refuse(struct davy_retained_set *states, struct davy_retained *state, davy_mono now)
{
    state->refused = true;
    if (states->again_at.ns == 0)
        states->again_at = davy_mono_add(now, davy_span_s(REFUSED_AGAIN_S));
}

void davy_retained_wake(struct davy_retained_set *states, davy_mono now)
{
    if (states->again_at.ns == 0 || now.ns < states->again_at.ns)
        return;
    states->again_at = (davy_mono){0};
    for (size_t i = 0; i < states->count; i++) {
        struct davy_retained *state = &states->items[i];
        if (state->refused && state->due == 0)
            state->due = ++states->last_id;
        state->refused = false;
    }
}

void davy_retained_repeat(struct davy_retained_set *states)
{
    for (size_t i = 0; i < states->count; i++)
        states->items[i].due = ++states->last_id;
}

void davy_retained_remove(struct davy_retained_set *states, struct davy_retained *state)
{
    size_t after = states->count - (size_t)(state - states->items) - 1;
    davy_message_done(&state->message);
    memmove(state, state + 1, after * sizeof *state);
    states->count--;
}

void davy_retained_keep(struct davy_retained_set *states, const char *base)
{
    size_t length = strlen(base);
    for (size_t i = states->count; i-- > 0;)
        if (states->items[i].message.length > 0 && strncmp(states->items[i].message.topic, base, length) != 0)
            davy_retained_remove(states, &states->items[i]);
}

void davy_retained_done(struct davy_retained_set *states)
{
    while (states->count > 0)
        davy_retained_remove(states, &states->items[states->count - 1]);
    free(states->items);
    *states = (struct davy_retained_set){0};
}
