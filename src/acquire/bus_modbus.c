/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The adapter over libmodbus, the only file that knows it. libmodbus sets the serial port up, sends on it and finds the
 * end of replies; what a reply must be is checked in acquire/frame.c. Its error recovery stays off: it sleeps,
 * reconnects in a loop and lets late replies pass for the next one. Sockets are connected here, since modbus_connect()
 * reports every failure as refused and aborts the process on a descriptor beyond FD_SETSIZE.
 */
#include "acquire/bus.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/serial.h>
#include <modbus/modbus.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <termios.h>
#include <time.h>

#include "acquire/frame.h"

/* Modbus over Serial Line V1.02, 2.5.1.1: above 19200 baud the silence is fixed. */
#define FAST_BAUD       19200
#define FAST_SILENCE_NS (1750 * DAVY_NS_PER_US)

/* Stands in for the line behind a rtu-over-tcp server, whose speed is not known here. */
#define FALLBACK_BAUD 9600

/*
 * What the last failed request of a unit looked like: its table and length of data. A late reply to it has this shape.
 */
struct shape {
    bool suspect;
    bool listen; /* a read of another length was not answered; some units ignore those: listen instead, once */
    enum davy_table table;
    uint16_t bytes;
};

struct link {
    enum davy_bus_type type;
    char *host;
    char service[8];
    davy_span timeout;
    davy_span character;
    davy_span silence; /* between frames: 3.5 characters or the pause, what is longer */
    bool rs485;
    davy_span rts_delay;
    bool echo;
    modbus_t *modbus;
    uint16_t transaction;
    davy_mono quiet_until;
    struct shape shapes[256];     /* by unit, of serial lines */
    const atomic_bool *stop;      /* ends waits early; may be NULL */
    struct davy_capture *capture; /* may be NULL */
    uint32_t foreign;             /* bytes since the last read */
};

static davy_mono now(void)
{
    return davy_clock_now(&davy_system_clock).mono;
}

/* The next bit of a wait, at most a quarter of a second, after which a stop request is looked at. */
static struct timespec slice(davy_span left)
{
    int64_t ns = left.ns < 0 ? 0 : left.ns < DAVY_NS_PER_S / 4 ? left.ns : DAVY_NS_PER_S / 4;
    return (struct timespec){.tv_sec = 0, .tv_nsec = ns};
}

static bool is_stopping(const struct link *link)
{
    return link->stop && atomic_load(link->stop);
}

static void wait_until(const struct link *link, davy_mono until)
{
    davy_span left = davy_mono_sub(until, now());
    while (left.ns > 0 && !is_stopping(link)) {
        struct timespec wait = slice(left);
        clock_nanosleep(CLOCK_MONOTONIC, 0, &wait, NULL);
        left = davy_mono_sub(until, now());
    }
}

/* True when `fd` has something to read, or its end, before `until`. */
static bool wait_readable(const struct link *link, int fd, short events, davy_mono until)
{
    struct pollfd item = {.fd = fd, .events = events};
    for (;;) {
        davy_span left = davy_mono_sub(until, now());
        struct timespec wait = slice(left);
        if (ppoll(&item, 1, &wait, NULL) > 0)
            return true;
        if (left.ns <= 0 || is_stopping(link))
            return false;
    }
}

static void capture(const struct link *link, enum davy_capture_kind kind, const uint8_t *bytes, size_t length)
{
    if (link->capture)
        davy_capture_add(link->capture, kind, davy_clock_now(&davy_system_clock), bytes, length);
}

static bool is_line(const struct link *link)
{
    return link->type != DAVY_BUS_TCP;
}

/* Time that `count` characters take on the line. */
static davy_span characters(const struct link *link, size_t count)
{
    return (davy_span){is_line(link) ? (int64_t)count * link->character.ns : 0};
}

static void link_close(void *context)
{
    struct link *link = context;
    int fd = modbus_get_socket(link->modbus);
    if (fd >= 0 && link->type == DAVY_BUS_RTU)
        (void)ioctl(fd, TIOCNXCL); /* else the port stays shut while anybody else has it open */
    modbus_close(link->modbus);
    modbus_set_socket(link->modbus, -1);
}

/* ---- opening ---- */

/* Out of its cleanup. */
static int take(int *fd)
{
    int taken = *fd;
    *fd = -1;
    return taken;
}

