/* SPDX-License-Identifier: Apache-2.0 */
#include "base/notify.h"

#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* A path, or "@name" in the abstract name space, where the first byte is NUL. Returns the address's length; 0: none. */
static socklen_t address_of(const char *name, struct sockaddr_un *ret_address)
{
    const size_t length = name ? strlen(name) : 0;
    if (length < 2 || length >= sizeof ret_address->sun_path || (name[0] != '/' && name[0] != '@'))
        return 0;
    *ret_address = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(ret_address->sun_path, name, length);
    if (name[0] == '@')
        ret_address->sun_path[0] = '\0';
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
}

static pthread_once_t once = PTHREAD_ONCE_INIT;
static int kept = -1;

static void open_kept(void)
{
    kept = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
}

int davy_notify(const char *state)
{
    struct sockaddr_un address;
    const socklen_t length = address_of(getenv("NOTIFY_SOCKET"), &address);
    if (length == 0)
        return -ENOTCONN;
    (void)pthread_once(&once, open_kept);
    const int fd = kept >= 0 ? kept : socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    const ssize_t sent =
        sendto(fd, state, strlen(state), MSG_NOSIGNAL | MSG_DONTWAIT, (struct sockaddr *)&address, length);
    const int rc = sent < 0 ? -errno : 0;
    if (fd != kept)
        close(fd);
    return rc;
}

int davy_notify_reloading(void)
{
    char state[96];
    snprintf(state, sizeof state, "RELOADING=1\nMONOTONIC_USEC=%lld\nSTATUS=reloading",
             (long long)(davy_clock_monotonic() / DAVY_NS_PER_US));
    return davy_notify(state);
}

davy_span davy_notify_watchdog(void)
{
    const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
    if (!usec || (pid && strtoll(pid, NULL, 10) != (long long)getpid()))
        return (davy_span){0};
    char *end;
    errno = 0;
    const long long value = strtoll(usec, &end, 10);
    const bool sane = errno == 0 && end != usec && *end == '\0' && value > 0 && value < INT64_MAX / DAVY_NS_PER_US;
    return (davy_span){sane ? value * DAVY_NS_PER_US : 0};
}
