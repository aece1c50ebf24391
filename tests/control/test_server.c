/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cmocka.h>

#include "control/server.h"

struct bench {
    char folder[64];
    char path[96];
    struct davy_stamp time;
    struct davy_clock clock;
    struct davy_control *control;
    int requests;
    struct davy_control_peer peer; /* of the last request */
    char line[256];                /* of the last request */
    bool echo;                     /* answer at once with the line itself */
};

static struct davy_stamp bench_now(void *context)
{
    return ((struct bench *)context)->time;
}

static void on_request(void *context, const struct davy_control_peer *peer, const char *line)
{
    struct bench *bench = context;
    bench->requests++;
    bench->peer = *peer;
    snprintf(bench->line, sizeof bench->line, "%s", line);
    if (bench->echo)
        davy_control_reply(bench->control, peer->ticket, line);
}

static int open_control(struct bench *bench, struct davy_control **ret_control)
{
    const struct davy_control_options options = {
        .path = bench->path, .clock = &bench->clock, .request = on_request, .context = bench};
    return davy_control_new(&options, ret_control);
}

static int set_up(void **state)
{
    struct bench *bench = calloc(1, sizeof *bench);
    strcpy(bench->folder, "/tmp/davy-control-XXXXXX");
    assert_non_null(mkdtemp(bench->folder));
    snprintf(bench->path, sizeof bench->path, "%s/davyd.sock", bench->folder);
    bench->time.mono.ns = 5 * DAVY_NS_PER_S;
    bench->clock = (struct davy_clock){bench_now, bench};
    bench->echo = true;
    assert_int_equal(open_control(bench, &bench->control), 0);
    *state = bench;
    return 0;
}

static int tear_down(void **state)
{
    struct bench *bench = *state;
    bench->control = davy_control_free(bench->control);
    assert_int_equal(access(bench->path, F_OK), -1);
    assert_int_equal(rmdir(bench->folder), 0);
    free(bench);
    return 0;
}

static void turn(struct bench *bench)
{
    for (int i = 0; i < 20; i++)
        davy_control_turn(bench->control);
}

static int dial(struct bench *bench)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, bench->path, strlen(bench->path));
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    turn(bench);
    return fd;
}

