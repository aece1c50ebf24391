/* SPDX-License-Identifier: Apache-2.0 */
#include "hostile/server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include "acquire/frame.h"

#define HEAD 6 /* of the TCP frame, before the unit */

const char *const fault_names[FAULT_COUNT_] = {
    "silent",    "late",          "unit",    "function",       "byte count",        "short",
    "long",      "flip",          "twice",   "noise before",   "noise behind",      "noise only",
    "exception", "odd exception", "drip",    "split",          "second master",     "transaction",
    "protocol",  "length",        "hang up", "hang up within", "hang up at accept",
};

/* A request as it was heard, and the answer that is being made up. */
struct talk {
    uint8_t request[6]; /* from the unit on */
    uint16_t transaction;
    uint8_t frame[300]; /* from the unit on, without CRC */
    size_t length;
};

static davy_mono now(void)
{
    return davy_clock_now(&davy_system_clock).mono;
}

static void must(bool fine, const char *what)
{
    if (fine)
        return;
    perror(what);
    exit(1);
}

uint16_t server_word(uint8_t unit, enum davy_table table, uint16_t address)
{
    return (uint16_t)((unsigned)table << 14 | (unit & 7U) << 11 | (address & (SERVER_ADDRESSES - 1U)));
}

bool server_bit(uint8_t unit, enum davy_table table, uint16_t address)
{
    return __builtin_parity(server_word(unit, table, address) * 0x9E37U & 0xFFFFU);
}

static uint64_t draw(struct server *server, uint64_t below)
{
    return davy_random_next(&server->random) % below;
}

static davy_span draw_span(struct server *server, davy_span least, davy_span most)
{
    return (davy_span){least.ns + (int64_t)draw(server, (uint64_t)(most.ns - least.ns + 1))};
}

static bool is_tcp(const struct server *server)
{
    return server->type == DAVY_BUS_TCP;
}

/* ---- what the client gets ---- */

static void queue_bytes(struct server *server, const uint8_t *bytes, size_t length, davy_span after, bool hang_up)
{
    if (server->pending_count == SERVER_PENDING || length > SERVER_BYTES)
        return; /* a lost answer is a fault like others */
    struct chunk *chunk = &server->pending[server->pending_count++];
    davy_mono moment = now();
    chunk->due = davy_mono_add(moment, after);
    chunk->dead = davy_mono_add(moment, server->latest);
    chunk->length = length;
    chunk->hang_up = hang_up;
    if (length > 0)
        memcpy(chunk->bytes, bytes, length);
}

/* The talk's frame with all that the transport puts around it. */
static size_t wrap(const struct server *server, const struct talk *talk, uint8_t *bytes)
{
    if (!is_tcp(server)) {
        const uint16_t crc = davy_frame_crc(talk->frame, talk->length);
        memcpy(bytes, talk->frame, talk->length);
        bytes[talk->length] = (uint8_t)crc;
        bytes[talk->length + 1] = (uint8_t)(crc >> 8);
        return talk->length + 2;
    }
    const uint8_t head[HEAD] = {(uint8_t)(talk->transaction >> 8), (uint8_t)talk->transaction, 0, 0,
                                (uint8_t)(talk->length >> 8),      (uint8_t)talk->length};
    memcpy(bytes, head, HEAD);
    memcpy(bytes + HEAD, talk->frame, talk->length);
    return HEAD + talk->length;
}

static void answer_after(struct server *server, const struct talk *talk, davy_span after)
{
    uint8_t bytes[SERVER_BYTES];
    queue_bytes(server, bytes, wrap(server, talk, bytes), after, false);
}

static enum davy_table table_of(uint8_t function)
{
    return function == 1   ? DAVY_TABLE_COIL
           : function == 2 ? DAVY_TABLE_DISCRETE
           : function == 4 ? DAVY_TABLE_INPUT
                           : DAVY_TABLE_HOLDING;
}

static void fill_words(struct talk *talk, enum davy_table table, uint16_t start, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        const uint16_t word = server_word(talk->request[0], table, (uint16_t)(start + i));
        talk->frame[3 + 2 * i] = (uint8_t)(word >> 8);
        talk->frame[4 + 2 * i] = (uint8_t)word;
    }
    talk->frame[2] = (uint8_t)(2 * count);
}

