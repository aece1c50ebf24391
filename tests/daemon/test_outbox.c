/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Real databases, and a publisher that holds what it is given until the test answers for the broker. Nothing leaves the
 * outbox but by an acknowledgement and a transaction, whatever fails in between.
 */
#include "record/record_support.h"

#include "daemon/outbox.h"
#include "record/ledger.h"
#include "support/fake_clock.h"

#define HELD_MAX   300
#define ALARMS     6
#define ROWS_MAX   4096
#define IN_A_DAY_S 86400

struct fixture {
    struct folder folder;
    struct davy_ledger *ledger;
    struct davy_readings *readings;
    struct davy_config *config;
    struct fake_clock clock;
    struct route route;
    struct outbox *outbox;
};

/* ---- what outbox.c calls of the publisher ---------------------------------------------------------------------- */

static struct {
    struct davy_message held[HELD_MAX]; /* in the order in which they came */
    size_t count;
    size_t room; /* takes no more than that */
    int64_t sent_row;
} publisher;

int davy_publisher_post(struct davy_publisher *unused, struct davy_message *message)
{
    (void)unused;
    if (publisher.count >= publisher.room)
        return -EAGAIN;
    publisher.held[publisher.count++] = *message;
    return 0;
}

size_t davy_publisher_waiting(struct davy_publisher *unused, enum davy_message_class class)
{
    (void)unused;
    size_t waiting = 0;
    for (size_t i = 0; i < publisher.count; i++)
        waiting += publisher.held[i].class == class;
    return waiting;
}

void davy_publisher_status(struct davy_publisher *unused, struct davy_publisher_status *ret_status)
{
    (void)unused;
    *ret_status = (struct davy_publisher_status){.sent_row = publisher.sent_row};
}

/* ---- the fixture ----------------------------------------------------------------------------------------------- */

static void open_outbox(struct fixture *f)
{
    assert_int_equal(outbox_new(&f->route, &f->outbox), 0);
    outbox_use_ledger(f->outbox, f->ledger);
    outbox_use_readings(f->outbox, f->readings);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    folder_new(&f->folder);
    fake_clock_init(&f->clock);
    memset(&publisher, 0, sizeof publisher);
    publisher.room = HELD_MAX;
    f->config = davy_config_new();
    f->config->gateway = (struct davy_gateway){.id = "g", .site = "s"};
    f->config->mqtt.prefix = "davy/v1";
    f->config->storage.max_size_bytes = INT64_C(64) << 20;
    f->config->storage.retention = davy_span_s(IN_A_DAY_S);
    assert_int_equal(davy_ledger_open(f->folder.path, wall_s(0), NULL, &f->ledger), 0);
    assert_int_equal(davy_readings_open(f->folder.path, wall_s(0), NULL, &f->readings), 0);
    assert_int_equal(davy_readings_configure(f->readings, f->config), 0);
    f->route.clock = &f->clock.clock;
    f->route.publisher = (struct davy_publisher *)&publisher; /* never looked into */
    assert_int_equal(davy_queue_init(&f->route.deliveries, sizeof(struct davy_delivery), 4096, DAVY_QUEUE_REFUSE, NULL),
                     0);
    assert_int_equal(davy_queue_init(&f->route.notices, sizeof(enum notice), 64, DAVY_QUEUE_REFUSE, NULL), 0);
    open_outbox(f);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < publisher.count; i++)
        davy_message_done(&publisher.held[i]);
    outbox_free(f->outbox);
    davy_queue_done(&f->route.deliveries);
    davy_queue_done(&f->route.notices);
    davy_readings_close(f->readings);
    davy_ledger_close(f->ledger);
    davy_config_unref(f->config);
    folder_done(&f->folder);
    free(f);
    return 0;
}

static void say(struct fixture *f, const struct davy_delivery *delivery)
{
    assert_int_equal(davy_queue_push(&f->route.deliveries, delivery), 0);
}

