/* SPDX-License-Identifier: Apache-2.0 */
#include "control/server.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/buf.h"

#define CLIENTS     16
#define LINE_BYTES  (64 * 1024)
#define REPLY_BYTES (1024 * 1024)

/* To send a request or to take a reply. */
static const davy_span patience = {10 * DAVY_NS_PER_S};

/* After accept() failed for want of descriptors or memory: the listener would be ready all the time. */
static const davy_span pause_after_failure = {DAVY_NS_PER_S};

enum client_state {
    CLIENT_FREE,
    CLIENT_READING, /* waits for a whole line */
    CLIENT_PENDING, /* its request is with the caller */
    CLIENT_WRITING, /* takes its reply */
};

struct client {
    enum client_state state;
    int fd;
    bool last; /* closed once the reply is out */
    struct davy_control_peer peer;
    davy_mono deadline;
    char *in; /* LINE_BYTES + 1 */
    size_t in_length;
    char *out;
    size_t out_length;
    size_t out_sent;
};

struct davy_control {
    struct davy_control_options options;
    struct sockaddr_un address;
    dev_t device; /* of the socket file, so that only our own is removed */
    ino_t inode;
    int listener;
    int epoll;
    davy_mono listen_again; /* NEVER while listening */
    uint64_t tickets;
    struct client clients[CLIENTS];
};

/* The index in epoll's data that is not a client's. */
#define LISTENER CLIENTS

static davy_mono now(const struct davy_control *control)
{
    return davy_clock_now(control->options.clock).mono;
}

static void watch(struct davy_control *control, int operation, int fd, uint32_t events, uint32_t index)
{
    struct epoll_event event = {.events = events, .data.u32 = index};
    epoll_ctl(control->epoll, operation, fd, &event);
}

static void enter(struct davy_control *control, struct client *client, enum client_state state)
{
    static const uint32_t events[] = {
        [CLIENT_FREE] = 0, [CLIENT_READING] = EPOLLIN, [CLIENT_PENDING] = 0, [CLIENT_WRITING] = EPOLLOUT};
    client->state = state;
    client->deadline = state == CLIENT_PENDING ? DAVY_MONO_NEVER : davy_mono_add(now(control), patience);
    watch(control, EPOLL_CTL_MOD, client->fd, events[state], (uint32_t)(client - control->clients));
}

static void drop(struct client *client)
{
    close(client->fd);
    free(client->in);
    free(client->out);
    *client = (struct client){.state = CLIENT_FREE, .fd = -1, .deadline = DAVY_MONO_NEVER};
}

/* Takes `line`, which is malloc'ed and ends with a newline instead of NUL. */
static void queue_reply(struct davy_control *control, struct client *client, char *line, size_t length)
{
    free(client->out);
    client->out = line;
    client->out_length = length;
    client->out_sent = 0;
    enter(control, client, CLIENT_WRITING);
}

static size_t refusal(char *text, size_t size, const char *reason)
{
    struct davy_buf buf;
    davy_buf_init(&buf, text, size);
    davy_json_open(&buf, '{');
    davy_json_bool(&buf, "ok", false);
    davy_json_text(&buf, "error", reason);
    davy_json_close(&buf, '}');
    if (buf.overflow) {
        davy_buf_init(&buf, text, size);
        davy_buf_text(&buf, "{\"ok\":false,\"error\":\"refused\"}");
    }
    return buf.length;
}

/* Queue an answer; without memory the client is closed, which is an answer too. */
static void answer(struct davy_control *control, struct client *client, const char *line, size_t length)
{
    char *copy = malloc(length + 1);
    if (!copy) {
        drop(client);
        return;
    }
    memcpy(copy, line, length);
    copy[length] = '\n';
    queue_reply(control, client, copy, length + 1);
}

/* Tell why, then close. */
static void dismiss(struct davy_control *control, struct client *client, const char *reason)
{
    char text[256];
    size_t length = refusal(text, sizeof text, reason);
    client->last = true;
    answer(control, client, text, length);
}

static void name_peer(int fd, struct davy_control_peer *peer)
{
    struct ucred credentials = {.uid = (uid_t)-1};
    socklen_t size = sizeof credentials;
    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size);
    peer->uid = credentials.uid;
    struct passwd entry, *found = NULL;
    char text[4096];
    if (getpwuid_r(peer->uid, &entry, text, sizeof text, &found) == 0 && found &&
        strlen(found->pw_name) < sizeof peer->user - sizeof "local:")
        snprintf(peer->user, sizeof peer->user, "local:%s", found->pw_name);
    else
        snprintf(peer->user, sizeof peer->user, "local:%u", (unsigned)peer->uid);
}

static struct client *free_slot(struct davy_control *control)
{
    for (size_t i = 0; i < CLIENTS; i++)
        if (control->clients[i].state == CLIENT_FREE)
            return &control->clients[i];
    return NULL;
}

