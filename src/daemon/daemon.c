/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/daemon.h"

#include <errno.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/notify.h"
#include "daemon/internal.h"
#include "daemon/lock.h"
#include "daemon/process.h"
#include "daemon/remote.h"
#include "daemon/report.h"
#include "daemon/setup.h"
#include "davy_build.h"

#define STATUS_EVERY (15 * DAVY_NS_PER_S)
#define TICK         DAVY_NS_PER_S
#define STATUS_SIZE  (256 * 1024)

/* The watchdog is fed, or not, this often within the time that it allows; but not more often than is of use. */
#define WATCHDOG_PARTS 6
#define WATCHDOG_LEAST (10 * DAVY_NS_PER_MS)

/* Under a service manager, from a bad configuration to the exit. */
#define BAD_CONFIG_PAUSE_S 10

/* ---- folders --------------------------------------------------------------------------------------------------- */

/* The first folder of a systemd list like $STATE_DIRECTORY ("a:b"), or the default. */
static void first_folder(const char *list, const char *fallback, char *ret_path, size_t size)
{
    const char *from = list && list[0] ? list : fallback;
    size_t length = strcspn(from, ":");
    snprintf(ret_path, size, "%.*s", (int)length, from);
}

static void open_control(struct daemon *daemon)
{
    char folder[256], path[300];
    first_folder(getenv("RUNTIME_DIRECTORY"), "/run/davy", folder, sizeof folder);
    if (mkdir(folder, 0755) < 0 && errno != EEXIST)
        davy_warning("control", "cannot create %s: %s", folder, strerror(errno));
    snprintf(path, sizeof path, "%s/davyd.sock", folder);
    struct davy_control_options options = {
        .path = path, .group = "davy", .clock = daemon->clock, .request = daemon_request, .context = daemon};
    int rc = davy_control_new(&options, &daemon->control);
    if (rc < 0)
        davy_error("control", "no control socket at %s: %s", path, strerror(-rc));
}

/* ---- the loop -------------------------------------------------------------------------------------------------- */

void daemon_publish_status(struct daemon *daemon)
{
    DAVY_AUTO_FREE char *text = malloc(STATUS_SIZE);
    if (!text)
        return;
    struct davy_buf out;
    davy_buf_init(&out, text, STATUS_SIZE);
    report_status(&out, daemon->pipeline, true);
    report_publish(daemon->pipeline, "status", "davy.status/1", text);
    daemon->status_at = davy_mono_add(davy_clock_now(daemon->clock).mono, (davy_span){STATUS_EVERY});
}

static void take_notices(struct daemon *daemon)
{
    enum notice notice;
    while (davy_queue_pop(&pipeline_route(daemon->pipeline)->notices, &notice)) {
        if (notice == NOTICE_CONNECTED)
            daemon_publish_status(daemon);
        else
            daemon_switched(daemon, notice == NOTICE_SWITCHED);
    }
}

/*
 * A restart helps against a stuck thread: the manager is asked for it at once, since its own patience is for this loop,
 * which no alarm waits for.
 */
static void ask_for_restart(struct daemon *daemon, const char *stuck)
{
    char state[128];
    snprintf(state, sizeof state, "WATCHDOG=trigger\nSTATUS=%s does not advance", stuck);
    if (!daemon->stuck)
        davy_error("davyd", "%s does not advance: %s", stuck,
                   daemon->watchdog.ns != 0 ? "a restart is asked for" : "nobody is there to restart davyd");
    daemon->stuck = true;
    if (daemon->watchdog.ns != 0)
        davy_notify(state);
}

static void feed_watchdog(struct daemon *daemon, davy_mono now)
{
    const char *stuck = NULL;
    const bool due = daemon->watchdog.ns != 0 && now.ns >= daemon->watchdog_at.ns;
    if (due)
        daemon->watchdog_at = davy_mono_add(now, daemon->watchdog);
    if (!pipeline_turns(daemon->pipeline, now, &stuck)) {
        ask_for_restart(daemon, stuck);
        return;
    }
    daemon->stuck = false;
    if (due)
        davy_notify("WATCHDOG=1");
}

/*
 * A manager that has much to read takes nothing for a while: without READY=1 it would end us as one that does not
 * start.
 */