static void say(int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

/* What has come so far; "" for the end, NULL for nothing yet. */
static const char *hear(int fd, char text[256])
{
    ssize_t got = recv(fd, text, 255, 0);
    if (got < 0 && errno == EAGAIN)
        return NULL;
    text[got > 0 ? got : 0] = '\0';
    return text;
}

static void answers_a_line_with_a_line(void **state)
{
    struct bench *bench = *state;
    char text[256];
    int fd = dial(bench);
    say(fd, "{\"verb\":\"status\"}\n");
    turn(bench);
    assert_string_equal(hear(fd, text), "{\"verb\":\"status\"}\n");
    say(fd, "again\n");
    turn(bench);
    assert_string_equal(hear(fd, text), "again\n");
    close(fd);
}

static void puts_a_line_together_from_pieces(void **state)
{
    struct bench *bench = *state;
    char text[256];
    int fd = dial(bench);
    for (const char *c = "{\"a\":1}"; *c; c++) {
        assert_int_equal(send(fd, c, 1, 0), 1);
        turn(bench);
    }
    assert_int_equal(bench->requests, 0);
    say(fd, "\n");
    turn(bench);
    assert_string_equal(hear(fd, text), "{\"a\":1}\n");
    close(fd);
}

static void serves_lines_sent_at_once_one_after_another(void **state)
{
    struct bench *bench = *state;
    bench->echo = false;
    char text[256];
    int fd = dial(bench);
    say(fd, "one\ntwo\nthree\n");
    turn(bench);
    assert_int_equal(bench->requests, 1);
    assert_string_equal(bench->line, "one");
    davy_control_reply(bench->control, bench->peer.ticket, "1");
    turn(bench);
    assert_int_equal(bench->requests, 2);
    assert_string_equal(bench->line, "two");
    davy_control_reply(bench->control, bench->peer.ticket, "2");
    turn(bench);
    davy_control_reply(bench->control, bench->peer.ticket, "3");
    turn(bench);
    assert_string_equal(hear(fd, text), "1\n2\n3\n");
    close(fd);
}

static void names_the_peer(void **state)
{
    struct bench *bench = *state;
    int fd = dial(bench);
    say(fd, "x\n");
    turn(bench);
    assert_int_equal(bench->peer.uid, getuid());
    assert_int_equal(strncmp(bench->peer.user, "local:", 6), 0);
    if (getuid() == 0)
        assert_string_equal(bench->peer.user, "local:root");
    close(fd);
}

static void a_silent_client_does_not_hold_up_another(void **state)
{
    struct bench *bench = *state;
    char text[256];
    int silent = dial(bench), slow = dial(bench), quick = dial(bench);
    say(slow, "half of a");
    say(quick, "whole\n");
    turn(bench);
    assert_string_equal(hear(quick, text), "whole\n");
    close(silent);
    close(slow);
    close(quick);
}

static void answers_the_right_one_of_two_clients(void **state)
{
    struct bench *bench = *state;
    bench->echo = false;
    char text[256];
    int first = dial(bench), second = dial(bench);
    say(first, "a\n");
    turn(bench);
    const uint64_t ticket = bench->peer.ticket;
    say(second, "b\n");
    turn(bench);
    davy_control_reply(bench->control, bench->peer.ticket, "to b");
    turn(bench);
    assert_string_equal(hear(second, text), "to b\n");
    assert_null(hear(first, text));
    davy_control_reply(bench->control, ticket, "to a");
    turn(bench);
    assert_string_equal(hear(first, text), "to a\n");
    close(first);
    close(second);
}

static void ignores_a_reply_to_a_client_that_has_gone(void **state)
{
    struct bench *bench = *state;
    bench->echo = false;
    char text[256];
    int gone = dial(bench);
    say(gone, "x\n");
    turn(bench);
    const uint64_t ticket = bench->peer.ticket;
    close(gone);
    turn(bench);
    int next = dial(bench);
    say(next, "y\n");
    turn(bench);
    davy_control_reply(bench->control, ticket, "late");
    turn(bench);
    assert_null(hear(next, text));
    davy_control_reply(bench->control, bench->peer.ticket, "mine");
    davy_control_reply(bench->control, bench->peer.ticket, "twice");
    turn(bench);
    assert_string_equal(hear(next, text), "mine\n");
    close(next);
}

static void answers_a_client_that_has_shut_its_sending_side(void **state)
{
    struct bench *bench = *state;
    bench->echo = false;
    char text[256];
    int fd = dial(bench);
    say(fd, "x\n");
    shutdown(fd, SHUT_WR);
    turn(bench);
    davy_control_reply(bench->control, bench->peer.ticket, "late");
    turn(bench);
    assert_string_equal(hear(fd, text), "late\n");
    assert_string_equal(hear(fd, text), "");
    close(fd);
}

static void refuses_a_line_over_64_kib_and_closes(void **state)
{
    struct bench *bench = *state;
    char text[256], block[4096];
    memset(block, 'x', sizeof block);
    int fd = dial(bench);
    for (int i = 0; i < 16; i++) {
        assert_int_equal(send(fd, block, sizeof block, 0), sizeof block);
        turn(bench);
    }
    assert_non_null(strstr(hear(fd, text), "longer than 64 KiB"));
    assert_string_equal(hear(fd, text), "");
    assert_int_equal(bench->requests, 0);
    close(fd);
}

static void takes_a_line_of_exactly_64_kib(void **state)
{
    struct bench *bench = *state;
    bench->echo = false;
    char block[4096];
    memset(block, 'x', sizeof block);
    int fd = dial(bench);
    for (int i = 0; i < 16; i++) {
        block[sizeof block - 1] = i == 15 ? '\n' : 'x';
        assert_int_equal(send(fd, block, sizeof block, 0), sizeof block);
        turn(bench);
    }
    assert_int_equal(bench->requests, 1);
    close(fd);
}

static void refuses_a_nul_byte_and_a_missing_newline(void **state)
{
    struct bench *bench = *state;
    char text[256];
    int fd = dial(bench);
    assert_int_equal(send(fd, "a\0b\n", 4, 0), 4);
    turn(bench);
    assert_non_null(strstr(hear(fd, text), "NUL"));
    close(fd);
    fd = dial(bench);
    say(fd, "no end");
    shutdown(fd, SHUT_WR);
    turn(bench);
    assert_non_null(strstr(hear(fd, text), "newline"));
    close(fd);
    assert_int_equal(bench->requests, 0);
}

static void a_half_sent_request_ends_after_10_s(void **state)
{
    struct bench *bench = *state;
    char text[256];
    int fd = dial(bench), idle = dial(bench);
    say(fd, "half");
    turn(bench);
    assert_int_equal(davy_control_due(bench->control).ns, 15 * DAVY_NS_PER_S);
    bench->time.mono.ns = 15 * DAVY_NS_PER_S - 1;
    turn(bench);
    assert_null(hear(fd, text));
    bench->time.mono.ns = 15 * DAVY_NS_PER_S;
    turn(bench);
    assert_non_null(strstr(hear(fd, text), "within 10 s"));
    assert_string_equal(hear(fd, text), "");
    assert_string_equal(hear(idle, text), "");
    assert_int_equal(davy_control_due(bench->control).ns, INT64_MAX);
    close(fd);
    close(idle);
}

static void a_client_that_does_not_take_its_reply_is_closed(void **state)
{
    struct bench *bench = *state;
    bench->echo = false;
    int fd = dial(bench), other = dial(bench);
    say(fd, "x\n");
    turn(bench);
    char *big = malloc(1000001);
    memset(big, 'r', 1000000);
    big[1000000] = '\0';
    davy_control_reply(bench->control, bench->peer.ticket, big);
    free(big);
    turn(bench);
    bench->echo = true;
    char text[256];
    say(other, "still served\n");
    turn(bench);
    assert_string_equal(hear(other, text), "still served\n");
    bench->time.mono.ns += 10 * DAVY_NS_PER_S;
    turn(bench);
    size_t total = 0;
    for (;;) {
        ssize_t got = recv(fd, text, sizeof text, 0);
        if (got <= 0) {
            assert_int_equal(got, 0);
            break;
        }
        total += (size_t)got;
    }
    assert_true(total > 0 && total < 1000000);
    close(fd);
    close(other);
}

static void a_reply_over_1_mib_becomes_a_refusal(void **state)
{
    struct bench *bench = *state;
    bench->echo = false;
    int fd = dial(bench);
    say(fd, "x\n");
    turn(bench);
    char *big = malloc(1024 * 1024 + 1), text[256];
    memset(big, 'r', 1024 * 1024);
    big[1024 * 1024] = '\0';
    davy_control_reply(bench->control, bench->peer.ticket, big);
    free(big);
    turn(bench);
    assert_string_equal(hear(fd, text), "{\"ok\":false,\"error\":\"the reply is longer than 1 MiB\"}\n");
    close(fd);
}

static void a_refusal_is_escaped(void **state)
{
    struct bench *bench = *state;
    bench->echo = false;
    char text[256];
    int fd = dial(bench);
    say(fd, "x\n");
    turn(bench);
    davy_control_refuse(bench->control, bench->peer.ticket, "no \"%s\"\n", "such\x1b[2J");
    turn(bench);
    assert_string_equal(hear(fd, text), "{\"ok\":false,\"error\":\"no \\\"such\\u001b[2J\\\"\\n\"}\n");
    close(fd);
}

static void the_seventeenth_client_is_told_and_closed(void **state)
{
    struct bench *bench = *state;
    int fds[17];
    char text[256];
    for (int i = 0; i < 17; i++)
        fds[i] = dial(bench);
    assert_non_null(strstr(hear(fds[16], text), "too many clients"));
    assert_string_equal(hear(fds[16], text), "");
    close(fds[3]);
    turn(bench);
    close(fds[16]);
    fds[16] = dial(bench);
    say(fds[16], "room\n");
    turn(bench);
    assert_string_equal(hear(fds[16], text), "room\n");
    for (int i = 0; i < 17; i++)
        if (i != 3)
            close(fds[i]);
}

static void the_socket_is_for_owner_and_group_only(void **state)
{
    struct bench *bench = *state;
    struct stat status;
    assert_int_equal(lstat(bench->path, &status), 0);
    assert_int_equal(status.st_mode, S_IFSOCK | 0660);
}

static void a_socket_that_is_served_is_not_taken(void **state)
{
    struct bench *bench = *state;
    struct davy_control *second = NULL;
    assert_int_equal(open_control(bench, &second), -EADDRINUSE);
    assert_null(second);
    int fd = dial(bench);
    close(fd);
}

static void a_stale_socket_is_replaced(void **state)
{
    struct bench *bench = *state;
    bench->control = davy_control_free(bench->control);
    int stale = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, bench->path, strlen(bench->path));
    assert_int_equal(bind(stale, (struct sockaddr *)&address, sizeof address), 0);
    close(stale);
    assert_int_equal(open_control(bench, &bench->control), 0);
    close(dial(bench));
}