static void take(struct fixture *f)
{
    outbox_take_deliveries(f->outbox, f->config, f->clock.now);
}

static void let_go_of(size_t at)
{
    davy_message_done(&publisher.held[at]);
    memmove(&publisher.held[at], &publisher.held[at + 1], (publisher.count - at - 1) * sizeof publisher.held[0]);
    publisher.count--;
}

static void answer(struct fixture *f, size_t at, enum davy_delivery_kind kind)
{
    const struct davy_message *message = &publisher.held[at];
    say(f, &(struct davy_delivery){.kind = kind,
                                   .class = message->class,
                                   .row = message->row,
                                   .reason_code = kind == DAVY_DELIVERY_REFUSED ? 0x87 : 0,
                                   .at = f->clock.now.wall});
    let_go_of(at);
}

static void answer_all(struct fixture *f, enum davy_delivery_kind kind)
{
    while (publisher.count > 0)
        answer(f, 0, kind);
    take(f);
}

/* The snapshot that follows is taken out of the way. */
static void connect_it(struct fixture *f)
{
    say(f, &(struct davy_delivery){.kind = DAVY_DELIVERY_CONNECTED});
    take(f);
    for (size_t i = publisher.count; i-- > 0;)
        if (publisher.held[i].class == DAVY_MESSAGE_REPLY)
            let_go_of(i);
}

static void transaction(struct fixture *f, bool succeeds)
{
    assert_int_equal(davy_ledger_begin(f->ledger), 0);
    assert_int_equal(outbox_settle(f->outbox), 0);
    if (succeeds) {
        assert_int_equal(davy_ledger_commit(f->ledger), 0);
        outbox_settled(f->outbox);
    } else {
        davy_ledger_rollback(f->ledger);
        outbox_unsettled(f->outbox);
    }
}

static void add_telemetry(struct fixture *f, int messages)
{
    assert_int_equal(davy_readings_begin(f->readings), 0);
    for (int i = 0; i < messages; i++)
        assert_int_equal(davy_readings_outbox_add(f->readings, "davy/v1/s/g/telemetry/GT-1",
                                                  "{\"schema\":\"davy.telemetry/1\",\"replayed\":false}"),
                         0);
    assert_int_equal(davy_readings_commit(f->readings), 0);
}

/* ---- events ---------------------------------------------------------------------------------------------------- */

static void events_go_in_order_and_wait_for_room(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 5; i++)
        store(f->ledger, i, "unacknowledged");
    publisher.room = 3;
    outbox_hand_over(f->outbox);
    outbox_hand_over(f->outbox);
    assert_int_equal(publisher.count, 3);
    publisher.room = HELD_MAX;
    outbox_hand_over(f->outbox);
    assert_int_equal(publisher.count, 5);
    for (size_t i = 0; i < publisher.count; i++) {
        assert_int_equal(davy_outbox_seq(publisher.held[i].row), i + 1);
        assert_true(publisher.held[i].retain);
        assert_string_equal(publisher.held[i].schema, "davy.alarm/1");
    }
}

static void an_acknowledged_event_leaves_with_a_transaction_only(void **state)
{
    struct fixture *f = *state;
    store(f->ledger, 1, "unacknowledged");
    outbox_hand_over(f->outbox);
    answer_all(f, DAVY_DELIVERY_DONE);
    transaction(f, false);
    assert_int_equal(davy_ledger_outbox_count(f->ledger), 1);
    assert_int_equal(outbox_acknowledged_seq(f->outbox), 0);
    transaction(f, true);
    assert_int_equal(davy_ledger_outbox_count(f->ledger), 0);
    assert_int_equal(outbox_acknowledged_seq(f->outbox), 1);
}

