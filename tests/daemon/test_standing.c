/* SPDX-License-Identifier: Apache-2.0 */
/* What stands, told again: a ledger, an outbox that is always in line, and brokers that keep what is retained. */
#include "daemon/standing.h"

#include "publish/topic.h"
#include "record/record_support.h"
#include "support/plant.h"

#define DEVICES  3
#define RETAINED 64
#define POSTED   64

struct broker {
    const char *url;
    size_t count;
    char topics[RETAINED][DAVY_TOPIC_SIZE];
    char payloads[RETAINED][512];
};

static struct {
    struct broker *broker; /* NULL: not connected */
    uint64_t connects;
    size_t room;
    struct davy_message posted[POSTED];
    size_t posted_count;
} network;

struct fixture {
    struct route route;
    struct folder folder;
    struct davy_ledger *ledger;
    struct davy_config *config;
    struct standing *standing;
    struct broker first, second;
    davy_mono now;
};

/* ---- the publisher and the outbox ------------------------------------------------------------------------------- */

int davy_publisher_post(struct davy_publisher *publisher, struct davy_message *message)
{
    (void)publisher;
    if (network.posted_count >= network.room)
        return -EAGAIN;
    network.posted[network.posted_count++] = *message;
    return 0;
}

size_t davy_publisher_waiting(struct davy_publisher *publisher, enum davy_message_class class)
{
    (void)publisher;
    (void)class;
    return network.posted_count;
}

void davy_publisher_status(struct davy_publisher *publisher, struct davy_publisher_status *ret_status)
{
    (void)publisher;
    *ret_status = (struct davy_publisher_status){.connected = network.broker != NULL, .connects = network.connects};
    if (network.broker)
        snprintf(ret_status->url, sizeof ret_status->url, "%s", network.broker->url);
}

bool outbox_in_line(const struct outbox *outbox)
{
    (void)outbox;
    return network.broker != NULL;
}

bool outbox_connected(const struct outbox *outbox)
{
    (void)outbox;
    return network.broker != NULL;
}

/* ---- what a broker has ------------------------------------------------------------------------------------------ */

static size_t place(const struct broker *broker, const char *topic)
{
    size_t i = 0;
    while (i < broker->count && strcmp(broker->topics[i], topic) != 0)
        i++;
    return i;
}

static const char *retained(const struct broker *broker, const char *topic)
{
    size_t i = place(broker, topic);
    return i < broker->count ? broker->payloads[i] : "";
}

static void keep(struct broker *broker, const char *topic, const char *payload)
{
    size_t i = place(broker, topic);
    assert_true(i < RETAINED && strlen(payload) < sizeof broker->payloads[0]);
    snprintf(broker->topics[i], sizeof broker->topics[i], "%s", topic);
    strcpy(broker->payloads[i], payload);
    broker->count += i == broker->count;
}

static void send_posted(void)
{
    for (size_t i = 0; i < network.posted_count; i++) {
        keep(network.broker, network.posted[i].topic, network.posted[i].payload);
        davy_message_done(&network.posted[i]);
    }
    network.posted_count = 0;
}

/* ---- the gateway ------------------------------------------------------------------------------------------------ */

static struct davy_config *config_new(const char *zone, const char *hash)
{
    static const struct davy_limit limits[] = {{.level = DAVY_LEVEL_RED, .condition = DAVY_CONDITION_ABOVE, .a = 14}};
    struct davy_config *config = plant_new(DEVICES);
    plant_add_rule(config, "h2s", limits, 1);
    config->zones[0].id = zone;
    snprintf(config->hash, sizeof config->hash, "sha256:%s", hash);
    config->mqtt.urls = davy_config_alloc(config, 2, sizeof *config->mqtt.urls);
    config->mqtt.urls[0] = "mqtt://first";
    config->mqtt.urls[1] = "mqtt://second";
    config->mqtt.url_count = 1;
    return config;
}

static const char *topic_of(const struct davy_config *config, uint32_t device)
{
    static char topic[DAVY_TOPIC_SIZE];
    return davy_topic_alarm(config, &(struct davy_subject){DAVY_ALARM_RULE, 0, DAVY_NONE, device, device}, topic);
}

/* The next event of the alarm of this device is stored, and with the publisher. */
static void happens(struct fixture *f, uint32_t device, const char *state)
{
    struct sample_event s;
    struct davy_message message;
    int64_t seq = davy_ledger_last_seq(f->ledger) + 1;
    (void)sample(&s, seq, (int)device, state);
    snprintf(s.alarm, sizeof s.alarm, "h2s:GT-%u.h2s", 101 + device);
    s.event.topic = topic_of(f->config, device);
    assert_int_equal(davy_ledger_begin(f->ledger), 0);
    assert_int_equal(davy_ledger_append(f->ledger, &s.event), 0);
    for (int clear = 0; clear <= 1; clear++)
        assert_int_equal(davy_ledger_outbox_done(f->ledger, 2 * seq + clear, wall_s(seq)), 0);
    assert_int_equal(davy_ledger_commit(f->ledger), 0);
    if (!network.broker)
        return; /* it was sent before that */
    for (int clear = 0; clear <= (s.event.clear ? 1 : 0); clear++) {
        assert_int_equal(
            davy_message_new(DAVY_MESSAGE_EVENT, seq, s.event.topic, clear ? "" : s.event.payload, &message), 0);
        assert_int_equal(davy_publisher_post(NULL, &message), 0);
    }
}

