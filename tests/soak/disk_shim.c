/* SPDX-License-Identifier: Apache-2.0 */
/*
 * LD_PRELOAD: a disk that fails or hangs where a test says so. What a program does to files below $DISK_FOLDER is
 * counted and, by the table in the file $DISK_CONTROL that storage.py writes, fails with an error at the n-th
 * operation, once or from then on, or waits. Nothing is done where an operation fails, as a disk does that refuses it.
 */
#undef _FILE_OFFSET_BITS /* pwrite() and pwrite64() are two names here */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

/* Kinds of operations, as bits of control.mask. */
enum { OP_WRITE = 1, OP_SYNC = 2, OP_TRUNCATE = 4, OP_OPEN = 8, OP_READ = 16, OP_REMOVE = 32 };

/* storage.py knows this layout: twelve numbers of 32 bits, then the text. */
struct control {
    _Atomic uint32_t armed; /* 0: nothing fails; 1: the n-th; 2: from the n-th on */
    _Atomic uint32_t error;
    _Atomic uint32_t mask;
    _Atomic uint32_t nth;
    _Atomic uint32_t seen;  /* operations of the mask since it was armed */
    _Atomic uint32_t fired; /* of them failed */
    _Atomic uint32_t delay_mask;
    _Atomic uint32_t delay_ms; /* each operation of delay_mask takes so long more; ends when this is 0 */
    _Atomic uint32_t waiting;  /* operations that wait now */
    _Atomic uint32_t waited;   /* have waited */
    uint32_t spare[2];
    char name[64]; /* only files whose name begins so; empty: all */
};

static struct control *control;
static const char *folder;

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("DISK_CONTROL");
    folder = getenv("DISK_FOLDER");
    int fd = path && folder ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0)
        return;
    void *memory = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    control = memory == MAP_FAILED ? NULL : memory;
    close(fd);
}

static int is_ours(const char *path)
{
    size_t length = strlen(folder);
    if (strncmp(path, folder, length) != 0 || path[length] != '/')
        return 0;
    return strncmp(path + length + 1, control->name, strlen(control->name)) == 0;
}

static int is_ours_fd(int fd)
{
    char link[40], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length <= 0)
        return 0;
    path[length] = '\0';
    return is_ours(path);
}

static void wait_out(void)
{
    const struct timespec step = {.tv_nsec = 5000000};
    struct timespec begun, now;
    clock_gettime(CLOCK_MONOTONIC, &begun);
    atomic_fetch_add(&control->waiting, 1);
    do {
        nanosleep(&step, NULL);
        clock_gettime(CLOCK_MONOTONIC, &now);
    } while ((now.tv_sec - begun.tv_sec) * 1000 + (now.tv_nsec - begun.tv_nsec) / 1000000 < (long)control->delay_ms);
    atomic_fetch_sub(&control->waiting, 1);
    atomic_fetch_add(&control->waited, 1);
}

/* One operation on our files. Returns the errno that it fails with, or 0. */
static int strikes(uint32_t op)
{
    if (control->delay_ms != 0 && (control->delay_mask & op) != 0)
        wait_out();
    if (control->armed == 0 || (control->mask & op) == 0)
        return 0;
    uint32_t seen = atomic_fetch_add(&control->seen, 1) + 1;
    if (control->armed == 1 ? seen != control->nth : seen < control->nth)
        return 0;
    atomic_fetch_add(&control->fired, 1);
    return (int)control->error;
}

static int is_on(void)
{
    return control && (control->armed != 0 || control->delay_ms != 0);
}

static int fails(uint32_t op, int fd)
{
    int error = is_on() && is_ours_fd(fd) ? strikes(op) : 0;
    if (error != 0)
        errno = error;
    return error != 0;
}

static int fails_at(uint32_t op, const char *path)
{
    int error = is_on() && is_ours(path) ? strikes(op) : 0;
    if (error != 0)
        errno = error;
    return error != 0;
}

#define REAL(name) ((__typeof__(&name))real(#name))

static void *real(const char *name)
{
    return dlsym(RTLD_NEXT, name);
}

ssize_t pwrite(int fd, const void *bytes, size_t size, off_t at)
{
    return fails(OP_WRITE, fd) ? -1 : REAL(pwrite)(fd, bytes, size, at);
}

ssize_t pwrite64(int fd, const void *bytes, size_t size, off64_t at)
{
    return fails(OP_WRITE, fd) ? -1 : REAL(pwrite64)(fd, bytes, size, at);
}

ssize_t write(int fd, const void *bytes, size_t size)
{
    return fails(OP_WRITE, fd) ? -1 : REAL(write)(fd, bytes, size);
}

ssize_t pread64(int fd, void *bytes, size_t size, off64_t at)
{
    return fails(OP_READ, fd) ? -1 : REAL(pread64)(fd, bytes, size, at);
}

ssize_t pread(int fd, void *bytes, size_t size, off_t at)
{
    return fails(OP_READ, fd) ? -1 : REAL(pread)(fd, bytes, size, at);
}

int fsync(int fd)
{
    return fails(OP_SYNC, fd) ? -1 : REAL(fsync)(fd);
}

int fdatasync(int fd)
{
    return fails(OP_SYNC, fd) ? -1 : REAL(fdatasync)(fd);
}

int ftruncate(int fd, off_t size)
{
    return fails(OP_TRUNCATE, fd) ? -1 : REAL(ftruncate)(fd, size);
}

int ftruncate64(int fd, off64_t size)
{
    return fails(OP_TRUNCATE, fd) ? -1 : REAL(ftruncate64)(fd, size);
}

int fallocate(int fd, int mode, off_t at, off_t size)
{
    return fails(OP_WRITE, fd) ? -1 : REAL(fallocate)(fd, mode, at, size);
}

int fallocate64(int fd, int mode, off64_t at, off64_t size)
{
    return fails(OP_WRITE, fd) ? -1 : REAL(fallocate64)(fd, mode, at, size);
}

int unlink(const char *path)
{
    return fails_at(OP_REMOVE, path) ? -1 : REAL(unlink)(path);
}

static mode_t mode_of(int flags, va_list arguments)
{
    return (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE ? va_arg(arguments, mode_t) : 0;
}

int open(const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = mode_of(flags, arguments);
    va_end(arguments);
    return fails_at(OP_OPEN, path) ? -1 : REAL(open)(path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = mode_of(flags, arguments);
    va_end(arguments);
    return fails_at(OP_OPEN, path) ? -1 : REAL(open64)(path, flags, mode);
}