static void an_acknowledgement_waits_a_second_for_a_transaction_to_ride_on(void **state)
{
    struct fixture *f = *state;
    store(f->ledger, 1, "unacknowledged");
    outbox_hand_over(f->outbox);
    answer_all(f, DAVY_DELIVERY_DONE);
    assert_false(outbox_due(f->outbox, f->clock.now.mono));
    fake_clock_advance(&f->clock, davy_span_s(1));
    assert_true(outbox_due(f->outbox, f->clock.now.mono));
    transaction(f, true);
    assert_false(outbox_due(f->outbox, f->clock.now.mono));
}

/* Else the queue of what is announced before it is stored would stand behind it. */
static void without_a_disk_it_stops_at_half_of_what_it_can_settle(void **state)
{
    struct fixture *f = *state;
    int events = 3 * DAVY_PUBLISHER_ROOM;
    for (int i = 0; i < events; i++)
        store(f->ledger, i, "unacknowledged");
    int handed = 0;
    for (size_t before = 1; before > 0; handed += (int)before) {
        outbox_hand_over(f->outbox);
        before = publisher.count;
        answer_all(f, DAVY_DELIVERY_DONE);
    }
    assert_in_range(handed, 2 * DAVY_PUBLISHER_ROOM, events - 1);
    transaction(f, true);
    outbox_hand_over(f->outbox);
    assert_int_equal(handed + (int)publisher.count, events);
}

static void a_refused_event_holds_up_its_topic_and_no_other(void **state)
{
    struct fixture *f = *state;
    connect_it(f);
    transaction(f, true);
    store(f->ledger, 1, "unacknowledged");
    outbox_hand_over(f->outbox);
    answer_all(f, DAVY_DELIVERY_REFUSED);
    transaction(f, true);
    store(f->ledger, 1, "acknowledged");
    store(f->ledger, 2, "unacknowledged");
    outbox_hand_over(f->outbox);
    assert_int_equal(outbox_refusals(f->outbox), 1);
    assert_int_equal(publisher.count, 3); /* the new event of its topic makes both due at once */
    assert_int_equal(davy_outbox_seq(publisher.held[0].row), 3);
    assert_int_equal(davy_outbox_seq(publisher.held[1].row), 1);
    assert_false(publisher.held[1].retain); /* a newer state stands */
    assert_int_equal(davy_outbox_seq(publisher.held[2].row), 2);
    answer_all(f, DAVY_DELIVERY_REFUSED);
    transaction(f, true);
    outbox_hand_over(f->outbox);
    assert_int_equal(publisher.count, 0);
    fake_clock_advance(&f->clock, davy_span_s(601));
    outbox_hand_over(f->outbox);
    assert_int_equal(publisher.count, 3);
    outbox_hand_over(f->outbox); /* they are with the publisher: not a second time */
    assert_int_equal(publisher.count, 3);
}

static void a_new_connection_tries_refused_events_at_once(void **state)
{
    struct fixture *f = *state;
    connect_it(f);
    transaction(f, true);
    store(f->ledger, 1, "unacknowledged");
    outbox_hand_over(f->outbox);
    answer_all(f, DAVY_DELIVERY_REFUSED);
    transaction(f, true);
    say(f, &(struct davy_delivery){.kind = DAVY_DELIVERY_LOST});
    take(f);
    fake_clock_advance(&f->clock, davy_span_s(3600));
    outbox_hand_over(f->outbox);
    assert_int_equal(publisher.count, 0);
    connect_it(f);
    assert_true(outbox_due(f->outbox, f->clock.now.mono));
    transaction(f, true);
    outbox_hand_over(f->outbox);
    assert_int_equal(publisher.count, 1);
}

static void a_clearing_that_a_later_event_has_overtaken_is_not_sent(void **state)
{
    struct fixture *f = *state;
    store(f->ledger, 1, "unacknowledged");
    store(f->ledger, 1, "normal");
    store(f->ledger, 1, "unacknowledged");
    outbox_hand_over(f->outbox);
    assert_int_equal(publisher.count, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_true(publisher.held[i].length > 0);
        assert_int_equal(publisher.held[i].retain, i == 2);
    }
    answer_all(f, DAVY_DELIVERY_DONE);
    transaction(f, true);
    assert_int_equal(davy_ledger_outbox_count(f->ledger), 0);
}

