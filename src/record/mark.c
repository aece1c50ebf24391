/* SPDX-License-Identifier: Apache-2.0 */
#include "mark.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/num.h"
#include "db.h"

static const char name[] = "ledger.mark";

static void path_of(const char *directory, const char *file, char path[DAVY_DB_PATH + 32])
{
    snprintf(path, DAVY_DB_PATH + 32, "%s/%s", directory, file);
}

struct ledger_mark davy_mark_read(const char *directory)
{
    char path[DAVY_DB_PATH + 32], text[32];
    struct ledger_mark mark = {.seq = 0};
    path_of(directory, name, path);
    DAVY_AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    ssize_t length = fd < 0 ? 0 : read(fd, text, sizeof text - 1);
    if (length <= 0)
        return mark;
    text[length] = '\0';
    text[strcspn(text, "\n")] = '\0';
    mark.exact = text[0] == '=';
    bool read_well = davy_int_parse(text + (mark.exact ? 1 : 0), &mark.seq) == 0 && mark.seq > 0;
    return read_well ? mark : (struct ledger_mark){.seq = 0};
}

static int write_new(const char *path, const struct ledger_mark *mark)
{
    char text[32];
    int length = snprintf(text, sizeof text, "%s%lld\n", mark->exact ? "=" : "", (long long)mark->seq);
    (void)unlink(path); /* of a try that failed */
    DAVY_AUTO_FD int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0640);
    if (fd < 0)
        return -errno;
    errno = EIO; /* of a short write */
    return write(fd, text, (size_t)length) == length && fsync(fd) == 0 ? 0 : -errno;
}

int davy_mark_write(const char *directory, const struct ledger_mark *mark)
{
    char fresh[DAVY_DB_PATH + 32], path[DAVY_DB_PATH + 32];
    path_of(directory, "ledger.mark.new", fresh);
    path_of(directory, name, path);
    int r = write_new(fresh, mark);
    if (r == 0 && rename(fresh, path) < 0)
        r = -errno;
    return r < 0 ? r : davy_db_sync_directory(path);
}
