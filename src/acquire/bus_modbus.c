/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The adapter for all types of bus, and the only file that knows libmodbus: that opens serial ports, sets them up and
 * sends on them. Its error recovery stays off: it sleeps, reconnects in a loop and lets late replies pass for the next
 * one. Receiving is ours: it takes the first bytes that come for the reply, checks neither unit nor length nor protocol
 * of a TCP one, reports every failed connection as refused and aborts the process on a descriptor beyond FD_SETSIZE.
 */
#include "acquire/bus.h"

#include <errno.h>
#include <fcntl.h>
#include <modbus/modbus.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/select.h>
#include <sys/socket.h>

#include "acquire/endpoint.h"
#include "acquire/line.h"
#include "acquire/port.h"
#include "acquire/tcp.h"

/* Modbus over Serial Line V1.02, 2.5.1.1: above 19200 baud the silence is fixed. */
#define FAST_BAUD       19200
#define FAST_SILENCE_NS (1750 * DAVY_NS_PER_US)

/* Linux wakes a thread up to 50 us late to save power: 3 % of that silence. */
#define TIMER_SLACK_NS 1000UL

struct link {
    struct davy_bus bus; /* its text is not used, but for the copies below */
    char *device;
    modbus_t *modbus; /* of serial ports */
    struct davy_endpoint endpoint;
    struct davy_line *line; /* of RTU, over a port or a socket */
    struct davy_tcp tcp;
    struct davy_port_settings settings; /* of an open port */
    const atomic_bool *stop;
    enum davy_port_step failed_step;
    int failed; /* of the last open: a negative errno, or 0 */
};

static bool is_port(const struct link *link)
{
    return link->bus.type == DAVY_BUS_RTU;
}

static int *fd_of(struct link *link)
{
    return link->line ? &link->line->fd : &link->tcp.fd;
}

static void link_close(void *context)
{
    struct link *link = context;
    int *fd = fd_of(link);
    if (*fd < 0)
        return;
    if (is_port(link)) {
        davy_port_release(*fd);
        modbus_close(link->modbus);
        modbus_set_socket(link->modbus, -1);
    } else {
        close(*fd);
    }
    *fd = -1;
}

/* ---- opening ---- */

/* Sets the terminal up anew each time, whatever others did to it meanwhile. */
static int open_port(struct link *link)
{
    link->failed_step = DAVY_PORT_LOCK;
    if (modbus_connect(link->modbus) < 0)
        return errno > 0 && errno < MODBUS_ENOBASE ? -errno : -EIO;
    link->line->fd = modbus_get_socket(link->modbus);
    (void)prctl(PR_SET_TIMERSLACK, TIMER_SLACK_NS); /* of the calling thread; its waits get longer without */
    int rc = davy_port_prepare(link->line->fd, &link->bus, &link->failed_step);
    if (rc == 0)
        davy_port_note(link->line->fd, &link->settings);
    return rc;
}

static int open_socket(struct link *link)
{
    int fd = davy_endpoint_open(&link->endpoint, link->stop);
    *fd_of(link) = fd < 0 ? -1 : fd;
    return fd < 0 ? fd : 0;
}

static int link_open(void *context)
{
    struct link *link = context;
    link_close(link);
    link->failed_step = DAVY_PORT_READY;
    link->tcp.spent = false;
    link->failed = is_port(link) ? open_port(link) : open_socket(link);
    if (link->failed == 0 && *fd_of(link) >= FD_SETSIZE)
        link->failed = -EMFILE;
    if (link->failed < 0)
        link_close(link);
    return link->failed;
}

static void explain_port(const struct link *link, char *text, size_t size)
{
    char holder[96];
    switch (link->failed_step) {
    case DAVY_PORT_SETTINGS:
        snprintf(text, size, "the driver of %s does not take %d baud, %d bits, parity %c, %d stop bits", link->device,
                 link->bus.baud, link->bus.data_bits, link->bus.parity, link->bus.stop_bits);
        break;
    case DAVY_PORT_RS485:
        snprintf(text, size,
                 "the driver of %s cannot switch the direction of RS-485: leave rs485 out where the adapter does it by "
                 "itself",
                 link->device);
        break;
    case DAVY_PORT_LOCK:
    case DAVY_PORT_READY:
        davy_port_holder(link->device, holder, sizeof holder);
        if (link->failed == -EBUSY && holder[0] != '\0')
            snprintf(text, size, "%s is held by %s", link->device, holder);
        else
            snprintf(text, size, "%s", link->device);
        break;
    }
}

static void link_explain(void *context, char *text, size_t size)
{
    struct link *link = context;
    if (is_port(link))
        explain_port(link, text, size);
    else if (link->failed == -EAGAIN)
        snprintf(text, size, "nobody answers where %s is", link->endpoint.host);
    else
        snprintf(text, size, "%s port %s", link->endpoint.host, link->endpoint.service);
}

/* ---- reading ---- */

