/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compiler attributes and ownership helpers. The only place that spells __attribute__.
 *
 * Error convention of the whole project: an `int` result is 0 for done, a negative errno for "could not" (forward it
 * unchanged), or a positive outcome that the header of that function names (handle it, never forward it).
 */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define DAVY_MUST_CHECK      __attribute__((warn_unused_result))
#define DAVY_PRINTF(fmt, va) __attribute__((format(printf, fmt, va)))
#define DAVY_CLEANUP(fn)     __attribute__((cleanup(fn)))
#define DAVY_UNUSED          __attribute__((unused))

#define DAVY_LENGTH(array) (sizeof(array) / sizeof((array)[0]))

/* Local variables that release themselves at the end of their scope. */
#define DAVY_AUTO_FREE DAVY_CLEANUP(davy_cleanup_free)
#define DAVY_AUTO_FILE DAVY_CLEANUP(davy_cleanup_file)
#define DAVY_AUTO_FD   DAVY_CLEANUP(davy_cleanup_fd)

static inline void davy_cleanup_free(void *pointer_to_pointer)
{
    free(*(void **)pointer_to_pointer);
}

static inline void davy_cleanup_file(FILE **file)
{
    if (*file)
        fclose(*file);
}

static inline void davy_cleanup_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}
