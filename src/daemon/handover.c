/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/handover.h"

#include "base/log.h"
#include "daemon/write.h"

/* Room that is left in both queues for a change of configuration, which must not be lost. */
#define ROOM_FOR_SWITCH 16

/* Room that memories leave to events. */
#define ROOM_FOR_EVENTS (ROUTE_RECORDS / 2)

static void pass_on(struct handover *handover, enum record_place place)
{
    struct record *record = &handover->held;
    bool room = davy_queue_space(&handover->route->records) > ROOM_FOR_SWITCH;
    handover->holds = false;
    record->place = place;
    if (room && davy_queue_push(&handover->route->records, record) == 0)
        return;
    record_done(record);
    if (handover->lost_records++ == 0)
        davy_error("evaluate", "the recorder takes nothing more: events are lost, and counted");
}

void handover_record(struct handover *handover, const struct record *record)
{
    if (handover->holds)
        pass_on(handover, RECORD_MORE);
    handover->held = *record;
    handover->holds = true;
}

bool handover_memory(struct handover *handover, const struct record *record)
{
    if (davy_queue_space(&handover->route->records) <= ROOM_FOR_EVENTS)
        return false;
    handover_record(handover, record);
    return true;
}

void handover_end_cause(struct handover *handover)
{
    if (handover->holds)
        pass_on(handover, RECORD_LAST);
}

void handover_reading(struct handover *handover, const struct davy_reading *reading)
{
    if (handover->kept_count == HANDOVER_READINGS)
        handover_flush(handover);
    handover->kept[handover->kept_count++] = (struct record_reading){.reading = *reading};
}

void handover_flush(struct handover *handover)
{
    size_t space = davy_queue_space(&handover->route->readings);
    size_t room = space > ROOM_FOR_SWITCH ? space - ROOM_FOR_SWITCH : 0;
    size_t count = handover->kept_count < room ? handover->kept_count : room;
    size_t taken = davy_queue_push_some(&handover->route->readings, handover->kept, count);
    handover->lost_readings += handover->kept_count - taken;
    handover->kept_count = 0;
}

void handover_switch(struct handover *handover, const struct davy_config *config)
{
    struct record record = {.kind = RECORD_SWITCH, .config = davy_config_ref(config)};
    struct record_reading reading = {.config = davy_config_ref(config)};
    handover_flush(handover); /* those of the old configuration */
    handover_end_cause(handover);
    if (davy_queue_push(&handover->route->records, &record) == DAVY_QUEUE_LOST)
        davy_config_unref(record.config);
    if (davy_queue_push(&handover->route->readings, &reading) == DAVY_QUEUE_LOST)
        davy_config_unref(reading.config);
}

bool handover_is_idle(struct handover *handover)
{
    return davy_queue_count(&handover->route->records) == 0;
}

void handover_done(struct handover *handover)
{
    if (handover->holds)
        record_done(&handover->held);
    handover->holds = false;
}
