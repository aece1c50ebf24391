/* SPDX-License-Identifier: Apache-2.0 */
/* What the service manager hears, on a socket of ours in its place. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/attr.h"
#include "base/notify.h"
#include "support/cmocka_all.h"

/* A manager that listens at `name`, as $NOTIFY_SOCKET spells it. */
static int listen_at(const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, name, strlen(name));
    if (name[0] == '@')
        address.sun_path[0] = '\0';
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    assert_true(fd >= 0);
    assert_int_equal(
        bind(fd, (struct sockaddr *)&address, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name))), 0);
    setenv("NOTIFY_SOCKET", name, 1);
    return fd;
}

static const char *heard(int fd)
{
    static char text[256];
    ssize_t size = recv(fd, text, sizeof text - 1, 0);
    text[size < 0 ? 0 : size] = '\0';
    return text;
}

static void a_state_arrives_at_a_path_and_at_a_name(void **state)
{
    (void)state;
    char path[64], name[64];
    snprintf(path, sizeof path, "/tmp/davy-notify-%d", (int)getpid());
    snprintf(name, sizeof name, "@davy-notify-%d", (int)getpid());
    const char *names[] = {path, name};
    for (size_t i = 0; i < DAVY_LENGTH(names); i++) {
        int fd = listen_at(names[i]);
        assert_int_equal(davy_notify("READY=1\nSTATUS=running"), 0);
        assert_string_equal(heard(fd), "READY=1\nSTATUS=running");
        assert_string_equal(heard(fd), "");
        close(fd);
    }
    unlink(path);
}

static void a_reload_carries_the_monotonic_clock(void **state)
{
    (void)state;
    char name[64];
    snprintf(name, sizeof name, "@davy-reload-%d", (int)getpid());
    int fd = listen_at(name);
    struct timespec before, after;
    clock_gettime(CLOCK_MONOTONIC, &before);
    assert_int_equal(davy_notify_reloading(), 0);
    clock_gettime(CLOCK_MONOTONIC, &after);
    const char *text = heard(fd), *usec = strstr(text, "\nMONOTONIC_USEC=");
    assert_true(strncmp(text, "RELOADING=1\n", 12) == 0);
    assert_non_null(usec);
    long long at = strtoll(usec + strlen("\nMONOTONIC_USEC="), NULL, 10);
    assert_true(at >= before.tv_sec * 1000000LL + before.tv_nsec / 1000);
    assert_true(at <= after.tv_sec * 1000000LL + after.tv_nsec / 1000);
    close(fd);
}

static void without_a_manager_nothing_is_sent(void **state)
{
    (void)state;
    static const char *const odd[] = {"", "@", "/", "relative", "vsock:2:1"};
    unsetenv("NOTIFY_SOCKET");
    assert_int_equal(davy_notify("READY=1"), -ENOTCONN);
    for (size_t i = 0; i < DAVY_LENGTH(odd); i++) {
        setenv("NOTIFY_SOCKET", odd[i], 1);
        assert_int_equal(davy_notify("READY=1"), -ENOTCONN);
    }
    setenv("NOTIFY_SOCKET", "/nonexistent/davy/notify", 1);
    assert_int_equal(davy_notify("READY=1"), -ENOENT);
}

/* Else the watchdog would end, again and again, a process that only lacks descriptors for some of its sensors. */
static void a_process_without_descriptors_is_heard_all_the_same(void **state)
{
    (void)state;
    char name[64];
    struct rlimit limit, none;
    snprintf(name, sizeof name, "@davy-full-%d", (int)getpid());
    int fd = listen_at(name);
    assert_int_equal(davy_notify("STATUS=starting"), 0);
    assert_string_equal(heard(fd), "STATUS=starting");
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    none = (struct rlimit){.rlim_cur = 0, .rlim_max = limit.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    assert_true(dup(fd) < 0);
    int rc = davy_notify("WATCHDOG=1");
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_int_equal(rc, 0);
    assert_string_equal(heard(fd), "WATCHDOG=1");
    close(fd);
}

static int64_t watchdog(const char *usec, const char *pid)
{
    if (usec)
        setenv("WATCHDOG_USEC", usec, 1);
    else
        unsetenv("WATCHDOG_USEC");
    if (pid)
        setenv("WATCHDOG_PID", pid, 1);
    else
        unsetenv("WATCHDOG_PID");
    return davy_notify_watchdog().ns;
}

static void the_watchdog_is_of_this_process_or_none(void **state)
{
    (void)state;
    char mine[32], other[32];
    snprintf(mine, sizeof mine, "%d", (int)getpid());
    snprintf(other, sizeof other, "%d", (int)getppid());
    assert_int_equal(watchdog("30000000", mine), 30 * DAVY_NS_PER_S);
    assert_int_equal(watchdog("30000000", NULL), 30 * DAVY_NS_PER_S);
    assert_int_equal(watchdog("30000000", other), 0);
    assert_int_equal(watchdog(NULL, mine), 0);
    static const char *const odd[] = {"", "0", "-1", "30s", "99999999999999999999", "9223372036854775807"};
    for (size_t i = 0; i < DAVY_LENGTH(odd); i++)
        assert_int_equal(watchdog(odd[i], mine), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_state_arrives_at_a_path_and_at_a_name),
        cmocka_unit_test(a_reload_carries_the_monotonic_clock),
        cmocka_unit_test(without_a_manager_nothing_is_sent),
        cmocka_unit_test(a_process_without_descriptors_is_heard_all_the_same),
        cmocka_unit_test(the_watchdog_is_of_this_process_or_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
