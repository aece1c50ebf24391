/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A Modbus slave in a child process, on the master side of a pty or on a socket, that can misbehave in its first
 * replies. Register n holds n; so a value that belongs to another request shows.
 */
#pragma once

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "acquire/frame.h"

enum slave_act {
    SLAVE_ANSWER,
    SLAVE_SILENT,
    SLAVE_LATE,   /* late_ms before the reply */
    SLAVE_BEHIND, /* the reply late_ms later, behind those to later requests */
    SLAVE_UNIT,   /* of another unit */
    SLAVE_CRC,    /* one bit flipped behind the head */
    SLAVE_NOISE,  /* random bytes instead */
    SLAVE_REFUSE, /* exception 2 */
    SLAVE_DRIP,   /* a byte every 60 ms */
    SLAVE_SHORT,  /* half a reply */
    SLAVE_TWICE,
    SLAVE_PROTOCOL,    /* TCP: another protocol id */
    SLAVE_LENGTH,      /* TCP: another length in the head */
    SLAVE_TRANSACTION, /* TCP: another transaction */
    SLAVE_HANG_UP,
};

struct slave {
    pid_t child;
    int port;      /* TCP */
    char path[64]; /* pty */
    int keep;      /* a hold on the pty */
};

struct slave_script {
    bool tcp; /* frames with MBAP head */
    bool echo;
    enum slave_act act;
    unsigned times; /* how many replies are like that */
    int late_ms;
    unsigned silent;    /* so many are not answered after those */
    uint8_t only_count; /* ignores reads of other lengths; 0: none */
    bool refuse;        /* answers them with an exception instead */
};

static DAVY_UNUSED void slave_pause(int ms)
{
    struct timespec wait = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000L};
    nanosleep(&wait, NULL);
}

static DAVY_UNUSED bool slave_get(int fd, uint8_t *bytes, size_t length)
{
    for (size_t have = 0; have < length;) {
        ssize_t got = read(fd, bytes + have, length - have);
        if (got <= 0)
            return false;
        have += (size_t)got;
    }
    return true;
}

static DAVY_UNUSED void slave_put(int fd, const uint8_t *bytes, size_t length)
{
    ssize_t written = write(fd, bytes, length);
    (void)written; /* the other end may have gone */
}

/* Unit, function, data of the reply to a request. */
static DAVY_UNUSED size_t slave_body(const uint8_t *request, enum slave_act act, uint8_t *body)
{
    unsigned start = (unsigned)request[2] << 8 | request[3];
    unsigned count = (unsigned)request[4] << 8 | request[5];
    body[0] = (uint8_t)(request[0] + (act == SLAVE_UNIT));
    body[1] = request[1];
    if (act == SLAVE_REFUSE) {
        body[1] |= 0x80U;
        body[2] = 2;
        return 3;
    }
    body[2] = (uint8_t)(2 * count);
    for (unsigned i = 0; i < count; i++) {
        body[3 + 2 * i] = (uint8_t)((start + i) >> 8);
        body[4 + 2 * i] = (uint8_t)(start + i);
    }
    return 3 + 2 * count;
}

static DAVY_UNUSED size_t slave_frame(const struct slave_script *script, const uint8_t *head, const uint8_t *request,
                                      enum slave_act act, uint8_t *frame)
{
    if (!script->tcp) {
        size_t length = slave_body(request, act, frame);
        uint16_t crc = davy_frame_crc(frame, length);
        frame[length] = (uint8_t)crc;
        frame[length + 1] = (uint8_t)(crc >> 8);
        frame[3] ^= act == SLAVE_CRC;
        return length + 2;
    }
    memcpy(frame, head, 6);
    size_t length = slave_body(request, act, frame + 6);
    frame[1] ^= act == SLAVE_TRANSACTION;
    frame[2] ^= act == SLAVE_PROTOCOL;
    frame[5] = (uint8_t)(length + (act == SLAVE_LENGTH));
    return length + 6;
}

