/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "config/internal.h"

/*
 * libconfig 1.5 ends the process (exit 2) when it is to include a folder or a file that cannot be read, looks for
 * includes beside the process and not beside the file, and knows nothing of FIFOs. So it never opens a file here.
 */

void davy_source_problem(struct davy_source *source, struct davy_line at, const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    const char *file = at.file < source->file_count ? source->files[at.file] : NULL;
    davy_problems_add(source->loader->problems, DAVY_PROBLEM_ERROR, file, (int)at.line, NULL, "%s", text);
}

static bool out_of_memory(struct davy_source *source)
{
    source->loader->failed = -ENOMEM;
    source->broken = true;
    return false;
}

void davy_source_put(struct davy_source *source, const char *bytes, size_t length)
{
    if (source->capacity - source->length < length + 1) {
        size_t capacity = 2 * source->capacity + length + 4096;
        char *grown = realloc(source->text, capacity);
        if (!grown) {
            out_of_memory(source);
            return;
        }
        source->text = grown;
        source->capacity = capacity;
    }
    memcpy(source->text + source->length, bytes, length);
    source->length += length;
    source->text[source->length] = '\0';
}

void davy_source_newline(struct davy_source *source, struct davy_line from)
{
    if (source->line_count == source->line_capacity) {
        size_t capacity = 2 * source->line_capacity + 256;
        struct davy_line *grown = reallocarray(source->lines, capacity, sizeof *grown);
        if (!grown) {
            out_of_memory(source);
            return;
        }
        source->lines = grown;
        source->line_capacity = capacity;
    }
    source->lines[source->line_count++] = from;
    davy_source_put(source, "\n", 1);
}

static const char *kind_of_file(mode_t mode)
{
    if (S_ISDIR(mode))
        return "a folder";
    if (S_ISFIFO(mode))
        return "a FIFO";
    return S_ISSOCK(mode) ? "a socket" : "a device";
}

/* Why it cannot be read goes into `why`. Returns the descriptor or -1. */
static int open_regular(const char *file, struct davy_buf *why)
{
    int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0) {
        davy_buf_printf(why, "cannot be read: %s", strerror(errno));
    } else if (!S_ISREG(st.st_mode)) {
        davy_buf_printf(why, "is %s, not a regular file", kind_of_file(st.st_mode));
    } else if (st.st_size > DAVY_SOURCE_SIZE_MAX) {
        davy_buf_printf(why, "is larger than %u MiB", DAVY_SOURCE_SIZE_MAX >> 20);
    } else {
        return fd;
    }
    if (fd >= 0)
        close(fd);
    return -1;
}

/*
 * Said at each start and check, but no error: a gateway that refuses to start for the mode of a file watches nothing,
 * which is the greater evil.
 */
static void warn_of_mode(struct davy_loader *loader, const char *file, int fd)
{
    struct stat st;
    if (fstat(fd, &st) == 0 && (st.st_mode & S_IWOTH) != 0)
        davy_problems_add(loader->problems, DAVY_PROBLEM_WARNING, file, 0, NULL,
                          "everybody can write this file (mode %04o), and so decide what is an alarm: chmod o-w",
                          (unsigned)(st.st_mode & 07777));
}

/* The whole file, or NULL with the reason. The size is bound again: a file may grow while it is read. */
static char *read_file(struct davy_loader *loader, const char *file, size_t *ret_length, struct davy_buf *why)
{
    DAVY_AUTO_FD int fd = open_regular(file, why);
    if (fd < 0)
        return NULL;
    warn_of_mode(loader, file, fd);
    DAVY_AUTO_FREE char *text = malloc(DAVY_SOURCE_SIZE_MAX + 1);
    size_t length = 0;
    while (text && length <= DAVY_SOURCE_SIZE_MAX) {
        ssize_t n = read(fd, text + length, DAVY_SOURCE_SIZE_MAX + 1 - length);
        if (n == 0) {
            char *whole = text;
            text = NULL;
            *ret_length = length;
            return whole;
        }
        if (n < 0 && errno != EINTR) {
            davy_buf_printf(why, "cannot be read: %s", strerror(errno));
            return NULL;
        }
        length += n > 0 ? (size_t)n : 0;
    }
    davy_buf_text(why, text ? "is larger than 4 MiB" : "does not fit into memory");
    return NULL;
}

/* The name is taken over into the list of files. Returns the index, or -1. */
static int add_file(struct davy_source *source, const char *file)
{
    char *copy = strdup(file);
    if (!copy) {
        out_of_memory(source);
        return -1;
    }
    source->files[source->file_count] = copy;
    return (int)source->file_count++;
}

static void add_text(struct davy_source *source, const char *file, const char *text, size_t length)
{
    int index = add_file(source, file);
    if (index < 0)
        return;
    davy_sha256_add(&source->loader->digest, text, length);
    source->depth++;
    davy_scan(source, (uint32_t)index, text, length);
    source->depth--;
}

