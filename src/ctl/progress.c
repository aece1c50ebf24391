/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/progress.h"

#include <poll.h>
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

static void show(struct progress *progress, uint64_t rows, double part, davy_mono now)
{
    const double seconds = (double)davy_mono_sub(now, progress->began).ns / 1e9;
    char share[16] = "";
    if (part >= 0)
        snprintf(share, sizeof share, "%.0f %%, ", 100 * (part < 1 ? part : 1));
    fprintf(stderr, "\r%.1f million readings, %s%.2f million/s \033[K", (double)rows / 1e6, share,
            (double)rows / 1e6 / seconds);
    progress->shown = true;
}

bool davy_progress_tick(struct progress *progress, uint64_t rows, double part)
{
    struct pollfd stop = {.fd = progress->stop_fd, .events = POLLIN};
    if (poll(&stop, 1, 0) > 0)
        return false;
    const davy_mono now = davy_clock_now(&davy_system_clock).mono;
    if (progress->terminal && now.ns >= progress->due.ns) {
        show(progress, rows, part, now);
        progress->due = davy_mono_add(now, EVERY);
    }
    return true;
}

void davy_progress_end(struct progress *progress)
{
    if (progress->shown)
        fputs("\r\033[K", stderr);
    progress->shown = false;
    if (progress->stop_fd < 0)
        return;
    fflush(stdout);
    close(progress->stop_fd);
    progress->stop_fd = -1;
    sigprocmask(SIG_SETMASK, &progress->old, NULL); /* a signal that is held ends the program here */
}
