/* SPDX-License-Identifier: Apache-2.0 */
/* The publisher's decisions against a fake client and a fake clock; no thread. */
#include "publish/outgoing.h"

#include <errno.h>
#include <stdio.h>

#include "publish/fixture.h"
#include "publish/publisher.h"
#include "support/seed.h"

#define SENT_MAX 4096

struct fake {
    unsigned connects, drops, disconnects, subscribes;
    char filter[64];
    int connect_rc, publish_rc, check_rc;
    char url[64];
    char will_topic[128];
    char will[2048];
    size_t sent;
    uint64_t tokens[SENT_MAX];
    char payloads[SENT_MAX][64]; /* "TOPIC PAYLOAD" */
};

static int fake_connect(void *client, const char *url, const struct davy_mqtt_will *will)
{
    struct fake *fake = client;
    fake->connects++;
    snprintf(fake->url, sizeof fake->url, "%s", url);
    snprintf(fake->will_topic, sizeof fake->will_topic, "%s", will->topic);
    snprintf(fake->will, sizeof fake->will, "%s", will->payload);
    return fake->connect_rc;
}

static int fake_publish(void *client, const struct davy_message *message, uint64_t token)
{
    struct fake *fake = client;
    if (fake->publish_rc != 0)
        return fake->publish_rc;
    assert_true(fake->sent < SENT_MAX);
    assert_int_equal(message->length, strlen(message->payload));
    fake->tokens[fake->sent] = token;
    snprintf(fake->payloads[fake->sent], sizeof fake->payloads[0], "%.20s %.40s", message->topic, message->payload);
    fake->sent++;
    return 0;
}

static int fake_subscribe(void *client, const char *filter)
{
    struct fake *fake = client;
    snprintf(fake->filter, sizeof fake->filter, "%s", filter);
    fake->subscribes++;
    return 0;
}

static void fake_disconnect(void *client, davy_span timeout)
{
    ((struct fake *)client)->disconnects++;
    (void)timeout;
}

static int fake_check(void *client)
{
    return ((struct fake *)client)->check_rc;
}

static void fake_drop(void *client)
{
    ((struct fake *)client)->drops++;
}

static void fake_free(void *client)
{
    (void)client;
}

static const struct davy_mqtt_ops fake_ops = {fake_connect, fake_publish, fake_subscribe, fake_disconnect,
                                              fake_check,   fake_drop,    fake_free};

static struct fake fake;
static struct davy_config *config;
static struct davy_queue posted[DAVY_MESSAGE_CLASS_COUNT_];
static struct davy_queue deliveries;
static struct davy_outgoing out;
static struct davy_stamp now;

static int set_up(void **state)
{
    (void)state;
    fake = (struct fake){0};
    now = (struct davy_stamp){{1000 * DAVY_NS_PER_S}, {2000 * DAVY_NS_PER_S}};
    config = new_plant();
    for (size_t i = 0; i < DAVY_MESSAGE_CLASS_COUNT_; i++)
        assert_int_equal(davy_queue_init(&posted[i], sizeof(struct davy_message), 256, DAVY_QUEUE_REFUSE, NULL), 0);
    assert_int_equal(davy_queue_init(&deliveries, sizeof(struct davy_delivery), 1024, DAVY_QUEUE_REFUSE, NULL), 0);
    out = (struct davy_outgoing){.config = config,
                                 .boot_id = "b-1",
                                 .client = {&fake_ops, &fake},
                                 .posted = posted,
                                 .deliveries = &deliveries,
                                 .session = DAVY_SESSION_INIT,
                                 .random = {3}};
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    davy_outgoing_done(&out);
    for (size_t i = 0; i < DAVY_MESSAGE_CLASS_COUNT_; i++)
        davy_queue_done(&posted[i]);
    davy_queue_done(&deliveries);
    davy_config_unref(config);
    return 0;
}

static void pass(int64_t ms)
{
    now.mono.ns += ms * DAVY_NS_PER_MS;
    now.wall.ns += ms * DAVY_NS_PER_MS;
    davy_outgoing_pump(&out, now);
}

static void post(enum davy_message_class class, int64_t row, const char *topic)
{
    struct davy_message message;
    char payload[64];
    snprintf(payload, sizeof payload, "{\"n\":%lld,\"replayed\":false}", (long long)row);
    assert_int_equal(davy_message_new(class, row, topic, payload, &message), 0);
    assert_int_equal(davy_queue_push(&posted[class], &message), 0);
}

static void post_state(const char *topic, const char *payload)
{
    struct davy_message message;
    assert_int_equal(davy_message_new(DAVY_MESSAGE_STATE, 0, topic, payload, &message), 0);
    message.retain = true;
    assert_int_equal(davy_queue_push(&posted[DAVY_MESSAGE_STATE], &message), 0);
}