/* Non-blocking connect to one address within the timeout. A descriptor, or a negative errno. */
static int connect_address(const struct link *link, const struct addrinfo *address)
{
    DAVY_AUTO_FD int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, address->ai_protocol);
    if (fd < 0)
        return -errno;
    if (fd >= FD_SETSIZE)
        return -EMFILE;
    int error = connect(fd, address->ai_addr, address->ai_addrlen) < 0 ? errno : 0;
    if (error == EINPROGRESS) {
        socklen_t size = sizeof error;
        if (!wait_readable(link, fd, POLLOUT, davy_mono_add(now(), link->timeout)))
            return -ETIMEDOUT;
        if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
            return -errno;
    }
    if (error != 0)
        return -error;
    int on = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* slower without, not wrong */
    return take(&fd);
}

static int open_socket(struct link *link)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG | AI_NUMERICSERV};
    struct addrinfo *addresses;
    int rc = getaddrinfo(link->host, link->service, &hints, &addresses);
    if (rc != 0)
        return rc == EAI_SYSTEM ? -errno : rc == EAI_MEMORY ? -ENOMEM : -EHOSTUNREACH;
    int fd = -EHOSTUNREACH;
    for (const struct addrinfo *address = addresses; address && fd < 0; address = address->ai_next)
        fd = connect_address(link, address);
    freeaddrinfo(addresses);
    if (fd < 0)
        return fd;
    modbus_set_socket(link->modbus, fd);
    return 0;
}

/* The driver switches RTS. Refused by drivers that cannot: then the bus must not seem to work. */
static int set_rs485(const struct link *link, int fd)
{
    struct serial_rs485 mode = {.flags = SER_RS485_ENABLED | SER_RS485_RTS_ON_SEND,
                                .delay_rts_before_send = (uint32_t)(link->rts_delay.ns / DAVY_NS_PER_MS),
                                .delay_rts_after_send = (uint32_t)(link->rts_delay.ns / DAVY_NS_PER_MS)};
    return ioctl(fd, TIOCSRS485, &mode) < 0 ? -errno : 0;
}

/* Nobody else may use the port: O_EXCL means nothing for a terminal, and root passes TIOCEXCL, but not flock. */
static int lock_port(int fd)
{
    if (flock(fd, LOCK_EX | LOCK_NB) < 0)
        return errno == EWOULDBLOCK ? -EBUSY : -errno;
    return ioctl(fd, TIOCEXCL) < 0 ? -errno : 0;
}

static int open_port(struct link *link)
{
    if (modbus_connect(link->modbus) < 0)
        return errno > 0 && errno < MODBUS_ENOBASE ? -errno : -EIO;
    int fd = modbus_get_socket(link->modbus);
    int rc = fd >= FD_SETSIZE ? -EMFILE : lock_port(fd);
    if (rc == 0 && link->rs485)
        rc = set_rs485(link, fd);
    if (rc == 0)
        rc = fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 ? -errno : 0;
    if (rc < 0)
        link_close(link);
    return rc;
}

static int link_open(void *context)
{
    struct link *link = context;
    link_close(link);
    return link->type == DAVY_BUS_RTU ? open_port(link) : open_socket(link);
}

/* ---- one exchange ---- */

static enum davy_answer answer_of_errno(int error)
{
    if (error == ETIMEDOUT)
        return DAVY_ANSWER_TIMEOUT;
    return error >= MODBUS_ENOBASE ? DAVY_ANSWER_INVALID : DAVY_ANSWER_DOWN;
}

static enum davy_answer send_socket(int fd, const uint8_t *frame, size_t length)
{
    ssize_t sent = send(fd, frame, length, MSG_NOSIGNAL);
    return sent == (ssize_t)length ? DAVY_ANSWER_OK : DAVY_ANSWER_DOWN;
}

static enum davy_answer send_request(struct link *link, const struct davy_bus_request *request)
{
    int fd = modbus_get_socket(link->modbus);
    uint8_t frame[DAVY_FRAME_TCP_REQUEST];
    if (link->type == DAVY_BUS_TCP) {
        davy_frame_tcp_request(request, ++link->transaction, frame);
        capture(link, DAVY_CAPTURE_SENT, frame, DAVY_FRAME_TCP_REQUEST);
        return send_socket(fd, frame, DAVY_FRAME_TCP_REQUEST);
    }
    davy_frame_rtu_request(request, frame);
    capture(link, DAVY_CAPTURE_SENT, frame, DAVY_FRAME_RTU_REQUEST);
    if (link->type == DAVY_BUS_RTU_OVER_TCP)
        return send_socket(fd, frame, DAVY_FRAME_RTU_REQUEST);
    /* It puts the CRC on by itself. */
    int rc = modbus_send_raw_request(link->modbus, frame, DAVY_FRAME_RTU_REQUEST - 2);
    return rc < 0 ? answer_of_errno(errno) : DAVY_ANSWER_OK;
}