static void a_file_that_is_no_socket_is_left_alone(void **state)
{
    struct bench *bench = *state;
    bench->control = davy_control_free(bench->control);
    int file = open(bench->path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    close(file);
    assert_int_equal(open_control(bench, &bench->control), -EEXIST);
    assert_int_equal(access(bench->path, F_OK), 0);
    unlink(bench->path);
}

static void a_path_that_is_too_long_is_refused(void **state)
{
    struct bench *bench = *state;
    char path[200];
    memset(path, 'p', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    struct davy_control *control;
    const struct davy_control_options options = {.path = path, .clock = &bench->clock, .request = on_request};
    assert_int_equal(davy_control_new(&options, &control), -ENAMETOOLONG);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(answers_a_line_with_a_line),
        CASE(puts_a_line_together_from_pieces),
        CASE(serves_lines_sent_at_once_one_after_another),
        CASE(names_the_peer),
        CASE(a_silent_client_does_not_hold_up_another),
        CASE(answers_the_right_one_of_two_clients),
        CASE(ignores_a_reply_to_a_client_that_has_gone),
        CASE(answers_a_client_that_has_shut_its_sending_side),
        CASE(refuses_a_line_over_64_kib_and_closes),
        CASE(takes_a_line_of_exactly_64_kib),
        CASE(refuses_a_nul_byte_and_a_missing_newline),
        CASE(a_half_sent_request_ends_after_10_s),
        CASE(a_client_that_does_not_take_its_reply_is_closed),
        CASE(a_reply_over_1_mib_becomes_a_refusal),
        CASE(a_refusal_is_escaped),
        CASE(the_seventeenth_client_is_told_and_closed),
        CASE(the_socket_is_for_owner_and_group_only),
        CASE(a_socket_that_is_served_is_not_taken),
        CASE(a_stale_socket_is_replaced),
        CASE(a_file_that_is_no_socket_is_left_alone),
        CASE(a_path_that_is_too_long_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