static void notice(enum davy_mqtt_notice_kind kind)
{
    struct davy_mqtt_notice item = {.kind = kind, .terms.window = UINT16_MAX};
    davy_outgoing_notice(&out, &item, now);
}

static void answer(size_t sent, uint8_t reason_code)
{
    struct davy_mqtt_notice item = {.kind = reason_code < 0x80 ? DAVY_MQTT_ACKED : DAVY_MQTT_FAILED,
                                    .token = fake.tokens[sent],
                                    .reason_code = reason_code};
    davy_outgoing_notice(&out, &item, now);
}

static void go_online(uint16_t window)
{
    struct davy_mqtt_notice item = {.kind = DAVY_MQTT_CONNECTED, .terms.window = window};
    pass(31000); /* beyond any back-off */
    davy_outgoing_notice(&out, &item, now);
    pass(0);
}

static void expect_delivery(enum davy_delivery_kind kind, int64_t row)
{
    struct davy_delivery delivery;
    assert_true(davy_queue_pop(&deliveries, &delivery));
    assert_int_equal(delivery.kind, kind);
    assert_int_equal(delivery.row, row);
}

static void expect_sent(size_t position, const char *text)
{
    assert_true(position < fake.sent);
    assert_string_equal(fake.payloads[position], text);
}

static void connects_at_once_with_the_will_and_reports_first(void **state)
{
    post(DAVY_MESSAGE_EVENT, 1, "a");
    pass(0);
    assert_int_equal(fake.connects, 1);
    assert_string_equal(fake.url, "mqtt://first:1883");
    assert_string_equal(fake.will_topic, "davy/v1/north-plant/edge-07/status");
    assert_non_null(strstr(fake.will, "\"state\":\"offline\",\"since\":\"1970-01-01T00:33:20.000Z\""));
    assert_non_null(strstr(fake.will, "\"storage\":null"));
    assert_int_equal(fake.sent, 0);
    notice(DAVY_MQTT_CONNECTED);
    pass(0);
    answer(0, 0);
    expect_delivery(DAVY_DELIVERY_CONNECTED, 0);
    expect_delivery(DAVY_DELIVERY_DONE, 1);
    assert_true(out.status.connected);
    (void)state;
}

static void the_window_is_never_exceeded(void **state)
{
    for (int64_t row = 1; row <= 200; row++)
        post(DAVY_MESSAGE_EVENT, row, "a");
    go_online(UINT16_MAX);
    size_t acknowledged = 0;
    while (acknowledged < 200) {
        assert_true(fake.sent - acknowledged <= DAVY_INFLIGHT_MAX);
        assert_int_equal(out.window.sent, fake.sent - acknowledged);
        answer(acknowledged++, 0);
        pass(1);
    }
    assert_int_equal(fake.sent, 200);
    assert_true(davy_outgoing_idle(&out));
    expect_sent(0, "a {\"n\":1,\"replayed\":false}");
    expect_sent(199, "a {\"n\":200,\"replayed\":false}");
    (void)state;
}

static void the_brokers_receive_maximum_is_honoured(void **state)
{
    for (int64_t row = 1; row <= 5; row++)
        post(DAVY_MESSAGE_EVENT, row, "a");
    go_online(1);
    assert_int_equal(fake.sent, 1);
    answer(0, 0);
    pass(1);
    assert_int_equal(fake.sent, 2);
    (void)state;
}

static void what_was_in_flight_goes_again_in_order_before_anything_new(void **state)
{
    for (int64_t row = 1; row <= 5; row++)
        post(DAVY_MESSAGE_EVENT, row, "a");
    go_online(3);
    answer(1, 0); /* row 2, out of order; row 4 leaves */
    pass(1);
    notice(DAVY_MQTT_LOST);
    post(DAVY_MESSAGE_EVENT, 6, "a");
    answer(2, 0); /* late: no longer counts */
    size_t before = fake.sent;
    go_online(UINT16_MAX);
    expect_sent(before, "a {\"n\":1,\"replayed\":true}");
    expect_sent(before + 1, "a {\"n\":3,\"replayed\":true}");
    expect_sent(before + 2, "a {\"n\":4,\"replayed\":true}");
    expect_sent(before + 3, "a {\"n\":5,\"replayed\":false}");
    expect_sent(before + 4, "a {\"n\":6,\"replayed\":false}");
    expect_delivery(DAVY_DELIVERY_CONNECTED, 0);
    expect_delivery(DAVY_DELIVERY_DONE, 2);
    expect_delivery(DAVY_DELIVERY_LOST, 0);
    expect_delivery(DAVY_DELIVERY_CONNECTED, 0);
    (void)state;
}