static void in_line_only_when_connected_and_all_is_handed_over(void **state)
{
    struct fixture *f = *state;
    assert_false(outbox_in_line(f->outbox));
    connect_it(f);
    assert_true(outbox_in_line(f->outbox));
    store(f->ledger, 1, "unacknowledged");
    assert_false(outbox_in_line(f->outbox));
    outbox_hand_over(f->outbox);
    assert_true(outbox_in_line(f->outbox));
    say(f, &(struct davy_delivery){.kind = DAVY_DELIVERY_LOST});
    take(f);
    assert_false(outbox_in_line(f->outbox));
}

static void an_event_again_is_not_retained_and_its_answer_settles_nothing(void **state)
{
    struct fixture *f = *state;
    int64_t seq = 0;
    struct davy_outbox_row row;
    store(f->ledger, 1, "unacknowledged");
    outbox_hand_over(f->outbox);
    assert_int_equal(davy_ledger_event_next(f->ledger, 0, &row), 0);
    assert_true(outbox_post_again(f->outbox, &row, true));
    assert_false(publisher.held[1].retain);
    assert_int_equal(publisher.held[1].class, DAVY_MESSAGE_REPLY);
    answer(f, 1, DAVY_DELIVERY_DONE);
    take(f);
    transaction(f, true);
    assert_int_equal(outbox_take_answers(f->outbox, &seq), 1);
    assert_int_equal(seq, 1);
    assert_int_equal(outbox_take_answers(f->outbox, &seq), 0);
    assert_int_equal(davy_ledger_outbox_count(f->ledger), 1);
}

/* ---- the snapshot ---------------------------------------------------------------------------------------------- */

static size_t occurrences(const char *text, const char *of)
{
    size_t count = 0;
    for (const char *at = strstr(text, of); at; at = strstr(at + 1, of))
        count++;
    return count;
}

static void a_connection_gets_a_snapshot_of_all_alarms_in_parts(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 150; i++)
        store(f->ledger, i, i % 3 ? "unacknowledged" : "normal");
    for (int i = 200; i < 300; i++)
        store(f->ledger, i, "acknowledged");
    say(f, &(struct davy_delivery){.kind = DAVY_DELIVERY_CONNECTED});
    take(f);
    assert_int_equal(publisher.count, 2);
    size_t alarms = 0;
    for (size_t i = 0; i < publisher.count; i++) {
        alarms += occurrences(publisher.held[i].payload, "davy.alarm/1");
        assert_int_equal(publisher.held[i].class, DAVY_MESSAGE_REPLY);
        assert_string_equal(publisher.held[i].topic, "davy/v1/s/g/snapshot");
        assert_int_equal(occurrences(publisher.held[i].payload, "\"last_seq\":250"), 1);
    }
    assert_int_equal(alarms, 200);
}

static void a_snapshot_that_found_no_room_comes_again_soon(void **state)
{
    struct fixture *f = *state;
    store(f->ledger, 1, "unacknowledged");
    publisher.room = 0;
    say(f, &(struct davy_delivery){.kind = DAVY_DELIVERY_CONNECTED});
    take(f);
    publisher.room = HELD_MAX;
    take(f);
    assert_int_equal(publisher.count, 0);
    fake_clock_advance(&f->clock, davy_span_s(30));
    take(f);
    assert_int_equal(publisher.count, 1);
    fake_clock_advance(&f->clock, davy_span_s(599));
    take(f);
    assert_int_equal(publisher.count, 1);
    fake_clock_advance(&f->clock, davy_span_s(1));
    take(f);
    assert_int_equal(publisher.count, 2);
}

/* ---- telemetry ------------------------------------------------------------------------------------------------- */

