/* SPDX-License-Identifier: Apache-2.0 */
#include "record/reserve.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME "reserve"

/* A descriptor, or a negative errno. */
static int open_reserve(const char *directory, int flags, int64_t *ret_size)
{
    char path[4200];
    struct stat found;
    int length = snprintf(path, sizeof(path), "%s/" NAME, directory);
    if (length < 0 || (size_t)length >= sizeof(path))
        return -ENAMETOOLONG;
    int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | flags, 0640);
    if (fd < 0)
        return -errno;
    if (fstat(fd, &found) == 0 && S_ISREG(found.st_mode)) {
        *ret_size = found.st_size;
        return fd;
    }
    close(fd);
    return -EINVAL;
}

int davy_reserve_keep(const char *directory, int64_t bytes)
{
    int64_t size = 0;
    DAVY_AUTO_FD int fd = open_reserve(directory, O_CREAT, &size);
    if (fd < 0)
        return fd;
    if (size >= bytes)
        return 0;
    return fallocate(fd, 0, size, bytes - size) < 0 ? -errno : 0;
}

int64_t davy_reserve_release(const char *directory, int64_t bytes)
{
    int64_t size = 0;
    DAVY_AUTO_FD int fd = open_reserve(directory, 0, &size);
    if (fd < 0)
        return fd == -ENOENT ? 0 : fd;
    int64_t less = size < bytes ? size : bytes;
    if (less > 0 && ftruncate(fd, size - less) < 0)
        return -errno;
    return less;
}