static void what_was_sent_is_told_and_when_it_was_acknowledged(void **state)
{
    struct davy_delivery delivery;
    for (int64_t row = 2; row <= 6; row += 2)
        post(DAVY_MESSAGE_EVENT, row, "a");
    post(DAVY_MESSAGE_REPLY, 40, "a"); /* an event once more */
    assert_int_equal(out.status.sent_row, 0);
    go_online(2);
    assert_int_equal(out.status.sent_row, 4); /* the third waits for the window */
    expect_delivery(DAVY_DELIVERY_CONNECTED, 0);
    pass(1500);
    davy_wall seen = now.wall;
    answer(0, 0);
    pass(700);
    assert_int_equal(out.status.sent_row, 6);
    assert_true(davy_queue_pop(&deliveries, &delivery));
    assert_int_equal(delivery.at.ns, seen.ns);
    answer(1, 0);
    pass(1);
    assert_int_equal(out.status.sent_row, 6); /* not 40 */
    answer(3, 0x97);
    expect_delivery(DAVY_DELIVERY_DONE, 4);
    expect_delivery(DAVY_DELIVERY_REFUSED, 40);
    (void)state;
}

static void a_refusal_is_reported_and_blocks_nothing(void **state)
{
    for (int64_t row = 1; row <= 3; row++)
        post(DAVY_MESSAGE_EVENT, row, "a");
    go_online(1);
    answer(0, 0x87);
    pass(1);
    answer(1, 0x10);
    pass(1);
    answer(2, 0);
    expect_delivery(DAVY_DELIVERY_CONNECTED, 0);
    struct davy_delivery delivery;
    assert_true(davy_queue_pop(&deliveries, &delivery));
    assert_int_equal(delivery.kind, DAVY_DELIVERY_REFUSED);
    assert_int_equal(delivery.reason_code, 0x87);
    assert_true(davy_queue_pop(&deliveries, &delivery));
    assert_int_equal(delivery.kind, DAVY_DELIVERY_DONE);
    assert_int_equal(delivery.reason_code, 0x10);
    expect_delivery(DAVY_DELIVERY_DONE, 3);
    assert_int_equal(out.status.refused, 1);
    assert_int_equal(out.status.unheard, 1);
    assert_int_equal(fake.drops, 0);
    (void)state;
}

static void every_refusal_is_counted_and_the_last_one_told(void **state)
{
    (void)state;
    for (int64_t row = 1; row <= 3; row++)
        post(DAVY_MESSAGE_EVENT, row, row == 3 ? "b" : "a");
    go_online(20);
    answer(0, 0x97);
    answer(1, 0x87);
    answer(2, 0x97);
    assert_int_equal(out.status.refused, 3);
    assert_int_equal(out.status.refusal_code, 0x97);
    assert_string_equal(out.status.refusal_topic, "b");
    assert_true(out.status.refusal_at.ns == now.wall.ns);
}

static void a_state_that_was_refused_comes_again_after_a_minute(void **state)
{
    (void)state;
    post_state("s", "one");
    go_online(20);
    answer(0, 0x97);
    pass(59999);
    assert_int_equal(fake.sent, 1);
    pass(1);
    assert_int_equal(fake.sent, 2);
    expect_sent(1, "s one");
    answer(1, 0);
    pass(60000);
    assert_int_equal(fake.sent, 2);
}

static void a_newer_state_replaces_the_refused_one(void **state)
{
    (void)state;
    post_state("s", "one");
    go_online(20);
    answer(0, 0x97);
    post_state("s", "two");
    pass(1);
    expect_sent(1, "s two");
    answer(1, 0);
    pass(60000);
    assert_int_equal(fake.sent, 2);
}

static void a_message_above_the_maximum_packet_size_is_refused_unsent(void **state)
{
    struct davy_mqtt_notice item = {.kind = DAVY_MQTT_CONNECTED, .terms = {.window = 20, .max_packet = 150}};
    char topic[128];
    memset(topic, 't', sizeof topic);
    topic[127] = '\0';
    post(DAVY_MESSAGE_EVENT, 1, topic);
    post(DAVY_MESSAGE_EVENT, 2, "a");
    pass(0);
    davy_outgoing_notice(&out, &item, now);
    pass(0);
    expect_delivery(DAVY_DELIVERY_CONNECTED, 0);
    expect_delivery(DAVY_DELIVERY_REFUSED, 1);
    assert_int_equal(fake.sent, 1);
    (void)state;
}

static void an_overdue_acknowledgement_drops_the_connection(void **state)
{
    post(DAVY_MESSAGE_EVENT, 1, "a");
    go_online(20);
    assert_true(davy_outgoing_due(&out).ns == now.mono.ns + 30 * DAVY_NS_PER_S);
    pass(29999);
    assert_int_equal(fake.drops, 0);
    pass(1);
    assert_int_equal(fake.drops, 1);
    assert_false(out.status.connected);
    assert_int_equal(fake.connects, 1);
    go_online(20);
    expect_sent(1, "a {\"n\":1,\"replayed\":true}");
    (void)state;
}

