/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A reload: load → check → the evaluator switches → pollers and publisher follow; or the old configuration runs on and
 * the reasons are told. A second request while one is under way is kept, once.
 */
#include <errno.h>
#include <malloc.h>
#include <string.h>

#include "base/log.h"
#include "base/notify.h"
#include "config/diff.h"
#include "daemon/internal.h"
#include "daemon/report.h"
#include "daemon/setup.h"

/* Whoever asked hears of all problems, of warnings too. error: why it was refused; NULL: it is done. */
static void answer(struct daemon *daemon, const char *error)
{
    const struct davy_problems *problems = &daemon->reload_problems;
    if (daemon->reload_ticket == 0 || !daemon->control)
        return;
    char text[60000], line[1024];
    struct davy_buf out;
    davy_buf_init(&out, text, sizeof text);
    davy_buf_printf(&out, "{\"ok\":%s,\"changes\":%zu", error ? "false" : "true", error ? 0 : daemon->reload_changes);
    if (error)
        davy_json_text(&out, "error", error);
    davy_json_key_open(&out, "problems", '[');
    for (size_t i = 0; i < problems->count && out.length < sizeof text - 2 * sizeof line; i++)
        davy_json_text_item(&out, davy_problem_format(&problems->items[i], line, sizeof line));
    davy_buf_text(&out, "]}");
    davy_control_reply(daemon->control, daemon->reload_ticket, text);
    daemon->reload_ticket = 0;
}

/* What to look at first: where the file is wrong, if it is the file. */
static const char *first_error(const struct davy_problems *problems, const char *error, char *line, size_t size)
{
    for (size_t i = 0; i < problems->count; i++)
        if (problems->items[i].severity == DAVY_PROBLEM_ERROR)
            return davy_problem_format(&problems->items[i], line, size);
    return error;
}

static void refuse(struct daemon *daemon, const char *error)
{
    char line[1024];
    davy_error("reload", "refused, the old configuration runs on: %s", error);
    daemon_watch_config(daemon, first_error(&daemon->reload_problems, error, line, sizeof line));
    report_config(daemon->pipeline, pipeline_config(daemon->pipeline), NULL, &daemon->reload_problems,
                  daemon->reload_by);
    answer(daemon, error);
    davy_problems_done(&daemon->reload_problems);
    daemon_tell_ready(daemon, "READY=1\nSTATUS=running on the old configuration: the reload was refused");
}

static void log_change(void *context, const struct davy_change *change)
{
    (void)context;
    davy_notice("reload", "%s: %s -> %s", change->path, change->old ? change->old : "(none)",
                change->new ? change->new : "(none)");
}

static bool differs(const char *a, const char *b)
{
    return strcmp(a ? a : "", b ? b : "") != 0;
}

/*
 * What cannot change under a running daemon: the identity that seq belongs to, and where the state is. NULL: nothing.
 */
static const char *needs_restart(const struct davy_config *from, const struct davy_config *to)
{
    if (differs(from->gateway.id, to->gateway.id))
        return "gateway.id";
    if (differs(from->gateway.site, to->gateway.site))
        return "gateway.site";
    if (differs(from->storage.directory, to->storage.directory))
        return "storage.directory";
    return from->mqtt.enabled != to->mqtt.enabled ? "the mqtt group" : NULL;
}

static void begin(struct daemon *daemon, const struct davy_config *config)
{
    const struct davy_config *running = pipeline_config(daemon->pipeline);
    const char *fixed = needs_restart(running, config);
    if (fixed) {
        davy_problems_add(&daemon->reload_problems, DAVY_PROBLEM_ERROR, NULL, 0, fixed,
                          "cannot change by a reload: restart the daemon");
        refuse(daemon, "it needs a restart");
        return;
    }
    daemon->reload_changes = davy_config_diff(running, config, log_change, NULL);
    int rc = pipeline_reload(daemon->pipeline, config);
    if (rc < 0) {
        refuse(daemon, strerror(-rc));
        return;
    }
    daemon->reloading = true;
    report_config(daemon->pipeline, running, config, &daemon->reload_problems, daemon->reload_by);
}

void daemon_reload(struct daemon *daemon, uint64_t ticket, const char *by)
{
    if (daemon->reloading) {
        daemon->reload_again = true;
        if (ticket != 0)
            davy_control_refuse(daemon->control, ticket, "a reload is under way; it is done once more after it");
        return;
    }
    davy_notify_reloading();
    daemon->reload_ticket = ticket;
    snprintf(daemon->reload_by, sizeof daemon->reload_by, "%s", by);
    struct davy_config *config = NULL;
    int rc = setup_load(daemon->options->config, daemon->generation + 1, &daemon->reload_problems, &config);
    setup_log_problems(&daemon->reload_problems);
    if (rc == 0) {
        daemon->generation++;
        begin(daemon, config);
    } else {
        refuse(daemon, rc < 0 ? strerror(-rc) : "the file has errors");
    }
    davy_config_unref(config);
}

void daemon_switched(struct daemon *daemon, bool switched)
{
    daemon->reloading = false;
    if (switched) {
        pipeline_switched(daemon->pipeline);
        daemon_watch_config(daemon, NULL);
        daemon->watch.certificate_looked_at = (davy_mono){0}; /* it may be another */
        davy_notice("reload", "done: %zu changes", daemon->reload_changes);
        malloc_trim(0); /* what the old configuration and the loading of this one took */
        daemon_tell_ready(daemon, "READY=1\nSTATUS=running");
        answer(daemon, NULL);
        davy_problems_done(&daemon->reload_problems);
    } else {
        pipeline_not_switched(daemon->pipeline);
        refuse(daemon, "no memory, or the recorder is too far behind: try again");
    }
    daemon_publish_status(daemon);
    if (daemon->reload_again) {
        daemon->reload_again = false;
        daemon_reload(daemon, 0, "signal");
    }
}
