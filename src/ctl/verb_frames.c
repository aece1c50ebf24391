/* SPDX-License-Identifier: Apache-2.0 */
/* frames: what went over the wire, byte for byte, the newest exchanges and those around errors. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "ctl/ctl.h"
#include "ctl/frame_text.h"

/* As the daemon cuts them. */
#define FRAME_BYTES 260

/* What is known of the frame before, while the list is gone through. */
struct walk {
    bool tcp;
    bool errors; /* only what was kept for an error */
    double character_us;
    json_int_t number, mono_us; /* 0: none before */
    json_int_t sent; /* bytes of it, where it is ours, which is noted when its first one leaves; 0: it is not */
};

/* A frame in words. */
struct view {
    struct frame_text decoded;
    double gap_ms; /* since the frame before; below 0: none, or some between have rolled out */
    double
        turn_around_ms; /* of what was heard: from our last byte to its first, where the speed is known; below 0: none */
    const char *verdict;
    bool bad;
};

static json_int_t integer(const json_t *frame, const char *key)
{
    return json_integer_value(json_object_get(frame, key));
}

static bool is_kind(const json_t *frame, const char *kind)
{
    return strcmp(davy_ctl_text(frame, "kind"), kind) == 0;
}

static void view_frame(struct walk *walk, const json_t *frame, struct view *view)
{
    uint8_t bytes[FRAME_BYTES];
    const long count = davy_frame_bytes(davy_ctl_text(frame, "bytes"), bytes, sizeof bytes);
    const json_int_t whole = integer(frame, "length"), number = integer(frame, "number");
    davy_frame_text(bytes, count > 0 ? (size_t)count : 0, whole > 0 ? (size_t)whole : 0, walk->tcp,
                    is_kind(frame, "sent"), &view->decoded);
    const bool follows = walk->number > 0 && number == walk->number + 1;
    view->gap_ms = follows ? (double)(integer(frame, "mono_us") - walk->mono_us) / 1e3 : -1;
    view->turn_around_ms = -1;
    if (follows && walk->sent > 0 && is_kind(frame, "heard")) {
        view->turn_around_ms = view->gap_ms - (double)(walk->sent + whole) * walk->character_us / 1e3;
        if (view->turn_around_ms < 0)
            view->turn_around_ms = 0;
    }
    view->verdict = davy_ctl_text(frame, "verdict");
    view->bad = view->decoded.bad || is_kind(frame, "foreign") || (*view->verdict && strcmp(view->verdict, "ok") != 0);
    walk->number = number;
    walk->mono_us = integer(frame, "mono_us");
    walk->sent = is_kind(frame, "sent") ? whole : 0;
}

static char *span_cell(double ms)
{
    return ms < 0 ? davy_ctl_copy("-") : davy_ctl_format("%.1f", ms);
}

/* "03 04 41 a7": a blank between bytes, as manuals print them. Malloc'ed. */
static char *bytes_cell(const json_t *frame)
{
    const char *hex = davy_ctl_text(frame, "bytes");
    char text[3 * FRAME_BYTES + 1] = "";
    struct davy_buf buf;
    davy_buf_init(&buf, text, sizeof text);
    for (size_t i = 0; hex[i] && hex[i + 1]; i += 2)
        davy_buf_printf(&buf, "%s%.2s", i ? " " : "", hex + i);
    return davy_ctl_escape(text);
}

static void add_row(struct table *table, const json_t *frame, const struct view *view)
{
    const char *level = view->bad ? "red" : NULL;
    const char *arrow = is_kind(frame, "sent") ? ">" : is_kind(frame, "heard") ? "<" : "?";
    davy_table_add(table, davy_ctl_cell(frame, "number"), NULL);
    davy_table_add(table, davy_ctl_cell(frame, "time"), NULL);
    davy_table_add(table, span_cell(view->gap_ms), NULL);
    davy_table_add(table, span_cell(view->turn_around_ms), NULL);
    davy_table_add(table, davy_ctl_copy(arrow), level);
    davy_table_add(table, davy_ctl_escape(*view->verdict ? view->verdict : "-"), level);
    davy_table_add(table, davy_ctl_escape(view->decoded.text), level);
    davy_table_add(table, bytes_cell(frame), NULL);
}

