/* SPDX-License-Identifier: Apache-2.0 */
/* Alarm memory as JSON text and back, and its times brought over a restart. Unknown members are ignored when read. */
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/num.h"
#include "ledger_internal.h"

static const char *const timer_names[] = {[DAVY_TIMER_NONE] = "none", [DAVY_TIMER_ON] = "on", [DAVY_TIMER_OFF] = "off"};

/* As text: shortest digits that read back as the same double, also for -0, which JSON readers take for a whole number.
 */
static void put_number(struct davy_buf *out, const char *key, double value)
{
    char text[DAVY_NUM_TEXT];
    davy_json_text(out, key, isfinite(value) ? davy_num_print(value, text) : NULL);
}

static void put_limit(struct davy_buf *out, const struct davy_limit_memory *limit)
{
    davy_json_open(out, '{');
    davy_json_text(out, "level", davy_level_name(limit->level));
    davy_json_text(out, "condition", davy_condition_name(limit->condition));
    davy_json_bool(out, "tripped", limit->tripped);
    davy_json_bool(out, "held", limit->held);
    davy_json_bool(out, "uncertain", limit->uncertain);
    davy_json_text(out, "timer", timer_names[limit->timer]);
    davy_json_integer(out, "started_mono_ns", limit->started.mono.ns);
    davy_json_integer(out, "started_wall_ns", limit->started.wall.ns);
    put_number(out, "crossed", limit->crossed);
    davy_json_close(out, '}');
}

static void put_memory(struct davy_buf *out, const struct davy_alarm_memory *memory)
{
    char id[DAVY_UUID_TEXT];
    davy_json_open(out, '{');
    davy_json_text(out, "key", memory->key);
    davy_json_text(out, "id", davy_uuid_format(&memory->id, id));
    davy_json_integer(out, "count", memory->count);
    davy_json_text(out, "state", davy_state_name(memory->state));
    davy_json_text(out, "level", davy_level_name(memory->level));
    davy_json_bool(out, "acknowledged", memory->acknowledged);
    davy_json_integer(out, "raised_wall_ns", memory->raised.wall.ns);
    davy_json_integer(out, "last_limit", memory->last_limit);
    davy_json_bool(out, "has_value", memory->has_value);
    put_number(out, "value", memory->value);
    davy_json_text(out, "quality", davy_quality_name(memory->quality));
    davy_json_text(out, "reason", davy_reason_name(memory->reason));
    davy_json_key_open(out, "limits", '[');
    for (size_t i = 0; i < memory->limit_count; i++)
        put_limit(out, &memory->limits[i]);
    davy_json_close(out, ']');
    davy_json_close(out, '}');
}

static double get_number(const json_t *object, const char *key)
{
    double value = NAN;
    const char *text = json_string_value(json_object_get(object, key));
    if (text && davy_num_parse(text, &value) < 0)
        return NAN;
    return value;
}