/* A name below the folder of the including file: a thresholds file must not reach what its editor may not. */
static const char *refuse_name(const char *name)
{
    if (name[0] == '\0')
        return "names no file";
    if (name[0] == '/')
        return "is an absolute path; includes come from the folder of the file that names them";
    for (const char *part = name; part; part = strchr(part, '/')) {
        part += *part == '/';
        if (strncmp(part, "..", 2) == 0 && (part[2] == '/' || part[2] == '\0'))
            return "leaves the folder of the file that names it";
    }
    return NULL;
}

static char *beside(const char *file, const char *name)
{
    const char *slash = strrchr(file, '/');
    char *path;
    int length = slash ? (int)(slash - file) + 1 : 0;
    return asprintf(&path, "%.*s%s", length, file, name) < 0 ? NULL : path;
}

void davy_source_include(struct davy_source *source, struct davy_line from, const char *name)
{
    const char *refused = refuse_name(name);
    if (!refused && source->depth >= DAVY_SOURCE_DEPTH_MAX)
        refused = "is nested too deeply; 4 files deep at most";
    if (!refused && source->file_count >= DAVY_SOURCE_FILES_MAX)
        refused = "is one too many; 16 files at most";
    if (!refused && source->loader->no_files)
        refused = "cannot be included into a text that is not a file";
    if (refused) {
        davy_source_problem(source, from, "@include \"%s\" %s", name, refused);
        return;
    }
    DAVY_AUTO_FREE char *path = beside(source->files[from.file], name);
    char reason[256];
    struct davy_buf why;
    davy_buf_init(&why, reason, sizeof reason);
    size_t length = 0;
    DAVY_AUTO_FREE char *text = path ? read_file(source->loader, path, &length, &why) : NULL;
    if (!path)
        out_of_memory(source);
    else if (!text)
        davy_source_problem(source, from, "@include \"%s\" %s", name, reason);
    else
        add_text(source, path, text, length);
}

/* Whatever began must have ended. */
static void check_end(struct davy_source *source)
{
    if (source->broken)
        return;
    for (size_t i = 1; i <= source->nesting; i++)
        davy_source_problem(source, source->depths[i].at, "the '%c' here is never closed", source->depths[i].bracket);
    enum davy_syntax syntax = source->depths[0].syntax;
    bool complete = syntax == DAVY_SYNTAX_KEY || syntax == DAVY_SYNTAX_AFTER;
    if (source->nesting == 0 && !complete)
        davy_source_problem(source, source->depths[0].at, "the text ends behind this, where a value is expected");
    source->broken = source->nesting > 0 || !complete;
}

bool davy_source_read_text(struct davy_source *source, struct davy_loader *loader, const char *name, const char *text,
                           size_t length)
{
    DAVY_AUTO_FREE struct davy_depth *depths = calloc(DAVY_NESTING_MAX + 1, sizeof *depths);
    source->loader = loader;
    source->depths = depths;
    davy_source_put(source, "", 0);
    if (depths) {
        depths[0].bracket = '{';
        add_text(source, name, text, length);
        check_end(source);
    } else {
        out_of_memory(source);
    }
    source->depths = NULL;
    return !source->broken;
}

bool davy_source_read(struct davy_source *source, struct davy_loader *loader, const char *file)
{
    char reason[256];
    struct davy_buf why;
    davy_buf_init(&why, reason, sizeof reason);
    size_t length = 0;
    DAVY_AUTO_FREE char *text = read_file(loader, file, &length, &why);
    if (text)
        return davy_source_read_text(source, loader, file, text, length);
    davy_problems_add(loader->problems, DAVY_PROBLEM_ERROR, file, 0, NULL, "the file %s", reason);
    return false;
}

static struct davy_line origin(const struct davy_source *source, int line)
{
    size_t index = line > 0 ? (size_t)line - 1 : 0;
    if (index >= source->line_count)
        return source->line_count > 0 ? source->lines[source->line_count - 1] : (struct davy_line){0, 1};
    return source->lines[index];
}

bool davy_source_parse(struct davy_source *source, config_t *tree)
{
    if (config_read_string(tree, source->text) == CONFIG_TRUE) {
        config_setting_set_hook(config_root_setting(tree), source);
        return true;
    }
    /* the scanner lets no other error through: libconfig 1.5 would leak the last text at one */
    davy_source_problem(source, origin(source, config_error_line(tree)), "%s", config_error_text(tree));
    return false;
}

void davy_source_done(struct davy_source *source)
{
    for (size_t i = 0; i < source->file_count; i++)
        free(source->files[i]);
    free(source->text);
    free(source->lines);
    *source = (struct davy_source){0};
}
