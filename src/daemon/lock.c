/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* The folder itself: whatever the path or mount that leads to it, and though all files in it were removed. */
int state_lock(const char *directory)
{
    if (mkdir(directory, 0750) < 0 && errno != EEXIST)
        return -errno;
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    if (flock(fd, LOCK_EX | LOCK_NB) == 0)
        return fd;
    int error = errno;
    close(fd);
    return -error;
}

dev_t state_device(const char *directory)
{
    struct stat found;
    char parent[4200];
    if (stat(directory, &found) == 0)
        return found.st_dev;
    snprintf(parent, sizeof parent, "%s", directory);
    char *slash = strrchr(parent, '/');
    if (slash)
        slash[slash == parent] = '\0';
    return slash && stat(parent, &found) == 0 ? found.st_dev : 0;
}

bool state_has_ledger(const char *directory)
{
    char path[4200];
    int length = snprintf(path, sizeof path, "%s/ledger.db", directory);
    return length > 0 && (size_t)length < sizeof path && access(path, F_OK) == 0;
}