static int64_t get_integer(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

static bool get_bool(const json_t *object, const char *key)
{
    return json_is_true(json_object_get(object, key));
}

/* A name of a later or earlier version counts as `otherwise`. */
static int get_name(const json_t *object, const char *key, int (*find)(const char *name), int otherwise)
{
    const char *name = json_string_value(json_object_get(object, key));
    int found = name ? find(name) : otherwise;
    return found < 0 ? otherwise : found;
}

static int find_timer(const char *name)
{
    return davy_name_find(timer_names, DAVY_LENGTH(timer_names), name);
}

static void get_limit(const json_t *object, struct davy_limit_memory *ret)
{
    ret->level = (enum davy_level)get_name(object, "level", davy_level_find, DAVY_LEVEL_NONE);
    ret->condition = (enum davy_condition)get_name(object, "condition", davy_condition_find, DAVY_CONDITION_ABOVE);
    ret->tripped = get_bool(object, "tripped");
    ret->held = get_bool(object, "held");
    ret->uncertain = get_bool(object, "uncertain");
    ret->timer = (enum davy_timer)get_name(object, "timer", find_timer, DAVY_TIMER_NONE);
    ret->started.mono.ns = get_integer(object, "started_mono_ns");
    ret->started.wall.ns = get_integer(object, "started_wall_ns");
    ret->crossed = get_number(object, "crossed");
}

static int get_identity(const json_t *object, struct davy_alarm_memory *ret)
{
    const char *key = json_string_value(json_object_get(object, "key"));
    const char *id = json_string_value(json_object_get(object, "id"));
    if (!key || !id || strlen(key) >= sizeof(ret->key) || davy_uuid_parse(id, &ret->id) < 0)
        return -EINVAL;
    memcpy(ret->key, key, strlen(key) + 1);
    return 0;
}

static int get_memory(const json_t *object, struct davy_alarm_memory *ret)
{
    if (get_identity(object, ret) < 0)
        return -EINVAL;
    ret->count = (uint32_t)get_integer(object, "count");
    ret->state = (enum davy_state)get_name(object, "state", davy_state_find, DAVY_STATE_UNACKNOWLEDGED);
    ret->level = (enum davy_level)get_name(object, "level", davy_level_find, DAVY_LEVEL_NONE);
    ret->acknowledged = get_bool(object, "acknowledged");
    ret->raised.wall.ns = get_integer(object, "raised_wall_ns");
    ret->last_limit = (uint8_t)get_integer(object, "last_limit");
    ret->has_value = get_bool(object, "has_value");
    ret->value = get_number(object, "value");
    ret->quality = (enum davy_quality)get_name(object, "quality", davy_quality_find, DAVY_QUALITY_GOOD);
    ret->reason = (enum davy_reason)get_name(object, "reason", davy_reason_find, DAVY_REASON_NONE);
    const json_t *limits = json_object_get(object, "limits");
    ret->limit_count = json_array_size(limits) < DAVY_LIMITS_MAX ? json_array_size(limits) : DAVY_LIMITS_MAX;
    for (size_t i = 0; i < ret->limit_count; i++)
        get_limit(json_array_get(limits, i), &ret->limits[i]);
    return 0;
}

static int parse_memory(const char *body, struct davy_alarm_memory *ret)
{
    json_t *object = json_loads(body, JSON_REJECT_DUPLICATES, NULL);
    if (!object)
        return -EINVAL;
    struct davy_alarm_memory memory = {.count = 0};
    int r = get_memory(object, &memory);
    json_decref(object);
    if (r == 0)
        *ret = memory;
    return r;
}

static bool worth_keeping(const struct davy_alarm_memory *memory)
{
    bool keep = !davy_uuid_is_nil(&memory->id) || memory->state != DAVY_STATE_NORMAL;
    for (size_t i = 0; i < memory->limit_count; i++) {
        const struct davy_limit_memory *limit = &memory->limits[i];
        keep = keep || limit->tripped || limit->held || limit->timer != DAVY_TIMER_NONE;
    }
    return keep;
}

int davy_ledger_remember(struct davy_ledger *ledger, const struct davy_alarm_memory *memory, struct davy_stamp now,
                         const char *boot_id)
{
    char text[4096]; /* a key of 194 bytes and 4 limits take less than half */
    if (!davy_db_in_transaction(&ledger->db))
        return -EINVAL;
    if (!worth_keeping(memory))
        return davy_ledger_forget(ledger, memory->key);
    struct davy_buf out;
    davy_buf_init(&out, text, sizeof(text));
    put_memory(&out, memory);
    int r = out.overflow ? -E2BIG
                         : davy_db_do(&ledger->db, LEDGER_MEMORY_UPSERT, "tiitt", memory->key, now.mono.ns, now.wall.ns,
                                      boot_id, text);
    return r < 0 ? davy_ledger_fail(ledger, r) : 0;
}

int davy_ledger_forget(struct davy_ledger *ledger, const char *key)
{
    if (!davy_db_in_transaction(&ledger->db))
        return -EINVAL;
    int r = davy_db_do(&ledger->db, LEDGER_MEMORY_DELETE, "t", key);
    return r < 0 ? davy_ledger_fail(ledger, r) : 0;
}

static int64_t minus(int64_t a, int64_t b)
{
    int64_t difference;
    if (__builtin_sub_overflow(a, b, &difference))
        return a > b ? INT64_MAX : INT64_MIN;
    return difference;
}

/* From storing to now: by the monotonic clock within one boot, else by the wall clock, 0 where that went backwards. */
static int64_t time_since(struct davy_stamp stored, struct davy_stamp now, bool same_boot)
{
    int64_t wall = minus(now.wall.ns, stored.wall.ns);
    int64_t since = same_boot ? minus(now.mono.ns, stored.mono.ns) : wall;
    return since > 0 ? since : 0;
}

/*
 * An on-delay goes on while the daemon is down, an off-delay stands still. The wall start of what stood still, or of a
 * clock that went backwards, moves along, so that start plus delay is the due time on both clocks.
 */
static void bring_over(struct davy_limit_memory *limit, struct davy_stamp stored, struct davy_stamp now, bool same_boot)
{
    if (limit->timer == DAVY_TIMER_NONE)
        return;
    int64_t ran = minus(stored.mono.ns, limit->started.mono.ns);
    int64_t since = limit->timer == DAVY_TIMER_ON ? time_since(stored, now, same_boot) : 0;
    int64_t start = minus(minus(now.mono.ns, ran), since);
    bool moved = limit->timer == DAVY_TIMER_OFF || now.wall.ns < stored.wall.ns;
    limit->started.mono.ns = start;
    if (moved)
        limit->started.wall.ns = minus(minus(now.wall.ns, ran), since);
}

static int recall_row(sqlite3_stmt *statement, struct davy_stamp now, const char *boot_id,
                      struct davy_alarm_memory *ret)
{
    const char *stored_boot = (const char *)sqlite3_column_text(statement, 2);
    const char *body = (const char *)sqlite3_column_text(statement, 3);
    struct davy_stamp stored = {{sqlite3_column_int64(statement, 0)}, {sqlite3_column_int64(statement, 1)}};
    if (!stored_boot || !body || parse_memory(body, ret) < 0)
        return -EINVAL;
    /* Two boots whose id could not be read are not the same. */
    bool same_boot = strcmp(stored_boot, boot_id) == 0 && strcmp(boot_id, "unknown") != 0;
    for (size_t i = 0; i < ret->limit_count; i++)
        bring_over(&ret->limits[i], stored, now, same_boot);
    return 0;
}

int davy_ledger_recall(struct davy_ledger *ledger, struct davy_stamp now, const char *boot_id,
                       void (*each)(void *context, const struct davy_alarm_memory *memory), void *context)
{
    int64_t unreadable = 0;
    if (!ledger->db.handle)
        return -EIO;
    sqlite3_stmt *statement = davy_db_use(&ledger->db, LEDGER_MEMORY_ALL);
    for (;;) {
        struct davy_alarm_memory memory;
        int r = davy_db_step(&ledger->db, statement);
        if (r != 0)
            return r < 0 ? r : unreadable ? DAVY_LEDGER_PARTLY : 0;
        if (recall_row(statement, now, boot_id, &memory) == 0)
            each(context, &memory);
        else
            unreadable++;
    }
}