void daemon_tell_ready(struct daemon *daemon, const char *state)
{
    const int rc = davy_notify(state);
    daemon->untold = rc == 0 || rc == -ENOTCONN ? NULL : state;
}

static void tick(struct daemon *daemon, struct davy_stamp stamp)
{
    daemon->tick_at = davy_mono_add(stamp.mono, (davy_span){TICK});
    daemon_watch_self(daemon, stamp);
    if (stamp.mono.ns >= daemon->status_at.ns)
        daemon_publish_status(daemon);
    feed_watchdog(daemon, stamp.mono);
    if (daemon->untold)
        daemon_tell_ready(daemon, daemon->untold);
}

static void stop(struct daemon *daemon, unsigned signal)
{
    davy_notice("davyd", "stopping on signal %u", signal);
    davy_notify("STOPPING=1\nSTATUS=stopping");
    daemon->stopping = true;
}

/* All that are pending, a stop before all: however many reloads are asked for, they do not hold it up. */
static void take_signals(struct daemon *daemon)
{
    struct signalfd_siginfo infos[8];
    const ssize_t got = read(daemon->signals, infos, sizeof infos);
    bool reload = false;
    for (size_t i = 0; got > 0 && i < (size_t)got / sizeof infos[0]; i++) {
        reload |= infos[i].ssi_signo == SIGHUP;
        if (infos[i].ssi_signo != SIGHUP && !daemon->stopping)
            stop(daemon, infos[i].ssi_signo);
    }
    if (reload && !daemon->stopping) {
        davy_notice("reload", "asked for by signal");
        daemon_reload(daemon, 0, "signal");
    }
}

static void take_rings(struct daemon *daemon)
{
    davy_waker_wait(&daemon->waker, (davy_span){0});
    daemon_take_replies(daemon);
    take_notices(daemon);
    remote_dispatch(pipeline_route(daemon->pipeline));
}

static struct timespec until(davy_mono due, davy_mono now)
{
    const int64_t ns = due.ns > now.ns ? due.ns - now.ns : 0;
    return (struct timespec){.tv_sec = ns / DAVY_NS_PER_S, .tv_nsec = ns % DAVY_NS_PER_S};
}

/* When the loop turns by itself. */
static davy_mono next_turn(const struct daemon *daemon)
{
    return daemon->watchdog.ns != 0 ? davy_mono_min(daemon->tick_at, daemon->watchdog_at) : daemon->tick_at;
}

/*
 * Signals, rings of the stages, clients, a tick a second, and what the watchdog needs beside it. 0 after a signal to
 * stop, or a negative errno.
 */
static int loop(struct daemon *daemon)
{
    struct pollfd items[] = {{.fd = daemon->signals, .events = POLLIN},
                             {.fd = daemon->waker.fd, .events = POLLIN},
                             {.fd = daemon->control ? davy_control_fd(daemon->control) : -1, .events = POLLIN}};
    while (!daemon->stopping) {
        struct timespec wait = until(next_turn(daemon), davy_clock_now(daemon->clock).mono);
        if (ppoll(items, DAVY_LENGTH(items), &wait, NULL) < 0 && errno != EINTR)
            return -errno;
        if (items[0].revents)
            take_signals(daemon);
        if (items[1].revents)
            take_rings(daemon);
        struct davy_stamp now = davy_clock_now(daemon->clock);
        const bool due = now.mono.ns >= daemon->tick_at.ns;
        if (due)
            tick(daemon, now);
        else if (now.mono.ns >= next_turn(daemon).ns)
            feed_watchdog(daemon, now.mono);
        if (daemon->control && (items[2].revents || due))
            davy_control_turn(daemon->control);
    }
    return 0;
}

/* ---- life ------------------------------------------------------------------------------------------------------ */