/* Adapters that hear themselves: the request comes back first, and must be what was sent. */
static enum davy_answer swallow_echo(const struct link *link, const struct davy_bus_request *request, davy_mono until)
{
    uint8_t sent[DAVY_FRAME_RTU_REQUEST], heard[DAVY_FRAME_RTU_REQUEST];
    size_t length = 0;
    int fd = modbus_get_socket(link->modbus);
    davy_frame_rtu_request(request, sent);
    while (length < sizeof heard) {
        if (!wait_readable(link, fd, POLLIN, until))
            return DAVY_ANSWER_TIMEOUT;
        ssize_t got = read(fd, heard + length, sizeof heard - length);
        if (got <= 0)
            return DAVY_ANSWER_DOWN;
        length += (size_t)got;
    }
    return memcmp(sent, heard, sizeof sent) == 0 ? DAVY_ANSWER_OK : DAVY_ANSWER_INVALID;
}

/* Of what is left until `deadline`; without a byte timeout it holds for the whole reply. */
static void limit_receive(struct link *link, davy_mono deadline)
{
    davy_span left = davy_mono_sub(deadline, now());
    int64_t us = left.ns / DAVY_NS_PER_US > 0 ? left.ns / DAVY_NS_PER_US : 1;
    modbus_set_response_timeout(link->modbus, (uint32_t)(us / 1000000), (uint32_t)(us % 1000000));
}

/* The first byte must be there when the timeout is over, the last one after the time that the characters take. */
static enum davy_answer receive_reply(struct link *link, const struct davy_bus_request *request, davy_mono sent,
                                      struct davy_bus_reply *ret_reply)
{
    davy_mono first = davy_mono_add(sent, link->timeout);
    davy_mono last = davy_mono_add(first, characters(link, 5 + davy_frame_data_bytes(request)));
    enum davy_answer answer = link->echo && is_line(link) ? swallow_echo(link, request, first) : DAVY_ANSWER_OK;
    if (answer != DAVY_ANSWER_OK)
        return answer;
    if (!wait_readable(link, modbus_get_socket(link->modbus), POLLIN, first))
        return DAVY_ANSWER_TIMEOUT;
    davy_span turn_around = davy_mono_sub(now(), sent);
    ret_reply->turn_around = (davy_span){turn_around.ns > 0 ? turn_around.ns : 0};
    limit_receive(link, last);
    uint8_t frame[MODBUS_TCP_MAX_ADU_LENGTH];
    int length = modbus_receive_confirmation(link->modbus, frame);
    if (length < 0)
        return answer_of_errno(errno);
    capture(link, DAVY_CAPTURE_HEARD, frame, (size_t)length);
    return link->type == DAVY_BUS_TCP
               ? davy_frame_tcp_reply(request, link->transaction, frame, (size_t)length, ret_reply)
               : davy_frame_rtu_reply(request, frame, (size_t)length, ret_reply);
}

/* Throw away what came unasked; the port is non-blocking too. False when the other end is gone. */
static bool drain_line(struct link *link)
{
    uint8_t waste[256];
    ssize_t got;
    int fd = modbus_get_socket(link->modbus), rounds = 0;
    do {
        got = link->type == DAVY_BUS_RTU ? read(fd, waste, sizeof waste) : recv(fd, waste, sizeof waste, MSG_DONTWAIT);
        link->foreign += got > 0 ? (uint32_t)got : 0;
        capture(link, DAVY_CAPTURE_FOREIGN, waste, got > 0 ? (size_t)got : 0);
    } while (got > 0 && ++rounds < 64);
    /* A port without anything to read gives 0, as libmodbus sets it up; one that is gone refuses the next request. */
    return got > 0 || (got == 0 && link->type == DAVY_BUS_RTU) || (got < 0 && errno == EAGAIN);
}

/* A TCP connection with something to read before the request is out of step or closed by the other end. */
static bool is_clean(const struct link *link)
{
    uint8_t byte;
    ssize_t got = recv(modbus_get_socket(link->modbus), &byte, 1, MSG_DONTWAIT | MSG_PEEK);
    return got < 0 && errno == EAGAIN;
}

static bool is_reply(enum davy_answer answer)
{
    return answer == DAVY_ANSWER_OK || answer == DAVY_ANSWER_EXCEPTION;
}

