/* SPDX-License-Identifier: Apache-2.0 */
#include "acquire/line.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "acquire/wait.h"

/* Noise without an end is not waited for. */
#define NOISE_ROUNDS 64

#define EXCEPTION_LENGTH 5U

static void capture(const struct davy_line *line, enum davy_capture_kind kind, const uint8_t *bytes, size_t length)
{
    if (line->capture && length > 0)
        davy_capture_add(line->capture, kind, davy_clock_now(&davy_system_clock), bytes, length);
}

/* Time that `count` characters take on the line. */
static davy_span characters(const struct davy_line *line, size_t count)
{
    return (davy_span){(int64_t)count * line->character.ns};
}

/* ---- bytes ---- */

/* Whether anything is there to be read before `until`. */
static bool wait_bytes(const struct davy_line *line, davy_mono until)
{
    return davy_wait_ready(line->fd, POLLIN, until, line->stop);
}

/* What is there, behind what was heard. 0: nothing; negative: the line is gone. A port without anything gives 0. */
static int take_bytes(struct davy_line *line)
{
    size_t room = sizeof line->heard - line->length;
    uint8_t *to = line->heard + line->length;
    ssize_t got = line->is_port ? read(line->fd, to, room) : recv(line->fd, to, room, MSG_DONTWAIT);
    if (got < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -errno;
    if (got == 0 && !line->is_port)
        return -ECONNRESET;
    line->length = (uint16_t)(line->length + got);
    return (int)got;
}

static void drop_foreign(struct davy_line *line, const uint8_t *bytes, size_t length)
{
    line->foreign += (uint32_t)length;
    capture(line, DAVY_CAPTURE_FOREIGN, bytes, length);
}

static bool is_own_request(const struct davy_bus_request *request, const struct davy_frame *frame)
{
    uint8_t own[DAVY_FRAME_RTU_REQUEST];
    davy_frame_rtu_request(request, own);
    return frame->length == sizeof own && memcmp(frame->bytes, own, sizeof own) == 0;
}

/* To the guard; but not our own request, which an adapter gives back without having been said to. */
static void report(struct davy_line *line, const struct davy_bus_request *request, const struct davy_frame *frame)
{
    if (request && is_own_request(request, frame))
        return;
    line->strangers += frame->kind == DAVY_FRAME_REQUEST;
    davy_guard_heard(&line->guard, frame, davy_wait_now(), line->max_reply);
}

/* All that was heard is no reply to `request`, which may be NULL. */
static void drop_all(struct davy_line *line, const struct davy_bus_request *request)
{
    struct davy_frame frame;
    drop_foreign(line, line->heard, line->length);
    for (size_t at = 0; at < line->length;) {
        at += davy_frame_next(line->heard + at, line->length - at, &frame);
        if (frame.kind != DAVY_FRAME_NONE)
            report(line, request, &frame);
        at += frame.length;
    }
    line->length = 0;
}

/* Read until the line has been silent for `silence`. False when it is gone. */
static bool hear_out(struct davy_line *line)
{
    for (int rounds = 0; rounds < NOISE_ROUNDS && line->length < sizeof line->heard; rounds++) {
        if (line->silence.ns > 0 && !wait_bytes(line, davy_mono_add(davy_wait_now(), line->silence)))
            return true;
        int got = take_bytes(line);
        if (got < 0 || (got == 0 && line->silence.ns > 0))
            return false; /* ready, but nothing to read: hung up */
        if (got == 0)
            return true;
    }
    return true;
}

/* ---- what the guard asks for ---- */

static davy_mono wire_now(void *context)
{
    (void)context;
    return davy_wait_now();
}

static enum davy_hush wire_listen(void *context, davy_mono until)
{
    struct davy_line *line = context;
    if (line->fd < 0)
        return DAVY_HUSH_GONE;
    if (!wait_bytes(line, until))
        return davy_wait_is_stopping(line->stop) ? DAVY_HUSH_STOPPED : DAVY_HUSH_SILENT;
    int got = take_bytes(line);
    bool there = got > 0 && hear_out(line);
    drop_all(line, NULL);
    return there ? DAVY_HUSH_HEARD : DAVY_HUSH_GONE;
}

/* Throw away what came unasked, once the line is free. */
static enum davy_answer make_ready(struct davy_line *line)
{
    davy_wait_until(line->free_at, line->stop);
    if (davy_wait_is_stopping(line->stop)) /* the silence may have been cut short */
        return DAVY_ANSWER_TIMEOUT;
    for (int rounds = 0; rounds < NOISE_ROUNDS; rounds++) {
        int got = take_bytes(line);
        if (got <= 0)
            return got == 0 ? DAVY_ANSWER_OK : DAVY_ANSWER_DOWN;
        drop_all(line, NULL);
    }
    return DAVY_ANSWER_OK;
}

static enum davy_answer send_request(struct davy_line *line, const struct davy_bus_request *request,
                                     davy_mono *ret_sent)
{
    uint8_t frame[DAVY_FRAME_RTU_REQUEST];
    davy_frame_rtu_request(request, frame);
    capture(line, DAVY_CAPTURE_SENT, frame, sizeof frame);
    enum davy_answer answer = line->send(line->context, frame, sizeof frame);
    *ret_sent = davy_mono_add(davy_mono_add(davy_wait_now(), line->lead), characters(line, sizeof frame));
    return answer;
}

/* ---- the search for the reply ---- */

/* What is known of an exchange so far. Offsets are into what was heard. */
struct search {
    const struct davy_bus_request *request;
    unsigned answers;  /* complete replies to the request */
    unsigned others;   /* requests of other masters before the first reply */
    size_t at, length; /* the first reply */
    size_t rest;       /* behind all complete frames */
    size_t begun;      /* where in the rest a reply to the request may have begun */
    size_t missing;    /* bytes that it lacks */
    bool echoed;
};

static bool is_reply_to(const struct davy_bus_request *request, const struct davy_frame *frame)
{
    struct davy_bus_reply reply;
    return frame->kind != DAVY_FRAME_REQUEST &&
           davy_frame_rtu_reply(request, frame->bytes, frame->length, &reply) != DAVY_ANSWER_INVALID;
}

static void judge_frame(struct search *search, const struct davy_frame *frame, size_t at)
{
    if (!search->echoed && search->answers == 0 && is_own_request(search->request, frame)) {
        search->echoed = true;
    } else if (is_reply_to(search->request, frame)) {
        if (search->answers++ == 0) {
            search->at = at;
            search->length = frame->length;
        }
    } else if (frame->kind == DAVY_FRAME_REQUEST && search->answers == 0) {
        search->others++;
    }
}

/* Take all that was heard apart, from the beginning: more bytes may have made a longer frame of it. */
static void look(struct davy_line *line, struct search *search)
{
    struct davy_frame frame;
    *search = (struct search){.request = search->request};
    for (size_t at = 0; at < line->length; at += frame.length) {
        at += davy_frame_next(line->heard + at, line->length - at, &frame);
        if (frame.kind == DAVY_FRAME_NONE)
            break;
        judge_frame(search, &frame, at);
        search->rest = at + frame.length;
    }
    search->begun = search->rest + davy_frame_begun(search->request, line->heard + search->rest,
                                                    line->length - search->rest, &search->missing);
}

/* The reply is there, and with `echo` the request in front of it. */
static bool is_found(const struct davy_line *line, const struct search *search)
{
    return search->answers > 0 && (search->echoed || !line->echo);
}

/* The next bytes before `until`; the rest of a reply that has begun is not fetched one by one. */
static int wait_more(struct davy_line *line, const struct search *search, davy_mono until)
{
    if (search->missing > 0 && line->is_port && line->length > 0) {
        davy_mono complete = davy_mono_add(davy_wait_now(), characters(line, search->missing));
        davy_wait_until(davy_mono_min(complete, until), line->stop);
    }
    if (!wait_bytes(line, until))
        return 0;
    int got = take_bytes(line);
    return got == 0 ? -EIO : got;
}

/* Nothing more comes. Of what did, a broken reply is ours, the rest is not. */
static enum davy_answer give_up(struct davy_line *line, const struct search *search)
{
    bool heard = line->length > 0 && !(search->echoed && line->length == DAVY_FRAME_RTU_REQUEST);
    capture(line, DAVY_CAPTURE_HEARD, line->heard + search->begun, line->length - search->begun);
    line->length = (uint16_t)search->begun;
    if (!(line->echo && search->echoed && line->length == DAVY_FRAME_RTU_REQUEST))
        drop_all(line, search->request);
    line->length = 0;
    return heard && search->missing == 0 ? DAVY_ANSWER_INVALID : DAVY_ANSWER_TIMEOUT;
}

/* Everything but the reply, and the echo in front of it where there is one. */
static void drop_others(struct davy_line *line, const struct search *search)
{
    uint8_t behind[DAVY_LINE_HEARD];
    size_t after = line->length - (search->at + search->length);
    memcpy(behind, line->heard + search->at + search->length, after);
    size_t echo = line->echo && search->at >= DAVY_FRAME_RTU_REQUEST ? DAVY_FRAME_RTU_REQUEST : 0;
    line->length = (uint16_t)(search->at - echo);
    if (line->length > 0)
        drop_all(line, search->request);
    if (after == 0)
        return;
    memcpy(line->heard, behind, after);
    line->length = (uint16_t)after;
    drop_all(line, search->request);
}

static enum davy_answer take_reply(struct davy_line *line, const struct search *search,
                                   struct davy_bus_reply *ret_reply)
{
    const uint8_t *frame = line->heard + search->at;
    capture(line, DAVY_CAPTURE_HEARD, frame, search->length);
    enum davy_answer answer = davy_frame_rtu_reply(search->request, frame, search->length, ret_reply);
    bool alone = search->answers == 1 && search->others == 0;
    if (line->length != search->length)
        drop_others(line, search);
    line->length = 0;
    return alone ? answer : DAVY_ANSWER_INVALID;
}

/* The first byte must be there when the timeout is over, the last one after the time that the characters take. */
static enum davy_answer receive(struct davy_line *line, const struct davy_bus_request *request, davy_mono sent,
                                struct davy_bus_reply *ret_reply)
{
    struct search search = {.request = request};
    davy_mono first = davy_mono_add(sent, line->timeout);
    davy_mono last = davy_mono_add(first, characters(line, 5 + davy_frame_data_bytes(request)));
    for (bool began = false;;) {
        int got = line->length < sizeof line->heard ? wait_more(line, &search, began ? last : first) : 0;
        if (got < 0)
            return DAVY_ANSWER_DOWN;
        if (got == 0)
            return give_up(line, &search);
        look(line, &search);
        if (!began && (search.answers > 0 || search.begun < line->length)) {
            began = true;
            davy_span turn_around = davy_mono_sub(davy_wait_now(), sent);
            ret_reply->turn_around = (davy_span){turn_around.ns > 0 ? turn_around.ns : 0};
        }
        if (!is_found(line, &search))
            continue;
        (void)hear_out(line); /* where the line has gone since, the next request says so */
        look(line, &search);
        if (is_found(line, &search))
            return take_reply(line, &search, ret_reply);
    }
}

static enum davy_answer wire_exchange(void *context, const struct davy_bus_request *request,
                                      struct davy_bus_reply *ret_reply, davy_mono *ret_sent)
{
    struct davy_line *line = context;
    line->max_reply = request->max_reply;
    ret_reply->turn_around = ret_reply->took = (davy_span){0};
    if (line->fd < 0)
        return DAVY_ANSWER_DOWN;
    enum davy_answer answer = make_ready(line);
    davy_mono begun = davy_wait_now();
    if (answer == DAVY_ANSWER_OK)
        answer = send_request(line, request, ret_sent);
    if (answer == DAVY_ANSWER_OK)
        answer = receive(line, request, *ret_sent, ret_reply);
    davy_mono over = davy_wait_now();
    ret_reply->took = davy_mono_sub(over, begun);
    line->free_at = davy_mono_add(over, line->pause);
    return answer;
}

void davy_line_read(struct davy_line *line, const struct davy_bus_request *request, struct davy_bus_reply *ret_reply)
{
    const struct davy_wire wire = {.context = line, .now = wire_now, .exchange = wire_exchange, .listen = wire_listen};
    if (line->capture)
        davy_capture_begin(line->capture);
    ret_reply->turn_around = ret_reply->took = (davy_span){0};
    ret_reply->answer = davy_guard_read(&line->guard, &wire, request, ret_reply);
    if (line->capture)
        davy_capture_end(line->capture, request->unit, ret_reply->answer);
    ret_reply->foreign = line->foreign;
    ret_reply->strangers = line->strangers;
    ret_reply->late = line->guard.late;
    line->foreign = line->strangers = line->guard.late = 0;
}
