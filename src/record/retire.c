/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The end of an alarm that the configuration does not know any more. Nothing but its last event says what it was, so
 * the event `retired` is that one with its transition rewritten; unknown members stay as they were.
 */
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <string.h>

#include "base/buf.h"
#include "ledger_internal.h"

/* Room for a member of a vote. */
#define MEMBER_SIZE 320

static void drop_json(json_t **value)
{
    json_decref(*value);
}

/* The latest event of the alarm: payload and topic. NULL where there is none or it cannot be read. */
static json_t *latest_payload(struct davy_ledger *ledger, const char *key, char topic[512])
{
    sqlite3_stmt *statement = davy_db_use(&ledger->db, LEDGER_LATEST_GET);
    json_t *payload = NULL;
    if (davy_db_bind(statement, "t", key) == 0 && davy_db_step(&ledger->db, statement) == 0) {
        payload = json_loads((const char *)sqlite3_column_text(statement, 0), JSON_REJECT_DUPLICATES, NULL);
        const char *text = (const char *)sqlite3_column_text(statement, 1);
        snprintf(topic, 512, "%s", text ? text : "");
    }
    sqlite3_reset(statement);
    return payload;
}

static int rewrite(json_t *payload, int64_t seq, davy_wall now, const char *boot_id, const char *config_hash)
{
    char time[DAVY_WALL_TEXT];
    json_t *state = json_object_get(payload, "state"), *level = json_object_get(payload, "level");
    int rc = json_object_set(payload, "previous_state", state);
    rc |= json_object_set(payload, "previous_level", level);
    rc |= json_object_set_new(payload, "seq", json_integer(seq));
    rc |= json_object_set_new(payload, "event", json_string("retired"));
    rc |= json_object_set_new(payload, "state", json_string("normal"));
    rc |= json_object_set_new(payload, "active", json_false());
    rc |= json_object_set_new(payload, "latched", json_false());
    rc |= json_object_set_new(payload, "uncertain", json_false());
    rc |= json_object_set_new(payload, "first_out", json_false());
    rc |= json_object_set_new(payload, "time", json_string(davy_wall_format(now, time)));
    rc |= json_object_set_new(payload, "boot_id", json_string(boot_id));
    rc |= json_object_set_new(payload, "config", json_string(config_hash));
    rc |= json_object_set_new(payload, "by", json_null());
    rc |= json_object_set_new(payload, "note", json_null());
    rc |= json_object_set_new(payload, "latency_ms", json_pack("{s:f, s:n}", "decided", 0.0, "stored"));
    rc |= json_object_set_new(payload, "message", json_string("retired: not in the configuration any more"));
    return rc == 0 ? 0 : -ENOMEM;
}

static void put(struct davy_buf *out, const char *key, json_t *value);

static void put_members(struct davy_buf *out, json_t *object)
{
    const char *key;
    json_t *value;
    json_object_foreach(object, key, value) put(out, key, value);
}

static void put_items(struct davy_buf *out, json_t *list)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        davy_json_open(out, '{');
        put_members(out, json_array_get(list, i));
        davy_json_close(out, '}');
    }
}

/* One member as the MQTT payloads have it: numbers as the shortest decimal, keys in their order. */
static void put(struct davy_buf *out, const char *key, json_t *value)
{
    if (json_is_object(value)) {
        davy_json_key_open(out, key, '{');
        put_members(out, value);
        davy_json_close(out, '}');
    } else if (json_is_array(value)) {
        davy_json_key_open(out, key, '[');
        put_items(out, value);
        davy_json_close(out, ']');
    } else if (json_is_integer(value)) {
        davy_json_integer(out, key, json_integer_value(value));
    } else if (json_is_real(value)) {
        davy_json_number(out, key, json_real_value(value));
    } else if (json_is_boolean(value)) {
        davy_json_bool(out, key, json_is_true(value));
    } else {
        davy_json_text(out, key, json_string_value(value));
    }
}

static double number(const json_t *payload, const char *key)
{
    const json_t *value = json_object_get(payload, key);
    return json_is_number(value) ? json_number_value(value) : NAN;
}

static const char *member(const json_t *payload, const char *key)
{
    return json_string_value(json_object_get(payload, key));
}

/* Whether a last event of the alarm says something that has to end. */
static bool stands(const struct davy_alarm_memory *memory)
{
    bool of_alarm = strchr(memory->key, ':') != NULL; /* not a point's, device's or zone's memory */
    bool covered = memory->out_of_service || memory->shelved_until.mono.ns != 0;
    return !davy_uuid_is_nil(&memory->id) || (of_alarm && covered);
}

static int append_retired(struct davy_ledger *ledger, const char *key, json_t *payload, const char *topic,
                          davy_wall now)
{
    size_t size = 8192 + MEMBER_SIZE * json_array_size(json_object_get(payload, "members"));
    DAVY_AUTO_FREE char *text = malloc(size);
    if (!text)
        return davy_ledger_fail(ledger, -ENOMEM);
    struct davy_buf out;
    davy_buf_init(&out, text, size);
    davy_json_open(&out, '{');
    put_members(&out, payload);
    davy_json_close(&out, '}');
    if (out.overflow)
        return davy_ledger_fail(ledger, -EMSGSIZE);
    struct davy_ledger_event event = {.seq = davy_ledger_next_seq(ledger),
                                      .time = now,
                                      .id = member(payload, "id"),
                                      .event = "retired",
                                      .state = "normal",
                                      .level = member(payload, "level"),
                                      .rule = member(payload, "rule"),
                                      .zone = member(payload, "zone"),
                                      .device = member(payload, "device"),
                                      .point = member(payload, "point"),
                                      .value = number(payload, "value"),
                                      .limit = number(payload, "limit"),
                                      .payload = text,
                                      .topic = topic[0] ? topic : NULL,
                                      .alarm = key,
                                      .clear = true};
    return davy_ledger_append(ledger, &event);
}

int davy_ledger_retire(struct davy_ledger *ledger, const struct davy_alarm_memory *memory, davy_wall now,
                       const char *boot_id, const char *config_hash)
{
    char topic[512] = "";
    json_t *payload DAVY_CLEANUP(drop_json) = stands(memory) ? latest_payload(ledger, memory->key, topic) : NULL;
    if (payload) {
        if (rewrite(payload, davy_ledger_next_seq(ledger), now, boot_id, config_hash) < 0)
            return davy_ledger_fail(ledger, -ENOMEM);
        int rc = append_retired(ledger, memory->key, payload, topic, now);
        if (rc < 0)
            return rc;
    }
    return davy_ledger_forget(ledger, memory->key);
}
