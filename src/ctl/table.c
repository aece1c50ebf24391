/* SPDX-License-Identifier: Apache-2.0 */
/* Columns that line up, whatever script the names are in. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/attr.h"
#include "ctl/ctl.h"
#include "base/utf8.h"

size_t davy_ctl_width(const char *text)
{
    size_t width = 0;
    while (*text) {
        uint32_t code;
        text += davy_utf8_next(text, &code);
        width += davy_utf8_columns(code);
    }
    return width;
}

static const char *head_text(const char *head)
{
    return head + (head[0] == '>');
}

void davy_table_init(struct table *table, const char *const *heads, bool colour)
{
    *table = (struct table){.heads = heads, .colour = colour};
    while (heads[table->columns])
        table->columns++;
    table->widths = davy_ctl_grow(NULL, table->columns, sizeof *table->widths);
    for (size_t i = 0; i < table->columns; i++)
        table->widths[i] = davy_ctl_width(head_text(heads[i]));
}

void davy_table_add(struct table *table, char *cell, const char *level)
{
    if (table->count == table->capacity) {
        table->capacity = table->capacity ? 2 * table->capacity : 16 * table->columns;
        table->cells = davy_ctl_grow(table->cells, table->capacity, sizeof *table->cells);
        table->colours = davy_ctl_grow(table->colours, table->capacity, sizeof *table->colours);
    }
    const size_t column = table->count % table->columns;
    const size_t width = davy_ctl_width(cell);
    if (width > table->widths[column])
        table->widths[column] = width;
    table->cells[table->count] = cell;
    table->colours[table->count++] = NULL;
    static const struct {
        const char *name;
        const char *code;
    } colours[] = {
        {"red", "\033[1;31m"}, {"orange", "\033[33m"}, {"yellow", "\033[93m"},
        {"blue", "\033[34m"},  {"bad", "\033[35m"},    {"uncertain", "\033[36m"},
    };
    for (size_t i = 0; level && i < DAVY_LENGTH(colours); i++)
        if (strcmp(colours[i].name, level) == 0)
            table->colours[table->count - 1] = colours[i].code;
}

size_t davy_ctl_screen(void)
{
    struct winsize size;
    return isatty(STDOUT_FILENO) == 1 && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

static bool is_empty(const struct table *table, size_t column)
{
    for (size_t i = column; i < table->count; i += table->columns)
        if (strcmp(table->cells[i], "-") != 0)
            return false;
    return table->count > 0;
}

/* What is left for the last column, 8 at least: less says nothing. */
static void narrow(struct table *table)
{
    const size_t last = table->columns - 1;
    size_t used = 0;
    for (size_t i = 0; i < last; i++)
        used += table->hidden[i] ? 0 : table->widths[i] + 2;
    const size_t room = used + 8 < table->room ? table->room - used : 8;
    if (table->widths[last] > room)
        table->widths[last] = room;
}

void davy_table_fit(struct table *table, size_t room)
{
    table->room = room;
    if (room == 0)
        return;
    free(table->hidden);
    table->hidden = davy_ctl_grow(NULL, table->columns, sizeof *table->hidden);
    for (size_t i = 0; i < table->columns; i++)
        table->hidden[i] = i > 0 && is_empty(table, i);
    narrow(table);
}

/* As much as goes into so many columns, with its end marked. Returns the bytes to print. */
static size_t cut(const char *text, size_t room, bool *ret_cut)
{
    const char *next = text;
    size_t width = 0, bytes = 0;
    *ret_cut = davy_ctl_width(text) > room;
    while (*next) {
        uint32_t code;
        next += davy_utf8_next(next, &code);
        width += davy_utf8_columns(code);
        if (width + *ret_cut > room)
            break;
        bytes = (size_t)(next - text);
    }
    return bytes;
}

/* The last column, which a screen may bound. */
static void print_last(const struct table *table, size_t column, const char *text)
{
    bool shortened = false;
    const size_t bytes = table->room ? cut(text, table->widths[column], &shortened) : strlen(text);
    printf("%.*s%s", (int)bytes, text, shortened ? "…" : "");
}

static void print_cell(const struct table *table, size_t column, const char *text, const char *colour)
{
    const bool right = table->heads[column][0] == '>';
    const bool last = column + 1 == table->columns;
    const size_t width = davy_ctl_width(text);
    const int padding = width < table->widths[column] ? (int)(table->widths[column] - width) : 0;
    if (table->hidden && table->hidden[column]) {
        fputs(last ? "\n" : "", stdout);
        return;
    }
    printf("%*s%s", right ? padding : 0, "", colour && table->colour ? colour : "");
    if (last)
        print_last(table, column, text);
    else
        fputs(text, stdout);
    fputs(colour && table->colour ? "\033[0m" : "", stdout);
    if (last)
        putchar('\n');
    else
        printf("%*s", (right ? 0 : padding) + 2, "");
}

void davy_table_flush(struct table *table)
{
    for (size_t i = 0; !table->started && i < table->columns; i++)
        print_cell(table, i, head_text(table->heads[i]), "\033[1m");
    table->started = true;
    for (size_t i = 0; i < table->count; i++) {
        print_cell(table, i % table->columns, table->cells[i], table->colours[i]);
        free(table->cells[i]);
    }
    table->count = 0;
}

void davy_table_done(struct table *table)
{
    for (size_t i = 0; i < table->count; i++)
        free(table->cells[i]);
    free(table->cells);
    free(table->colours);
    free(table->widths);
    free(table->hidden);
    *table = (struct table){0};
}
