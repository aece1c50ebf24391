/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Anybody in the group may write anything to the control socket: the input goes through the parser and, in pieces,
 * through a real server. Whatever comes back must be whole JSON lines, and the next client must be served.
 */
#undef NDEBUG
#include <assert.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "control/request.h"
#include "control/server.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MOST_BYTES ((size_t)80 * 1024)

struct target {
    char folder[32];
    struct sockaddr_un address;
    struct davy_stamp time;
    struct davy_clock clock;
    struct davy_control *control;
};

static struct davy_stamp target_now(void *context)
{
    return ((struct target *)context)->time;
}

static void on_request(void *context, const struct davy_control_peer *peer, const char *line)
{
    struct target *target = context;
    struct davy_request_line request;
    char error[256];
    if (davy_request_parse(line, &request, error, sizeof error) < 0)
        davy_control_refuse(target->control, peer->ticket, "%s", error);
    else
        davy_control_reply(target->control, peer->ticket, "{\"ok\":true}");
}

static void open_target(struct target *target)
{
    strcpy(target->folder, "/tmp/davy-fuzz-XXXXXX");
    assert(mkdtemp(target->folder));
    target->address.sun_family = AF_UNIX;
    snprintf(target->address.sun_path, sizeof target->address.sun_path, "%s/s", target->folder);
    target->clock = (struct davy_clock){target_now, target};
    const struct davy_control_options options = {
        .path = target->address.sun_path, .clock = &target->clock, .request = on_request, .context = target};
    assert(davy_control_new(&options, &target->control) == 0);
}

static int dial(const struct target *target)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert(fd >= 0 && connect(fd, (const struct sockaddr *)&target->address, sizeof target->address) == 0);
    davy_control_turn(target->control);
    return fd;
}

/* Read what has come; every line must be a JSON object. */
static void take_replies(int fd)
{
    static const size_t size = 256 * 1024;
    char *text = malloc(size);
    ssize_t got = recv(fd, text, size, 0);
    char *line = text;
    while (got > 0 && line < text + got) {
        char *end = memchr(line, '\n', (size_t)(text + got - line));
        assert(end);
        json_t *reply = json_loadb(line, (size_t)(end - line), JSON_REJECT_DUPLICATES, NULL);
        assert(json_is_object(reply));
        json_decref(reply);
        line = end + 1;
    }
    free(text);
}

/* In pieces whose size the bytes themselves decide. */
static void send_pieces(struct target *target, int fd, const uint8_t *data, size_t size)
{
    while (size > 0) {
        size_t piece = 1 + (size_t)data[0] * data[0] % size;
        if (send(fd, data, piece, MSG_NOSIGNAL) < 0)
            return;
        data += piece;
        size -= piece;
        davy_control_turn(target->control);
        davy_control_turn(target->control);
        take_replies(fd);
    }
}

static void parse_whole(const uint8_t *data, size_t size)
{
    char *line = malloc(size + 1);
    memcpy(line, data, size);
    line[size] = '\0';
    struct davy_request_line request;
    char error[128] = "";
    int rc = davy_request_parse(line, &request, error, sizeof error);
    assert(rc == 0 || (rc == -EINVAL && error[0]));
    assert(rc < 0 || davy_verb_name(request.verb));
    free(line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > MOST_BYTES)
        return 0;
    parse_whole(data, size);
    struct target target = {.time.mono.ns = DAVY_NS_PER_S};
    open_target(&target);
    int fd = dial(&target);
    send_pieces(&target, fd, data, size);
    target.time.mono.ns += 11 * DAVY_NS_PER_S;
    davy_control_turn(target.control);
    davy_control_turn(target.control);
    take_replies(fd);
    close(fd);
    for (int i = 0; i < 8; i++) /* what is left, the end behind half a line, a word to nobody */
        davy_control_turn(target.control);
    assert(davy_control_due(target.control).ns == INT64_MAX);
    davy_control_free(target.control);
    assert(rmdir(target.folder) == 0);
    return 0;
}