static void a_connect_without_answer_is_given_up_and_its_late_answer_dropped(void **state)
{
    pass(0);
    pass(DAVY_OUTGOING_CONNECT_DEADLINE_S * 1000);
    assert_int_equal(fake.drops, 1);
    notice(DAVY_MQTT_CONNECTED);
    assert_int_equal(fake.drops, 2);
    assert_false(out.status.connected);
    (void)state;
}

static void failed_connects_back_off_over_the_urls_one_at_a_time(void **state)
{
    pass(0);
    pass(5000);
    assert_int_equal(fake.connects, 1); /* never two at a time */
    notice(DAVY_MQTT_REFUSED);
    pass(0);
    assert_int_equal(fake.connects, 1);
    pass(1000);
    assert_int_equal(fake.connects, 2);
    assert_string_equal(fake.url, "mqtt://second:1883");
    notice(DAVY_MQTT_REFUSED);
    pass(2000);
    assert_string_equal(fake.url, "mqtt://first:1883");
    notice(DAVY_MQTT_CONNECTED);
    notice(DAVY_MQTT_LOST);
    pass(30000);
    assert_string_equal(fake.url, "mqtt://first:1883"); /* the one that worked is tried first */
    (void)state;
}

/* Each of them takes the session and closes it at once. */
static void a_broker_whose_connections_do_not_hold_gives_way_to_the_next(void **state)
{
    (void)state;
    go_online(20);
    assert_string_equal(fake.url, "mqtt://first:1883");
    notice(DAVY_MQTT_LOST);
    go_online(20);
    assert_string_equal(fake.url, "mqtt://first:1883"); /* once is nothing */
    notice(DAVY_MQTT_LOST);
    go_online(20);
    assert_string_equal(fake.url, "mqtt://second:1883");
    pass(DAVY_SESSION_STABLE_S * 1000);
    notice(DAVY_MQTT_LOST);
    go_online(20);
    assert_string_equal(fake.url, "mqtt://second:1883");
}

static void connections_that_do_not_hold_are_called_unstable(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++) {
        assert_false(out.status.unstable);
        go_online(20);
        notice(DAVY_MQTT_LOST);
    }
    pass(0);
    assert_true(out.status.unstable);
    go_online(20);
    assert_true(out.status.unstable);
    pass(DAVY_SESSION_STABLE_S * 1000);
    assert_false(out.status.unstable);
}

/*
 * A box without a battery for its clock boots at 1970: what was told of that hour must not stay until the next connect.
 */
static void since_when_a_connection_stands_follows_a_clock_that_is_set(void **state)
{
    char text[DAVY_WALL_TEXT];
    pass(0);
    assert_int_equal(out.status.since.ns, 0);
    go_online(20);
    davy_wall told = out.status.since;
    assert_int_equal(told.ns, now.wall.ns);
    now.wall.ns += 900 * DAVY_NS_PER_MS; /* slewed */
    pass(10000);
    assert_int_equal(out.status.since.ns, told.ns);
    now.wall.ns = INT64_C(1790000000) * DAVY_NS_PER_S;
    pass(5000);
    assert_string_equal(davy_wall_format(out.status.since, text), "2026-09-21T14:13:10.000Z"); /* 15 s ago, as of now */
    assert_true(out.status.connected);
    told = out.status.since;
    now.wall.ns -= 3600 * DAVY_NS_PER_S;
    pass(1);
    assert_int_equal(out.status.since.ns, told.ns - 3600 * DAVY_NS_PER_S);
    (void)state;
}

static void the_cause_stays_with_its_broker_and_its_times(void **state)
{
    (void)state;
    struct davy_mqtt_notice refused = {.kind = DAVY_MQTT_REFUSED, .text = "no route"};
    for (int i = 0; i < 4; i++) { /* two brokers in turn */
        pass(31000);
        davy_outgoing_notice(&out, &refused, now);
    }
    assert_string_equal(out.status.last_error, "cannot connect: no route");
    assert_string_equal(out.status.error_url, "mqtt://second:1883");
    int64_t failed = now.wall.ns;
    go_online(20);
    assert_string_equal(out.status.url, "mqtt://first:1883");
    assert_string_equal(out.status.last_error, "cannot connect: no route");
    assert_true(out.status.error_last.ns == failed);
}

static void what_the_broker_says_when_it_leaves_is_the_cause(void **state)
{
    (void)state;
    struct davy_mqtt_notice leaves = {
        .kind = DAVY_MQTT_LEAVES, .reason_code = 0x8B, .text = "the broker leaves, x (0x8b)"};
    struct davy_mqtt_notice lost = {.kind = DAVY_MQTT_LOST, .text = "closed"};
    post(DAVY_MESSAGE_EVENT, 1, "a");
    go_online(20);
    davy_outgoing_notice(&out, &leaves, now);
    struct davy_mqtt_notice failed = {.kind = DAVY_MQTT_FAILED, .token = fake.tokens[0]};
    davy_outgoing_notice(&out, &failed, now);
    davy_outgoing_notice(&out, &lost, now);
    assert_string_equal(out.status.last_error, "connection lost: the broker leaves, x (0x8b)");
    assert_int_equal(out.status.error_count, 1);
}

