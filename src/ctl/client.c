/* SPDX-License-Identifier: Apache-2.0 */
/* One line asked, one line answered, over the control socket. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "ctl/ctl.h"

/* The daemon's bound on a reply, with its newline. */
#define REPLY_BYTES ((size_t)1024 * 1024 + 1)

/*
 * Longer than a bus may take to answer `read`: after one without a reply, polls have the line for nine times as long.
 */
static const struct timeval patience = {.tv_sec = 60};

static int unreachable(const struct ctl *ctl, const char *what)
{
    return davy_ctl_fail(ctl, CTL_UNREACHABLE, "the daemon is not reachable at %s: %s", ctl->socket, what);
}

static int dial(struct ctl *ctl)
{
    if (ctl->fd >= 0)
        return CTL_DONE;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const size_t length = strlen(ctl->socket);
    if (length >= sizeof address.sun_path)
        return unreachable(ctl, strerror(ENAMETOOLONG));
    memcpy(address.sun_path, ctl->socket, length);
    ctl->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (ctl->fd < 0)
        return unreachable(ctl, strerror(errno));
    setsockopt(ctl->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(ctl->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    if (connect(ctl->fd, (struct sockaddr *)&address, sizeof address) < 0)
        return unreachable(ctl, strerror(errno));
    return CTL_DONE;
}

/* A daemon that turned us away has answered before it was asked, so a failed send is not the end. */
static void send_line(const struct ctl *ctl, const json_t *request)
{
    char *line = json_dumps(request, JSON_COMPACT);
    size_t length = line ? strlen(line) : 0, sent = 0;
    if (line)
        line[length++] = '\n'; /* in place of NUL */
    while (sent < length) {
        ssize_t n = send(ctl->fd, line + sent, length - sent, MSG_NOSIGNAL);
        if (n < 0 && errno != EINTR)
            break;
        sent += n > 0 ? (size_t)n : 0;
    }
    free(line);
}

/* The line without its newline, malloc'ed; NULL where it does not come whole, with errno. */
static char *receive_line(const struct ctl *ctl, size_t *ret_length)
{
    char *line = davy_ctl_grow(NULL, REPLY_BYTES, 1);
    size_t length = 0;
    while (length < REPLY_BYTES) {
        ssize_t got = recv(ctl->fd, line + length, REPLY_BYTES - length, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0) {
            errno = got == 0 ? ECONNRESET : errno == EAGAIN ? ETIMEDOUT : errno;
            break;
        }
        length += (size_t)got;
        if (line[length - 1] == '\n') {
            *ret_length = length - 1;
            return line;
        }
        errno = EMSGSIZE;
    }
    free(line);
    return NULL;
}

int davy_ctl_exchange(struct ctl *ctl, json_t *request, json_t **ret_reply)
{
    int code = dial(ctl);
    if (code == CTL_DONE)
        send_line(ctl, request);
    json_decref(request);
    if (code != CTL_DONE)
        return code;
    size_t length;
    DAVY_AUTO_FREE char *line = receive_line(ctl, &length);
    if (!line)
        return unreachable(ctl, strerror(errno));
    json_error_t error;
    json_t *reply = json_loadb(line, length, JSON_REJECT_DUPLICATES, &error);
    if (!json_is_object(reply)) {
        json_decref(reply);
        return unreachable(ctl, "the reply is not a JSON object");
    }
    *ret_reply = reply;
    return CTL_DONE;
}

int davy_ctl_ask(struct ctl *ctl, json_t *request, json_t **ret_reply)
{
    json_t *reply = NULL;
    int code = davy_ctl_exchange(ctl, request, &reply);
    if (code != CTL_DONE)
        return code;
    if (json_is_true(json_object_get(reply, "ok"))) {
        *ret_reply = reply;
        return CTL_DONE;
    }
    const char *reason = davy_ctl_text(reply, "error");
    code = davy_ctl_fail(ctl, CTL_REFUSED, "%s", *reason ? reason : "refused without a reason");
    json_decref(reply);
    return code;
}

int davy_ctl_pages(struct ctl *ctl, json_t *request, const char *list, const char *key, json_t **ret_list)
{
    json_t *all = json_array();
    for (bool more = true; more;) {
        json_t *reply = NULL;
        int code = davy_ctl_ask(ctl, json_copy(request), &reply);
        if (code != CTL_DONE) {
            json_decref(all);
            json_decref(request);
            return code;
        }
        const json_t *page = json_object_get(reply, list);
        const size_t count = json_array_size(page);
        more = json_is_true(json_object_get(reply, "more")) && count > 0;
        if (count > 0)
            json_array_extend(all, json_object_get(reply, list));
        if (more) /* a page's last name is where the next one begins */
            json_object_set(request, "after", json_object_get(json_array_get(page, count - 1), key));
        json_decref(reply);
    }
    json_decref(request);
    *ret_list = all;
    return CTL_DONE;
}