static enum davy_answer send_port(void *context, const uint8_t *frame, size_t length)
{
    struct link *link = context;
    /* It puts the CRC on by itself. */
    int rc = modbus_send_raw_request(link->modbus, frame, (int)length - 2);
    return rc < 0 ? DAVY_ANSWER_DOWN : DAVY_ANSWER_OK;
}

static enum davy_answer send_socket(void *context, const uint8_t *frame, size_t length)
{
    struct link *link = context;
    ssize_t sent = send(link->line->fd, frame, length, MSG_NOSIGNAL);
    return sent == (ssize_t)length ? DAVY_ANSWER_OK : DAVY_ANSWER_DOWN;
}

static void link_read(void *context, const struct davy_bus_request *request, struct davy_bus_reply *ret_reply)
{
    struct link *link = context;
    bool meddled = is_port(link) && link->line->fd >= 0 && davy_port_is_changed(link->line->fd, &link->settings);
    if (meddled) {
        *ret_reply = (struct davy_bus_reply){.answer = DAVY_ANSWER_DOWN, .meddled = true};
        return;
    }
    ret_reply->meddled = false;
    if (link->line) {
        davy_line_read(link->line, request, ret_reply);
        return;
    }
    davy_tcp_read(&link->tcp, request, ret_reply);
    if (link->tcp.spent)
        link_close(link);
}

static void link_obey(void *context, const atomic_bool *stop)
{
    struct link *link = context;
    link->stop = link->tcp.stop = stop;
    if (link->line)
        link->line->stop = stop;
}

static void link_record(void *context, struct davy_capture *capture)
{
    struct link *link = context;
    link->tcp.capture = capture;
    if (link->line)
        link->line->capture = capture;
}

/* ---- life ---- */

static void link_free(void *context)
{
    struct link *link = context;
    if (!link)
        return;
    link_close(link);
    if (link->modbus)
        modbus_free(link->modbus);
    davy_endpoint_done(&link->endpoint);
    free(link->line);
    free(link->device);
    free(link);
}

static int fill_port(struct link *link, const struct davy_bus *bus)
{
    link->modbus = modbus_new_rtu(bus->device, bus->baud, bus->parity, bus->data_bits, bus->stop_bits);
    if (!link->modbus)
        return errno == ENOMEM ? -ENOMEM : -EINVAL;
    modbus_set_error_recovery(link->modbus, MODBUS_ERROR_RECOVERY_NONE);
    link->device = strdup(bus->device);
    return link->device ? 0 : -ENOMEM;
}

static void time_port(struct davy_line *line, const struct davy_bus *bus)
{
    int bits = 1 + bus->data_bits + (bus->parity == 'N' ? 0 : 1) + bus->stop_bits;
    line->character = (davy_span){bits * DAVY_NS_PER_S / bus->baud};
    line->silence = (davy_span){bus->baud > FAST_BAUD ? FAST_SILENCE_NS : line->character.ns * 7 / 2};
    line->lead = bus->rs485 ? bus->rts_delay : (davy_span){0};
}

static int fill_line(struct link *link, const struct davy_bus *bus)
{
    struct davy_line *line = calloc(1, sizeof *line);
    link->line = line;
    if (!line)
        return -ENOMEM;
    line->fd = -1;
    line->is_port = is_port(link);
    line->echo = bus->echo;
    line->timeout = bus->timeout;
    line->send = line->is_port ? send_port : send_socket;
    line->context = link;
    if (line->is_port)
        time_port(line, bus);
    line->pause = (davy_span){bus->pause.ns > line->silence.ns ? bus->pause.ns - line->silence.ns : 0};
    davy_guard_init(&line->guard, line->character);
    return 0;
}

static int link_fill(struct link *link, const struct davy_bus *bus)
{
    link->tcp = (struct davy_tcp){.fd = -1, .timeout = bus->timeout, .pause = bus->pause};
    int rc = bus->type == DAVY_BUS_TCP ? 0 : fill_line(link, bus);
    if (rc < 0)
        return rc;
    return is_port(link) ? fill_port(link, bus)
                         : davy_endpoint_init(&link->endpoint, bus->host, bus->port, bus->timeout);
}

int davy_bus_modbus_new(const struct davy_bus *bus, struct davy_bus_link *ret_link)
{
    static const struct davy_bus_ops ops = {.open = link_open,
                                            .close = link_close,
                                            .read = link_read,
                                            .obey = link_obey,
                                            .record = link_record,
                                            .explain = link_explain,
                                            .free = link_free};
    if (bus->type == DAVY_BUS_RTU ? !bus->device || bus->baud <= 0 : !bus->host)
        return -EINVAL;
    struct link *link = calloc(1, sizeof *link);
    if (!link)
        return -ENOMEM;
    link->bus = *bus;
    int rc = link_fill(link, bus);
    if (rc < 0) {
        link_free(link);
        return rc;
    }
    *ret_link = (struct davy_bus_link){.ops = &ops, .link = link};
    return 0;
}