static void a_twin_with_our_client_id_is_named(void **state)
{
    (void)state;
    struct davy_mqtt_notice leaves = {.kind = DAVY_MQTT_LEAVES, .reason_code = 0x8E};
    go_online(20);
    assert_true(out.status.duplicate_at.ns == 0);
    davy_outgoing_notice(&out, &leaves, now);
    notice(DAVY_MQTT_LOST);
    assert_non_null(strstr(out.status.last_error, "duplicate identity: another client connects with the client id"));
    assert_true(out.status.duplicate_at.ns == now.mono.ns);
}

/* The client notices that the connection is gone before the notice that says why is taken. */
static void a_loss_is_named_also_when_sending_found_it_first(void **state)
{
    (void)state;
    struct davy_mqtt_notice lost = {.kind = DAVY_MQTT_LOST, .text = "reset"};
    go_online(20);
    post(DAVY_MESSAGE_EVENT, 1, "a");
    fake.publish_rc = -ENOTCONN;
    pass(1);
    assert_false(out.status.connected);
    davy_outgoing_notice(&out, &lost, now);
    assert_string_equal(out.status.last_error, "connection lost: reset");
    assert_string_equal(out.status.error_url, "mqtt://first:1883");
    fake.publish_rc = 0;
    go_online(20);
    assert_string_equal(fake.url, "mqtt://first:1883");
}

static void a_shorter_keep_alive_takes_one_more_connect_at_once(void **state)
{
    (void)state;
    struct davy_mqtt_notice item = {.kind = DAVY_MQTT_CONNECTED,
                                    .terms = {.window = 20, .keep_alive_s = 3, .again = true}};
    pass(0);
    davy_outgoing_notice(&out, &item, now);
    assert_int_equal(fake.disconnects, 1);
    pass(0);
    assert_int_equal(fake.connects, 2);
    assert_string_equal(fake.url, "mqtt://first:1883");
    item.terms.again = false;
    davy_outgoing_notice(&out, &item, now);
    pass(0);
    assert_true(out.status.connected);
    assert_int_equal(fake.disconnects, 1);
    assert_string_equal(out.status.limits, "keep alive 3 s");
    assert_int_equal(out.session.failures, 0);
}

static void a_will_that_is_refused_is_offered_otherwise_at_once(void **state)
{
    (void)state;
    struct davy_mqtt_notice refused = {.kind = DAVY_MQTT_REFUSED, .reason_code = 0x9B, .terms.again = true};
    pass(0);
    davy_outgoing_notice(&out, &refused, now);
    pass(0);
    assert_int_equal(fake.connects, 2);
    assert_string_equal(fake.url, "mqtt://first:1883");
    refused.terms.again = false;
    davy_outgoing_notice(&out, &refused, now);
    pass(0);
    assert_int_equal(fake.connects, 2);
}

static void a_broker_that_fills_memory_is_left(void **state)
{
    (void)state;
    post(DAVY_MESSAGE_EVENT, 1, "a");
    go_online(20);
    fake.check_rc = -EMSGSIZE;
    pass(1000);
    assert_int_equal(fake.drops, 1);
    assert_false(out.status.connected);
    assert_non_null(strstr(out.status.last_error, "far too large"));
    fake.check_rc = 0;
    go_online(20);
    expect_sent(1, "a {\"n\":1,\"replayed\":true}");
}

static void the_limits_of_a_broker_are_told(void **state)
{
    (void)state;
    struct davy_mqtt_notice item = {.kind = DAVY_MQTT_CONNECTED,
                                    .terms = {.window = 1, .max_packet = 300, .no_qos_1 = true, .no_retain = true}};
    pass(0);
    davy_outgoing_notice(&out, &item, now);
    assert_non_null(strstr(out.status.limits, "QoS 0 only"));
    assert_non_null(strstr(out.status.limits, "nothing is retained; packets of at most 300 bytes; receive maximum 1"));
    notice(DAVY_MQTT_LOST);
    go_online(20);
    assert_string_equal(out.status.limits, "");
}

static void a_client_that_is_busy_is_no_trouble_of_the_broker(void **state)
{
    (void)state;
    fake.connect_rc = -EBUSY;
    pass(0);
    assert_string_equal(out.status.last_error, "");
    fake.connect_rc = 0;
    pass(1000);
    assert_string_equal(fake.url, "mqtt://first:1883");
}

static void a_client_that_cannot_connect_is_tried_again_later(void **state)
{
    fake.connect_rc = -EBUSY;
    pass(0);
    pass(0);
    assert_int_equal(fake.connects, 1);
    fake.connect_rc = 0;
    go_online(20);
    assert_true(out.status.connected);
    (void)state;
}