/*
 * After any error the line stays silent until the device cannot answer any more, so that its late reply meets nobody.
 */
static enum davy_answer exchange_line(struct link *link, const struct davy_bus_request *request,
                                      struct davy_bus_reply *ret_reply)
{
    if (modbus_set_slave(link->modbus, request->unit) < 0)
        return DAVY_ANSWER_INVALID;
    wait_until(link, link->quiet_until);
    if (is_stopping(link)) /* the silence may have been cut short */
        return DAVY_ANSWER_TIMEOUT;
    if (!drain_line(link))
        return DAVY_ANSWER_DOWN;
    enum davy_answer answer = send_request(link, request);
    davy_mono sent = davy_mono_add(now(), characters(link, DAVY_FRAME_RTU_REQUEST));
    if (answer == DAVY_ANSWER_OK)
        answer = receive_reply(link, request, sent, ret_reply);
    davy_mono end = davy_mono_add(now(), link->silence);
    davy_mono late =
        davy_mono_add(davy_mono_add(sent, request->max_reply), characters(link, 5 + davy_frame_data_bytes(request)));
    link->quiet_until = is_reply(answer) || late.ns < end.ns ? end : late;
    return answer;
}

/* Whether nothing comes for so long. A wait that a stop ends has not seen it. */
static bool stays_silent(const struct link *link, davy_span span)
{
    bool silent = !wait_readable(link, modbus_get_socket(link->modbus), POLLIN, davy_mono_add(now(), span));
    return silent && !is_stopping(link);
}

static void suspect(struct shape *shape, const struct davy_bus_request *request)
{
    shape->suspect = true;
    shape->table = request->table;
    shape->bytes = (uint16_t)davy_frame_data_bytes(request);
}

static bool is_suspect(const struct shape *shape, const struct davy_bus_request *request)
{
    return shape->suspect && shape->table == request->table && shape->bytes == davy_frame_data_bytes(request);
}

/* Something came that nobody asked for, and more may follow. */
static enum davy_answer out_of_step(struct link *link, const struct davy_bus_request *request)
{
    link->quiet_until = davy_mono_add(now(), request->max_reply);
    return DAVY_ANSWER_INVALID;
}

/*
 * For units that ignore or refuse a read of another length. What is still to come of earlier requests is waited for
 * first, two times as long as the device may take; then the reply is taken when no second one, the true one, follows.
 */
static enum davy_answer read_listening(struct link *link, const struct davy_bus_request *request,
                                       struct davy_bus_reply *ret_reply)
{
    link->shapes[request->unit].listen = false;
    wait_until(link, link->quiet_until);
    if (!drain_line(link))
        return DAVY_ANSWER_DOWN;
    if (!stays_silent(link, (davy_span){2 * request->max_reply.ns}))
        return out_of_step(link, request);
    enum davy_answer answer = exchange_line(link, request, ret_reply);
    if (!is_reply(answer))
        return answer;
    if (!stays_silent(link, request->max_reply))
        return out_of_step(link, request);
    link->shapes[request->unit].suspect = answer == DAVY_ANSWER_EXCEPTION;
    return answer;
}

/*
 * The first request of the shape of one that failed is preceded by one of another shape: nothing in a serial reply says
 * which request it belongs to, and a device may be later than its max_reply.
 */
static enum davy_answer read_line(struct link *link, const struct davy_bus_request *request,
                                  struct davy_bus_reply *ret_reply)
{
    struct shape *shape = &link->shapes[request->unit];
    if (is_suspect(shape, request)) {
        if (shape->listen)
            return read_listening(link, request, ret_reply);
        struct davy_bus_request probe = davy_frame_probe(request);
        enum davy_answer answer = exchange_line(link, &probe, ret_reply);
        shape->listen = answer == DAVY_ANSWER_TIMEOUT;
        if (!is_reply(answer))
            return answer;
        if (answer == DAVY_ANSWER_EXCEPTION) /* an exception has no shape: it may be the late one of another request */
            return read_listening(link, request, ret_reply);
        shape->suspect = false;
    }
    enum davy_answer answer = exchange_line(link, request, ret_reply);
    if (!is_reply(answer))
        suspect(shape, request);
    return answer;
}

