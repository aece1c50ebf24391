/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "support/cmocka_all.h"

/* Standard error goes into a pipe between capture_begin() and capture_end(). */
struct capture {
    int saved;
    int pipe[2];
    char text[8192];
};

static void capture_begin(struct capture *capture, bool journal)
{
    if (journal)
        setenv("JOURNAL_STREAM", "8:1", 1);
    else
        unsetenv("JOURNAL_STREAM");
    assert_int_equal(pipe2(capture->pipe, O_CLOEXEC), 0);
    capture->saved = dup(STDERR_FILENO);
    dup2(capture->pipe[1], STDERR_FILENO);
}

static const char *capture_end(struct capture *capture)
{
    dup2(capture->saved, STDERR_FILENO);
    close(capture->saved);
    close(capture->pipe[1]);
    ssize_t length = read(capture->pipe[0], capture->text, sizeof capture->text - 1);
    close(capture->pipe[0]);
    capture->text[length > 0 ? length : 0] = '\0';
    davy_log_set_level(DAVY_LOG_INFO);
    return capture->text;
}

static void a_line_for_the_journal_has_its_priority(void **unused)
{
    (void)unused;
    struct capture capture;
    capture_begin(&capture, true);
    davy_warning("poller", "%s: %d ppm", "GT-101", 15);
    assert_string_equal(capture_end(&capture), "<4>poller: GT-101: 15 ppm\n");
}

static void a_line_for_people_has_time_and_level(void **unused)
{
    (void)unused;
    struct capture capture;
    capture_begin(&capture, false);
    davy_error("mqtt", "refused");
    const char *text = capture_end(&capture);
    davy_wall t;
    char time[DAVY_WALL_TEXT];
    snprintf(time, sizeof time, "%.24s", text);
    assert_int_equal(davy_wall_parse(time, &t), 0);
    assert_string_equal(text + 24, " error   mqtt: refused\n");
}

static void control_bytes_cannot_forge_a_line(void **unused)
{
    (void)unused;
    struct capture capture;
    capture_begin(&capture, true);
    davy_info("config", "name \"%s\"", "a\n<0>kernel: b\r\x1b[2J\x7f\t\xe7\xbd\x90");
    assert_string_equal(capture_end(&capture),
                        "<6>config: name \"a\\x0a<0>kernel: b\\x0d\\x1b[2J\\x7f\\x09\xe7\xbd\x90\"\n");
}

static void a_long_entry_is_one_bounded_line(void **unused)
{
    (void)unused;
    static char longest[20000], control[20000];
    struct capture capture;
    memset(longest, 'x', sizeof longest - 1);
    memset(control, '\n', sizeof control - 1);
    capture_begin(&capture, true);
    davy_info("config", "%s", longest);
    davy_info("config", "%s", control);
    const char *text = capture_end(&capture);
    const char *end = strchr(text, '\n');
    assert_non_null(end);
    assert_true(end - text > 1000 && end - text < 2048);
    const char *second = strchr(end + 1, '\n');
    assert_non_null(second);
    assert_true(second - end <= 2048);
    assert_int_equal(second[1], '\0');
}

static void what_is_above_the_level_is_dropped(void **unused)
{
    (void)unused;
    struct capture capture;
    assert_int_equal(davy_log_get_level(), DAVY_LOG_INFO);
    capture_begin(&capture, true);
    davy_debug("x", "hidden");
    davy_log_set_level(DAVY_LOG_ERROR);
    davy_warning("x", "hidden");
    davy_error("x", "shown");
    davy_log_set_level(DAVY_LOG_DEBUG);
    davy_debug("x", "shown too");
    assert_string_equal(capture_end(&capture), "<3>x: shown\n<7>x: shown too\n");
}

