/* SPDX-License-Identifier: Apache-2.0 */
#include "acquire/tcp.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#include "acquire/frame.h"
#include "acquire/wait.h"

/* Before what the length in the header counts, and the longest of all (Modbus Messaging on TCP/IP V1.0b, 4.1). */
#define HEAD    6U
#define LONGEST 260U

static void capture(const struct davy_tcp *tcp, enum davy_capture_kind kind, const uint8_t *bytes, size_t length)
{
    if (tcp->capture)
        davy_capture_add(tcp->capture, kind, davy_clock_now(&davy_system_clock), bytes, length);
}

/* With something to read before the request it is out of step, or closed by the other end. */
static bool is_clean(const struct davy_tcp *tcp)
{
    uint8_t byte;
    ssize_t got = recv(tcp->fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK);
    return got < 0 && errno == EAGAIN;
}

static bool send_request(struct davy_tcp *tcp, const struct davy_bus_request *request)
{
    uint8_t frame[DAVY_FRAME_TCP_REQUEST];
    davy_frame_tcp_request(request, ++tcp->transaction, frame);
    capture(tcp, DAVY_CAPTURE_SENT, frame, sizeof frame);
    return send(tcp->fd, frame, sizeof frame, MSG_NOSIGNAL) == (ssize_t)sizeof frame;
}

/* Bytes of the whole frame, as far as its head says; at least one more than there are where it does not yet. */
static size_t whole(const uint8_t *frame, size_t length)
{
    if (length < HEAD)
        return HEAD;
    return HEAD + ((size_t)frame[4] << 8 | frame[5]);
}

static enum davy_answer take_reply(struct davy_tcp *tcp, const struct davy_bus_request *request, const uint8_t *frame,
                                   size_t length, struct davy_bus_reply *ret_reply)
{
    size_t own = whole(frame, length) < length ? whole(frame, length) : length;
    capture(tcp, DAVY_CAPTURE_HEARD, frame, own);
    if (own < length) { /* something behind it that cannot have been asked for */
        capture(tcp, DAVY_CAPTURE_FOREIGN, frame + own, length - own);
        ret_reply->foreign = (uint32_t)(length - own);
        tcp->spent = true;
    }
    return davy_frame_tcp_reply(request, tcp->transaction, frame, own, ret_reply);
}

/* All of the reply until `deadline`, however it drips. */
static enum davy_answer receive(struct davy_tcp *tcp, const struct davy_bus_request *request, davy_mono sent,
                                struct davy_bus_reply *ret_reply)
{
    uint8_t frame[LONGEST + 1];
    size_t length = 0;
    davy_mono deadline = davy_mono_add(sent, tcp->timeout);
    while (length < sizeof frame && length < whole(frame, length)) {
        if (!davy_wait_ready(tcp->fd, POLLIN, deadline, tcp->stop)) {
            capture(tcp, DAVY_CAPTURE_HEARD, frame, length);
            return DAVY_ANSWER_TIMEOUT;
        }
        ssize_t got = recv(tcp->fd, frame + length, sizeof frame - length, MSG_DONTWAIT);
        if (got < 0 && errno == EAGAIN)
            continue;
        if (got <= 0)
            return DAVY_ANSWER_DOWN;
        if (length == 0)
            ret_reply->turn_around = davy_mono_sub(davy_wait_now(), sent);
        length += (size_t)got;
        if (length >= HEAD && !davy_frame_tcp_head(request, tcp->transaction, frame))
            break;
    }
    return take_reply(tcp, request, frame, length, ret_reply);
}

static enum davy_answer exchange(struct davy_tcp *tcp, const struct davy_bus_request *request,
                                 struct davy_bus_reply *ret_reply)
{
    davy_wait_until(tcp->free_at, tcp->stop);
    if (!is_clean(tcp) || !send_request(tcp, request))
        return DAVY_ANSWER_DOWN;
    return receive(tcp, request, davy_wait_now(), ret_reply);
}

void davy_tcp_read(struct davy_tcp *tcp, const struct davy_bus_request *request, struct davy_bus_reply *ret_reply)
{
    ret_reply->turn_around = (davy_span){0};
    ret_reply->foreign = ret_reply->strangers = ret_reply->late = 0;
    if (tcp->capture)
        davy_capture_begin(tcp->capture);
    enum davy_answer answer = tcp->fd < 0 ? DAVY_ANSWER_DOWN : exchange(tcp, request, ret_reply);
    tcp->spent = tcp->spent || (answer != DAVY_ANSWER_OK && answer != DAVY_ANSWER_EXCEPTION);
    tcp->free_at = davy_mono_add(davy_wait_now(), tcp->pause);
    ret_reply->answer = answer;
    if (tcp->capture)
        davy_capture_end(tcp->capture, request->unit, answer);
}
