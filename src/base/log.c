/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>

#include "base/buf.h"
#include "base/utf8.h"

/* How often a thread looks whether another one has written its line. */
#define TRIES 1000

static _Atomic int current_level = DAVY_LOG_INFO;

/* Lines lost since the last one that got out, and all of them. */
static _Atomic uint64_t owed, lost;

/* Held by the thread that writes: what poll() said of a pipe stays true until it has written. */
static atomic_flag writing = ATOMIC_FLAG_INIT;

static const struct {
    const char *name;
    enum davy_log_level level;
} levels[] = {
    {"error", DAVY_LOG_ERROR}, {"warning", DAVY_LOG_WARNING}, {"notice", DAVY_LOG_NOTICE},
    {"info", DAVY_LOG_INFO},   {"debug", DAVY_LOG_DEBUG},
};

void davy_log_set_level(enum davy_log_level level)
{
    atomic_store(&current_level, (int)level);
}

enum davy_log_level davy_log_get_level(void)
{
    return (enum davy_log_level)atomic_load(&current_level);
}

int davy_log_parse_level(const char *name, enum davy_log_level *ret_level)
{
    for (size_t i = 0; i < DAVY_LENGTH(levels); i++) {
        if (strcmp(levels[i].name, name) == 0) {
            *ret_level = levels[i].level;
            return 0;
        }
    }
    return -EINVAL;
}

static const char *level_name(enum davy_log_level level)
{
    for (size_t i = 0; i < DAVY_LENGTH(levels); i++)
        if (levels[i].level == level)
            return levels[i].name;
    return "?";
}

static void prefix(struct davy_buf *line, enum davy_log_level level, const char *subsystem)
{
    char time[DAVY_WALL_TEXT];
    if (getenv("JOURNAL_STREAM"))
        davy_buf_printf(line, "<%d>%s: ", (int)level, subsystem);
    else
        davy_buf_printf(line, "%s %-7s %s: ", davy_wall_format(davy_clock_now(&davy_system_clock).wall, time),
                        level_name(level), subsystem);
}

/*
 * Whether standard error took the line at once. A pipe that is ready has room for PIPE_BUF bytes, more than a line; a
 * socket, such as the journal's, is asked not to wait. The mode of the descriptor is not ours alone to change.
 */
static bool deliver(const char *text, size_t length)
{
    ssize_t sent = send(STDERR_FILENO, text, length, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent >= 0 || errno != ENOTSOCK)
        return sent >= 0;
    struct pollfd item = {.fd = STDERR_FILENO, .events = POLLOUT};
    return poll(&item, 1, 0) > 0 && (item.revents & POLLOUT) != 0 && write(STDERR_FILENO, text, length) >= 0;
}

static bool deliver_debt(uint64_t count)
{
    char text[128];
    struct davy_buf line;
    davy_buf_init(&line, text, sizeof text - 1);
    prefix(&line, DAVY_LOG_WARNING, "log");
    davy_buf_printf(&line, "%llu lines are lost: nobody took them", (unsigned long long)count);
    text[line.length] = '\n';
    return deliver(text, line.length + 1);
}

static bool begin_writing(void)
{
    for (int i = 0; i < TRIES; i++) {
        if (!atomic_flag_test_and_set(&writing))
            return true;
        sched_yield();
    }
    return false;
}

static void put(const char *text, size_t length)
{
    bool mine = begin_writing(), taken = false;
    if (mine) {
        uint64_t debt = atomic_load(&owed);
        if (debt == 0 || deliver_debt(debt)) {
            atomic_fetch_sub(&owed, debt);
            taken = deliver(text, length);
        }
        atomic_flag_clear(&writing);
    }
    atomic_fetch_add(&owed, !taken);
    atomic_fetch_add(&lost, !taken);
}

uint64_t davy_log_lost(void)
{
    return atomic_load(&lost);
}

void davy_log(enum davy_log_level level, const char *subsystem, const char *format, ...)
{
    if ((int)level > atomic_load(&current_level))
        return;
    char message[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);

    char text[2048];
    struct davy_buf line;
    davy_buf_init(&line, text, sizeof text - 1);
    prefix(&line, level, subsystem);
    davy_utf8_escape(&line, message);
    text[line.length] = '\n';
    put(text, line.length + 1);
}
