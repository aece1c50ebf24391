/* SPDX-License-Identifier: Apache-2.0 */
/* What is announced before it is stored, by a publisher and a recorder that do as they are told. */
#include "daemon/preview.h"

#include <errno.h>

#include "support/cmocka_all.h"
#include "support/small_config.h"

struct fixture {
    struct route route;
    struct davy_config *config;
    struct preview *preview;
    uint64_t handed;
};

/* The publisher: takes so many, and remembers the `count` of each, which is the event's number here. */
static size_t publisher_room;
static uint32_t announced[20000];
static size_t announced_count;

int davy_publisher_post(struct davy_publisher *publisher, struct davy_message *message)
{
    (void)publisher;
    if (publisher_room == 0)
        return -EAGAIN;
    publisher_room--;
    const char *count = strstr(message->payload, "\"count\":");
    assert_non_null(count);
    assert_non_null(strstr(message->payload, "\"durable\":false"));
    assert_int_equal(message->class, DAVY_MESSAGE_PREVIEW);
    announced[announced_count++] = (uint32_t)strtoul(count + 8, NULL, 10);
    davy_message_done(message);
    return 0;
}

static bool connected;

void davy_publisher_status(struct davy_publisher *publisher, struct davy_publisher_status *ret_status)
{
    (void)publisher;
    *ret_status = (struct davy_publisher_status){.connected = connected};
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    f->config = small_config_new();
    f->config->gateway.id = f->config->gateway.site = "x";
    f->config->mqtt.prefix = "davy/v1";
    f->config->storage.announce_within = davy_span_ms(500);
    f->route.publisher = (struct davy_publisher *)f;
    assert_int_equal(davy_cell_init(&f->route.recorder, sizeof(struct recorder_status)), 0);
    assert_int_equal(preview_new(&f->route, &f->preview), 0);
    preview_switch(f->preview, f->config);
    publisher_room = SIZE_MAX;
    announced_count = 0;
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    preview_free(f->preview);
    davy_cell_done(&f->route.recorder);
    davy_config_unref(f->config);
    free(f);
    return 0;
}

static davy_mono ms(int64_t ms)
{
    return (davy_mono){1000 * DAVY_NS_PER_S + ms * DAVY_NS_PER_MS};
}

static void hand_over(struct fixture *f, size_t count, int64_t at_ms)
{
    for (size_t i = 0; i < count; i++) {
        struct davy_event event = {.subject = {DAVY_ALARM_STORAGE, DAVY_NONE, DAVY_NONE, DAVY_NONE, DAVY_NONE}};
        event.count = (uint32_t)++f->handed;
        preview_add(f->preview, &event, f->handed, ms(at_ms));
    }
}

static void recorder(struct fixture *f, uint64_t stored, bool failing)
{
    davy_cell_put(&f->route.recorder, &(struct recorder_status){.events = stored, .failing = failing});
}

static void assert_announced(uint32_t from, uint32_t to)
{
    assert_int_equal(announced_count, to - from + 1);
    for (size_t i = 0; i < announced_count; i++)
        assert_int_equal(announced[i], from + i);
    announced_count = 0;
}

static void what_is_stored_in_time_is_not_announced_before(void **state)
{
    struct fixture *f = *state;
    hand_over(f, 3, 0);
    preview_turn(f->preview, ms(499));
    recorder(f, 3, false);
    preview_turn(f->preview, ms(500));
    assert_int_equal(announced_count, 0);
}

static void what_is_not_stored_in_time_is_announced_once(void **state)
{
    struct fixture *f = *state;
    hand_over(f, 3, 0);
    recorder(f, 1, false);
    preview_turn(f->preview, ms(500));
    assert_announced(2, 3);
    preview_turn(f->preview, ms(5000));
    assert_int_equal(announced_count, 0);
}

static void where_the_ledger_fails_all_is_announced_at_once(void **state)
{
    struct fixture *f = *state;
    recorder(f, 0, true);
    hand_over(f, 2, 0);
    preview_turn(f->preview, ms(0));
    assert_announced(1, 2);
}

