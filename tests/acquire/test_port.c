/* SPDX-License-Identifier: Apache-2.0 */
/* Serial ports that come and go, that others use or change, and what is said of them. On pseudo-terminals. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <stdio.h>
#include <sys/file.h>
#include <cmocka.h>

#include "acquire/bus.h"
#include "acquire/port.h"
#include "support/slave.h"

#define UNIT 11

struct rig {
    char folder[32];
    char path[64]; /* a link, as udev makes them in /dev/serial/by-id */
    struct slave slave;
    struct davy_bus bus;
    struct davy_bus_link link;
};

static struct rig rig;

static void plug_in(void)
{
    slave_start_pty(&rig.slave, (struct slave_script){.act = SLAVE_LATE, .times = 1000, .late_ms = 5});
    assert_int_equal(symlink(rig.slave.path, rig.path), 0);
}

static void pull_out(void)
{
    slave_stop(&rig.slave);
    assert_int_equal(unlink(rig.path), 0);
}

static int setup(void **state)
{
    (void)state;
    rig = (struct rig){.folder = "/tmp/davy-port-XXXXXX"};
    if (!mkdtemp(rig.folder))
        return -1;
    snprintf(rig.path, sizeof rig.path, "%s/usb-adapter", rig.folder);
    plug_in();
    rig.bus = (struct davy_bus){.name = "bus",
                                .type = DAVY_BUS_RTU,
                                .device = rig.path,
                                .baud = 115200,
                                .parity = 'N',
                                .data_bits = 8,
                                .stop_bits = 1,
                                .timeout = davy_span_ms(500)};
    return davy_bus_modbus_new(&rig.bus, &rig.link);
}

static int teardown(void **state)
{
    (void)state;
    rig.link.ops->free(rig.link.link);
    pull_out();
    return rmdir(rig.folder);
}

static enum davy_answer read_two(uint16_t start)
{
    struct davy_bus_reply reply;
    const struct davy_bus_request request = {UNIT, DAVY_TABLE_HOLDING, start, 2, davy_span_ms(500)};
    rig.link.ops->read(rig.link.link, &request, &reply);
    if (reply.answer == DAVY_ANSWER_OK) {
        assert_int_equal(reply.words[0], start);
        assert_true(reply.turn_around.ns > 0);
    }
    return reply.answer;
}

static int open_port(void)
{
    return rig.link.ops->open(rig.link.link);
}

static const char *explanation(char text[200])
{
    rig.link.ops->explain(rig.link.link, text, 200);
    return text;
}

/* The same name, another node behind it. */
static void an_adapter_that_is_pulled_out_and_put_back_answers_again(void **state)
{
    (void)state;
    char text[200];
    assert_int_equal(open_port(), 0);
    assert_int_equal(read_two(10), DAVY_ANSWER_OK);
    pull_out();
    assert_int_equal(read_two(20), DAVY_ANSWER_DOWN);
    rig.link.ops->close(rig.link.link);
    assert_int_equal(open_port(), -ENOENT);
    assert_string_equal(explanation(text), rig.path);
    plug_in();
    assert_int_equal(open_port(), 0);
    assert_int_equal(read_two(30), DAVY_ANSWER_OK);
}

/* While nothing is asked, and while the silence after an error is kept. */
static void a_pulled_adapter_is_noticed_in_the_silence_too(void **state)
{
    (void)state;
    assert_int_equal(open_port(), 0);
    kill(rig.slave.child, SIGSTOP);
    assert_int_equal(read_two(10), DAVY_ANSWER_TIMEOUT);
    pull_out();
    assert_int_equal(read_two(20), DAVY_ANSWER_DOWN);
    plug_in();
    assert_int_equal(open_port(), 0);
    enum davy_answer answer = read_two(20);
    assert_int_equal(answer, DAVY_ANSWER_OK);
}

