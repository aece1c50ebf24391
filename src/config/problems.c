/* SPDX-License-Identifier: Apache-2.0 */
#include "config/problems.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

/* A plant of 20 000 points can be wrong in as many places; nobody reads past this. */
#define PROBLEMS_MAX 1000

static bool grow(struct davy_problems *problems)
{
    size_t count = problems->count;
    if (count > 0 && (count & (count - 1)) != 0)
        return true;
    struct davy_problem *grown = reallocarray(problems->items, count == 0 ? 1 : count * 2, sizeof *grown);
    if (!grown)
        return false;
    problems->items = grown;
    return true;
}

static void release(struct davy_problem *problem)
{
    free(problem->file);
    free(problem->path);
    free(problem->message);
}

/* Both copies or none; a NULL text stays NULL. */
static bool copy_place(struct davy_problem *problem, const char *file, const char *path)
{
    problem->file = file ? strdup(file) : NULL;
    problem->path = path ? strdup(path) : NULL;
    return (!file || problem->file) && (!path || problem->path);
}

void davy_problems_add(struct davy_problems *problems, enum davy_severity severity, const char *file, int line,
                       const char *path, const char *format, ...)
{
    if (severity == DAVY_PROBLEM_ERROR)
        problems->errors++;
    else
        problems->warnings++;
    struct davy_problem problem = {.severity = severity, .line = line};
    va_list arguments;
    va_start(arguments, format);
    bool done = problems->count < PROBLEMS_MAX && grow(problems) && copy_place(&problem, file, path);
    if (done && vasprintf(&problem.message, format, arguments) < 0) {
        problem.message = NULL;
        done = false;
    }
    va_end(arguments);
    if (done) {
        problems->items[problems->count++] = problem;
    } else {
        release(&problem);
        problems->left_off++;
    }
}

char *davy_problem_format(const struct davy_problem *problem, char *text, size_t size)
{
    struct davy_buf buf;
    davy_buf_init(&buf, text, size);
    if (problem->file)
        davy_buf_printf(&buf, "%s:", problem->file);
    if (problem->file && problem->line > 0)
        davy_buf_printf(&buf, "%d:", problem->line);
    if (problem->file)
        davy_buf_char(&buf, ' ');
    davy_buf_text(&buf, problem->severity == DAVY_PROBLEM_ERROR ? "error: " : "warning: ");
    if (problem->path && problem->path[0] != '\0')
        davy_buf_printf(&buf, "%s: ", problem->path);
    davy_buf_text(&buf, problem->message);
    return text;
}

void davy_problems_done(struct davy_problems *problems)
{
    for (size_t i = 0; i < problems->count; i++)
        release(&problems->items[i]);
    free(problems->items);
    *problems = (struct davy_problems){0};
}
