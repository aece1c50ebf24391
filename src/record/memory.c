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

/* A limit takes at most 300 bytes, the rest without texts 1200; a byte of a text, escaped, six. */
#define MEMORY_TEXT (1200 + DAVY_LIMITS_MAX * 300 + 6 * (DAVY_KEY_SIZE + DAVY_BY_SIZE + DAVY_NOTE_SIZE))

/* "shelved_until_mono_ns" */
#define STAMP_KEY 32

static const char *const timer_names[] = {[DAVY_TIMER_NONE] = "none", [DAVY_TIMER_ON] = "on", [DAVY_TIMER_OFF] = "off"};

/* As text: shortest digits that read back as the same double, also for -0, which JSON readers take for a whole number.
 */
static void put_number(struct davy_buf *out, const char *key, double value)
{
    char text[DAVY_NUM_TEXT];
    davy_json_text(out, key, isfinite(value) ? davy_num_print(value, text) : NULL);
}

/* Both clocks of an instant: "NAME_mono_ns", "NAME_wall_ns". */
static void put_stamp(struct davy_buf *out, const char *name, struct davy_stamp stamp)
{
    char key[STAMP_KEY];
    snprintf(key, sizeof key, "%s_mono_ns", name);
    davy_json_integer(out, key, stamp.mono.ns);
    snprintf(key, sizeof key, "%s_wall_ns", name);
    davy_json_integer(out, key, stamp.wall.ns);
}

static void put_limit(struct davy_buf *out, const struct davy_limit_memory *limit)
{
    davy_json_open(out, '{');
    davy_json_text(out, "level", davy_level_name(limit->level));
    davy_json_text(out, "condition", davy_condition_name(limit->condition));
    davy_json_bool(out, "upper", limit->upper);
    davy_json_bool(out, "tripped", limit->tripped);
    davy_json_bool(out, "held", limit->held);
    davy_json_bool(out, "uncertain", limit->uncertain);
    davy_json_text(out, "timer", timer_names[limit->timer]);
    put_stamp(out, "started", limit->started);
    put_number(out, "crossed", limit->crossed);
    davy_json_close(out, '}');
}