static DAVY_UNUSED void slave_reply(const struct slave_script *script, int fd, const uint8_t *frame, size_t length,
                                    enum slave_act act)
{
    static const uint8_t noise[] = {0x00, 0xFF, 0x13, 0x77, 0x01, 0x99, 0x42};
    if (act == SLAVE_SILENT)
        return;
    if (act == SLAVE_HANG_UP)
        _exit(0);
    if (act == SLAVE_LATE)
        slave_pause(script->late_ms);
    if (act == SLAVE_BEHIND && fork() != 0)
        return;
    if (act == SLAVE_BEHIND) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        slave_pause(script->late_ms);
        slave_put(fd, frame, length);
        _exit(0);
    }
    if (act == SLAVE_NOISE) {
        slave_put(fd, noise, sizeof noise);
        return;
    }
    for (size_t i = 0; act == SLAVE_DRIP && i < length; i++) {
        slave_put(fd, frame + i, 1);
        slave_pause(60);
    }
    if (act != SLAVE_DRIP)
        slave_put(fd, frame, act == SLAVE_SHORT ? length / 2 : length);
    if (act == SLAVE_TWICE)
        slave_put(fd, frame, length);
}

static DAVY_UNUSED enum slave_act slave_next(const struct slave_script *script, unsigned count)
{
    if (count < script->times)
        return script->act;
    return count < script->times + script->silent ? SLAVE_SILENT : SLAVE_ANSWER;
}

static DAVY_UNUSED void slave_serve(const struct slave_script *script, int fd, unsigned *count)
{
    uint8_t head[6], request[8], frame[300];
    for (;;) {
        if (script->tcp && !slave_get(fd, head, sizeof head))
            return;
        if (!slave_get(fd, request, script->tcp ? 6 : 8))
            return;
        if (script->echo)
            slave_put(fd, request, 8);
        bool other = script->only_count != 0 && request[5] != script->only_count;
        if (other && !script->refuse)
            continue;
        enum slave_act act = other ? SLAVE_REFUSE : slave_next(script, (*count)++);
        slave_reply(script, fd, frame, slave_frame(script, head, request, act, frame), act);
    }
}

/* In the child: ends with its parent. */
static DAVY_UNUSED void slave_child(void)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGCHLD, SIG_IGN);
}

static DAVY_UNUSED void slave_start_pty(struct slave *slave, struct slave_script script)
{
    int master = posix_openpt(O_RDWR | O_NOCTTY);
    if (master < 0 || grantpt(master) < 0 || unlockpt(master) < 0)
        abort();
    ptsname_r(master, slave->path, sizeof slave->path);
    slave->keep = open(slave->path, O_RDWR | O_NOCTTY | O_CLOEXEC);
    struct termios raw;
    tcgetattr(slave->keep, &raw);
    cfmakeraw(&raw);
    tcsetattr(slave->keep, TCSANOW, &raw);
    slave->child = fork();
    if (slave->child == 0) {
        unsigned count = 0;
        slave_child();
        close(slave->keep);
        slave_serve(&script, master, &count);
        _exit(0);
    }
    close(master);
}

static DAVY_UNUSED void slave_start_tcp(struct slave *slave, struct slave_script script)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, size) < 0 || listen(listener, 8) < 0 ||
        getsockname(listener, (struct sockaddr *)&address, &size) < 0)
        abort();
    slave->port = ntohs(address.sin_port);
    slave->keep = -1;
    slave->child = fork();
    if (slave->child == 0) {
        unsigned count = 0;
        slave_child();
        for (;;) {
            int fd = accept(listener, NULL, NULL);
            slave_serve(&script, fd, &count);
            close(fd);
        }
    }
    close(listener);
}

/* Until it has hung up and all that it had open is closed. */
static DAVY_UNUSED void slave_await_end(const struct slave *slave)
{
    siginfo_t info;
    waitid(P_PID, (id_t)slave->child, &info, WEXITED | WNOWAIT);
}

static DAVY_UNUSED void slave_stop(struct slave *slave)
{
    kill(slave->child, SIGKILL);
    waitpid(slave->child, NULL, 0);
    if (slave->keep >= 0)
        close(slave->keep);
}