static void turn_away(int fd)
{
    static const char line[] = "{\"ok\":false,\"error\":\"too many clients\"}\n";
    (void)!send(fd, line, sizeof line - 1, MSG_DONTWAIT | MSG_NOSIGNAL); /* as far as it is taken at once */
    close(fd);
}

static void admit(struct davy_control *control, int fd)
{
    struct client *client = free_slot(control);
    char *in = client ? malloc(LINE_BYTES + 1) : NULL;
    if (!in) {
        turn_away(fd);
        return;
    }
    *client = (struct client){.fd = fd, .in = in};
    name_peer(fd, &client->peer);
    watch(control, EPOLL_CTL_ADD, fd, 0, (uint32_t)(client - control->clients));
    enter(control, client, CLIENT_READING);
}

static void accept_clients(struct davy_control *control)
{
    for (int i = 0; i < CLIENTS; i++) {
        int fd = accept4(control->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            admit(control, fd);
            continue;
        }
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            control->listen_again = davy_mono_add(now(control), pause_after_failure);
            watch(control, EPOLL_CTL_MOD, control->listener, 0, LISTENER);
        }
        return;
    }
}

/* Hand the first line of the buffer to the caller. False when there is none. */
static bool take_line(struct davy_control *control, struct client *client)
{
    char *end = memchr(client->in, '\n', client->in_length);
    if (!end) {
        if (client->in_length >= LINE_BYTES)
            dismiss(control, client, "the request is longer than 64 KiB");
        return false;
    }
    size_t length = (size_t)(end - client->in);
    *end = '\0';
    if (strlen(client->in) != length) {
        dismiss(control, client, "the request has a NUL byte");
        return false;
    }
    client->peer.ticket = ++control->tickets;
    const uint64_t ticket = client->peer.ticket;
    enter(control, client, CLIENT_PENDING);
    control->options.request(control->options.context, &client->peer, client->in);
    if (client->state == CLIENT_FREE || client->peer.ticket != ticket)
        return false;
    client->in_length -= length + 1;
    memmove(client->in, end + 1, client->in_length);
    return true;
}

static void read_client(struct davy_control *control, struct client *client)
{
    ssize_t got = recv(client->fd, client->in + client->in_length, LINE_BYTES - client->in_length, 0);
    if (got > 0) {
        client->in_length += (size_t)got;
        (void)take_line(control, client);
        return;
    }
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got == 0 && client->in_length > 0)
        dismiss(control, client, "the request does not end with a newline");
    else
        drop(client);
}

static void write_client(struct davy_control *control, struct client *client)
{
    const size_t left = client->out_length - client->out_sent;
    ssize_t sent = send(client->fd, client->out + client->out_sent, left, MSG_NOSIGNAL);
    if (sent < 0) {
        if (errno != EAGAIN && errno != EINTR)
            drop(client);
        return;
    }
    client->out_sent += (size_t)sent;
    if (client->out_sent < client->out_length)
        return;
    if (client->last) {
        drop(client);
        return;
    }
    free(client->out);
    client->out = NULL;
    enter(control, client, CLIENT_READING);
    (void)take_line(control, client); /* what came behind the last request */
}

static void serve(struct davy_control *control, struct client *client, uint32_t events)
{
    switch (client->state) {
    case CLIENT_READING:
        read_client(control, client);
        break;
    case CLIENT_WRITING:
        write_client(control, client);
        break;
    case CLIENT_PENDING:
        if (events & (EPOLLHUP | EPOLLERR))
            drop(client);
        break;
    case CLIENT_FREE:
        break;
    }
}

static void expire(struct davy_control *control, davy_mono at)
{
    if (control->listen_again.ns <= at.ns) {
        control->listen_again = DAVY_MONO_NEVER;
        watch(control, EPOLL_CTL_MOD, control->listener, EPOLLIN, LISTENER);
    }
    for (size_t i = 0; i < CLIENTS; i++) {
        struct client *client = &control->clients[i];
        if (client->state == CLIENT_FREE || client->deadline.ns > at.ns)
            continue;
        if (client->state == CLIENT_READING && client->in_length > 0)
            dismiss(control, client, "no whole request within 10 s");
        else
            drop(client);
    }
}

void davy_control_turn(struct davy_control *control)
{
    struct epoll_event events[CLIENTS + 1];
    int count = epoll_wait(control->epoll, events, CLIENTS + 1, 0);
    for (int i = 0; i < count; i++) {
        if (events[i].data.u32 == LISTENER)
            accept_clients(control);
        else
            serve(control, &control->clients[events[i].data.u32], events[i].events);
    }
    expire(control, now(control));
}

int davy_control_fd(const struct davy_control *control)
{
    return control->epoll;
}

