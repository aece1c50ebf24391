/* SPDX-License-Identifier: Apache-2.0 */
#include "acquire/port.h"

#include <asm/termbits.h> /* termios2 tells any speed as a number; <termios.h> must not be seen beside it */
#include <errno.h>
#include <fcntl.h>
#include <linux/serial.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/clock.h"

/* Majors of the far ends of pseudo-terminals (Documentation/admin-guide/devices.txt): no line, so no parity or bits. */
#define PTS_MAJOR_FIRST 136U
#define PTS_MAJOR_LAST  143U

/* Nobody else may use it: O_EXCL means nothing for a terminal, and root passes TIOCEXCL, but not flock. */
static int lock(int fd)
{
    if (flock(fd, LOCK_EX | LOCK_NB) < 0)
        return errno == EWOULDBLOCK ? -EBUSY : -errno;
    if (ioctl(fd, TIOCEXCL) < 0)
        return -errno;
    return fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 ? -errno : 0;
}

static bool is_pseudo(int fd)
{
    struct stat status;
    return fstat(fd, &status) == 0 && major(status.st_rdev) >= PTS_MAJOR_FIRST &&
           major(status.st_rdev) <= PTS_MAJOR_LAST;
}

static tcflag_t line_flags(const struct davy_bus *bus)
{
    tcflag_t flags = bus->data_bits == 7 ? CS7 : CS8;
    flags |= bus->stop_bits == 2 ? CSTOPB : 0;
    return flags | (bus->parity == 'N' ? 0 : bus->parity == 'O' ? PARENB | PARODD : PARENB);
}

/* Setting a terminal up succeeds when any part of it did, and a speed that libmodbus does not know becomes 9600. */
static int check_settings(int fd, const struct davy_bus *bus)
{
    struct termios2 now;
    if (ioctl(fd, TCGETS2, &now) < 0)
        return -errno;
    if (now.c_ospeed != (speed_t)bus->baud)
        return -EINVAL;
    bool flags = (now.c_cflag & (CSIZE | CSTOPB | PARENB | PARODD)) == line_flags(bus);
    return flags || is_pseudo(fd) ? 0 : -EINVAL;
}

static uint32_t whole_ms(davy_span span)
{
    return (uint32_t)((span.ns + DAVY_NS_PER_MS - 1) / DAVY_NS_PER_MS);
}

/* The driver switches RTS. One that cannot must not seem to: refused, or accepted and not done. */
static int set_rs485(int fd, const struct davy_bus *bus)
{
    struct serial_rs485 mode = {.flags = SER_RS485_ENABLED | SER_RS485_RTS_ON_SEND,
                                .delay_rts_before_send = whole_ms(bus->rts_delay),
                                .delay_rts_after_send = whole_ms(bus->rts_delay)};
    struct serial_rs485 now = {0};
    if (ioctl(fd, TIOCSRS485, &mode) < 0)
        return -errno;
    return ioctl(fd, TIOCGRS485, &now) == 0 && now.flags & SER_RS485_ENABLED ? 0 : -ENOTSUP;
}

/* Adapters of FTDI hold bytes back for 16 ms otherwise. Most drivers have nothing to set. */
static void set_low_latency(int fd)
{
    struct serial_struct serial;
    if (ioctl(fd, TIOCGSERIAL, &serial) < 0)
        return;
    serial.flags = (int)((unsigned)serial.flags | ASYNC_LOW_LATENCY);
    (void)ioctl(fd, TIOCSSERIAL, &serial);
}

int davy_port_prepare(int fd, const struct davy_bus *bus, enum davy_port_step *ret_step)
{
    *ret_step = DAVY_PORT_LOCK;
    int rc = lock(fd);
    if (rc < 0)
        return rc;
    *ret_step = DAVY_PORT_SETTINGS;
    rc = check_settings(fd, bus);
    if (rc < 0)
        return rc;
    *ret_step = DAVY_PORT_RS485;
    rc = bus->rs485 ? set_rs485(fd, bus) : 0;
    if (rc < 0)
        return rc;
    set_low_latency(fd);
    *ret_step = DAVY_PORT_READY;
    return 0;
}

void davy_port_note(int fd, struct davy_port_settings *ret_settings)
{
    struct termios2 now;
    *ret_settings = (struct davy_port_settings){.known = ioctl(fd, TCGETS2, &now) == 0};
    if (!ret_settings->known)
        return;
    *ret_settings = (struct davy_port_settings){.known = true,
                                                .modes = {now.c_iflag, now.c_oflag, now.c_cflag, now.c_lflag},
                                                .speeds = {now.c_ispeed, now.c_ospeed},
                                                .least = now.c_cc[VMIN],
                                                .patience = now.c_cc[VTIME]};
}

bool davy_port_is_changed(int fd, const struct davy_port_settings *settings)
{
    struct davy_port_settings now;
    davy_port_note(fd, &now);
    if (!settings->known || !now.known)
        return false;
    return memcmp(now.modes, settings->modes, sizeof now.modes) != 0 ||
           memcmp(now.speeds, settings->speeds, sizeof now.speeds) != 0 || now.least != settings->least ||
           now.patience != settings->patience;
}

void davy_port_release(int fd)
{
    (void)ioctl(fd, TIOCNXCL);
}

/* ---- who holds it ---- */

/* A line of /proc/locks, "1: FLOCK  ADVISORY  WRITE 123 00:06:85 0 EOF": the process, when it is of this file. */
static long holder_in(const char *line, const struct stat *port)
{
    char kind[16];
    long process;
    unsigned major_number, minor_number;
    unsigned long long inode;
    if (sscanf(line, "%*d: %15s %*s %*s %ld %x:%x:%llu", kind, &process, &major_number, &minor_number, &inode) != 5)
        return 0;
    bool same = major_number == major(port->st_dev) && minor_number == minor(port->st_dev) && inode == port->st_ino;
    return same && strcmp(kind, "FLOCK") == 0 ? process : 0;
}

static void name_process(long process, char *text, size_t size)
{
    char path[64], name[64] = "";
    snprintf(path, sizeof path, "/proc/%ld/comm", process);
    DAVY_AUTO_FILE FILE *file = fopen(path, "re");
    if (!file || !fgets(name, sizeof name, file))
        snprintf(name, sizeof name, "somebody");
    name[strcspn(name, "\n")] = '\0';
    snprintf(text, size, "%s (process %ld)", name, process);
}

void davy_port_holder(const char *path, char *text, size_t size)
{
    struct stat port;
    char line[256];
    long process = 0;
    text[0] = '\0';
    DAVY_AUTO_FILE FILE *file = fopen("/proc/locks", "re");
    if (!file || stat(path, &port) < 0)
        return;
    while (process <= 0 && fgets(line, sizeof line, file))
        process = holder_in(line, &port);
    if (process > 0)
        name_process(process, text, size);
}
