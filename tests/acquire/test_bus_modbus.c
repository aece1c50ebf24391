/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <cmocka.h>

#include "acquire/bus.h"
#include "base/attr.h"
#include "support/slave.h"

#define UNIT 11

static const davy_span max_reply = {700 * DAVY_NS_PER_MS};

struct rig {
    struct slave slave;
    struct davy_bus_link bus;
    struct davy_bus_reply reply;
};

static struct davy_bus bus_of(enum davy_bus_type type, const struct slave *slave)
{
    return (struct davy_bus){.name = "bus",
                             .type = type,
                             .device = slave->path,
                             .baud = 115200,
                             .parity = 'N',
                             .data_bits = 8,
                             .stop_bits = 1,
                             .host = "127.0.0.1",
                             .port = slave->port,
                             .timeout = davy_span_ms(300)};
}

static void rig_open(struct rig *rig, const struct davy_bus *bus)
{
    assert_int_equal(davy_bus_modbus_new(bus, &rig->bus), 0);
    assert_int_equal(rig->bus.ops->open(rig->bus.link), 0);
}

static void rig_init(struct rig *rig, enum davy_bus_type type, struct slave_script script)
{
    memset(rig, 0, sizeof *rig);
    script.tcp = type == DAVY_BUS_TCP;
    if (type == DAVY_BUS_RTU)
        slave_start_pty(&rig->slave, script);
    else
        slave_start_tcp(&rig->slave, script);
    struct davy_bus bus = bus_of(type, &rig->slave);
    bus.echo = script.echo;
    if (script.act == SLAVE_HANG_UP)
        bus.timeout = davy_span_ms(30000); /* it is not waited for, however slow the machine */
    rig_open(rig, &bus);
}

static void rig_done(struct rig *rig)
{
    rig->bus.ops->free(rig->bus.link);
    slave_stop(&rig->slave);
}

/* Two registers; whatever is said to be good must be what these registers hold. */
static enum davy_answer read_two(struct rig *rig, uint16_t start)
{
    memset(&rig->reply, 0xA5, sizeof rig->reply);
    const struct davy_bus_request request = {UNIT, DAVY_TABLE_HOLDING, start, 2, max_reply};
    rig->bus.ops->read(rig->bus.link, &request, &rig->reply);
    if (rig->reply.answer == DAVY_ANSWER_OK) {
        assert_int_equal(rig->reply.words[0], start);
        assert_int_equal(rig->reply.words[1], start + 1);
    }
    return rig->reply.answer;
}

static int64_t now_ms(void)
{
    return davy_clock_now(&davy_system_clock).mono.ns / DAVY_NS_PER_MS;
}

static void all_transports_read_what_is_there(void **state)
{
    (void)state;
    for (unsigned type = 0; type < DAVY_BUS_TYPE_COUNT_; type++) {
        struct rig rig;
        rig_init(&rig, (enum davy_bus_type)type, (struct slave_script){.times = 0});
        for (uint16_t start = 0; start < 5; start++)
            assert_int_equal(read_two(&rig, (uint16_t)(100 * start)), DAVY_ANSWER_OK);
        const struct davy_bus_request longest = {UNIT, DAVY_TABLE_INPUT, 500, 125, max_reply};
        rig.bus.ops->read(rig.bus.link, &longest, &rig.reply);
        assert_int_equal(rig.reply.answer, DAVY_ANSWER_OK);
        assert_int_equal(rig.reply.words[124], 624);
        rig_done(&rig);
    }
}

/* What one bad reply gives, and that the request after it is answered right (on TCP on a new connection). */
static void misbehave(enum davy_bus_type type, enum slave_act act, enum davy_answer expected)
{
    struct rig rig;
    rig_init(&rig, type, (struct slave_script){.act = act, .times = 1, .late_ms = 450});
    assert_int_equal(read_two(&rig, 10), expected);
    if (type == DAVY_BUS_TCP && expected != DAVY_ANSWER_EXCEPTION) {
        assert_int_equal(read_two(&rig, 20), DAVY_ANSWER_DOWN);
        slave_pause(800); /* it serves one connection after the other */
        assert_int_equal(rig.bus.ops->open(rig.bus.link), 0);
    }
    for (uint16_t start = 20; start < 25; start++)
        assert_int_equal(read_two(&rig, start), DAVY_ANSWER_OK);
    rig_done(&rig);
}

struct misbehaviour {
    enum slave_act act;
    enum davy_answer expected;
};