static void print_frames(const struct ctl *ctl, struct walk *walk, const json_t *frames)
{
    static const char *const heads[] = {">NUMBER", "TIME",    ">GAP MS", ">TURN MS", "",
                                        "VERDICT", "DECODED", "BYTES",   NULL};
    struct table table;
    davy_table_init(&table, heads, ctl->colour);
    size_t i, shown = 0;
    json_t *frame;
    json_array_foreach(frames, i, frame)
    {
        struct view view;
        view_frame(walk, frame, &view);
        if (walk->errors && !json_is_true(json_object_get(frame, "kept")))
            continue;
        add_row(&table, frame, &view);
        shown++;
    }
    if (shown > 0)
        davy_table_flush(&table);
    else
        puts(walk->errors ? "no errors" : "nothing was sent yet");
    davy_table_done(&table);
}

/* The same members more that the table has. */
static void add_members(struct walk *walk, json_t *frames)
{
    for (size_t i = 0; i < json_array_size(frames);) {
        json_t *frame = json_array_get(frames, i);
        struct view view;
        view_frame(walk, frame, &view);
        if (walk->errors && !json_is_true(json_object_get(frame, "kept"))) {
            json_array_remove(frames, i);
            continue;
        }
        json_object_set_new(frame, "decoded", json_string(view.decoded.text));
        json_object_set_new(frame, "bad", json_boolean(view.bad));
        json_object_set_new(frame, "gap_ms", view.gap_ms < 0 ? json_null() : json_real(view.gap_ms));
        json_object_set_new(frame, "turn_around_ms",
                            view.turn_around_ms < 0 ? json_null() : json_real(view.turn_around_ms));
        i++;
    }
}

static void show_connection(const struct ctl *ctl, json_t *reply, bool title, json_t *documents)
{
    struct walk walk = {.tcp = strcmp(davy_ctl_text(reply, "type"), "tcp") == 0,
                        .errors = davy_ctl_option(ctl, "errors") != NULL,
                        .character_us = json_number_value(json_object_get(reply, "character_us"))};
    json_t *frames = json_object_get(reply, "frames");
    if (documents) {
        add_members(&walk, frames);
        json_object_del(reply, "ok");
        json_array_append(documents, reply);
        return;
    }
    const bool several = integer(reply, "connections") > 1;
    if (title || several)
        printf("%s", davy_ctl_text(reply, "bus"));
    if (several)
        printf(", connection %lld", (long long)integer(reply, "connection") + 1);
    fputs(title || several ? "\n" : "", stdout);
    print_frames(ctl, &walk, frames);
}

/* One bus, each of its connections: told, or with --json appended to `documents`. */
static int show_bus(struct ctl *ctl, const char *bus, bool title, json_t *documents)
{
    json_int_t connection = 0, connections = 1;
    int code = CTL_DONE;
    for (; code == CTL_DONE && connection < connections; connection++) {
        json_t *reply = NULL;
        code = davy_ctl_ask(ctl, json_pack("{s:s,s:s,s:I}", "verb", "frames", "bus", bus, "connection", connection),
                            &reply);
        if (code != CTL_DONE)
            break;
        connections = integer(reply, "connections");
        if (connection > 0 && !documents)
            putchar('\n');
        show_connection(ctl, reply, title, documents);
        json_decref(reply);
    }
    return code;
}

static int show_all(struct ctl *ctl, json_t *documents)
{
    json_t *status = NULL;
    int code = davy_ctl_ask(ctl, json_pack("{s:s}", "verb", "status"), &status);
    if (code != CTL_DONE)
        return code;
    size_t i;
    json_t *bus;
    json_array_foreach(json_object_get(json_object_get(status, "status"), "buses"), i, bus)
    {
        if (i > 0 && !documents)
            putchar('\n');
        code = show_bus(ctl, davy_ctl_text(bus, "name"), true, documents);
        if (code != CTL_DONE)
            break;
    }
    json_decref(status);
    return code;
}

int davy_ctl_frames(struct ctl *ctl)
{
    json_t *documents = ctl->json ? json_array() : NULL;
    const char *bus = davy_ctl_argument(ctl, 0);
    const int code = bus ? show_bus(ctl, bus, false, documents) : show_all(ctl, documents);
    if (documents && code == CTL_DONE) {
        json_t *document = json_pack("{s:b,s:O}", "ok", 1, "buses", documents);
        davy_ctl_print_json(document, true);
        json_decref(document);
    }
    json_decref(documents);
    return code;
}