/* One event, while so many wait; returns whether it was announced at once. */
static bool at_once(struct fixture *f, const struct recorder_status *status, bool active)
{
    struct davy_event event = {.subject = {DAVY_ALARM_STORAGE, DAVY_NONE, DAVY_NONE, DAVY_NONE, DAVY_NONE},
                               .active = active};
    size_t before = announced_count;
    davy_cell_put(&f->route.recorder, status);
    event.count = (uint32_t)++f->handed;
    preview_add(f->preview, &event, f->handed, ms(0));
    return announced_count > before;
}

static void an_alarm_does_not_queue_behind_what_an_outage_has_left(void **state)
{
    struct fixture *f = *state;
    const struct recorder_status behind = {.outbox_events = 501}, near = {.outbox_events = 500},
                                 confirmed_not = {.outbox_events = 9000, .unconfirmed = 8000, .parked = 700};
    connected = false;
    assert_false(at_once(f, &behind, true));
    connected = true;
    assert_false(at_once(f, &near, true));
    assert_false(at_once(f, &confirmed_not, true));
    assert_false(at_once(f, &behind, false)); /* what clears may wait */
    assert_true(at_once(f, &behind, true));
    assert_int_equal(announced[0], 5);
    preview_turn(f->preview, ms(500));
    assert_int_equal(announced_count, 5); /* the others, by the disk's delay; this one not again */
    publisher_room = 0;
    assert_false(at_once(f, &behind, true));
    connected = false;
}

/* A flood in one turn: far more than a ring of 256 or the publisher's queue holds. */
static void a_flood_is_announced_whole_as_the_publisher_takes_it(void **state)
{
    struct fixture *f = *state;
    int64_t now = 0;
    hand_over(f, 5000, now);
    for (int turn = 0; turn < 40; turn++, now += 100) {
        publisher_room = 256;
        preview_turn(f->preview, ms(now));
    }
    assert_announced(1, 5000);
}

static void a_full_publisher_is_asked_again_soon(void **state)
{
    struct fixture *f = *state;
    hand_over(f, 2, 0);
    publisher_room = 1;
    preview_turn(f->preview, ms(500));
    assert_announced(1, 1);
    assert_int_equal(preview_due(f->preview).ns, ms(600).ns);
    publisher_room = 1;
    preview_turn(f->preview, ms(600));
    assert_announced(2, 2);
    assert_int_equal(preview_due(f->preview).ns, DAVY_MONO_NEVER.ns);
}

static void where_broker_and_disk_are_away_the_newest_wait(void **state)
{
    struct fixture *f = *state;
    publisher_room = 0;
    recorder(f, 0, true);
    hand_over(f, 3 * (size_t)ROUTE_RECORDS, 0);
    publisher_room = SIZE_MAX;
    preview_turn(f->preview, ms(1));
    assert_announced(2 * ROUTE_RECORDS + 1, 3 * ROUTE_RECORDS);
}

/* The queue of records was full for 1,000 events. The recorder tells the number of the last that it stored. */
static void after_a_loss_nothing_waits_for_what_is_lost(void **state)
{
    struct fixture *f = *state;
    hand_over(f, 2000, 0);
    recorder(f, 2000, false);
    preview_turn(f->preview, ms(400));
    hand_over(f, 1, 500);
    recorder(f, 2001, false);
    preview_turn(f->preview, ms(2000));
    assert_int_equal(announced_count, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_stored_in_time_is_not_announced_before),
        TEST(what_is_not_stored_in_time_is_announced_once),
        TEST(where_the_ledger_fails_all_is_announced_at_once),
        TEST(an_alarm_does_not_queue_behind_what_an_outage_has_left),
        TEST(a_flood_is_announced_whole_as_the_publisher_takes_it),
        TEST(a_full_publisher_is_asked_again_soon),
        TEST(where_broker_and_disk_are_away_the_newest_wait),
        TEST(after_a_loss_nothing_waits_for_what_is_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
