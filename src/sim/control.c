/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/control.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "sim/command.h"

#define CLIENTS_MAX  32
#define REPLY_SIZE   16384
#define SEND_SECONDS 5
#define SOCKET_MODE  0660

struct client {
    struct davy_sim_handler handler; /* first; fd -1: free */
    struct davy_sim_control *control;
    size_t length;
    char text[DAVY_SIM_COMMAND_SIZE];
};

struct davy_sim_control {
    struct davy_sim_handler handler; /* first */
    char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
    struct client clients[CLIENTS_MAX];
    char reply[REPLY_SIZE];
};

static void drop(struct client *client)
{
    close(client->handler.fd);
    client->handler.fd = -1;
}

static void run_line(struct davy_sim *sim, struct client *client, const char *line)
{
    struct davy_buf reply;
    davy_buf_init(&reply, client->control->reply, REPLY_SIZE - 1); /* room for the end of the line */
    char why[DAVY_SIM_COMMAND_SIZE * 2];
    struct davy_buf buf;
    davy_buf_init(&buf, why, sizeof(why));
    struct davy_sim_command command;
    if (davy_sim_command_parse(&sim->plant, line, &buf, &command) < 0) {
        davy_buf_printf(&reply, "error %s", why);
    } else {
        davy_sim_command_run(&sim->plant, &command, sim->t_s, &reply);
        sim->quit |= command.verb == DAVY_SIM_VERB_QUIT;
    }
    size_t length = strlen(reply.text);
    reply.text[length] = '\n';
    /* one that does not read its replies loses them */
    (void)send(client->handler.fd, reply.text, length + 1, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void client_ready(struct davy_sim *sim, struct davy_sim_handler *handler, uint32_t events)
{
    (void)events;
    struct client *client = (struct client *)handler;
    if (handler->fd < 0)
        return;
    ssize_t got =
        recv(handler->fd, client->text + client->length, sizeof(client->text) - 1 - client->length, MSG_DONTWAIT);
    if (got <= 0) {
        if (got == 0 || (errno != EAGAIN && errno != EINTR))
            drop(client);
        return;
    }
    client->length += (size_t)got;
    client->text[client->length] = '\0';
    char *line = client->text;
    for (char *end; (end = strchr(line, '\n')); line = end + 1) {
        *end = '\0';
        run_line(sim, client, line);
    }
    client->length -= (size_t)(line - client->text);
    memmove(client->text, line, client->length);
    if (client->length == sizeof(client->text) - 1)
        drop(client); /* no command is that long */
}

static struct client *free_client(struct davy_sim_control *control)
{
    for (size_t i = 0; i < CLIENTS_MAX; i++)
        if (control->clients[i].handler.fd < 0)
            return &control->clients[i];
    return NULL;
}

static void control_ready(struct davy_sim *sim, struct davy_sim_handler *handler, uint32_t events)
{
    (void)events;
    struct davy_sim_control *control = (struct davy_sim_control *)handler;
    int fd = accept4(handler->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return;
    struct client *client = free_client(control);
    if (!client) {
        close(fd);
        return;
    }
    client->handler = (struct davy_sim_handler){.fd = fd, .ready = client_ready};
    client->length = 0;
    if (davy_sim_watch(sim, &client->handler, EPOLLIN) < 0)
        drop(client);
}

static int fill_address(const char *path, struct sockaddr_un *address)
{
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(address->sun_path))
        return -ENAMETOOLONG;
    memcpy(address->sun_path, path, strlen(path) + 1);
    return 0;
}

static int connect_to(const struct sockaddr_un *address)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    struct timeval limit = {.tv_sec = SEND_SECONDS};
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)); /* a socket that exists takes it */
    if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0)
        return fd;
    int error = errno;
    close(fd);
    return -error;
}

static int bind_socket(const struct sockaddr_un *address)
{
    struct stat st;
    if (lstat(address->sun_path, &st) == 0 && S_ISSOCK(st.st_mode)) {
        int fd = connect_to(address);
        if (fd >= 0) {
            close(fd);
            return -EADDRINUSE;
        }
        (void)unlink(address->sun_path); /* bind() tells */
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if (bind(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 &&
        chmod(address->sun_path, SOCKET_MODE) == 0 && listen(fd, CLIENTS_MAX) == 0)
        return fd;
    int error = errno;
    close(fd);
    return -error;
}

int davy_sim_control_open(struct davy_sim *sim, const char *path, struct davy_buf *why, struct davy_sim_control **ret)
{
    struct sockaddr_un address;
    int rc = fill_address(path, &address);
    int fd = rc < 0 ? rc : bind_socket(&address);
    if (fd < 0) {
        davy_buf_printf(why, "%s: %s", path, strerror(-fd));
        return fd;
    }
    struct davy_sim_control *control = calloc(1, sizeof(*control));
    if (!control) {
        close(fd);
        return -ENOMEM;
    }
    for (size_t i = 0; i < CLIENTS_MAX; i++)
        control->clients[i] = (struct client){.handler.fd = -1, .control = control};
    memcpy(control->path, address.sun_path, sizeof(control->path));
    control->handler = (struct davy_sim_handler){.fd = fd, .ready = control_ready};
    *ret = control;
    return davy_sim_watch(sim, &control->handler, EPOLLIN);
}

void davy_sim_control_free(struct davy_sim_control *control)
{
    if (!control)
        return;
    for (size_t i = 0; i < CLIENTS_MAX; i++)
        if (control->clients[i].handler.fd >= 0)
            close(control->clients[i].handler.fd);
    close(control->handler.fd);
    (void)unlink(control->path); /* nothing to be done about it at the end */
    free(control);
}

int davy_sim_control_send(const char *path, const char *command)
{
    struct sockaddr_un address;
    int rc = fill_address(path, &address);
    DAVY_AUTO_FD int fd = rc < 0 ? rc : connect_to(&address);
    char reply[REPLY_SIZE];
    size_t length = 0;
    if (fd < 0) {
        fprintf(stderr, "davysim: %s: %s\n", path, strerror(-fd));
        return 1;
    }
    if (strchr(command, '\n') || dprintf(fd, "%s\n", command) < 0) {
        fprintf(stderr, "davysim: %s: cannot send this command\n", path);
        return 1;
    }
    while (length < sizeof(reply) - 1 && !memchr(reply, '\n', length)) {
        ssize_t got = recv(fd, reply + length, sizeof(reply) - 1 - length, 0);
        if (got <= 0)
            break;
        length += (size_t)got;
    }
    reply[length] = '\0';
    if (length == 0)
        fprintf(stderr, "davysim: %s: no reply\n", path);
    fputs(reply, stdout);
    return strncmp(reply, "ok", 2) == 0 ? 0 : 1;
}