static void a_serial_line_survives_each_kind_of_bad_reply(void **state)
{
    (void)state;
    static const struct misbehaviour cases[] = {
        {SLAVE_SILENT, DAVY_ANSWER_TIMEOUT}, {SLAVE_LATE, DAVY_ANSWER_TIMEOUT},     {SLAVE_UNIT, DAVY_ANSWER_INVALID},
        {SLAVE_CRC, DAVY_ANSWER_INVALID},    {SLAVE_NOISE, DAVY_ANSWER_INVALID},    {SLAVE_SHORT, DAVY_ANSWER_TIMEOUT},
        {SLAVE_DRIP, DAVY_ANSWER_TIMEOUT},   {SLAVE_REFUSE, DAVY_ANSWER_EXCEPTION},
    };
    for (size_t i = 0; i < DAVY_LENGTH(cases); i++)
        misbehave(DAVY_BUS_RTU, cases[i].act, cases[i].expected);
    misbehave(DAVY_BUS_RTU_OVER_TCP, SLAVE_LATE, DAVY_ANSWER_TIMEOUT);
    misbehave(DAVY_BUS_RTU_OVER_TCP, SLAVE_UNIT, DAVY_ANSWER_INVALID);
}

static void a_tcp_connection_is_closed_after_each_kind_of_bad_reply(void **state)
{
    (void)state;
    static const struct misbehaviour cases[] = {
        {SLAVE_SILENT, DAVY_ANSWER_TIMEOUT},   {SLAVE_LATE, DAVY_ANSWER_TIMEOUT},
        {SLAVE_UNIT, DAVY_ANSWER_INVALID},     {SLAVE_PROTOCOL, DAVY_ANSWER_INVALID},
        {SLAVE_LENGTH, DAVY_ANSWER_INVALID},   {SLAVE_TRANSACTION, DAVY_ANSWER_INVALID},
        {SLAVE_DRIP, DAVY_ANSWER_TIMEOUT},     {SLAVE_SHORT, DAVY_ANSWER_TIMEOUT},
        {SLAVE_REFUSE, DAVY_ANSWER_EXCEPTION},
    };
    for (size_t i = 0; i < DAVY_LENGTH(cases); i++)
        misbehave(DAVY_BUS_TCP, cases[i].act, cases[i].expected);
}

static void a_reply_later_than_max_reply_is_never_taken_for_the_next(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, DAVY_BUS_RTU, (struct slave_script){.act = SLAVE_LATE, .times = 2, .late_ms = 1000});
    unsigned good = 0;
    for (uint16_t start = 10; start < 200 && good < 5; start = (uint16_t)(start + 10))
        good += read_two(&rig, start) == DAVY_ANSWER_OK; /* checks the values */
    assert_int_equal(good, 5);
    rig_done(&rig);
}

/* Many cheap sensors answer nothing but the one read of their manual. */
static void a_device_that_ignores_other_lengths_comes_back_too(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, DAVY_BUS_RTU, (struct slave_script){.act = SLAVE_SILENT, .times = 1, .only_count = 2});
    assert_int_equal(read_two(&rig, 10), DAVY_ANSWER_TIMEOUT);
    assert_int_equal(read_two(&rig, 20), DAVY_ANSWER_TIMEOUT); /* what was sent was of another length */
    assert_int_equal(read_two(&rig, 20), DAVY_ANSWER_OK);
    assert_int_equal(read_two(&rig, 30), DAVY_ANSWER_OK);
    rig_done(&rig);
}

static void a_deaf_and_late_device_never_gives_the_value_of_another_read(void **state)
{
    (void)state;
    struct rig rig;
    unsigned good = 0;
    rig_init(&rig, DAVY_BUS_RTU,
             (struct slave_script){.act = SLAVE_LATE, .times = 2, .late_ms = 1200, .only_count = 2});
    for (uint16_t start = 10; start < 150 && good < 3; start = (uint16_t)(start + 10))
        good += read_two(&rig, start) == DAVY_ANSWER_OK; /* checks the values */
    assert_int_equal(good, 3);
    rig_done(&rig);
}

/* The exception proves nothing: the late reply comes behind it, and may be the only one. */
static void a_late_reply_behind_an_exception_is_never_taken_for_another(void **state)
{
    (void)state;
    struct rig rig;
    unsigned good = 0;
    rig_init(&rig, DAVY_BUS_RTU,
             (struct slave_script){
                 .act = SLAVE_BEHIND, .times = 1, .late_ms = 900, .silent = 1, .only_count = 2, .refuse = true});
    assert_int_equal(read_two(&rig, 10), DAVY_ANSWER_TIMEOUT);
    for (uint16_t start = 20; start < 100 && good < 3; start = (uint16_t)(start + 10))
        good += read_two(&rig, start) == DAVY_ANSWER_OK; /* checks the values */
    assert_int_equal(good, 3);
    rig_done(&rig);
}

