/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/sim.h"

#include <errno.h>
#include <math.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>

#include "base/log.h"
#include "sim/channel.h"
#include "sim/command.h"
#include "sim/line.h"

#define EVENTS_MAX  64
#define WAIT_MAX_NS (60 * DAVY_NS_PER_S)

static int control(struct davy_sim *sim, int operation, struct davy_sim_handler *handler, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = handler};
    return epoll_ctl(sim->epoll, operation, handler->fd, &event) < 0 ? -errno : 0;
}

int davy_sim_watch(struct davy_sim *sim, struct davy_sim_handler *handler, uint32_t events)
{
    return control(sim, EPOLL_CTL_ADD, handler, events);
}

int davy_sim_rewatch(struct davy_sim *sim, struct davy_sim_handler *handler, uint32_t events)
{
    return control(sim, EPOLL_CTL_MOD, handler, events);
}

static void insert(struct davy_sim *sim, struct davy_sim_pending *pending)
{
    struct davy_sim_pending **place = &sim->first;
    if (sim->last && sim->last->due.ns <= pending->due.ns)
        place = &sim->last->next;
    while (*place && (*place)->due.ns <= pending->due.ns)
        place = &(*place)->next;
    pending->next = *place;
    *place = pending;
    if (!pending->next)
        sim->last = pending;
}

void davy_sim_postpone(struct davy_sim *sim, struct davy_sim_channel *channel, davy_mono due, davy_mono until,
                       const uint8_t *bytes, size_t length)
{
    struct davy_sim_pending *pending = malloc(sizeof(*pending) + length);
    if (!pending)
        return;
    *pending = (struct davy_sim_pending){.channel = channel, .due = due, .until = until, .length = length};
    if (length > 0)
        memcpy(pending->bytes, bytes, length);
    insert(sim, pending);
}

void davy_sim_forget(struct davy_sim *sim, const struct davy_sim_channel *channel)
{
    sim->last = NULL;
    for (struct davy_sim_pending **place = &sim->first; *place;) {
        struct davy_sim_pending *pending = *place;
        if (pending->channel == channel) {
            *place = pending->next;
            free(pending);
            continue;
        }
        sim->last = pending;
        place = &pending->next;
    }
}

static void run_pending(struct davy_sim *sim)
{
    while (sim->first && sim->first->due.ns <= sim->now.ns) {
        struct davy_sim_pending *pending = sim->first;
        sim->first = pending->next;
        if (!sim->first)
            sim->last = NULL;
        davy_sim_channel_due(sim, pending->channel, pending);
        free(pending);
    }
}

static void run_step(struct davy_sim *sim, struct davy_sim_step *step)
{
    char text[DAVY_SIM_COMMAND_SIZE];
    struct davy_buf buf;
    davy_buf_init(&buf, text, sizeof(text));
    struct davy_sim_command command;
    int rc = davy_sim_command_parse(&sim->plant, step->text, &buf, &command);
    if (rc == 0)
        davy_sim_command_run(&sim->plant, &command, step->next_s, &buf);
    davy_info("script", "%.1f s: %s: %s", step->next_s, step->text, text);
    step->next_s = step->repeat_s > 0 ? step->next_s + step->repeat_s : INFINITY;
}

static struct davy_sim_step *next_step(const struct davy_sim_plant *plant)
{
    struct davy_sim_step *next = NULL;
    for (size_t i = 0; i < plant->step_count; i++)
        if (isfinite(plant->steps[i].next_s) && (!next || plant->steps[i].next_s < next->next_s))
            next = &plant->steps[i];
    return next;
}

void davy_sim_tick(struct davy_sim *sim, davy_mono now)
{
    sim->now = now;
    sim->t_s = (double)davy_mono_sub(now, sim->started).ns / (double)DAVY_NS_PER_S * sim->speed;
    for (;;) {
        struct davy_sim_step *step = next_step(&sim->plant);
        if (!step || step->next_s > sim->t_s)
            return;
        run_step(sim, step);
    }
}

/* Plant time of what comes next by itself: the script, or a line that is plugged in again. */
static double next_s(const struct davy_sim *sim)
{
    const struct davy_sim_step *step = next_step(&sim->plant);
    double next = step ? step->next_s : INFINITY;
    for (size_t i = 0; i < sim->plant.line_count; i++)
        if (!sim->plant.lines[i].open)
            next = fmin(next, sim->plant.lines[i].unplugged_until_s);
    return next;
}

/* To the nanosecond: characters of a fast line are shorter than a millisecond. */
static struct timespec wait_time(const struct davy_sim *sim)
{
    davy_mono due = sim->first ? davy_mono_min(sim->end, sim->first->due) : sim->end;
    double left_ns = (double)davy_mono_sub(due, davy_clock_now(&davy_system_clock).mono).ns;
    left_ns = fmin(left_ns, (next_s(sim) - sim->t_s) / sim->speed * 1e9);
    int64_t ns = (int64_t)fmin(fmax(ceil(left_ns), 0), (double)WAIT_MAX_NS);
    return (struct timespec){.tv_sec = ns / DAVY_NS_PER_S, .tv_nsec = ns % DAVY_NS_PER_S};
}

int davy_sim_run(struct davy_sim *sim)
{
    struct epoll_event events[EVENTS_MAX];
    while (!sim->quit && sim->now.ns < sim->end.ns) {
        struct timespec wait = wait_time(sim);
        int count = epoll_pwait2(sim->epoll, events, EVENTS_MAX, &wait, NULL);
        if (count < 0 && errno != EINTR)
            return -errno;
        davy_sim_tick(sim, davy_clock_now(&davy_system_clock).mono);
        for (int i = 0; i < count; i++) {
            struct davy_sim_handler *handler = events[i].data.ptr;
            handler->ready(sim, handler, events[i].events);
        }
        run_pending(sim);
        davy_sim_line_follow(sim);
        davy_sim_channel_bury(sim);
    }
    return 0;
}
