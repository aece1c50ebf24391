/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a serial port needs beside its speed and parity: nobody else on it, RS-485 direction, and a look at whether the
 * driver did as it was told. Thread: any.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "model/config.h"

/* Steps of making a port ready, for messages. */
enum davy_port_step {
    DAVY_PORT_READY,
    DAVY_PORT_LOCK,
    DAVY_PORT_SETTINGS, /* speed, parity, bits: the driver took others */
    DAVY_PORT_RS485,
};

/*
 * Make an open port ready: locked against others (flock, TIOCEXCL), closed on exec, its settings checked, RS-485
 * switched on where that is asked for, low latency where the driver knows it.
 * ret_step  what failed
 * returns   0 or a negative errno: -EBUSY when another process holds it, -EINVAL for settings that the driver did not
 *           take, -ENOTSUP or what the driver says for RS-485. The port is then the caller's to close.
 */
int davy_port_prepare(int fd, const struct davy_bus *bus, enum davy_port_step *ret_step) DAVY_MUST_CHECK;

/* The settings of a port as the driver has them. */
struct davy_port_settings {
    bool known; /* false: it does not tell them, and nothing is compared */
    uint32_t modes[4];
    uint32_t speeds[2];
    uint8_t least, patience; /* VMIN, VTIME */
};

/* Remember those of a port that is ready. */
void davy_port_note(int fd, struct davy_port_settings *ret_settings);

/*
 * Whether somebody has changed them since: the lock does not keep root from it (`stty -F`), and a port with another
 * speed, or one that is a terminal again, brings no answer any more. False where the port is gone: that shows by
 * itself.
 */
bool davy_port_is_changed(int fd, const struct davy_port_settings *settings);

/* Before it is closed: else the port stays shut while anybody else has it open. */
void davy_port_release(int fd);

/* Who has locked the port, as "minicom (process 123)"; empty where nobody can be named. Reads /proc. */
void davy_port_holder(const char *path, char *text, size_t size);