static void a_client_that_takes_nothing_is_dropped_and_nothing_is_lost(void **state)
{
    go_online(20);
    post(DAVY_MESSAGE_EVENT, 1, "a");
    post(DAVY_MESSAGE_EVENT, 2, "a");
    fake.publish_rc = -ENOTCONN;
    pass(1);
    assert_int_equal(fake.drops, 1);
    fake.publish_rc = 0;
    go_online(20);
    expect_sent(0, "a {\"n\":1,\"replayed\":false}"); /* its first sending, however late */
    expect_sent(1, "a {\"n\":2,\"replayed\":false}");
    (void)state;
}

static void states_coalesce_and_come_back_at_each_connect(void **state)
{
    post_state("s/1", "old");
    post_state("s/2", "two");
    post_state("s/1", "new");
    go_online(20);
    assert_int_equal(fake.sent, 2);
    expect_sent(0, "s/1 new");
    expect_sent(1, "s/2 two");
    answer(0, 0);
    answer(1, 0);
    pass(1);
    assert_int_equal(fake.sent, 2);
    notice(DAVY_MQTT_LOST);
    post_state("s/2", "three");
    go_online(20);
    assert_int_equal(fake.sent, 4);
    expect_sent(2, "s/1 new");
    expect_sent(3, "s/2 three");
    (void)state;
}

static void a_cleared_topic_is_not_repeated(void **state)
{
    post_state("s/1", "");
    go_online(20);
    answer(0, 0);
    notice(DAVY_MQTT_LOST);
    go_online(20);
    assert_int_equal(fake.sent, 1);
    (void)state;
}

static void after_an_outage_the_urgent_go_first(void **state)
{
    post(DAVY_MESSAGE_TELEMETRY, 1, "t");
    go_online(1); /* telemetry is in flight when the connection goes */
    notice(DAVY_MQTT_LOST);
    post(DAVY_MESSAGE_TELEMETRY, 2, "t");
    post_state("s", "state");
    post(DAVY_MESSAGE_EVENT, 3, "e");
    post(DAVY_MESSAGE_PREVIEW, 0, "p");
    go_online(1);
    for (size_t i = 1; i < 6; i++) {
        if (i < fake.sent)
            answer(i, 0);
        pass(1);
    }
    expect_sent(1, "p {\"n\":0,\"replayed\":false}");
    expect_sent(2, "e {\"n\":3,\"replayed\":false}");
    expect_sent(3, "s state");
    expect_sent(4, "t {\"n\":1,\"replayed\":true}");
    expect_sent(5, "t {\"n\":2,\"replayed\":false}");
    (void)state;
}

static void answers_twice_or_for_strangers_are_ignored(void **state)
{
    post(DAVY_MESSAGE_EVENT, 1, "a");
    go_online(20);
    answer(0, 0);
    answer(0, 0);
    struct davy_mqtt_notice stranger = {.kind = DAVY_MQTT_ACKED, .token = 999999};
    davy_outgoing_notice(&out, &stranger, now);
    assert_int_equal(out.status.acknowledged, 1);
    expect_delivery(DAVY_DELIVERY_CONNECTED, 0);
    expect_delivery(DAVY_DELIVERY_DONE, 1);
    assert_int_equal(davy_queue_count(&deliveries), 0);
    (void)state;
}

static void a_switch_leaves_cleanly_and_forgets_foreign_topics(void **state)
{
    post_state("davy/v1/north-plant/edge-07/zone/A1", "red");
    post_state("other/zone/A1", "");
    go_online(20);
    post(DAVY_MESSAGE_EVENT, 1, "a");
    pass(1);
    struct davy_config *next = new_plant();
    next->mqtt.prefix = "davy/v2";
    struct davy_mqtt_client client = {&fake_ops, &fake};
    davy_outgoing_switch(&out, next, &client, now);
    assert_int_equal(fake.disconnects, 1);
    size_t before = fake.sent;
    pass(0);
    assert_int_equal(fake.connects, 2);
    assert_string_equal(fake.will_topic, "davy/v2/north-plant/edge-07/status");
    notice(DAVY_MQTT_CONNECTED);
    pass(0);
    expect_sent(before, "a {\"n\":1,\"replayed\":true}");
    expect_sent(before + 1, "other/zone/A1 ");
    assert_int_equal(fake.sent, before + 2);
    out.config = config;
    davy_config_unref(next);
    (void)state;
}

static void drains_before_it_leaves(void **state)
{
    go_online(20);
    post(DAVY_MESSAGE_EVENT, 1, "a");
    davy_outgoing_input(&out, DAVY_SESSION_STOP, now);
    pass(1);
    assert_int_equal(fake.sent, 1);
    assert_false(davy_outgoing_idle(&out));
    answer(0, 0);
    assert_true(davy_outgoing_idle(&out));
    davy_outgoing_input(&out, DAVY_SESSION_DRAINED, now);
    assert_int_equal(fake.disconnects, 1);
    pass(60000);
    assert_int_equal(fake.connects, 1);
    (void)state;
}