static void fill_bits(struct talk *talk, enum davy_table table, uint16_t start, unsigned count)
{
    memset(talk->frame + 3, 0, (count + 7) / 8);
    for (unsigned i = 0; i < count; i++)
        if (server_bit(talk->request[0], table, (uint16_t)(start + i)))
            talk->frame[3 + i / 8] |= (uint8_t)(1U << i % 8);
    talk->frame[2] = (uint8_t)((count + 7) / 8);
}

/* The true answer. */
static void fill_answer(struct talk *talk)
{
    const uint8_t *q = talk->request;
    const uint16_t start = (uint16_t)(q[2] << 8 | q[3]), count = (uint16_t)(q[4] << 8 | q[5]);
    const enum davy_table table = table_of(q[1]);
    talk->frame[0] = q[0];
    talk->frame[1] = q[1];
    if (table == DAVY_TABLE_COIL || table == DAVY_TABLE_DISCRETE)
        fill_bits(talk, table, start, count);
    else
        fill_words(talk, table, start, count);
    talk->length = 3U + talk->frame[2];
}

/* ---- faults: each does one wrong thing with the true answer in talk->frame ---- */

static size_t fill_noise(struct server *server, uint8_t *bytes, size_t most)
{
    const size_t length = 1 + draw(server, most);
    for (size_t i = 0; i < length; i++)
        bytes[i] = (uint8_t)(draw(server, 4) == 0 ? 0xFF * draw(server, 2) : draw(server, 256));
    return length;
}

static void send_noise(struct server *server, davy_span after)
{
    uint8_t bytes[24];
    queue_bytes(server, bytes, fill_noise(server, bytes, sizeof bytes), after, false);
}

static void send_truth(struct server *server, struct talk *talk)
{
    answer_after(server, talk, (davy_span){0});
}

static void send_nothing(struct server *server, struct talk *talk)
{
    (void)server;
    (void)talk;
}

static void send_late(struct server *server, struct talk *talk)
{
    const davy_span least = {server->timeout.ns / 2};
    const davy_span most = {server->latest.ns - server->latest.ns / 10};
    answer_after(server, talk, draw_span(server, least, most));
}

/* What other registers hold: an answer that is refused for its form alone must not have been the true one. */
static void tell_other_registers(struct talk *talk)
{
    talk->request[2] ^= (SERVER_ADDRESSES / 2) >> 8;
    fill_answer(talk);
}

/* Another device answers. */
static void send_unit(struct server *server, struct talk *talk)
{
    talk->request[0] = (uint8_t)(1 + (talk->request[0] + draw(server, SERVER_UNITS - 1)) % SERVER_UNITS);
    fill_answer(talk);
    send_truth(server, talk);
}

/* Another table is told. */
static void send_function(struct server *server, struct talk *talk)
{
    static const uint8_t others[] = {[1] = 2, [2] = 1, [3] = 4, [4] = 3};
    talk->request[1] = others[talk->request[1]];
    fill_answer(talk);
    send_truth(server, talk);
}

static void send_byte_count(struct server *server, struct talk *talk)
{
    tell_other_registers(talk);
    talk->frame[2] ^= (uint8_t)(1 + draw(server, 127));
    send_truth(server, talk);
}

static void send_cut(struct server *server, const struct talk *talk, bool hang_up)
{
    uint8_t bytes[SERVER_BYTES];
    const size_t length = wrap(server, talk, bytes);
    queue_bytes(server, bytes, 1 + draw(server, length - 1), (davy_span){0}, hang_up);
}

static void send_short(struct server *server, struct talk *talk)
{
    send_cut(server, talk, false);
}

static void send_long(struct server *server, struct talk *talk)
{
    uint8_t bytes[SERVER_BYTES];
    const size_t length = wrap(server, talk, bytes);
    queue_bytes(server, bytes, length + fill_noise(server, bytes + length, 8), (davy_span){0}, false);
}

/* One to three bits, which may fall on one another. */
static void send_flipped(struct server *server, struct talk *talk)
{
    uint8_t whole[SERVER_BYTES], bytes[SERVER_BYTES];
    tell_other_registers(talk);
    const size_t length = wrap(server, talk, whole), most = is_tcp(server) ? HEAD + 3 : length;
    do {
        memcpy(bytes, whole, length);
        for (uint64_t n = 1 + draw(server, 3); n > 0; n--)
            bytes[draw(server, most)] ^= (uint8_t)(1U << draw(server, 8));
    } while (memcmp(bytes, whole, length) == 0);
    queue_bytes(server, bytes, length, (davy_span){0}, false);
}

