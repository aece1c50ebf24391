/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <string.h>

#include "base/buf.h"

static _Atomic int current_level = DAVY_LOG_INFO;

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
    for (const char *c = message; *c; c++) {
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            davy_buf_printf(&line, "\\x%02x", (unsigned char)*c);
        else
            davy_buf_char(&line, *c);
    }
    text[line.length] = '\n';
    ssize_t written = write(STDERR_FILENO, text, line.length + 1);
    (void)written; /* nobody is left to tell */
}