static void nothing_is_sent_while_nobody_takes_the_reports(void **state)
{
    struct davy_delivery filler = {0};
    go_online(20);
    while (davy_queue_space(&deliveries) > 1)
        assert_int_equal(davy_queue_push(&deliveries, &filler), 0);
    post(DAVY_MESSAGE_EVENT, 1, "a");
    pass(1);
    assert_int_equal(fake.sent, 0);
    assert_true(davy_queue_pop(&deliveries, &filler));
    pass(1);
    assert_int_equal(fake.sent, 1);
    (void)state;
}

/* Losses, refusals, answers and posts in any order: every event is settled once at least, in order, within the window.
 */
static void random_weather_loses_nothing(void **state)
{
    struct davy_random random = {davy_test_seed(20261125)};
    size_t answered = 0;
    int64_t row = 0, done = 0;
    for (int step = 0; step < 3000 && fake.sent < SENT_MAX - 100; step++) {
        uint64_t roll = davy_random_next(&random) % 100;
        struct davy_delivery delivery;
        if (roll < 30 && row < 2000 && davy_queue_space(&posted[DAVY_MESSAGE_EVENT]) > 0)
            post(DAVY_MESSAGE_EVENT, ++row, "a");
        else if (roll < 85 && answered < fake.sent)
            answer(answered++, 0);
        else if (roll < 87)
            notice(DAVY_MQTT_LOST);
        else if (out.session.state == DAVY_SESSION_CONNECTING)
            notice(roll < 95 ? DAVY_MQTT_CONNECTED : DAVY_MQTT_REFUSED);
        pass(roll == 99 || out.session.state == DAVY_SESSION_OFFLINE ? 31000 : 10);
        assert_true(out.window.sent <= DAVY_INFLIGHT_MAX);
        while (davy_queue_pop(&deliveries, &delivery))
            if (delivery.kind == DAVY_DELIVERY_DONE)
                assert_int_equal(delivery.row, ++done); /* answers in order: done in order, none twice, none missing */
    }
    assert_true(done > 200);
    (void)state;
}

/* A queue of commands that holds `room`, and a connection that takes them. */
static void allow_commands(struct davy_queue *commands, size_t room)
{
    config->mqtt.commands = DAVY_MQTT_COMMAND_ACK | DAVY_MQTT_COMMAND_SNAPSHOT;
    assert_int_equal(davy_queue_init(commands, sizeof(struct davy_remote *), room, DAVY_QUEUE_REFUSE, NULL), 0);
    assert_int_equal(davy_incoming_init(&out.incoming, now.mono), 0);
    out.commands = commands;
}

static void command(const char *verb, const char *nonce)
{
    char topic[96], payload[256], time[DAVY_WALL_TEXT];
    const char *more = "";
    if (strcmp(verb, "ack") == 0)
        more = ",\"id\":\"0192f3c1-7b1e-7c44-9d0a-3f6f1f0a2b11\",\"level\":\"red\"";
    snprintf(topic, sizeof topic, "davy/v1/north-plant/edge-07/cmd/%s", verb);
    snprintf(payload, sizeof payload,
             "{\"schema\":\"davy.command/1\",\"nonce\":\"%s\",\"issued_at\":\"%s\",\"by\":\"zhao\"%s}", nonce,
             davy_wall_format(now.wall, time), more);
    struct davy_mqtt_command item = {.topic = topic, .payload = payload, .length = strlen(payload)};
    davy_outgoing_command(&out, &item, now);
}

/* The next command that was handed on has this nonce, and is refused for `why` (empty: not). */
static void expect_command(struct davy_queue *commands, const char *nonce, const char *why)
{
    struct davy_remote *remote;
    assert_true(davy_queue_pop(commands, &remote));
    assert_string_equal(remote->nonce, nonce);
    if (why[0] ? !strstr(remote->refusal, why) : remote->refusal[0])
        fail_msg("'%s', not '%s'", remote->refusal, why);
    free(remote);
}

static void commands_are_subscribed_at_each_connect_when_any_is_allowed(void **state)
{
    struct davy_queue commands;
    (void)state;
    go_online(20);
    notice(DAVY_MQTT_LOST);
    assert_int_equal(fake.subscribes, 0);
    allow_commands(&commands, 4);
    go_online(20);
    assert_int_equal(fake.subscribes, 1);
    assert_string_equal(fake.filter, "davy/v1/north-plant/edge-07/cmd/+");
    notice(DAVY_MQTT_LOST);
    go_online(20);
    assert_int_equal(fake.subscribes, 2);
    notice(DAVY_MQTT_NOT_SUBSCRIBED);
    assert_non_null(strstr(out.status.last_error, "no commands until the next connect"));
    assert_true(out.status.connected); /* events go on */
    pass(60000);
    assert_true(out.status.connected); /* it was an answer */
    davy_queue_done(&commands);
}