/* In one piece: behind a pause the second one would be the answer to whatever is asked then. */
static void send_twice(struct server *server, struct talk *talk)
{
    uint8_t bytes[2 * SERVER_BYTES];
    const size_t length = wrap(server, talk, bytes);
    memcpy(bytes + length, bytes, length);
    queue_bytes(server, bytes, 2 * length, (davy_span){0}, false);
}

static void send_noise_before(struct server *server, struct talk *talk)
{
    send_noise(server, (davy_span){0});
    answer_after(server, talk, (davy_span){server->timeout.ns / 10});
}

/* On TCP at once: later it could land within the next answer, which has no checksum. */
static void send_noise_behind(struct server *server, struct talk *talk)
{
    send_truth(server, talk);
    send_noise(server, is_tcp(server) ? (davy_span){0} : draw_span(server, (davy_span){0}, server->timeout));
}

static void send_noise_only(struct server *server, struct talk *talk)
{
    (void)talk;
    send_noise(server, (davy_span){0});
}

static void refuse(struct server *server, struct talk *talk, uint8_t code)
{
    talk->frame[1] |= 0x80;
    talk->frame[2] = code;
    talk->length = 3;
    send_truth(server, talk);
}

static void send_exception(struct server *server, struct talk *talk)
{
    static const uint8_t codes[] = {1, 2, 3, 4, 5, 6, 8, 10, 11, 77};
    refuse(server, talk, codes[draw(server, sizeof codes)]);
}

static void send_exception_odd(struct server *server, struct talk *talk)
{
    refuse(server, talk, draw(server, 2) ? 255 : 0);
}

/* Byte after byte, longer than anybody waits. */
static void send_drip(struct server *server, struct talk *talk)
{
    uint8_t bytes[SERVER_BYTES];
    const size_t length = wrap(server, talk, bytes), drops = length < 12 ? length : 12;
    for (size_t i = 0; i < drops; i++)
        queue_bytes(server, bytes + i, i + 1 == drops ? length - i : 1,
                    (davy_span){server->timeout.ns / 5 * (int64_t)(i + 1)}, false);
}

/* In two parts, in time. */
static void send_split(struct server *server, struct talk *talk)
{
    uint8_t bytes[SERVER_BYTES];
    const size_t length = wrap(server, talk, bytes), first = 1 + draw(server, length - 1);
    queue_bytes(server, bytes, first, (davy_span){0}, false);
    queue_bytes(server, bytes + first, length - first, (davy_span){server->timeout.ns / 8}, false);
}

/* Somebody else asks unit 99 and is answered. */
static void send_second_master(struct server *server, struct talk *talk)
{
    struct talk other = {.request = {99, 3, 0, 10, 0, 1}, .transaction = (uint16_t)(talk->transaction + 7)};
    memcpy(other.frame, other.request, sizeof other.request);
    other.length = sizeof other.request;
    send_truth(server, &other);
    fill_answer(&other);
    send_truth(server, &other);
    answer_after(server, talk, (davy_span){server->timeout.ns / 10});
}

static void send_head(struct server *server, struct talk *talk, size_t byte)
{
    uint8_t bytes[SERVER_BYTES];
    tell_other_registers(talk);
    const size_t length = wrap(server, talk, bytes);
    bytes[byte] ^= (uint8_t)(1 + draw(server, 255));
    queue_bytes(server, bytes, length, (davy_span){0}, false);
}

static void send_transaction(struct server *server, struct talk *talk)
{
    send_head(server, talk, draw(server, 2));
}

static void send_protocol(struct server *server, struct talk *talk)
{
    send_head(server, talk, 2 + draw(server, 2));
}

static void send_length(struct server *server, struct talk *talk)
{
    send_head(server, talk, 4 + draw(server, 2));
}

static void send_end(struct server *server, struct talk *talk)
{
    (void)talk;
    queue_bytes(server, NULL, 0, (davy_span){0}, true);
}

static void send_end_within(struct server *server, struct talk *talk)
{
    send_cut(server, talk, true);
}