static void settings_that_others_change_are_set_again_at_reopening(void **state)
{
    (void)state;
    struct termios changed;
    int other = open(rig.path, O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_true(other >= 0);
    assert_int_equal(open_port(), 0);
    tcgetattr(other, &changed);
    changed.c_lflag |= ICANON | ECHO;
    changed.c_cflag |= CRTSCTS;
    changed.c_iflag |= IXON | ICRNL;
    cfsetspeed(&changed, B1200);
    assert_int_equal(tcsetattr(other, TCSANOW, &changed), 0);
    struct davy_bus_reply reply;
    const struct davy_bus_request request = {UNIT, DAVY_TABLE_HOLDING, 300, 2, davy_span_ms(500)};
    rig.link.ops->read(rig.link.link, &request, &reply); /* nothing would come out of it before the end of a line */
    assert_int_equal(reply.answer, DAVY_ANSWER_DOWN);
    assert_true(reply.meddled);
    assert_int_equal(open_port(), 0);
    rig.link.ops->read(rig.link.link, &request, &reply);
    assert_false(reply.meddled);
    tcgetattr(other, &changed);
    assert_int_equal(changed.c_lflag & (ICANON | ECHO), 0);
    assert_int_equal(changed.c_cflag & CRTSCTS, 0);
    assert_int_equal(changed.c_iflag & (IXON | ICRNL), 0);
    assert_true((changed.c_cflag & CLOCAL) != 0); /* modem lines do not matter */
    assert_int_equal(cfgetospeed(&changed), B115200);
    assert_int_equal(read_two(10), DAVY_ANSWER_OK);
    close(other);
}

static void each_kind_of_change_is_seen_and_none_where_the_port_is_gone(void **state)
{
    (void)state;
    int other = open(rig.path, O_RDWR | O_NOCTTY | O_CLOEXEC);
    struct termios before, changed;
    struct davy_port_settings noted;
    assert_true(other >= 0);
    assert_int_equal(tcgetattr(other, &before), 0);
    davy_port_note(other, &noted);
    for (int kind = 0; kind < 4; kind++) {
        assert_false(davy_port_is_changed(other, &noted));
        changed = before;
        changed.c_lflag ^= kind == 0 ? ECHO : 0U;
        changed.c_iflag ^= kind == 1 ? ICRNL : 0U;
        changed.c_cc[VMIN] = kind == 2 ? 200 : before.c_cc[VMIN];
        cfsetspeed(&changed, kind == 3 ? B2400 : cfgetospeed(&before));
        assert_int_equal(tcsetattr(other, TCSANOW, &changed), 0);
        assert_true(davy_port_is_changed(other, &noted));
        assert_int_equal(tcsetattr(other, TCSANOW, &before), 0);
    }
    close(other);
    assert_false(davy_port_is_changed(other, &noted));
}

/* libmodbus would silently use 9600. */
static void a_speed_that_does_not_exist_is_refused(void **state)
{
    (void)state;
    char text[200];
    rig.link.ops->free(rig.link.link);
    rig.bus.baud = 12345;
    assert_int_equal(davy_bus_modbus_new(&rig.bus, &rig.link), 0);
    assert_int_equal(open_port(), -EINVAL);
    assert_non_null(strstr(explanation(text), "does not take 12345 baud"));
    assert_non_null(strstr(text, rig.path));
}

static void who_holds_the_port_is_named(void **state)
{
    (void)state;
    char text[200], process[32];
    snprintf(process, sizeof process, "(process %d)", (int)getpid());
    int other = open(rig.path, O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_int_equal(flock(other, LOCK_EX), 0);
    assert_int_equal(open_port(), -EBUSY);
    assert_non_null(strstr(explanation(text), process));
    assert_non_null(strstr(text, rig.path));
    close(other);
    davy_port_holder(rig.path, text, sizeof text);
    assert_string_equal(text, "");
    assert_int_equal(open_port(), 0);
}

static void what_rs485_lacks_is_said(void **state)
{
    (void)state;
    char text[200];
    rig.link.ops->free(rig.link.link);
    rig.bus.rs485 = true;
    assert_int_equal(davy_bus_modbus_new(&rig.bus, &rig.link), 0);
    assert_true(open_port() < 0);
    assert_non_null(strstr(explanation(text), "RS-485"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(an_adapter_that_is_pulled_out_and_put_back_answers_again),
        TEST(a_pulled_adapter_is_noticed_in_the_silence_too),
        TEST(settings_that_others_change_are_set_again_at_reopening),
        TEST(each_kind_of_change_is_seen_and_none_where_the_port_is_gone),
        TEST(a_speed_that_does_not_exist_is_refused),
        TEST(who_holds_the_port_is_named),
        TEST(what_rs485_lacks_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