davy_mono davy_control_due(const struct davy_control *control)
{
    davy_mono due = control->listen_again;
    for (size_t i = 0; i < CLIENTS; i++)
        if (control->clients[i].state != CLIENT_FREE)
            due = davy_mono_min(due, control->clients[i].deadline);
    return due;
}

static struct client *find_ticket(struct davy_control *control, uint64_t ticket)
{
    for (size_t i = 0; i < CLIENTS; i++)
        if (control->clients[i].state == CLIENT_PENDING && control->clients[i].peer.ticket == ticket)
            return &control->clients[i];
    return NULL;
}

void davy_control_reply(struct davy_control *control, uint64_t ticket, const char *line)
{
    struct client *client = find_ticket(control, ticket);
    if (!client)
        return;
    size_t length = strlen(line);
    if (length < REPLY_BYTES)
        answer(control, client, line, length);
    else
        davy_control_refuse(control, ticket, "the reply is longer than 1 MiB");
}

void davy_control_refuse(struct davy_control *control, uint64_t ticket, const char *format, ...)
{
    char reason[1024], text[8 * 1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reason, sizeof reason, format, arguments);
    va_end(arguments);
    struct client *client = find_ticket(control, ticket);
    if (client)
        answer(control, client, text, refusal(text, sizeof text, reason));
}

/* 0 when nobody listens there (a stale socket is removed), else a negative errno. */
static int clear_path(const struct sockaddr_un *address)
{
    struct stat status;
    if (lstat(address->sun_path, &status) < 0)
        return errno == ENOENT ? 0 : -errno;
    if (!S_ISSOCK(status.st_mode))
        return -EEXIST;
    DAVY_AUTO_FD int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if (connect(fd, (const struct sockaddr *)address, sizeof *address) == 0 || errno == EAGAIN)
        return -EADDRINUSE;
    if (errno == ENOENT)
        return 0;
    if (errno != ECONNREFUSED)
        return -errno;
    return unlink(address->sun_path) < 0 && errno != ENOENT ? -errno : 0;
}

static gid_t group_id(const char *name)
{
    struct group entry, *found = NULL;
    char text[16 * 1024];
    if (!name || getgrnam_r(name, &entry, text, sizeof text, &found) != 0 || !found)
        return (gid_t)-1;
    return found->gr_gid;
}

/* The file comes into being without rights for others, and gets its group before its mode: no moment is too open. */
static int bind_listener(struct davy_control *control)
{
    const char *path = control->address.sun_path;
    if (fchmod(control->listener, 0600) < 0 ||
        bind(control->listener, (const struct sockaddr *)&control->address, sizeof control->address) < 0)
        return -errno;
    gid_t group = group_id(control->options.group);
    if (group != (gid_t)-1 && chown(path, (uid_t)-1, group) < 0 && errno != EPERM)
        return -errno;
    struct stat status;
    if (chmod(path, 0660) < 0 || lstat(path, &status) < 0 || listen(control->listener, CLIENTS) < 0)
        return -errno;
    control->device = status.st_dev;
    control->inode = status.st_ino;
    return 0;
}

static int open_control(struct davy_control *control)
{
    control->epoll = epoll_create1(EPOLL_CLOEXEC);
    control->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (control->epoll < 0 || control->listener < 0)
        return -errno;
    int rc = clear_path(&control->address);
    if (rc == 0)
        rc = bind_listener(control);
    if (rc == 0)
        watch(control, EPOLL_CTL_ADD, control->listener, EPOLLIN, LISTENER);
    return rc;
}

int davy_control_new(const struct davy_control_options *options, struct davy_control **ret_control)
{
    size_t length = strlen(options->path);
    if (length >= sizeof((struct sockaddr_un *)0)->sun_path)
        return -ENAMETOOLONG;
    struct davy_control *control = calloc(1, sizeof *control);
    if (!control)
        return -ENOMEM;
    control->options = *options;
    control->listener = control->epoll = -1;
    control->listen_again = DAVY_MONO_NEVER;
    control->address.sun_family = AF_UNIX;
    memcpy(control->address.sun_path, options->path, length + 1);
    int rc = open_control(control);
    if (rc < 0) {
        davy_control_free(control);
        return rc;
    }
    *ret_control = control;
    return 0;
}

struct davy_control *davy_control_free(struct davy_control *control)
{
    if (!control)
        return NULL;
    for (size_t i = 0; i < CLIENTS; i++)
        if (control->clients[i].state != CLIENT_FREE)
            drop(&control->clients[i]);
    struct stat status;
    if (control->inode != 0 && lstat(control->address.sun_path, &status) == 0 && status.st_dev == control->device &&
        status.st_ino == control->inode)
        unlink(control->address.sun_path);
    if (control->listener >= 0)
        close(control->listener);
    if (control->epoll >= 0)
        close(control->epoll);
    free(control);
    return NULL;
}