static void levels_are_named(void **unused)
{
    (void)unused;
    enum davy_log_level level = DAVY_LOG_ERROR;
    assert_int_equal(davy_log_parse_level("notice", &level), 0);
    assert_int_equal(level, DAVY_LOG_NOTICE);
    assert_int_equal(davy_log_parse_level("debug", &level), 0);
    assert_int_equal(level, DAVY_LOG_DEBUG);
    assert_int_equal(davy_log_parse_level("Debug", &level), -EINVAL);
    assert_int_equal(davy_log_parse_level("", &level), -EINVAL);
    assert_int_equal(level, DAVY_LOG_DEBUG);
}

/* Nobody reads, and the descriptor is one that would be waited for: lines are lost and counted, the caller goes on. */
static void a_full_standard_error_is_not_waited_for(void **unused)
{
    (void)unused;
    struct capture capture;
    const uint64_t before = davy_log_lost();
    capture_begin(&capture, true);
    for (int i = 0; i < 5000; i++)
        davy_info("x", "a line of some forty bytes, number %d", i);
    const uint64_t lost = davy_log_lost() - before;
    assert_true(lost > 0 && lost < 5000);
    char taken[65536];
    assert_true(read(capture.pipe[0], taken, sizeof taken) > 0);
    davy_info("x", "read again");
    char expected[160];
    snprintf(expected, sizeof expected, "<4>log: %llu lines are lost: nobody took them\n<6>x: read again\n",
             (unsigned long long)lost);
    assert_string_equal(capture_end(&capture), expected);
    assert_int_equal(davy_log_lost() - before, lost);
}

/* The journal's kind: a stream socket whose other end does not read. */
static void a_full_socket_is_not_waited_for(void **unused)
{
    (void)unused;
    int ends[2];
    const uint64_t before = davy_log_lost();
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    setenv("JOURNAL_STREAM", "8:1", 1);
    int saved = dup(STDERR_FILENO);
    dup2(ends[1], STDERR_FILENO);
    for (int i = 0; i < 20000; i++)
        davy_info("x", "a line of some forty bytes, number %d", i);
    dup2(saved, STDERR_FILENO);
    close(saved);
    close(ends[0]);
    close(ends[1]);
    assert_true(davy_log_lost() > before);
}

static void a_standard_error_that_is_gone_is_no_harm(void **unused)
{
    (void)unused;
    struct capture capture;
    capture_begin(&capture, true);
    close(capture.pipe[0]);
    capture.pipe[0] = dup(capture.saved);
    signal(SIGPIPE, SIG_IGN);
    const uint64_t before = davy_log_lost();
    davy_info("x", "nobody is there");
    close(STDERR_FILENO);
    davy_info("x", "nothing is there");
    const uint64_t lost = davy_log_lost() - before;
    dup2(capture.saved, STDERR_FILENO);
    close(capture.saved);
    close(capture.pipe[0]);
    close(capture.pipe[1]);
    assert_int_equal(lost, 2);
}

static void what_a_terminal_obeys_is_escaped_beyond_ascii_too(void **unused)
{
    (void)unused;
    struct capture capture;
    capture_begin(&capture, true);
    davy_info("x", "%s|%s|%s|%s",
              "\xc2\x9b"
              "2J",
              "\x9b"
              "2J",
              "\xe2\x80\xae"
              "txt",
              "\xc3\xa9\xff");
    const char *text = capture_end(&capture);
    assert_non_null(strstr(text, "\\xc2\\x9b2J|\\x9b2J|\\xe2\\x80\\xaetxt|\xc3\xa9\\xff\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_for_the_journal_has_its_priority),
        cmocka_unit_test(a_line_for_people_has_time_and_level),
        cmocka_unit_test(control_bytes_cannot_forge_a_line),
        cmocka_unit_test(a_long_entry_is_one_bounded_line),
        cmocka_unit_test(what_is_above_the_level_is_dropped),
        cmocka_unit_test(levels_are_named),
        cmocka_unit_test(a_full_standard_error_is_not_waited_for),
        cmocka_unit_test(a_full_socket_is_not_waited_for),
        cmocka_unit_test(a_standard_error_that_is_gone_is_no_harm),
        cmocka_unit_test(what_a_terminal_obeys_is_escaped_beyond_ascii_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