static void telemetry_of_now_goes_before_what_piled_up(void **state)
{
    struct fixture *f = *state;
    add_telemetry(f, 3);
    outbox_hand_over(f->outbox);
    assert_int_equal(publisher.count, 0); /* no connection */
    connect_it(f);
    add_telemetry(f, 2);
    outbox_hand_over(f->outbox);
    assert_int_equal(publisher.count, 5);
    static const int64_t order[] = {4, 5, 1, 2, 3};
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(publisher.held[i].row, order[i]);
        assert_int_equal(occurrences(publisher.held[i].payload, "\"replayed\":true"), i >= 2);
        assert_int_equal(publisher.held[i].expiry_s, IN_A_DAY_S);
        assert_false(publisher.held[i].retain);
    }
}

static void refused_telemetry_stays_until_the_next_connection(void **state)
{
    struct fixture *f = *state;
    connect_it(f);
    add_telemetry(f, 2);
    outbox_hand_over(f->outbox);
    answer(f, 0, DAVY_DELIVERY_DONE);
    answer_all(f, DAVY_DELIVERY_REFUSED);
    assert_true(outbox_telemetry_waits(f->outbox));
    assert_int_equal(davy_readings_begin(f->readings), 0);
    assert_int_equal(outbox_settle_telemetry(f->outbox), 0);
    assert_int_equal(davy_readings_commit(f->readings), 0);
    outbox_telemetry_settled(f->outbox);
    assert_int_equal(davy_readings_outbox_count(f->readings), 1);
    outbox_hand_over(f->outbox);
    assert_int_equal(publisher.count, 0);
    connect_it(f);
    outbox_hand_over(f->outbox);
    assert_int_equal(publisher.count, 1);
    assert_int_equal(publisher.held[0].row, 2);
}

/* ---- all at once ----------------------------------------------------------------------------------------------- */

/* What the test knows of each row: its topic, and what became of it. */
struct book {
    int alarm[ROWS_MAX]; /* 0: there is no such row */
    bool sent[ROWS_MAX];
    bool done[ROWS_MAX]; /* acknowledged by the broker */
    int64_t newest[ALARMS + 1];
    int64_t last_sent[ALARMS + 1]; /* for the first time */
    size_t seen;                   /* of `held`, so many were looked at */
};

static void decide(struct fixture *f, struct book *book, struct davy_random *random)
{
    int alarm = 1 + (int)(davy_random_next(random) % ALARMS);
    bool normal = davy_random_next(random) % 3 == 0;
    store(f->ledger, alarm, normal ? "normal" : "unacknowledged");
    int64_t row = 2 * davy_ledger_last_seq(f->ledger);
    book->alarm[row] = alarm;
    book->newest[alarm] = row;
    if (normal) {
        book->alarm[row + 1] = alarm;
        book->newest[alarm] = row + 1;
    }
}

static void look_at(struct book *book, const struct davy_message *message)
{
    int64_t row = message->row;
    int alarm = book->alarm[row];
    assert_true(alarm > 0);
    if (!book->sent[row]) {
        assert_true(row > book->last_sent[alarm]);
        book->last_sent[alarm] = row;
    }
    if (message->retain)
        assert_int_equal(row, book->newest[alarm]);
    book->sent[row] = true;
}

static void hand_over_and_look(struct fixture *f, struct book *book)
{
    outbox_hand_over(f->outbox);
    for (; book->seen < publisher.count; book->seen++)
        if (publisher.held[book->seen].class == DAVY_MESSAGE_EVENT)
            look_at(book, &publisher.held[book->seen]);
}

static void answer_one(struct fixture *f, struct book *book, size_t at, enum davy_delivery_kind kind)
{
    if (publisher.held[at].class == DAVY_MESSAGE_EVENT && kind == DAVY_DELIVERY_DONE)
        book->done[publisher.held[at].row] = true;
    answer(f, at, kind);
    book->seen -= at < book->seen;
}

