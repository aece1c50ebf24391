/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/progress.h"

#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define QUIET davy_span_ms(2000) /* before the first line */
#define EVERY davy_span_ms(200)

void davy_progress_begin(struct progress *progress)
{
    sigset_t held;
    sigemptyset(&held);
    sigaddset(&held, SIGINT);
    sigaddset(&held, SIGTERM);
    *progress = (struct progress){.terminal = isatty(STDERR_FILENO) == 1};
    sigprocmask(SIG_BLOCK, &held, &progress->old);
    progress->stop_fd = signalfd(-1, &held, SFD_CLOEXEC | SFD_NONBLOCK);
    if (progress->stop_fd < 0) /* then they end the program as ever */
        sigprocmask(SIG_SETMASK, &progress->old, NULL);
    progress->began = davy_clock_now(&davy_system_clock).mono;
    progress->due = davy_mono_add(progress->began, QUIET);
}

bool davy_progress_wait(struct progress *progress, davy_span span)
{
    struct pollfd stop = {.fd = progress->stop_fd, .events = POLLIN};
    const struct timespec wait = {.tv_sec = span.ns / DAVY_NS_PER_S, .tv_nsec = span.ns % DAVY_NS_PER_S};
    return ppoll(&stop, 1, &wait, NULL) <= 0;
}

/* Whether the terminal is to be written now. */
static bool is_due(struct progress *progress, davy_mono now)
{
    if (!progress->terminal || now.ns < progress->due.ns)
        return false;
    progress->due = davy_mono_add(now, EVERY);
    progress->shown = true;
    return true;
}

bool davy_progress_say(struct progress *progress, const char *format, ...)
{
    if (is_due(progress, davy_clock_now(&davy_system_clock).mono)) {
        va_list arguments;
        va_start(arguments, format);
        fputs("\r", stderr);
        vfprintf(stderr, format, arguments);
        fputs(" \033[K", stderr);
        va_end(arguments);
    }
    return davy_progress_wait(progress, (davy_span){0});
}

static void show(const struct progress *progress, uint64_t rows, double part, davy_mono now)
{
    const double seconds = (double)davy_mono_sub(now, progress->began).ns / 1e9;
    char share[16] = "";
    if (part >= 0)
        snprintf(share, sizeof share, "%.0f %%, ", 100 * (part < 1 ? part : 1));
    fprintf(stderr, "\r%.1f million readings, %s%.2f million/s \033[K", (double)rows / 1e6, share,
            (double)rows / 1e6 / seconds);
}

bool davy_progress_tick(struct progress *progress, uint64_t rows, double part)
{
    if (!davy_progress_wait(progress, (davy_span){0}))
        return false;
    const davy_mono now = davy_clock_now(&davy_system_clock).mono;
    if (is_due(progress, now))
        show(progress, rows, part, now);
    return true;
}

void davy_progress_clear(struct progress *progress)
{
    if (progress->shown)
        fputs("\r\033[K", stderr);
    progress->shown = false;
}

void davy_progress_end(struct progress *progress)
{
    davy_progress_clear(progress);
    if (progress->stop_fd < 0)
        return;
    fflush(stdout);
    close(progress->stop_fd);
    progress->stop_fd = -1;
    sigprocmask(SIG_SETMASK, &progress->old, NULL); /* a signal that is held ends the program here */
}