/* It comes when the line has long been thought free, in front of the reply to a later request. */
static void a_reply_that_others_have_overtaken_is_not_taken_for_theirs(void **state)
{
    (void)state;
    struct rig rig;
    unsigned good = 0;
    rig_init(&rig, DAVY_BUS_RTU, (struct slave_script){.act = SLAVE_BEHIND, .times = 2, .late_ms = 1000});
    for (uint16_t start = 10; start < 200 && good < 60; start++)
        good += read_two(&rig, start) == DAVY_ANSWER_OK; /* checks the values */
    assert_int_equal(good, 60);
    rig_done(&rig);
}

/* A wait that a stop ends early has not seen the silence that it was to wait for. */
static void a_read_cut_short_by_a_stop_gives_nothing(void **state)
{
    (void)state;
    struct rig rig;
    atomic_bool stop = false;
    rig_init(&rig, DAVY_BUS_RTU,
             (struct slave_script){.act = SLAVE_BEHIND, .times = 1, .late_ms = 600, .only_count = 2, .refuse = true});
    rig.bus.ops->obey(rig.bus.link, &stop);
    assert_int_equal(read_two(&rig, 10), DAVY_ANSWER_TIMEOUT);
    stop = true;
    int64_t before = now_ms();
    assert_int_not_equal(read_two(&rig, 20), DAVY_ANSWER_OK);
    assert_true(now_ms() - before < 500);
    rig_done(&rig);
}

static void a_second_reply_to_one_request_is_not_the_next(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, DAVY_BUS_TCP, (struct slave_script){.act = SLAVE_TWICE, .times = 1});
    assert_int_equal(read_two(&rig, 10), DAVY_ANSWER_OK);
    slave_pause(20);
    assert_int_equal(read_two(&rig, 20), DAVY_ANSWER_DOWN);
    rig_done(&rig);
}

static void a_dripping_device_is_cut_off_at_the_deadline(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, DAVY_BUS_TCP, (struct slave_script){.act = SLAVE_DRIP, .times = 1});
    int64_t before = now_ms();
    assert_int_equal(read_two(&rig, 10), DAVY_ANSWER_TIMEOUT);
    assert_in_range(now_ms() - before, 290, 600);
    rig_done(&rig);
}

static void after_an_error_a_serial_line_is_silent_until_max_reply(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, DAVY_BUS_RTU, (struct slave_script){.act = SLAVE_UNIT, .times = 1});
    int64_t before = now_ms();
    assert_int_equal(read_two(&rig, 10), DAVY_ANSWER_INVALID);
    assert_int_equal(read_two(&rig, 20), DAVY_ANSWER_OK);
    assert_true(now_ms() - before >= 700);
    rig_done(&rig);
}

static void an_echo_is_swallowed(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, DAVY_BUS_RTU, (struct slave_script){.echo = true});
    assert_int_equal(read_two(&rig, 10), DAVY_ANSWER_OK);
    assert_int_equal(read_two(&rig, 20), DAVY_ANSWER_OK);
    rig_done(&rig);
}

static void a_lost_line_is_down(void **state)
{
    (void)state;
    for (unsigned type = 0; type < DAVY_BUS_TYPE_COUNT_; type++) {
        struct rig rig;
        rig_init(&rig, (enum davy_bus_type)type, (struct slave_script){.act = SLAVE_HANG_UP, .times = 1});
        assert_int_equal(read_two(&rig, 10), DAVY_ANSWER_DOWN);
        slave_await_end(&rig.slave);
        rig.bus.ops->close(rig.bus.link);
        rig.bus.ops->close(rig.bus.link);
        assert_int_equal(read_two(&rig, 10), DAVY_ANSWER_DOWN);
        assert_true(rig.bus.ops->open(rig.bus.link) < 0);
        rig_done(&rig);
    }
}

static void a_port_in_use_is_busy(void **state)
{
    (void)state;
    struct rig rig;
    struct davy_bus_link second;
    rig_init(&rig, DAVY_BUS_RTU, (struct slave_script){.times = 0});
    struct davy_bus bus = bus_of(DAVY_BUS_RTU, &rig.slave);
    assert_int_equal(davy_bus_modbus_new(&bus, &second), 0);
    assert_int_equal(second.ops->open(second.link), -EBUSY);
    second.ops->free(second.link);
    rig_done(&rig);
}

