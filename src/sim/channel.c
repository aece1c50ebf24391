/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/channel.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "sim/serve.h"

/*
 * Silence that ends an incomplete frame of a serial line. Far above the 3.5 characters of the standard, since the bytes
 * of a frame come through a scheduler, and below any master's timeout.
 */
#define SILENCE_MS 40

/* The longest that one request may put into `out`: a reply, twice. */
#define OUT_RESERVE (2 * DAVY_SIM_ADU_MAX)

static void close_now(struct davy_sim *sim, struct davy_sim_channel *channel)
{
    if (channel->dead)
        return;
    channel->dead = true;
    davy_sim_forget(sim, channel);
    close(channel->handler.fd);
    if (channel->previous)
        channel->previous->next = channel->next;
    else
        sim->channels = channel->next;
    if (channel->next)
        channel->next->previous = channel->previous;
    channel->next = sim->dead;
    sim->dead = channel;
    sim->channel_count--;
}

static void watch(struct davy_sim *sim, struct davy_sim_channel *channel, uint32_t events)
{
    if (channel->watched == events)
        return;
    channel->watched = events;
    if (davy_sim_rewatch(sim, &channel->handler, events) < 0)
        close_now(sim, channel);
}

static bool is_serial(const struct davy_sim_channel *channel)
{
    return channel->line->type == DAVY_BUS_RTU;
}

/* Write what is there. A serial line does not wait for its reader: what does not fit is lost. */
static void flush(struct davy_sim *sim, struct davy_sim_channel *channel)
{
    if (channel->dead || channel->out_length == 0)
        return;
    ssize_t written = write(channel->handler.fd, channel->out, channel->out_length);
    if (written < 0 && errno != EAGAIN && errno != EINTR && !is_serial(channel)) {
        close_now(sim, channel);
        return;
    }
    size_t done = is_serial(channel) ? channel->out_length : written > 0 ? (size_t)written : 0;
    channel->out_length -= done;
    memmove(channel->out, channel->out + done, channel->out_length);
}

/* A serial line at the speed of its characters. */
static bool is_timed(const struct davy_sim_channel *channel)
{
    return is_serial(channel) && davy_sim_wire_is_timed(&channel->line->wire);
}

static bool has_room(const struct davy_sim_channel *channel)
{
    return channel->out_length + OUT_RESERVE <= sizeof(channel->out);
}

/* The next request in `in` behind `at`. 0, or an outcome of the finders. */
static int find_frame(const struct davy_sim *sim, const struct davy_sim_channel *channel, size_t at,
                      struct davy_sim_frame *ret_frame)
{
    if (channel->line->type == DAVY_BUS_TCP)
        return davy_sim_frame_tcp(channel->in + at, channel->in_length - at, ret_frame);
    bool silence = davy_mono_sub(sim->now, channel->heard).ns >= SILENCE_MS * DAVY_NS_PER_MS ||
                   channel->in_length == sizeof(channel->in);
    return davy_sim_frame_rtu(channel->in + at, channel->in_length - at, silence, ret_frame);
}

/* Not Modbus: a TCP stream cannot be found again, a serial line starts anew. */
static void give_up(struct davy_sim *sim, struct davy_sim_channel *channel)
{
    channel->line->stats.bad_frames++;
    channel->in_length = 0;
    if (channel->line->type == DAVY_BUS_TCP)
        davy_sim_channel_break(sim, channel, (davy_span){0});
}

static void serve_frames(struct davy_sim *sim, struct davy_sim_channel *channel)
{
    size_t at = 0;
    int rc = 0;
    while (!channel->closing && !channel->dead && at < channel->in_length) {
        struct davy_sim_frame frame;
        if (!has_room(channel))
            flush(sim, channel);
        if (channel->dead || !has_room(channel))
            break;
        rc = find_frame(sim, channel, at, &frame);
        if (rc != 0)
            break;
        if (frame.skip > 0)
            channel->line->stats.bad_frames++;
        at += frame.skip + frame.length;
        davy_sim_serve(sim, channel, &frame);
    }
    channel->in_length -= at;
    memmove(channel->in, channel->in + at, channel->in_length);
    if (rc == DAVY_SIM_FRAME_BAD)
        give_up(sim, channel);
}

/* Look again when the last bit is there, or when silence makes an end of what is no frame yet. */
static void look_later(struct davy_sim *sim, struct davy_sim_channel *channel, bool asking)
{
    davy_mono due = asking ? channel->line->wire.asked_until : davy_mono_add(sim->now, davy_span_ms(SILENCE_MS));
    if (channel->look_pending && channel->look_at.ns <= due.ns)
        return;
    channel->look_pending = true;
    channel->look_at = due;
    davy_sim_postpone(sim, channel, due, (davy_mono){0}, NULL, 0);
}

/* Serve, send, and decide what to wait for. */
static void process(struct davy_sim *sim, struct davy_sim_channel *channel)
{
    bool asking = is_timed(channel) && davy_sim_wire_is_asking(&channel->line->wire, sim->now);
    if (!asking)
        serve_frames(sim, channel);
    flush(sim, channel);
    if (channel->dead)
        return;
    if (channel->closing && channel->out_length == 0) {
        close_now(sim, channel);
        return;
    }
    bool room = has_room(channel) && channel->in_length < sizeof(channel->in) && !channel->closing;
    watch(sim, channel, (room ? EPOLLIN : 0) | (channel->out_length > 0 ? EPOLLOUT : 0));
    if (channel->line->type != DAVY_BUS_TCP && channel->in_length > 0)
        look_later(sim, channel, asking);
}