static bool fits(const struct server *server, enum fault fault)
{
    if (fault == FAULT_HANG_UP_AT_ACCEPT)
        return false; /* nobody asked anything yet */
    if (fault == FAULT_TRANSACTION || fault == FAULT_PROTOCOL || fault == FAULT_LENGTH)
        return is_tcp(server);
    return server->listener >= 0 || (fault != FAULT_HANG_UP && fault != FAULT_HANG_UP_WITHIN);
}

static enum fault draw_fault(struct server *server)
{
    if (atomic_load(&server->honest) || davy_random_unit(&server->random) >= server->rate)
        return FAULT_NONE;
    enum fault fault;
    do
        fault = (enum fault)draw(server, FAULT_COUNT_);
    while (!fits(server, fault));
    atomic_fetch_add(&server->faults[fault], 1);
    return fault;
}

static void answer(struct server *server, struct talk *talk)
{
    static void (*const acts[FAULT_COUNT_ + 1])(struct server *, struct talk *) = {
        [FAULT_SILENT] = send_nothing,
        [FAULT_LATE] = send_late,
        [FAULT_UNIT] = send_unit,
        [FAULT_FUNCTION] = send_function,
        [FAULT_BYTE_COUNT] = send_byte_count,
        [FAULT_SHORT] = send_short,
        [FAULT_LONG] = send_long,
        [FAULT_FLIP] = send_flipped,
        [FAULT_TWICE] = send_twice,
        [FAULT_NOISE_BEFORE] = send_noise_before,
        [FAULT_NOISE_BEHIND] = send_noise_behind,
        [FAULT_NOISE_ONLY] = send_noise_only,
        [FAULT_EXCEPTION] = send_exception,
        [FAULT_EXCEPTION_ODD] = send_exception_odd,
        [FAULT_DRIP] = send_drip,
        [FAULT_SPLIT] = send_split,
        [FAULT_SECOND_MASTER] = send_second_master,
        [FAULT_TRANSACTION] = send_transaction,
        [FAULT_PROTOCOL] = send_protocol,
        [FAULT_LENGTH] = send_length,
        [FAULT_HANG_UP] = send_end,
        [FAULT_HANG_UP_WITHIN] = send_end_within,
        [FAULT_NONE] = send_truth,
    };
    const enum fault fault = draw_fault(server);
    fill_answer(talk);
    acts[fault](server, talk);
}

/* ---- what the server hears ---- */

static void forget(struct server *server, size_t bytes)
{
    server->heard_length -= bytes;
    memmove(server->heard, server->heard + bytes, server->heard_length);
}

static bool is_request(const struct server *server, size_t length)
{
    const uint8_t *bytes = server->heard;
    if (is_tcp(server))
        return true;
    const uint16_t crc = davy_frame_crc(bytes, length - 2);
    return bytes[length - 2] == (uint8_t)crc && bytes[length - 1] == crc >> 8;
}

static void serve_heard(struct server *server)
{
    const size_t length = is_tcp(server) ? DAVY_FRAME_TCP_REQUEST : DAVY_FRAME_RTU_REQUEST;
    while (server->heard_length >= length) {
        if (!is_request(server, length)) {
            forget(server, 1);
            continue;
        }
        uint8_t request[DAVY_FRAME_TCP_REQUEST];
        memcpy(request, server->heard, length);
        forget(server, length);
        atomic_fetch_add(&server->requests, 1);
        struct talk talk = {.transaction = (uint16_t)(request[0] << 8 | request[1])};
        memcpy(talk.request, request + (is_tcp(server) ? HEAD : 0), sizeof talk.request);
        answer(server, &talk);
    }
}

static void hang_up(struct server *server)
{
    close(server->fd);
    server->fd = -1;
    server->heard_length = 0;
    server->pending_count = 0;
}

static void hear(struct server *server)
{
    const ssize_t got =
        read(server->fd, server->heard + server->heard_length, sizeof server->heard - server->heard_length);
    if (got > 0) {
        server->heard_length += (size_t)got;
        serve_heard(server);
    } else if (server->listener >= 0 && (got == 0 || errno != EAGAIN)) {
        hang_up(server);
    }
}

