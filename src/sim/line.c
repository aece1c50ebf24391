/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/line.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "base/log.h"
#include "sim/channel.h"

#define CHANNELS_MAX 2000
#define BACKLOG      512
#define PTY_PREFIX   "/dev/pts/"

/* A listener knows its line by its place in the array. */
static struct davy_sim_line *line_of(struct davy_sim *sim, const struct davy_sim_handler *handler)
{
    return &sim->plant.lines[handler - sim->listeners];
}

static void accept_one(struct davy_sim *sim, struct davy_sim_line *line, int fd)
{
    bool refuse = davy_sim_faults_hit(&line->faults, DAVY_SIM_FAULT_REFUSE, sim->t_s, &sim->random);
    line->stats.faults += refuse;
    if (refuse || sim->channel_count >= CHANNELS_MAX) {
        close(fd);
        return;
    }
    int on = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)); /* slower without, nothing worse */
    if (davy_sim_channel_open(sim, line, fd) < 0)
        davy_warning("line", "%s: no memory for a connection", line->name);
}

static void listener_ready(struct davy_sim *sim, struct davy_sim_handler *handler, uint32_t events)
{
    (void)events;
    for (;;) {
        int fd = accept4(handler->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0)
            return;
        accept_one(sim, line_of(sim, handler), fd);
    }
}

static int resolve(const struct davy_sim_line *line, struct addrinfo **ret, struct davy_buf *why)
{
    struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE, .ai_socktype = SOCK_STREAM};
    char port[8];
    snprintf(port, sizeof(port), "%d", line->port);
    if (getaddrinfo(line->host, port, &hints, ret) == 0)
        return 0;
    davy_buf_printf(why, "%s is not an IP address", line->host);
    return -EINVAL;
}

static void write_address(struct davy_sim_line *line, int fd)
{
    struct sockaddr_storage address = {0};
    socklen_t length = sizeof(address);
    (void)getsockname(fd, (struct sockaddr *)&address, &length); /* the fd is ours and bound */
    bool six = address.ss_family == AF_INET6;
    const struct sockaddr_in *in = (const struct sockaddr_in *)&address;
    int port = ntohs(six ? ((const struct sockaddr_in6 *)&address)->sin6_port : in->sin_port);
    snprintf(line->address, sizeof(line->address), six ? "[%s]:%d" : "%s:%d", line->host, port);
    line->port = port; /* where it comes back after it was unplugged */
}