static void connect_to(struct fixture *f, struct broker *broker)
{
    (void)f;
    network.broker = broker;
    network.connects++;
}

static void turn(struct fixture *f)
{
    f->now.ns += DAVY_NS_PER_S;
    if (standing_waits(f->standing)) {
        assert_int_equal(davy_ledger_begin(f->ledger), 0);
        assert_int_equal(standing_settle(f->standing, f->ledger, f->config), 0);
        assert_int_equal(davy_ledger_commit(f->ledger), 0);
        standing_settled(f->standing);
    }
    standing_turn(f->standing, f->ledger, f->config, f->now);
}

static void settle(struct fixture *f)
{
    for (int i = 0; i < 100; i++) {
        turn(f);
        send_posted();
    }
}

static void reload(struct fixture *f, const char *zone, const char *hash)
{
    struct davy_config *config = config_new(zone, hash);
    assert_int_equal(standing_switch(f->standing, f->ledger, f->config, config), 0);
    davy_config_unref(f->config);
    f->config = config;
}

static void note_load(struct fixture *f)
{
    char detail[128];
    snprintf(detail, sizeof detail, "{\"hash\":\"%s\"}", f->config->hash);
    const struct davy_ledger_action load = {
        .time = wall_s(0), .by = "davyd", .verb = "load", .target = "x", .result = "done", .detail = detail};
    assert_int_equal(davy_ledger_begin(f->ledger), 0);
    assert_int_equal(davy_ledger_act(f->ledger, &load), 0);
    assert_int_equal(davy_ledger_commit(f->ledger), 0);
}

/* What a process that begins knows; `same` as the last one. */
static void start(struct fixture *f)
{
    standing_free(f->standing);
    network.broker = NULL;
    network.connects = 0;
    f->standing = NULL;
    assert_int_equal(standing_new(&f->route, NULL, &f->standing), 0);
    assert_int_equal(standing_recall(f->standing, f->ledger, f->config), 0);
    note_load(f);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    folder_new(&f->folder);
    memset(&network, 0, sizeof network);
    network.room = POSTED;
    f->first.url = "mqtt://first";
    f->second.url = "mqtt://second";
    f->route.publisher = (struct davy_publisher *)f;
    f->config = config_new("A1", "1");
    assert_int_equal(davy_ledger_open(f->folder.path, wall_s(0), NULL, &f->ledger), 0);
    start(f);
    connect_to(f, &f->first);
    settle(f);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < network.posted_count; i++)
        davy_message_done(&network.posted[i]);
    standing_free(f->standing);
    davy_ledger_close(f->ledger);
    davy_config_unref(f->config);
    folder_done(&f->folder);
    free(f);
    return 0;
}

static void assert_stands(struct fixture *f, const struct broker *broker, uint32_t device)
{
    assert_non_null(strstr(retained(broker, topic_of(f->config, device)), "unacknowledged"));
}

static void assert_cleared(const struct broker *broker, const char *topic)
{
    assert_string_equal(retained(broker, topic), "");
}

/* ---- moves ------------------------------------------------------------------------------------------------------ */

static void a_moved_alarm_is_told_and_its_old_topic_cleared(void **state)
{
    struct fixture *f = *state;
    char before[DAVY_TOPIC_SIZE];
    happens(f, 0, "unacknowledged");
    strcpy(before, topic_of(f->config, 0));
    reload(f, "B2", "2");
    settle(f);
    assert_stands(f, &f->first, 0);
    assert_cleared(&f->first, before);
}

/* It is normal while the topics are told, and raised anew before the one that it was moved away from is cleared. */
static void an_alarm_that_is_back_where_it_was_is_not_hidden(void **state)
{
    struct fixture *f = *state;
    for (uint32_t device = 0; device < DEVICES; device++)
        happens(f, device, "unacknowledged");
    send_posted();
    reload(f, "B2", "2");
    reload(f, "A1", "3");
    happens(f, 0, "normal");
    network.room = 4; /* of which the event takes two, and what stands the others */
    turn(f);
    send_posted();
    network.room = POSTED;
    happens(f, 0, "unacknowledged");
    settle(f);
    for (uint32_t device = 0; device < DEVICES; device++)
        assert_stands(f, &f->first, device);
}