static void what_cannot_be_opened_says_why(void **state)
{
    (void)state;
    struct slave nobody = {.path = "/dev/davy-no-such-port"};
    struct davy_bus_link link;
    struct davy_bus bus = bus_of(DAVY_BUS_RTU, &nobody);
    assert_int_equal(davy_bus_modbus_new(&bus, &link), 0);
    assert_int_equal(link.ops->open(link.link), -ENOENT);
    link.ops->free(link.link);
    struct slave server;
    slave_start_tcp(&server, (struct slave_script){.tcp = true});
    slave_stop(&server);
    bus = bus_of(DAVY_BUS_TCP, &server);
    assert_int_equal(davy_bus_modbus_new(&bus, &link), 0);
    assert_int_equal(link.ops->open(link.link), -ECONNREFUSED);
    link.ops->free(link.link);
    bus.host = NULL;
    assert_int_equal(davy_bus_modbus_new(&bus, &link), -EINVAL);
}

/* A pty has no direction to switch: that must not seem to work. */
static void a_port_without_rs485_mode_is_refused(void **state)
{
    (void)state;
    struct slave slave = {.keep = -1};
    struct davy_bus_link link;
    slave_start_pty(&slave, (struct slave_script){.times = 0});
    struct davy_bus bus = bus_of(DAVY_BUS_RTU, &slave);
    bus.rs485 = true;
    assert_int_equal(davy_bus_modbus_new(&bus, &link), 0);
    assert_true(link.ops->open(link.link) < 0);
    link.ops->free(link.link);
    slave_stop(&slave);
}

/* libmodbus would abort the process in select(). */
static void descriptors_beyond_select_are_refused(void **state)
{
    (void)state;
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_max != RLIM_INFINITY && limit.rlim_max < FD_SETSIZE + 16)
        skip();
    limit.rlim_cur = FD_SETSIZE + 16;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    int fds[FD_SETSIZE], count = 0;
    do {
        fds[count] = dup(0);
    } while (fds[count] >= 0 && fds[count++] < FD_SETSIZE - 1);
    /* The slave's own descriptors are beyond too; it does not select(). */
    struct slave slave;
    slave_start_tcp(&slave, (struct slave_script){.tcp = true});
    struct davy_bus bus = bus_of(DAVY_BUS_TCP, &slave);
    struct davy_bus_link link;
    assert_int_equal(davy_bus_modbus_new(&bus, &link), 0);
    assert_int_equal(link.ops->open(link.link), -EMFILE);
    link.ops->free(link.link);
    slave_stop(&slave);
    slave_start_pty(&slave, (struct slave_script){.times = 0});
    bus = bus_of(DAVY_BUS_RTU, &slave);
    assert_int_equal(davy_bus_modbus_new(&bus, &link), 0);
    assert_int_equal(link.ops->open(link.link), -EMFILE);
    link.ops->free(link.link);
    slave_stop(&slave);
    while (count > 0)
        close(fds[--count]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_transports_read_what_is_there),
        cmocka_unit_test(a_serial_line_survives_each_kind_of_bad_reply),
        cmocka_unit_test(a_tcp_connection_is_closed_after_each_kind_of_bad_reply),
        cmocka_unit_test(a_reply_later_than_max_reply_is_never_taken_for_the_next),
        cmocka_unit_test(a_device_that_ignores_other_lengths_comes_back_too),
        cmocka_unit_test(a_deaf_and_late_device_never_gives_the_value_of_another_read),
        cmocka_unit_test(a_late_reply_behind_an_exception_is_never_taken_for_another),
        cmocka_unit_test(a_reply_that_others_have_overtaken_is_not_taken_for_theirs),
        cmocka_unit_test(a_read_cut_short_by_a_stop_gives_nothing),
        cmocka_unit_test(a_second_reply_to_one_request_is_not_the_next),
        cmocka_unit_test(a_dripping_device_is_cut_off_at_the_deadline),
        cmocka_unit_test(after_an_error_a_serial_line_is_silent_until_max_reply),
        cmocka_unit_test(an_echo_is_swallowed),
        cmocka_unit_test(a_lost_line_is_down),
        cmocka_unit_test(a_port_in_use_is_busy),
        cmocka_unit_test(what_cannot_be_opened_says_why),
        cmocka_unit_test(a_port_without_rs485_mode_is_refused),
        cmocka_unit_test(descriptors_beyond_select_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