static int listen_on(const struct addrinfo *info)
{
    int fd = socket(info->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int on = 1;
    if (fd < 0)
        return -errno;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)); /* a restart would wait without, no more */
    if (bind(fd, info->ai_addr, info->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    int error = errno;
    close(fd);
    return -error;
}

static int open_tcp(struct davy_sim *sim, struct davy_sim_line *line, struct davy_sim_handler *listener,
                    struct davy_buf *why)
{
    struct addrinfo *info;
    int rc = resolve(line, &info, why);
    if (rc < 0)
        return rc;
    int fd = listen_on(info);
    freeaddrinfo(info);
    if (fd < 0) {
        davy_buf_printf(why, "%s port %d: %s", line->host, line->port, strerror(-fd));
        return fd;
    }
    *listener = (struct davy_sim_handler){.fd = fd, .ready = listener_ready};
    write_address(line, fd);
    printf("listening tcp %s as %s\n", line->address, line->name);
    return davy_sim_watch(sim, listener, EPOLLIN);
}

static int set_raw(int fd)
{
    struct termios settings;
    if (tcgetattr(fd, &settings) < 0)
        return -errno;
    cfmakeraw(&settings);
    return tcsetattr(fd, TCSANOW, &settings) < 0 ? -errno : 0;
}

/* Only a link of ours from before may be replaced: one that leads to a pty or to nothing. */
static int make_link(const char *target, const char *link)
{
    char old[256] = "";
    struct stat st;
    if (lstat(link, &st) == 0) {
        if (!S_ISLNK(st.st_mode))
            return -EEXIST;
        ssize_t length = readlink(link, old, sizeof(old) - 1);
        bool stale = stat(link, &st) < 0 || (length > 0 && strncmp(old, PTY_PREFIX, strlen(PTY_PREFIX)) == 0);
        if (!stale)
            return -EEXIST;
        (void)unlink(link); /* symlink() tells */
    }
    return symlink(target, link) < 0 ? -errno : 0;
}

/*
 * A pty whose slave side is kept open here, so that the master side never hangs up between two masters of the bus.
 * ret_slave keeps it.
 */
static int open_pair(char *path, size_t size, int *ret_master, int *ret_slave)
{
    DAVY_AUTO_FD int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
    if (master < 0 || grantpt(master) < 0 || unlockpt(master) < 0 || ptsname_r(master, path, size) != 0)
        return errno != 0 ? -errno : -ENODEV;
    DAVY_AUTO_FD int slave = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (slave < 0)
        return -errno;
    int rc = set_raw(slave);
    if (rc < 0)
        return rc;
    *ret_master = master;
    *ret_slave = slave;
    master = -1;
    slave = -1;
    return 0;
}

static int open_pty(struct davy_sim *sim, struct davy_sim_line *line, struct davy_sim_handler *listener,
                    struct davy_buf *why)
{
    char path[64];
    int master = -1;
    int rc = open_pair(path, sizeof(path), &master, &listener->fd);
    if (rc < 0) {
        davy_buf_printf(why, "no pty: %s", strerror(-rc));
        return rc;
    }
    rc = davy_sim_channel_open(sim, line, master);
    if (rc < 0)
        return rc;
    snprintf(line->address, sizeof(line->address), "%s", path);
    rc = line->link ? make_link(path, line->link) : 0;
    if (rc < 0)
        davy_buf_printf(why, "%s: %s", line->link, strerror(-rc));
    else
        printf("pty %s at %s\n", line->name, line->link ? line->link : path);
    return rc;
}

int davy_sim_line_open(struct davy_sim *sim, size_t index, struct davy_buf *why)
{
    struct davy_sim_line *line = &sim->plant.lines[index];
    int rc = line->type == DAVY_BUS_RTU ? open_pty(sim, line, &sim->listeners[index], why)
                                        : open_tcp(sim, line, &sim->listeners[index], why);
    line->open = rc == 0;
    return rc;
}

static void remove_link(const struct davy_sim_line *line)
{
    char target[256];
    ssize_t length = line->link ? readlink(line->link, target, sizeof(target) - 1) : -1;
    if (length < 0)
        return;
    target[length] = '\0';
    if (strcmp(target, line->address) == 0)
        (void)unlink(line->link); /* nothing to be done about it at the end */
}

/* An event of the listener may still be in this cycle's list: it finds a descriptor of -1. */
static void close_line(struct davy_sim *sim, size_t index)
{
    struct davy_sim_handler *listener = &sim->listeners[index];
    remove_link(&sim->plant.lines[index]);
    if (listener->fd >= 0)
        close(listener->fd);
    listener->fd = -1;
    davy_sim_channel_close_line(sim, &sim->plant.lines[index]);
    sim->plant.lines[index].open = false;
}

static void reopen(struct davy_sim *sim, size_t index)
{
    char why[256];
    struct davy_buf buf;
    davy_buf_init(&buf, why, sizeof(why));
    struct davy_sim_line *line = &sim->plant.lines[index];
    if (davy_sim_line_open(sim, index, &buf) == 0)
        return;
    davy_warning("line", "%s does not open: %s", line->name, why);
    close_line(sim, index);
    line->unplugged_until_s = sim->t_s + sim->speed; /* one second of ours */
}

void davy_sim_line_follow(struct davy_sim *sim)
{
    for (size_t i = 0; i < sim->plant.line_count; i++) {
        const struct davy_sim_line *line = &sim->plant.lines[i];
        bool wanted = sim->t_s >= line->unplugged_until_s;
        if (line->open && !wanted)
            close_line(sim, i);
        else if (!line->open && wanted)
            reopen(sim, i);
    }
}

void davy_sim_line_close_all(struct davy_sim *sim)
{
    for (size_t i = 0; sim->listeners && i < sim->plant.line_count; i++)
        close_line(sim, i);
}
