/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/process.h"

#include <fcntl.h>
#include <malloc.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "acquire/poller.h"
#include "base/log.h"

/* What malloc maps by itself: above the largest message. */
#define LARGE_BLOCK (128 * 1024)
#define KEPT_FREE   (1024 * 1024)
#define ARENAS      2

/* select() of the Modbus library ends the process at descriptor 1024. */
#define DESCRIPTORS_MOST 1000

/*
 * Databases with their logs, wakers, control clients, broker, resolver, certificates, and room for what is read in
 * between.
 */
#define DESCRIPTORS_FIXED 64

/* Of a connection: port or socket, waker, and the one that is opened before the old one is closed. */
#define DESCRIPTORS_CONNECTION 3

/* The leak checker of AddressSanitizer looks at its own process as a debugger. */
#ifdef __SANITIZE_ADDRESS__
#define DUMPABLE 1
#else
#define DUMPABLE 0
#endif

/*
 * Memory that is not used must not be resident. Large blocks are mappings of their own, also after a larger one was
 * freed (glibc would raise its threshold, and take queues from pages that the configuration's loading has touched);
 * threads share two arenas: few of them allocate, and seldom at once.
 */
static void limit_memory(void)
{
    mallopt(M_MMAP_THRESHOLD, LARGE_BLOCK);
    mallopt(M_TRIM_THRESHOLD, KEPT_FREE);
    mallopt(M_ARENA_MAX, ARENAS);
    malloc_trim(0); /* its first user sets glibc's malloc up: under a sanitizer, two threads would race for it */
}

sigset_t process_signals(void)
{
    sigset_t handled;
    sigemptyset(&handled);
    sigaddset(&handled, SIGTERM);
    sigaddset(&handled, SIGINT);
    sigaddset(&handled, SIGHUP);
    return handled;
}

/* SIGUSR1 is what scripts that rotate logs send to whatever looks like a daemon: no reason to stop watching a plant. */
static void ignore_signals(void)
{
    static const int ignored[] = {SIGPIPE, SIGUSR1, SIGUSR2, SIGALRM, SIGVTALRM,
                                  SIGPROF, SIGIO,   SIGTSTP, SIGTTIN, SIGTTOU};
    for (size_t i = 0; i < DAVY_LENGTH(ignored); i++)
        signal(ignored[i], SIG_IGN);
}

static void fill_standard_descriptors(void)
{
    int fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= STDERR_FILENO)
        fd = dup(fd);
    if (fd > STDERR_FILENO)
        close(fd);
}

void process_prepare(void)
{
    const sigset_t handled = process_signals();
    fill_standard_descriptors();
    limit_memory();
    sigprocmask(SIG_BLOCK, &handled, NULL);
    ignore_signals();
    prctl(PR_SET_DUMPABLE, DUMPABLE);
    umask(0027);
    /* The MQTT library would send alarms through whatever proxy the environment names. */
    unsetenv("http_proxy");
    unsetenv("https_proxy");
}

size_t process_descriptors(const struct davy_config *config)
{
    size_t connections = 0;
    for (size_t b = 0; b < config->bus_count; b++)
        connections += davy_share_connections(&config->buses[b]);
    return DESCRIPTORS_FIXED + DESCRIPTORS_CONNECTION * connections;
}

bool process_limit_descriptors(const struct davy_config *config)
{
    const size_t needed = process_descriptors(config);
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return true;
    limit.rlim_cur = limit.rlim_max < DESCRIPTORS_MOST ? limit.rlim_max : DESCRIPTORS_MOST;
    setrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur >= needed)
        return true;
    davy_error(
        "davyd",
        "this configuration may need %zu open files, %llu are allowed: sensors or the broker may not be reached%s",
        needed, (unsigned long long)limit.rlim_cur,
        limit.rlim_max < DESCRIPTORS_MOST ? "; raise LimitNOFILE= (ulimit -n)" : "");
    return false;
}