static void answer_some(struct fixture *f, struct book *book, struct davy_random *random)
{
    for (int i = 0; i < 4 && publisher.count > 0; i++)
        answer_one(f, book, davy_random_next(random) % publisher.count,
                   davy_random_next(random) % 4 ? DAVY_DELIVERY_DONE : DAVY_DELIVERY_REFUSED);
}

static void happen(struct fixture *f, struct book *book, struct davy_random *random)
{
    switch (davy_random_next(random) % 8) {
    case 0:
    case 1:
        decide(f, book, random);
        break;
    case 2:
    case 3:
        hand_over_and_look(f, book);
        break;
    case 4:
        answer_some(f, book, random);
        break;
    case 5:
        take(f);
        transaction(f, davy_random_next(random) % 3 > 0);
        break;
    case 6:
        fake_clock_advance(&f->clock, davy_span_s((int64_t)(davy_random_next(random) % 120)));
        break;
    case 7:
        if (davy_random_next(random) % 4 == 0)
            say(f, &(struct davy_delivery){.kind = davy_random_next(random) % 2 ? DAVY_DELIVERY_CONNECTED
                                                                                : DAVY_DELIVERY_LOST});
        publisher.room = 1 + davy_random_next(random) % 20;
        break;
    }
}

/* A broker that takes everything: all that is left goes. */
static void drain(struct fixture *f, struct book *book)
{
    publisher.room = HELD_MAX;
    say(f, &(struct davy_delivery){.kind = DAVY_DELIVERY_CONNECTED});
    for (int turns = 0; davy_ledger_outbox_count(f->ledger) > 0; turns++) {
        assert_true(turns < 1000);
        take(f);
        hand_over_and_look(f, book);
        while (publisher.count > 0)
            answer_one(f, book, 0, DAVY_DELIVERY_DONE);
        take(f);
        transaction(f, true);
        fake_clock_advance(&f->clock, davy_span_s(60));
    }
}

static void whatever_fails_every_event_is_sent_in_order_and_none_leaves_unacknowledged(void **state)
{
    struct fixture *f = *state;
    static struct book book;
    struct davy_random random = {.state = davy_test_seed(5)};
    assert_int_equal(davy_ledger_last_seq(f->ledger), 0);
    memset(&book, 0, sizeof book);
    for (int i = 0; i < 6000; i++)
        happen(f, &book, &random);
    drain(f, &book);
    int64_t clearings = 0;
    for (int64_t row = 2; row <= 2 * davy_ledger_last_seq(f->ledger) + 1; row++) {
        bool overtaken = row % 2 && row != book.newest[book.alarm[row]];
        if (book.alarm[row] && !overtaken)
            assert_true(book.done[row]);
        clearings += book.alarm[row] && overtaken && !book.sent[row];
    }
    assert_true(clearings > 10 && davy_ledger_last_seq(f->ledger) > 1000);
}

int main(void)
{
#define IT(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        IT(events_go_in_order_and_wait_for_room),
        IT(an_acknowledged_event_leaves_with_a_transaction_only),
        IT(an_acknowledgement_waits_a_second_for_a_transaction_to_ride_on),
        IT(without_a_disk_it_stops_at_half_of_what_it_can_settle),
        IT(a_refused_event_holds_up_its_topic_and_no_other),
        IT(a_new_connection_tries_refused_events_at_once),
        IT(a_clearing_that_a_later_event_has_overtaken_is_not_sent),
        IT(in_line_only_when_connected_and_all_is_handed_over),
        IT(an_event_again_is_not_retained_and_its_answer_settles_nothing),
        IT(a_connection_gets_a_snapshot_of_all_alarms_in_parts),
        IT(a_snapshot_that_found_no_room_comes_again_soon),
        IT(telemetry_of_now_goes_before_what_piled_up),
        IT(refused_telemetry_stays_until_the_next_connection),
        IT(whatever_fails_every_event_is_sent_in_order_and_none_leaves_unacknowledged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