/* Two have talked at once: nobody has understood the request, and what is left of the reply is noise to its reader. */
static void collide(struct davy_sim *sim, struct davy_sim_channel *channel)
{
    channel->line->stats.collisions++;
    channel->in_length = 0;
    channel->look_pending = false;
    davy_sim_forget(sim, channel);
}

/* `length` bytes more than before are in `in`. */
static void hear(struct davy_sim *sim, struct davy_sim_channel *channel, size_t length)
{
    channel->heard = sim->now;
    bool begins = channel->in_length == 0;
    channel->in_length += length;
    if (!is_timed(channel))
        return;
    enum davy_sim_wire_verdict verdict = davy_sim_wire_hear(&channel->line->wire, sim->now, length, begins);
    channel->heard = channel->line->wire.asked_until;
    channel->line->stats.t35_violations += verdict == DAVY_SIM_WIRE_EARLY;
    if (verdict == DAVY_SIM_WIRE_COLLISION)
        collide(sim, channel);
}

static void take_bytes(struct davy_sim *sim, struct davy_sim_channel *channel)
{
    ssize_t length =
        read(channel->handler.fd, channel->in + channel->in_length, sizeof(channel->in) - channel->in_length);
    bool over = length == 0 || (length < 0 && errno != EAGAIN && errno != EINTR);
    if (over && !is_serial(channel)) {
        close_now(sim, channel);
        return;
    }
    if (length <= 0 || sim->now.ns < channel->deaf_until.ns)
        return;
    hear(sim, channel, (size_t)length);
}

static void ready(struct davy_sim *sim, struct davy_sim_handler *handler, uint32_t events)
{
    struct davy_sim_channel *channel = (struct davy_sim_channel *)handler;
    if (channel->dead)
        return;
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR) && channel->in_length < sizeof(channel->in))
        take_bytes(sim, channel);
    if (!channel->dead)
        process(sim, channel);
}

int davy_sim_channel_open(struct davy_sim *sim, struct davy_sim_line *line, int fd)
{
    struct davy_sim_channel *channel = malloc(sizeof(*channel));
    if (!channel) {
        close(fd);
        return -ENOMEM;
    }
    memset(channel, 0, offsetof(struct davy_sim_channel, in));
    channel->handler = (struct davy_sim_handler){.fd = fd, .ready = ready};
    channel->line = line;
    channel->watched = EPOLLIN;
    int rc = davy_sim_watch(sim, &channel->handler, EPOLLIN);
    if (rc < 0) {
        close(fd);
        free(channel);
        return rc;
    }
    channel->next = sim->channels;
    if (channel->next)
        channel->next->previous = channel;
    sim->channels = channel;
    sim->channel_count++;
    line->stats.connections++;
    return 0;
}

void davy_sim_channel_send(struct davy_sim *sim, struct davy_sim_channel *channel, const uint8_t *bytes, size_t length,
                           davy_span delay)
{
    if (channel->dead)
        return;
    if (delay.ns > 0) {
        davy_sim_postpone(sim, channel, davy_mono_add(sim->now, delay), (davy_mono){0}, bytes, length);
        return;
    }
    if (length > sizeof(channel->out) - channel->out_length)
        return;
    memcpy(channel->out + channel->out_length, bytes, length);
    channel->out_length += length;
}

void davy_sim_channel_break(struct davy_sim *sim, struct davy_sim_channel *channel, davy_span hang)
{
    if (is_serial(channel)) {
        channel->deaf_until = davy_mono_add(sim->now, hang);
        davy_sim_forget(sim, channel);
        channel->look_pending = false;
    } else {
        channel->closing = true;
    }
}

void davy_sim_channel_close_line(struct davy_sim *sim, const struct davy_sim_line *line)
{
    for (struct davy_sim_channel *next, *channel = sim->channels; channel; channel = next) {
        next = channel->next;
        if (channel->line == line)
            close_now(sim, channel);
    }
}

void davy_sim_channel_due(struct davy_sim *sim, struct davy_sim_channel *channel,
                          const struct davy_sim_pending *pending)
{
    bool begins = pending->until.ns > 0;
    if (pending->length == 0)
        channel->look_pending = false;
    else if (begins && davy_sim_wire_reply(&channel->line->wire, sim->now, pending->until) == DAVY_SIM_WIRE_COLLISION)
        collide(sim, channel);
    else
        davy_sim_channel_send(sim, channel, pending->bytes, pending->length, (davy_span){0});
    process(sim, channel);
}

void davy_sim_channel_bury(struct davy_sim *sim)
{
    while (sim->dead) {
        struct davy_sim_channel *channel = sim->dead;
        sim->dead = channel->next;
        free(channel);
    }
}

void davy_sim_channel_end(struct davy_sim *sim)
{
    while (sim->channels)
        close_now(sim, sim->channels);
    davy_sim_channel_bury(sim);
}