static int64_t longer(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int construct(struct daemon *daemon, const struct davy_config *config, int lock)
{
    int rc = davy_waker_init(&daemon->waker);
    if (rc == 0)
        rc = pipeline_new(config, &(struct state_place){daemon->directory, lock}, daemon->clock, &daemon->waker,
                          &daemon->pipeline);
    if (rc < 0)
        return rc;
    open_control(daemon);
    const sigset_t handled = process_signals();
    daemon->signals = signalfd(-1, &handled, SFD_CLOEXEC | SFD_NONBLOCK);
    const int64_t watchdog_ns = davy_notify_watchdog().ns;
    daemon->watchdog.ns = watchdog_ns == 0 ? 0 : longer(watchdog_ns / WATCHDOG_PARTS, WATCHDOG_LEAST);
    return daemon->signals < 0 ? -errno : pipeline_start(daemon->pipeline);
}

static void destroy(struct daemon *daemon)
{
    struct davy_message farewell;
    bool parted = daemon->pipeline && report_farewell(daemon->pipeline, &farewell) == 0;
    daemon->control = davy_control_free(daemon->control);
    daemon->pipeline = pipeline_free(daemon->pipeline, parted ? &farewell : NULL);
    if (parted)
        davy_message_done(&farewell);
    if (daemon->signals >= 0)
        close(daemon->signals);
    davy_waker_done(&daemon->waker);
}

static int run(struct daemon *daemon, const struct davy_config *config, int lock)
{
    int rc = construct(daemon, config, lock);
    if (rc < 0) {
        davy_error("davyd", "cannot start: %s", strerror(-rc));
        return EXIT_SOFTWARE;
    }
    davy_notice("davyd",
                "davyd " DAVY_VERSION " runs: %zu buses, %zu devices, %zu points, %zu rules; monitoring, not a "
                "certified safety function",
                config->bus_count, config->device_count, config->point_count, config->rule_count);
    report_config(daemon->pipeline, NULL, config, NULL, "start");
    daemon_publish_status(daemon);
    malloc_trim(0); /* what loading the configuration took */
    daemon_tell_ready(daemon, "READY=1\nSTATUS=running");
    rc = loop(daemon);
    daemon_watch_end(daemon, davy_clock_now(daemon->clock));
    if (rc < 0)
        davy_error("davyd", "its main loop fails: %s", strerror(-rc));
    return rc < 0 ? EXIT_SOFTWARE : EXIT_SUCCESS;
}

static int load(const struct options *options, struct davy_config **ret_config)
{
    struct davy_problems problems = {0};
    int rc = setup_load(options->config, 1, &problems, ret_config);
    setup_log_problems(&problems);
    davy_problems_done(&problems);
    if (rc < 0)
        davy_error("config", "%s cannot be loaded: %s", options->config, strerror(-rc));
    return rc == 0 ? 0 : rc < 0 ? EXIT_SOFTWARE : EXIT_CONFIG;
}

/*
 * Whoever starts us again and again is not to fill its journal, nor a flash, with the same problems. It never gives up:
 * a mended file runs within seconds.
 */
static void pause_before_exit(void)
{
    const struct timespec pause = {.tv_sec = BAD_CONFIG_PAUSE_S};
    const sigset_t handled = process_signals();
    if (davy_notify("STATUS=nothing is monitored: the configuration is bad, it is tried again") == 0)
        (void)sigtimedwait(&handled, NULL, &pause);
}

int daemon_run(const struct options *options)
{
    struct davy_config *config;
    process_prepare();
    davy_notify("STATUS=starting"); /* while there are descriptors */
    int status = load(options, &config);
    if (status == EXIT_CONFIG)
        pause_before_exit();
    if (status != 0)
        return status;
    process_limit_descriptors(config);
    davy_timezone_use(config->gateway.timezone);
    struct daemon daemon = {
        .options = options, .clock = &davy_system_clock, .signals = -1, .waker = DAVY_WAKER_INIT, .generation = 1};
    if (config->storage.directory)
        snprintf(daemon.directory, sizeof daemon.directory, "%s", config->storage.directory);
    else
        first_folder(getenv("STATE_DIRECTORY"), "/var/lib/davy", daemon.directory, sizeof daemon.directory);
    int lock = state_lock(daemon.directory);
    if (lock == -EWOULDBLOCK)
        davy_error("storage", "another davyd owns %s", daemon.directory);
    else if (lock < 0)
        davy_error("storage", "%s cannot be used: %s", daemon.directory, strerror(-lock));
    status = lock == -EWOULDBLOCK ? EXIT_BUSY : run(&daemon, config, lock);
    destroy(&daemon);
    davy_config_unref(config);
    return status;
}