static void welcome(struct server *server)
{
    const int fd = accept4(server->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return;
    if (server->fd >= 0)
        hang_up(server);
    const int on = 1;
    must(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0, "TCP_NODELAY");
    server->fd = fd;
    if (atomic_load(&server->honest) || davy_random_unit(&server->random) >= server->rate / 10)
        return;
    atomic_fetch_add(&server->faults[FAULT_HANG_UP_AT_ACCEPT], 1);
    hang_up(server);
}

/* The pending bytes that are due first; NULL without any. */
static struct chunk *first_chunk(struct server *server)
{
    struct chunk *first = NULL;
    for (size_t i = 0; i < server->pending_count; i++)
        if (!first || server->pending[i].due.ns < first->due.ns)
            first = &server->pending[i];
    return first;
}

static void drop_chunk(struct server *server, struct chunk *chunk)
{
    const size_t index = (size_t)(chunk - server->pending);
    memmove(chunk, chunk + 1, (server->pending_count - index - 1) * sizeof *chunk);
    server->pending_count--;
}

static void send_due(struct server *server)
{
    for (struct chunk *chunk = first_chunk(server); chunk && chunk->due.ns <= now().ns; chunk = first_chunk(server)) {
        const bool ends = chunk->hang_up;
        if (server->fd >= 0 && chunk->length > 0 && now().ns < chunk->dead.ns &&
            write(server->fd, chunk->bytes, chunk->length) < 0 && errno != EPIPE && errno != ECONNRESET)
            perror("write");
        drop_chunk(server, chunk);
        if (ends && server->fd >= 0)
            hang_up(server);
    }
}

static davy_span until_due(struct server *server)
{
    const struct chunk *chunk = first_chunk(server);
    const davy_span longest = davy_span_ms(100);
    if (!chunk)
        return longest;
    const davy_span left = davy_mono_sub(chunk->due, now());
    return left.ns < 0 ? (davy_span){0} : left.ns < longest.ns ? left : longest;
}

static void *serve(void *context)
{
    struct server *server = context;
    (void)setpriority(PRIO_PROCESS, 0, -10); /* of this thread; better where it may */
    while (!atomic_load(&server->stop)) {
        struct pollfd items[2] = {{.fd = server->fd, .events = POLLIN}, {.fd = server->listener, .events = POLLIN}};
        const struct timespec wait = {.tv_sec = 0, .tv_nsec = until_due(server).ns};
        if (ppoll(items, 2, &wait, NULL) > 0) {
            if (items[0].revents)
                hear(server);
            if (items[1].revents)
                welcome(server);
        }
        send_due(server);
    }
    return NULL;
}

/* ---- life ---- */

static void open_pty(struct server *server)
{
    struct termios raw;
    server->fd = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    must(server->fd >= 0 && grantpt(server->fd) == 0 && unlockpt(server->fd) == 0, "pty");
    must(ptsname_r(server->fd, server->path, sizeof server->path) == 0, "ptsname");
    server->keep = open(server->path, O_RDWR | O_NOCTTY | O_CLOEXEC);
    must(server->keep >= 0 && tcgetattr(server->keep, &raw) == 0, server->path);
    cfmakeraw(&raw);
    must(tcsetattr(server->keep, TCSANOW, &raw) == 0, server->path);
}

static void open_listener(struct server *server)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof address;
    server->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    must(server->listener >= 0 && bind(server->listener, (struct sockaddr *)&address, size) == 0, "bind");
    must(listen(server->listener, 16) == 0, "listen");
    must(getsockname(server->listener, (struct sockaddr *)&address, &size) == 0, "getsockname");
    server->port = ntohs(address.sin_port);
}

void server_start(struct server *server, enum davy_bus_type type, davy_span timeout, davy_span latest, double rate,
                  uint64_t seed)
{
    memset(server, 0, sizeof *server);
    server->type = type;
    server->timeout = timeout;
    server->latest = latest;
    server->rate = rate;
    server->random = (struct davy_random){seed};
    server->fd = server->keep = server->listener = -1;
    if (type == DAVY_BUS_RTU)
        open_pty(server);
    else
        open_listener(server);
    must(pthread_create(&server->thread, NULL, serve, server) == 0, "thread");
}

void server_stop(struct server *server)
{
    atomic_store(&server->stop, true);
    pthread_join(server->thread, NULL);
    const int fds[] = {server->fd, server->keep, server->listener};
    for (size_t i = 0; i < sizeof fds / sizeof *fds; i++)
        if (fds[i] >= 0)
            close(fds[i]);
}
