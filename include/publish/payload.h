/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The JSON of the payloads in conf/schema, one function a schema: keys always present, null where unknown. Pure;
 * bounded; written into a davy_buf whose overflow the caller asks for.
 */
#pragma once

#include "base/buf.h"
#include "model/alarm.h"
#include "model/config.h"
#include "model/reading.h"

/* Enough for one davy.alarm/1 without members, with every text at its longest and every byte escaped. */
#define DAVY_PAYLOAD_ALARM_SIZE (32 * 1024)

/* A member of a vote at its longest. All are listed, so the size of a payload depends on the event. */
#define DAVY_PAYLOAD_MEMBER_SIZE 256

/* What an alarm payload says beside the event. */
struct davy_payload_context {
    const char *boot_id; /* NULL: null */
    const char *clock;   /* "synchronized", "unsynchronized", "replay" */
    int64_t seq;         /* 0: null (a preview) */
    bool durable;
    bool replayed;
    bool has_latency;
    double decided_ms; /* below 0: no latency at all */
    double stored_ms;  /* below 0: null */
};

/* Bytes that are enough for the payload of this event, with the end. */
size_t davy_payload_alarm_size(const struct davy_event *event);

/* davy.alarm/1 */
void davy_payload_alarm(struct davy_buf *out, const struct davy_config *config, const struct davy_event *event,
                        const struct davy_payload_context *context);

struct davy_status_bus {
    const char *name;
    const char *state;
    double utilization;
    uint64_t requests;
    uint64_t errors;
    uint64_t skipped; /* polls left out since the bus did not keep up */
    double age_s;     /* below 0: never answered, null */
};

struct davy_status_report {
    bool online;
    davy_wall since; /* of the connection or the start */
    const char *boot_id;
    int64_t last_seq;
    int64_t outbox_events;      /* not delivered */
    int64_t outbox_unconfirmed; /* of these, what the broker has and the platform did not confirm */
    davy_wall outbox_oldest;    /* time of the oldest event of these; ns = 0: none */
    int64_t outbox_telemetry;
    int64_t confirmed_seq;              /* 0: null */
    uint32_t alarms[DAVY_LEVEL_COUNT_]; /* not normal, by level */
    uint32_t unacknowledged;
    uint32_t shelved;
    uint32_t out_of_service;
    uint32_t points[DAVY_QUALITY_COUNT_];
    const struct davy_status_bus *buses;
    size_t bus_count;
    int64_t storage_bytes;
    int64_t storage_free_bytes;
    bool storage_ok;
    const char *clock;
};

/* davy.status/1 */
void davy_payload_status(struct davy_buf *out, const struct davy_config *config,
                         const struct davy_status_report *report);

/* davy.status/1 as the last will: offline, and null what nobody can know then. since: of the connection */
void davy_payload_will(struct davy_buf *out, const struct davy_config *config, const char *boot_id, davy_wall since);

/* davy.zone/1; causes are ids of alarms as text */
void davy_payload_zone(struct davy_buf *out, const struct davy_config *config, uint32_t zone, enum davy_level colour,
                       enum davy_level previous, davy_wall since, const char *const *causes, size_t cause_count);

struct davy_payload_change {
    const char *path;
    const char *old;
    const char *new;
};

/* davy.config/1 */
void davy_payload_config(struct davy_buf *out, const char *hash, davy_wall loaded_at, bool accepted,
                         const char *const *errors, size_t error_count, const struct davy_payload_change *changes,
                         size_t change_count);

/*
 * davy.snapshot/1: head, then any number of alarm payloads with davy_json_raw(out, NULL, payload), then tail.
 */
void davy_payload_snapshot_head(struct davy_buf *out, int64_t last_seq, unsigned part, unsigned parts);
void davy_payload_snapshot_tail(struct davy_buf *out);

/*
 * `replayed` becomes true: for what is sent again and for a backlog of telemetry. The first "replayed":false of the
 * text is rewritten in place; a text without one stays as it is. (Inside a JSON string the quotes would be escaped, so
 * the key cannot be mistaken.)
 * payload   NUL-terminated, writable
 * returns   its length now
 */
size_t davy_payload_mark_replayed(char *payload);