/* Where it was moved away from, normal there, and comes back, what it was before is cleared. */
static void an_alarm_that_ended_elsewhere_is_cleared_where_it_was(void **state)
{
    struct fixture *f = *state;
    happens(f, 0, "unacknowledged");
    send_posted();
    network.broker = NULL;
    reload(f, "B2", "2");
    happens(f, 0, "normal");
    reload(f, "A1", "3");
    connect_to(f, &f->first);
    settle(f);
    assert_cleared(&f->first, topic_of(f->config, 0));
}

/* While the disk is away nobody knows what to move: the change waits, as events do. */
static void a_change_waits_for_the_ledger(void **state)
{
    struct fixture *f = *state;
    char before[DAVY_TOPIC_SIZE], away[80];
    happens(f, 0, "unacknowledged");
    send_posted();
    strcpy(before, topic_of(f->config, 0));
    davy_ledger_let_go(f->ledger);
    snprintf(away, sizeof away, "%s.away", f->folder.path);
    assert_int_equal(rename(f->folder.path, away), 0);
    struct davy_config *config = config_new("B2", "2");
    assert_true(standing_switch(f->standing, f->ledger, f->config, config) < 0);
    davy_config_unref(config);
    assert_int_equal(rename(away, f->folder.path), 0);
    reload(f, "B2", "2");
    settle(f);
    assert_stands(f, &f->first, 0);
    assert_cleared(&f->first, before);
}

/* What a refusal holds up goes to the topic that it was stored with. */
static void an_event_that_is_held_up_is_told_where_its_alarm_is_now(void **state)
{
    struct fixture *f = *state;
    struct sample_event s;
    (void)sample(&s, davy_ledger_last_seq(f->ledger) + 1, 0, "unacknowledged");
    strcpy(s.alarm, "h2s:GT-101.h2s");
    s.event.topic = topic_of(f->config, 0);
    assert_int_equal(davy_ledger_begin(f->ledger), 0);
    assert_int_equal(davy_ledger_append(f->ledger, &s.event), 0);
    assert_int_equal(davy_ledger_commit(f->ledger), 0);
    assert_int_equal(davy_ledger_begin(f->ledger), 0);
    assert_int_equal(davy_ledger_outbox_refused(f->ledger, 2 * s.event.seq, 0x87, f->now), 0);
    assert_int_equal(davy_ledger_commit(f->ledger), 0);
    reload(f, "B2", "2");
    settle(f);
    assert_stands(f, &f->first, 0);
}

/* ---- brokers ---------------------------------------------------------------------------------------------------- */

/* Both were told something else when they were left. */
static void leave_first_behind(struct fixture *f)
{
    happens(f, 0, "unacknowledged");
    send_posted();
    connect_to(f, &f->second);
    settle(f);
    happens(f, 0, "normal");
    happens(f, 1, "unacknowledged");
    send_posted();
}

static void assert_first_knows(struct fixture *f)
{
    assert_cleared(&f->first, topic_of(f->config, 0));
    assert_stands(f, &f->first, 1);
}

static void another_broker_is_told(void **state)
{
    struct fixture *f = *state;
    leave_first_behind(f);
    assert_stands(f, &f->second, 1);
    connect_to(f, &f->first);
    settle(f);
    assert_first_knows(f);
}

/* The process ends at the second one, and begins with the first. */
static void a_start_with_several_brokers_tells_what_stands(void **state)
{
    struct fixture *f = *state;
    leave_first_behind(f);
    f->config->mqtt.url_count = 2;
    start(f);
    connect_to(f, &f->first);
    settle(f);
    assert_first_knows(f);
}

/* It was started, could not connect, and was told of another broker. */
static void a_reload_before_the_first_connection_may_have_changed_the_broker(void **state)
{
    struct fixture *f = *state;
    leave_first_behind(f);
    start(f);
    reload(f, "A1", "2");
    connect_to(f, &f->first);
    settle(f);
    assert_first_knows(f);
}

/* This thread was in the disk: what was in the publisher went to another broker meanwhile. */
static void a_broker_that_came_and_went_unseen_is_noticed(void **state)
{
    struct fixture *f = *state;
    happens(f, 0, "unacknowledged");
    connect_to(f, &f->second);
    send_posted();
    connect_to(f, &f->first);
    settle(f);
    assert_stands(f, &f->first, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_moved_alarm_is_told_and_its_old_topic_cleared),
        TEST(an_alarm_that_is_back_where_it_was_is_not_hidden),
        TEST(an_alarm_that_ended_elsewhere_is_cleared_where_it_was),
        TEST(a_change_waits_for_the_ledger),
        TEST(an_event_that_is_held_up_is_told_where_its_alarm_is_now),
        TEST(another_broker_is_told),
        TEST(a_start_with_several_brokers_tells_what_stands),
        TEST(a_reload_before_the_first_connection_may_have_changed_the_broker),
        TEST(a_broker_that_came_and_went_unseen_is_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
