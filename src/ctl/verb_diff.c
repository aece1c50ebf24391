/* SPDX-License-Identifier: Apache-2.0 */
/* diff: the configuration that runs against a file, setting by setting, and when each change takes effect. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "acquire/request.h"
#include "config/diff.h"
#include "config/load.h"
#include "ctl/ctl.h"

/* A reload while its pages are read begins anew, this often. */
#define TRIES 5

/* The settings of the daemon as it told them. */
struct running {
    struct davy_config config; /* its settings and hash only; their text is of `pages` */
    json_t *pages;
    char *file;
    size_t capacity;
};

static void running_done(struct running *running)
{
    free(running->config.settings);
    json_decref(running->pages);
    free(running->file);
    *running = (struct running){.capacity = 0};
}

static void add_setting(struct running *running, const json_t *item)
{
    struct davy_config *config = &running->config;
    if (config->setting_count == running->capacity) {
        running->capacity = 2 * running->capacity + 1024;
        config->settings = davy_ctl_grow(config->settings, running->capacity, sizeof *config->settings);
    }
    config->settings[config->setting_count++] =
        (struct davy_setting){davy_ctl_text(item, "path"), davy_ctl_text(item, "value")};
}

/* One page behind those that are there; *ret_more is -1 where it is of another configuration than they. */
static int take_page(struct ctl *ctl, struct running *running, int *ret_more)
{
    json_t *request = json_pack("{s:s,s:I}", "verb", "settings", "from", (json_int_t)running->config.setting_count);
    json_t *reply = NULL;
    int code = davy_ctl_ask(ctl, request, &reply);
    if (code != CTL_DONE)
        return code;
    struct davy_config *config = &running->config;
    const char *hash = davy_ctl_text(reply, "config");
    const json_t *page = json_object_get(reply, "settings");
    const bool first = config->setting_count == 0;
    if (first) {
        snprintf(config->hash, sizeof config->hash, "%s", hash);
        running->file = davy_ctl_copy(davy_ctl_text(reply, "file"));
    }
    *ret_more = json_is_true(json_object_get(reply, "more")) && json_array_size(page) > 0;
    if (!first && strcmp(config->hash, hash) != 0)
        *ret_more = -1;
    size_t i;
    json_t *item;
    json_array_foreach(page, i, item) add_setting(running, item);
    json_array_append_new(running->pages, reply);
    return CTL_DONE;
}

static int ask_running(struct ctl *ctl, struct running *running)
{
    for (int tries = 0; tries < TRIES; tries++) {
        running->pages = json_array();
        int more = 1, code = CTL_DONE;
        while (code == CTL_DONE && more > 0)
            code = take_page(ctl, running, &more);
        if (code != CTL_DONE || more == 0)
            return code;
        running_done(running);
    }
    return davy_ctl_fail(ctl, CTL_REFUSED, "the running configuration changes all the time: try again");
}

/* In the order of enum davy_effect. */
static const struct {
    const char *name; /* --json */
    const char *text;
} effects[] = {
    [DAVY_EFFECT_RELOAD] = {"reload", "at a reload"},
    [DAVY_EFFECT_BUS] = {"bus", "at a reload, which opens the bus anew"},
    [DAVY_EFFECT_MQTT] = {"mqtt", "at a reload, which connects to the broker anew"},
    [DAVY_EFFECT_RESTART] = {"restart", "at a restart; a reload is refused"},
};
_Static_assert(DAVY_LENGTH(effects) == DAVY_EFFECT_COUNT_, "words for each effect");

struct listing {
    const struct davy_config *from, *to;
    struct table table;
    json_t *changes;
};

static char *value_cell(const char *value)
{
    return value ? davy_ctl_escape(value) : davy_ctl_copy("-");
}

static void list_change(void *context, const struct davy_change *change)
{
    struct listing *listing = context;
    const enum davy_effect effect = davy_change_effect(listing->from, listing->to, change);
    if (listing->changes) {
        json_array_append_new(listing->changes,
                              json_pack("{s:s,s:s?,s:s?,s:s}", "path", change->path, "running", change->old, "file",
                                        change->new, "effect", effects[effect].name));
        return;
    }
    davy_table_add(&listing->table, davy_ctl_escape(change->path), NULL);
    davy_table_add(&listing->table, value_cell(change->old), NULL);
    davy_table_add(&listing->table, value_cell(change->new), NULL);
    davy_table_add(&listing->table, davy_ctl_copy(effects[effect].text), NULL);
}

static void print_changes(const struct ctl *ctl, const struct davy_config *from, const struct davy_config *to,
                          const char *file)
{
    static const char *const heads[] = {"SETTING", "RUNNING", "FILE", "TAKES EFFECT", NULL};
    struct listing listing = {.from = from, .to = to, .changes = ctl->json ? json_array() : NULL};
    davy_table_init(&listing.table, heads, ctl->colour);
    const size_t count = davy_config_diff(from, to, list_change, &listing);
    if (ctl->json) {
        json_t *document = json_pack("{s:b,s:s,s:o}", "ok", 1, "file", file, "changes", listing.changes);
        davy_ctl_print_json(document, true);
        json_decref(document);
    } else if (count == 0) {
        puts("no difference");
    } else {
        davy_table_flush(&listing.table);
    }
    davy_table_done(&listing.table);
}

int davy_ctl_diff(struct ctl *ctl)
{
    struct running running = {.capacity = 0};
    struct davy_config *config = NULL;
    int code = ask_running(ctl, &running);
    const char *given = davy_ctl_argument(ctl, 0);
    const char *file = given ? given : running.file;
    if (code == CTL_DONE)
        code = davy_ctl_load_judged(ctl, file, &config);
    if (code == CTL_DONE)
        print_changes(ctl, &running.config, config, file);
    if (config)
        davy_config_unref(config);
    running_done(&running);
    return code;
}