/* Ladder, `when` and covers. */
static void put_behaviour(struct davy_buf *out, const struct davy_alarm_memory *memory)
{
    davy_json_integer(out, "steps_done", memory->steps_done);
    davy_json_text(out, "floor", davy_level_name(memory->floor));
    davy_json_bool(out, "when_false", memory->when_false);
    put_stamp(out, "when_since", memory->when_since);
    davy_json_integer(out, "when_asks", (int64_t)memory->when_asks);
    davy_json_bool(out, "unwell", memory->unwell);
    davy_json_bool(out, "has_read", memory->has_read);
    put_number(out, "read_value", memory->read_value);
    put_stamp(out, "read_at", memory->read_at);
    davy_json_bool(out, "out_of_service", memory->out_of_service);
    put_stamp(out, "shelved_until", memory->shelved_until);
    davy_json_text(out, "shelved_level", davy_level_name(memory->shelved_level));
    davy_json_text(out, "by", memory->by);
    davy_json_text(out, "note", memory->note);
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
    put_stamp(out, "raised", memory->raised);
    davy_json_integer(out, "last_limit", memory->last_limit);
    davy_json_bool(out, "has_value", memory->has_value);
    put_number(out, "value", memory->value);
    davy_json_text(out, "quality", davy_quality_name(memory->quality));
    davy_json_text(out, "reason", davy_reason_name(memory->reason));
    put_behaviour(out, memory);
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

static struct davy_stamp get_stamp(const json_t *object, const char *name)
{
    char mono[STAMP_KEY], wall[STAMP_KEY];
    snprintf(mono, sizeof mono, "%s_mono_ns", name);
    snprintf(wall, sizeof wall, "%s_wall_ns", name);
    return (struct davy_stamp){{get_integer(object, mono)}, {get_integer(object, wall)}};
}

/* Text that is too long, which only a foreign hand can have written, ends before a whole character. */
static void get_text(const json_t *object, const char *key, char *ret_text, size_t size)
{
    const char *text = json_string_value(json_object_get(object, key));
    size_t length = text ? strlen(text) : 0;
    if (length >= size)
        for (length = size - 1; length > 0 && ((unsigned char)text[length] & 0xC0) == 0x80;)
            length--;
    if (text)
        memcpy(ret_text, text, length);
    ret_text[length] = '\0';
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
    ret->upper = get_bool(object, "upper");
    ret->tripped = get_bool(object, "tripped");
    ret->held = get_bool(object, "held");
    ret->uncertain = get_bool(object, "uncertain");
    ret->timer = (enum davy_timer)get_name(object, "timer", find_timer, DAVY_TIMER_NONE);
    ret->started = get_stamp(object, "started");
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

static void get_behaviour(const json_t *object, struct davy_alarm_memory *ret)
{
    int64_t steps = get_integer(object, "steps_done");
    ret->steps_done = steps > 0 && steps <= DAVY_STEPS_MAX ? (uint8_t)steps : 0;
    ret->floor = (enum davy_level)get_name(object, "floor", davy_level_find, DAVY_LEVEL_NONE);
    ret->when_false = get_bool(object, "when_false");
    ret->when_since = get_stamp(object, "when_since");
    ret->when_asks = (uint64_t)get_integer(object, "when_asks");
    ret->unwell = get_bool(object, "unwell");
    ret->read_value = get_number(object, "read_value");
    ret->read_at = get_stamp(object, "read_at");
    ret->has_read = get_bool(object, "has_read") && isfinite(ret->read_value);
    ret->out_of_service = get_bool(object, "out_of_service");
    ret->shelved_until = get_stamp(object, "shelved_until");
    ret->shelved_level = (enum davy_level)get_name(object, "shelved_level", davy_level_find, DAVY_LEVEL_NONE);
    get_text(object, "by", ret->by, sizeof ret->by);
    get_text(object, "note", ret->note, sizeof ret->note);
}

static int get_memory(const json_t *object, struct davy_alarm_memory *ret)
{
    if (get_identity(object, ret) < 0)
        return -EINVAL;
    ret->count = (uint32_t)get_integer(object, "count");
    ret->state = (enum davy_state)get_name(object, "state", davy_state_find, DAVY_STATE_UNACKNOWLEDGED);
    ret->level = (enum davy_level)get_name(object, "level", davy_level_find, DAVY_LEVEL_NONE);
    ret->acknowledged = get_bool(object, "acknowledged");
    ret->raised = get_stamp(object, "raised");
    ret->last_limit = (uint8_t)get_integer(object, "last_limit");
    ret->has_value = get_bool(object, "has_value");
    ret->value = get_number(object, "value");
    ret->quality = (enum davy_quality)get_name(object, "quality", davy_quality_find, DAVY_QUALITY_COUNT_);
    ret->reason = (enum davy_reason)get_name(object, "reason", davy_reason_find, DAVY_REASON_NONE);
    get_behaviour(object, ret);
    const json_t *limits = json_object_get(object, "limits");
    ret->limit_count = json_array_size(limits) < DAVY_LIMITS_MAX ? json_array_size(limits) : DAVY_LIMITS_MAX;
    for (size_t i = 0; i < ret->limit_count; i++)
        get_limit(json_array_get(limits, i), &ret->limits[i]);
    return 0;
}

static int parse_memory(const char *body, struct davy_alarm_memory *ret, bool *ret_raised_on_wall)
{
    json_t *object = json_loads(body, JSON_REJECT_DUPLICATES, NULL);
    if (!object)
        return -EINVAL;
    struct davy_alarm_memory memory = {.count = 0};
    int r = get_memory(object, &memory);
    if (r == 0) {
        *ret = memory;
        *ret_raised_on_wall = !json_object_get(object, "raised_mono_ns");
    }
    json_decref(object);
    return r;
}

static bool worth_keeping(const struct davy_alarm_memory *memory)
{
    bool keep = !davy_uuid_is_nil(&memory->id) || memory->state != DAVY_STATE_NORMAL || memory->unwell;
    keep = keep || memory->when_false || memory->when_since.mono.ns != 0; /* the answer of `when` is no event */
    keep = keep || memory->unwell || memory->out_of_service || memory->shelved_until.mono.ns != 0;
    keep = keep || memory->steps_done != 0 || memory->floor != DAVY_LEVEL_NONE;
    for (size_t i = 0; i < memory->limit_count; i++) {
        const struct davy_limit_memory *limit = &memory->limits[i];
        keep = keep || limit->tripped || limit->held || limit->timer != DAVY_TIMER_NONE;
    }
    return keep;
}

int davy_ledger_remember(struct davy_ledger *ledger, const struct davy_alarm_memory *memory, struct davy_stamp now,
                         const char *boot_id)
{
    char text[MEMORY_TEXT];
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

/* What the restart took: from the last storing of a memory to now. */
struct gap {
    struct davy_stamp stored;
    struct davy_stamp now;
    int64_t down; /* that counts */
    bool back;    /* the wall clock went backwards meanwhile */
};

static int64_t plus(int64_t a, int64_t b)
{
    return davy_mono_add((davy_mono){a}, (davy_span){b}).ns;
}

/* 0 on this clock means "none": the instant beside it serves. */
static int64_t not_zero(int64_t ns)
{
    return ns == 0 ? -1 : ns;
}

/*
 * The start of what goes on while the daemon is down, or of what stands still. The wall start of what stood still, or
 * of a clock that went backwards, moves along, so that start plus delay is the due time on both clocks.
 */
static struct davy_stamp start_over(struct davy_stamp start, const struct gap *gap, bool stands)
{
    int64_t ran = minus(gap->stored.mono.ns, start.mono.ns);
    int64_t since = stands ? 0 : gap->down;
    if (stands || gap->back)
        start.wall.ns = minus(minus(gap->now.wall.ns, ran), since);
    start.mono.ns = minus(minus(gap->now.mono.ns, ran), since);
    return start;
}

/* The end of a shelf comes nearer by the down time; where the wall clock went backwards, nobody knows: it ends. */
static struct davy_stamp end_over(struct davy_stamp end, const struct gap *gap)
{
    if (gap->back)
        return gap->now;
    int64_t left = minus(minus(end.mono.ns, gap->stored.mono.ns), gap->down);
    end.mono.ns = not_zero(plus(gap->now.mono.ns, left));
    return end;
}

/* The first raise: its wall time is history and never moves. Earlier versions stored only that. */
static int64_t raised_over(struct davy_stamp raised, const struct gap *gap, bool only_wall)
{
    int64_t ran = only_wall ? minus(gap->stored.wall.ns, raised.wall.ns) : minus(gap->stored.mono.ns, raised.mono.ns);
    return minus(minus(gap->now.mono.ns, ran > 0 ? ran : 0), gap->down);
}

/*
 * Delays go on while the daemon is down; an off-delay and a `when` that is going false stand still, for nobody looked
 * whether what they wait for went on.
 */
static void bring_over(struct davy_alarm_memory *memory, const struct gap *gap, bool only_wall)
{
    for (size_t i = 0; i < memory->limit_count; i++) {
        struct davy_limit_memory *limit = &memory->limits[i];
        if (limit->timer != DAVY_TIMER_NONE || limit->started.mono.ns != 0)
            limit->started = start_over(limit->started, gap, limit->timer == DAVY_TIMER_OFF);
    }
    if (memory->when_since.mono.ns != 0) {
        memory->when_since = start_over(memory->when_since, gap, !memory->when_false);
        memory->when_since.mono.ns = not_zero(memory->when_since.mono.ns);
    }
    if (memory->has_read)
        memory->read_at = start_over(memory->read_at, gap, false);
    if (memory->shelved_until.mono.ns != 0)
        memory->shelved_until = end_over(memory->shelved_until, gap);
    if (!davy_uuid_is_nil(&memory->id))
        memory->raised.mono.ns = raised_over(memory->raised, gap, only_wall);
}

static int recall_row(sqlite3_stmt *statement, struct davy_stamp now, const char *boot_id,
                      struct davy_alarm_memory *ret)
{
    const char *stored_boot = (const char *)sqlite3_column_text(statement, 2);
    const char *body = (const char *)sqlite3_column_text(statement, 3);
    struct gap gap = {.stored = {{sqlite3_column_int64(statement, 0)}, {sqlite3_column_int64(statement, 1)}},
                      .now = now};
    bool only_wall;
    if (!stored_boot || !body || parse_memory(body, ret, &only_wall) < 0)
        return -EINVAL;
    /* Two boots whose id could not be read are not the same. */
    bool same_boot = strcmp(stored_boot, boot_id) == 0 && strcmp(boot_id, "unknown") != 0;
    gap.down = time_since(gap.stored, now, same_boot);
    gap.back = now.wall.ns < gap.stored.wall.ns;
    bring_over(ret, &gap, only_wall);
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