static void a_subscription_that_is_not_answered_drops_the_connection(void **state)
{
    struct davy_queue commands;
    (void)state;
    allow_commands(&commands, 4);
    go_online(20);
    notice(DAVY_MQTT_SUBSCRIBED);
    pass(60000);
    assert_int_equal(fake.drops, 0);
    notice(DAVY_MQTT_LOST);
    go_online(20);
    pass(29999);
    assert_int_equal(fake.drops, 0);
    pass(1);
    assert_int_equal(fake.drops, 1);
    assert_non_null(strstr(out.status.last_error, "overdue"));
    davy_queue_done(&commands);
}

static void a_command_that_finds_no_room_is_busy_and_may_come_again(void **state)
{
    struct davy_queue commands;
    (void)state;
    allow_commands(&commands, 1);
    go_online(20);
    command("snapshot", "n-1");
    command("ack", "n-2");
    pass(1);
    expect_sent(0, "davy/v1/north-plant/ {\"schema\":\"davy.reply/1\",\"nonce\":\"n-2\",\"");
    expect_command(&commands, "n-1", "");
    command("ack", "n-2"); /* it was not done, so its nonce is not used */
    expect_command(&commands, "n-2", "");
    command("ack", "n-2");
    expect_command(&commands, "n-2", "used before");
    assert_int_equal(out.status.commands, 4);
    davy_queue_done(&commands);
}

static void replies_go_behind_events_and_states_and_before_telemetry(void **state)
{
    (void)state;
    post(DAVY_MESSAGE_TELEMETRY, 1, "t");
    post(DAVY_MESSAGE_REPLY, 0, "r");
    post_state("s", "{}");
    post(DAVY_MESSAGE_EVENT, 2, "e");
    go_online(20);
    expect_sent(0, "e {\"n\":2,\"replayed\":false}");
    expect_sent(1, "s {}");
    expect_sent(2, "r {\"n\":0,\"replayed\":false}");
    expect_sent(3, "t {\"n\":1,\"replayed\":false}");
    notice(DAVY_MQTT_LOST);
    go_online(20);
    expect_sent(6, "r {\"n\":0,\"replayed\":false}"); /* what it says of itself is its own */
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(connects_at_once_with_the_will_and_reports_first),
        CASE(the_window_is_never_exceeded),
        CASE(the_brokers_receive_maximum_is_honoured),
        CASE(what_was_in_flight_goes_again_in_order_before_anything_new),
        CASE(what_was_sent_is_told_and_when_it_was_acknowledged),
        CASE(a_refusal_is_reported_and_blocks_nothing),
        CASE(every_refusal_is_counted_and_the_last_one_told),
        CASE(a_state_that_was_refused_comes_again_after_a_minute),
        CASE(a_newer_state_replaces_the_refused_one),
        CASE(a_message_above_the_maximum_packet_size_is_refused_unsent),
        CASE(an_overdue_acknowledgement_drops_the_connection),
        CASE(a_connect_without_answer_is_given_up_and_its_late_answer_dropped),
        CASE(failed_connects_back_off_over_the_urls_one_at_a_time),
        CASE(a_broker_whose_connections_do_not_hold_gives_way_to_the_next),
        CASE(connections_that_do_not_hold_are_called_unstable),
        CASE(since_when_a_connection_stands_follows_a_clock_that_is_set),
        CASE(the_cause_stays_with_its_broker_and_its_times),
        CASE(what_the_broker_says_when_it_leaves_is_the_cause),
        CASE(a_twin_with_our_client_id_is_named),
        CASE(a_loss_is_named_also_when_sending_found_it_first),
        CASE(a_shorter_keep_alive_takes_one_more_connect_at_once),
        CASE(a_will_that_is_refused_is_offered_otherwise_at_once),
        CASE(a_broker_that_fills_memory_is_left),
        CASE(the_limits_of_a_broker_are_told),
        CASE(a_client_that_is_busy_is_no_trouble_of_the_broker),
        CASE(a_client_that_cannot_connect_is_tried_again_later),
        CASE(a_client_that_takes_nothing_is_dropped_and_nothing_is_lost),
        CASE(states_coalesce_and_come_back_at_each_connect),
        CASE(a_cleared_topic_is_not_repeated),
        CASE(after_an_outage_the_urgent_go_first),
        CASE(answers_twice_or_for_strangers_are_ignored),
        CASE(a_switch_leaves_cleanly_and_forgets_foreign_topics),
        CASE(drains_before_it_leaves),
        CASE(nothing_is_sent_while_nobody_takes_the_reports),
        CASE(random_weather_loses_nothing),
        CASE(commands_are_subscribed_at_each_connect_when_any_is_allowed),
        CASE(a_subscription_that_is_not_answered_drops_the_connection),
        CASE(a_command_that_finds_no_room_is_busy_and_may_come_again),
        CASE(replies_go_behind_events_and_states_and_before_telemetry),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
