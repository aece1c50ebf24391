/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control socket: one JSON line asks, one JSON line answers. The server frames, bounds and names
 * the peer; what a request means is the caller's. Non-blocking; lives on the main thread's event loop by file
 * descriptors: it is given an epoll-able fd set through davy_control_fd() and turned by davy_control_turn().
 *
 * Bounds: 16 clients, 64 KiB a request line, 1 MiB a reply line, 10 s to send a request or take a reply; a client that
 * breaks one is told why where possible and closed. One request of a client at a time; a client may send the next one
 * without waiting. One that only listens is closed after 10 s.
 */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "base/attr.h"
#include "base/clock.h"

struct davy_control;

/* Who asks, by the peer's credentials. */
struct davy_control_peer {
    uint64_t ticket; /* names the request; give it to davy_control_reply() */
    uid_t uid;
    char user[64]; /* "local:NAME", or "local:UID" where the name is unknown */
};

struct davy_control_options {
    const char *path;  /* of the socket; replaced when stale, -EADDRINUSE when another process listens */
    const char *group; /* owner of the socket, mode 0660; NULL or unknown: the process's */
    const struct davy_clock *clock;
    /*
     * One request line as it was sent, without its newline and without NUL bytes; davy_request_parse() judges it. Gone
     * after the call. The reply may come at once or later, by ticket; exactly one is owed. Do not call
     * davy_control_free() or davy_control_turn() from here.
     */
    void (*request)(void *context, const struct davy_control_peer *peer, const char *line);
    void *context;
};

/*
 * The user data base is asked for names when a client comes (getpwuid_r): local files in practice.
 * returns   0, -EADDRINUSE, -EEXIST (something else than a socket is there), -ENAMETOOLONG, or another negative errno
 */
int davy_control_new(const struct davy_control_options *options, struct davy_control **ret_control) DAVY_MUST_CHECK;

/* Closes all clients and removes the socket. Accepts NULL, returns NULL. */
struct davy_control *davy_control_free(struct davy_control *control);

/* An epoll fd that is readable when davy_control_turn() has work. */
int davy_control_fd(const struct davy_control *control);

/* Serve what is ready; expire what is too old. Never blocks. */
void davy_control_turn(struct davy_control *control);

/* When davy_control_turn() must be called at the latest for timeouts; DAVY_MONO_NEVER. */
davy_mono davy_control_due(const struct davy_control *control);

/*
 * Answer a request. `line` is one JSON object without a newline. A ticket whose client is gone is ignored.
 */
void davy_control_reply(struct davy_control *control, uint64_t ticket, const char *line);

/* {"ok":false,"error":TEXT} as the answer. */
void davy_control_refuse(struct davy_control *control, uint64_t ticket, const char *format, ...) DAVY_PRINTF(3, 4);
