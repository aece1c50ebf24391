/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Preloaded into a program: its clocks are those of the machine plus what stands in a file that the test has mapped,
 * and a step takes effect in the middle of a wait, as a real one does. libfaketime translates a deadline once, so that
 * a step during a wait has no effect and hides the very faults that are looked for.
 *
 *   DAVY_CLOCK_SHIM  the file, struct shim
 *   DAVY_CLOCK_BOOT  a boot id instead of the kernel's
 *
 * CLOCK_MONOTONIC is left alone: neither steps nor suspend move it.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

#define S_NS     INT64_C(1000000000)
#define SLICE_NS (S_NS / 50)

struct shim {
    _Atomic int64_t wall_ns;      /* steps: added to CLOCK_REALTIME */
    _Atomic int64_t boot_ns;      /* time in suspend: added to CLOCK_BOOTTIME and CLOCK_REALTIME */
    _Atomic int64_t synchronized; /* what adjtimex says: 1 yes, 0 no */
};

static struct shim nothing = {.synchronized = 1};
static struct shim *shim = &nothing;

__attribute__((constructor)) static void map(void)
{
    const char *file = getenv("DAVY_CLOCK_SHIM");
    int fd = file ? open(file, O_RDONLY | O_CLOEXEC) : -1;
    void *at = fd >= 0 ? mmap(NULL, sizeof *shim, PROT_READ, MAP_SHARED, fd, 0) : MAP_FAILED;
    if (at != MAP_FAILED)
        shim = at;
    if (fd >= 0)
        close(fd);
}

static int64_t offset(clockid_t id)
{
    const int64_t boot = atomic_load(&shim->boot_ns);
    if (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)
        return boot + atomic_load(&shim->wall_ns);
    return id == CLOCK_BOOTTIME ? boot : 0;
}

static int64_t now(clockid_t id)
{
    struct timespec t = {0};
    syscall(SYS_clock_gettime, id, &t);
    return t.tv_sec * S_NS + t.tv_nsec + offset(id);
}

static struct timespec timespec_of(int64_t ns)
{
    const int64_t rest = (ns % S_NS + S_NS) % S_NS;
    return (struct timespec){.tv_sec = (ns - rest) / S_NS, .tv_nsec = rest};
}

static int64_t ns_of(const struct timespec *t)
{
    return t->tv_sec * S_NS + t->tv_nsec;
}

/* The end of the next piece of a wait until `until` of a clock that may step; on CLOCK_MONOTONIC. */
static struct timespec slice(clockid_t id, int64_t until)
{
    const int64_t left = until - now(id);
    return timespec_of(now(CLOCK_MONOTONIC) + (left < 0 ? 0 : left < SLICE_NS ? left : SLICE_NS));
}

int clock_gettime(clockid_t id, struct timespec *t)
{
    const long rc = syscall(SYS_clock_gettime, id, t);
    if (rc == 0 && offset(id) != 0)
        *t = timespec_of(ns_of(t) + offset(id));
    return (int)rc;
}

int gettimeofday(struct timeval *restrict t, void *restrict zone)
{
    (void)zone;
    const struct timespec at = timespec_of(now(CLOCK_REALTIME));
    *t = (struct timeval){.tv_sec = at.tv_sec, .tv_usec = at.tv_nsec / 1000};
    return 0;
}

time_t time(time_t *ret)
{
    const struct timespec at = timespec_of(now(CLOCK_REALTIME));
    if (ret)
        *ret = at.tv_sec;
    return at.tv_sec;
}

int pthread_cond_timedwait(pthread_cond_t *restrict cond, pthread_mutex_t *restrict mutex,
                           const struct timespec *restrict until)
{
    /* glibc keeps the clock of a condition in bit 1 of this. */
    const clockid_t id = cond->__data.__wrefs & 2 ? CLOCK_MONOTONIC : CLOCK_REALTIME;
    for (;;) {
        const struct timespec end = slice(id, ns_of(until));
        const int rc = pthread_cond_clockwait(cond, mutex, CLOCK_MONOTONIC, &end);
        if (rc != ETIMEDOUT || now(id) >= ns_of(until))
            return rc;
    }
}

int sem_timedwait(sem_t *restrict sem, const struct timespec *restrict until)
{
    for (;;) {
        const struct timespec end = slice(CLOCK_REALTIME, ns_of(until));
        const int rc = sem_clockwait(sem, CLOCK_MONOTONIC, &end);
        if (rc == 0 || errno != ETIMEDOUT || now(CLOCK_REALTIME) >= ns_of(until))
            return rc;
    }
}

int pthread_mutex_timedlock(pthread_mutex_t *restrict mutex, const struct timespec *restrict until)
{
    for (;;) {
        const struct timespec end = slice(CLOCK_REALTIME, ns_of(until));
        const int rc = pthread_mutex_clocklock(mutex, CLOCK_MONOTONIC, &end);
        if (rc != ETIMEDOUT || now(CLOCK_REALTIME) >= ns_of(until))
            return rc;
    }
}

int clock_nanosleep(clockid_t id, int flags, const struct timespec *wait, struct timespec *left)
{
    const int64_t until = (flags & TIMER_ABSTIME) ? ns_of(wait) : now(CLOCK_MONOTONIC) + ns_of(wait);
    const clockid_t clock = (flags & TIMER_ABSTIME) ? id : CLOCK_MONOTONIC;
    (void)left;
    while (now(clock) < until) {
        const int64_t rest = until - now(clock);
        const struct timespec piece = timespec_of(rest > 0 && rest < SLICE_NS ? rest : SLICE_NS);
        syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &piece, NULL);
    }
    return 0;
}

int adjtimex(struct timex *state)
{
    const int synchronized = (int)atomic_load(&shim->synchronized);
    memset(state, 0, sizeof *state);
    state->status = synchronized ? 0 : STA_UNSYNC;
    return synchronized ? TIME_OK : TIME_ERROR;
}

FILE *fopen(const char *restrict file, const char *restrict mode)
{
    static FILE *(*real)(const char *restrict, const char *restrict);
    char *boot = getenv("DAVY_CLOCK_BOOT");
    if (boot && strcmp(file, "/proc/sys/kernel/random/boot_id") == 0)
        return fmemopen(boot, strlen(boot), "r");
    if (!real)
        real = (FILE * (*)(const char *restrict, const char *restrict)) dlsym(RTLD_NEXT, "fopen");
    return real(file, mode);
}