/* After any error the connection is closed: the next reply on it could be the last one's. */
static enum davy_answer read_tcp(struct link *link, const struct davy_bus_request *request,
                                 struct davy_bus_reply *ret_reply)
{
    wait_until(link, link->quiet_until);
    enum davy_answer answer = is_clean(link) ? send_request(link, request) : DAVY_ANSWER_DOWN;
    if (answer == DAVY_ANSWER_OK)
        answer = receive_reply(link, request, now(), ret_reply);
    if (!is_reply(answer))
        link_close(link);
    link->quiet_until = davy_mono_add(now(), link->silence);
    return answer;
}

static void link_obey(void *context, const atomic_bool *stop)
{
    struct link *link = context;
    link->stop = stop;
}

static void link_record(void *context, struct davy_capture *capture)
{
    struct link *link = context;
    link->capture = capture;
}

static void link_read(void *context, const struct davy_bus_request *request, struct davy_bus_reply *ret_reply)
{
    struct link *link = context;
    enum davy_answer answer = DAVY_ANSWER_DOWN;
    ret_reply->turn_around = (davy_span){0};
    if (link->capture)
        davy_capture_begin(link->capture);
    if (modbus_get_socket(link->modbus) >= 0)
        answer = is_line(link) ? read_line(link, request, ret_reply) : read_tcp(link, request, ret_reply);
    ret_reply->answer = answer;
    ret_reply->foreign = link->foreign;
    link->foreign = 0;
    if (link->capture)
        davy_capture_end(link->capture, request->unit, answer);
}

/* ---- life ---- */

static void link_free(void *context)
{
    struct link *link = context;
    if (!link)
        return;
    if (link->modbus) {
        link_close(link);
        modbus_free(link->modbus);
    }
    free(link->host);
    free(link);
}

static davy_span silence_of(const struct davy_bus *bus, davy_span character)
{
    int64_t silence = bus->type != DAVY_BUS_RTU ? 0 : bus->baud > FAST_BAUD ? FAST_SILENCE_NS : character.ns * 7 / 2;
    return (davy_span){bus->pause.ns > silence ? bus->pause.ns : silence};
}

static modbus_t *new_modbus(const struct davy_bus *bus, const char *service)
{
    switch (bus->type) {
    case DAVY_BUS_RTU:
        return modbus_new_rtu(bus->device, bus->baud, bus->parity, bus->data_bits, bus->stop_bits);
    case DAVY_BUS_RTU_OVER_TCP:
        /* Only its framing is used; the port is a socket. */
        return modbus_new_rtu("socket", FALLBACK_BAUD, 'N', 8, 1);
    case DAVY_BUS_TCP:
        return modbus_new_tcp_pi(bus->host, service);
    case DAVY_BUS_TYPE_COUNT_:
        break;
    }
    errno = EINVAL;
    return NULL;
}

static int link_fill(struct link *link, const struct davy_bus *bus)
{
    snprintf(link->service, sizeof link->service, "%d", bus->port);
    if (bus->host && !(link->host = strdup(bus->host)))
        return -ENOMEM;
    link->modbus = new_modbus(bus, link->service);
    if (!link->modbus)
        return errno == ENOMEM ? -ENOMEM : -EINVAL;
    modbus_set_error_recovery(link->modbus, MODBUS_ERROR_RECOVERY_NONE);
    modbus_set_byte_timeout(link->modbus, 0, 0);
    return 0;
}

int davy_bus_modbus_new(const struct davy_bus *bus, struct davy_bus_link *ret_link)
{
    static const struct davy_bus_ops ops = {.open = link_open,
                                            .close = link_close,
                                            .read = link_read,
                                            .obey = link_obey,
                                            .record = link_record,
                                            .free = link_free};
    if (bus->type == DAVY_BUS_RTU ? !bus->device || bus->baud <= 0 : !bus->host)
        return -EINVAL;
    struct link *link = calloc(1, sizeof *link);
    if (!link)
        return -ENOMEM;
    int baud = bus->baud > 0 ? bus->baud : FALLBACK_BAUD;
    int bits = 1 + bus->data_bits + (bus->parity == 'N' ? 0 : 1) + bus->stop_bits;
    link->type = bus->type;
    link->timeout = bus->timeout;
    link->character = (davy_span){bits * DAVY_NS_PER_S / baud};
    link->silence = silence_of(bus, link->character);
    link->rs485 = bus->rs485;
    link->rts_delay = bus->rts_delay;
    link->echo = bus->echo;
    int rc = link_fill(link, bus);
    if (rc < 0) {
        link_free(link);
        return rc;
    }
    *ret_link = (struct davy_bus_link){.ops = &ops, .link = link};
    return 0;
}
