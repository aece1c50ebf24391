/* SPDX-License-Identifier: Apache-2.0 */
/* backup: both databases as of one instant each, checked, while the daemon writes them. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "ctl/ctl.h"
#include "ctl/progress.h"
#include "record/backup.h"

/* What is copied: the ledger into FILE, the readings into FILE and this. */
static const struct part {
    const char *name;
    enum davy_backup_kind kind;
    const char *file;
    const char *suffix;
} parts[] = {
    {"ledger", DAVY_BACKUP_LEDGER, "ledger.db", ""},
    {"readings", DAVY_BACKUP_READINGS, "readings.db", ".readings"},
};

struct copying {
    struct progress progress;
    const char *name;
};

static bool tick(void *context, int64_t pages, int64_t of)
{
    struct copying *copying = context;
    return davy_progress_say(&copying->progress, "%s: %" PRId64 " %%", copying->name, of > 0 ? 100 * pages / of : 0);
}

static void put_json(struct davy_buf *out, const char *name, const char *file, int64_t bytes)
{
    davy_json_key_open(out, name, '{');
    davy_json_text(out, "file", file);
    davy_json_integer(out, "bytes", bytes);
    davy_json_close(out, '}');
}

static int copy_part(const struct ctl *ctl, const struct part *part, const char *from, const char *to,
                     struct davy_buf *out)
{
    char error[512] = "";
    int64_t bytes = 0;
    struct copying copying = {.name = part->name};
    davy_progress_begin(&copying.progress);
    int rc = davy_backup(part->kind, from, to, tick, &copying, &bytes, error, sizeof error);
    davy_progress_end(&copying.progress);
    if (rc < 0)
        return davy_ctl_fail(ctl, CTL_REFUSED, "%s", *error ? error : strerror(-rc));
    put_json(out, part->name, to, bytes);
    if (!ctl->json)
        printf("%s: %" PRId64 " bytes, checked\n", to, bytes);
    return CTL_DONE;
}

/* Both in the folder that the daemon names; of --database only that one, whichever it is by its name. */
static int backup(struct ctl *ctl, const struct part *part, const char *to, struct davy_buf *out)
{
    char *from = NULL;
    int code = davy_ctl_find_database(ctl, part->file, &from);
    if (code == CTL_DONE)
        code = copy_part(ctl, part, from, to, out);
    free(from);
    return code;
}

static bool chosen(const struct ctl *ctl, const struct part *part)
{
    const char *only = davy_ctl_option(ctl, "only");
    return !only || strcmp(only, part->name) == 0;
}

static int check_usage(const struct ctl *ctl)
{
    const char *only = davy_ctl_option(ctl, "only");
    if (only && strcmp(only, "ledger") != 0 && strcmp(only, "readings") != 0)
        return davy_ctl_fail(ctl, CTL_USAGE, "--only: '%s' is neither ledger nor readings", only);
    if (!only && davy_ctl_option(ctl, "database"))
        return davy_ctl_fail(ctl, CTL_USAGE, "--database names one file: say --only ledger or --only readings");
    return CTL_DONE;
}

int davy_ctl_backup(struct ctl *ctl)
{
    char text[3 * 4096];
    struct davy_buf out;
    int code = check_usage(ctl);
    davy_buf_init(&out, text, sizeof text);
    davy_json_open(&out, '{');
    davy_json_bool(&out, "ok", true);
    for (size_t i = 0; code == CTL_DONE && i < DAVY_LENGTH(parts); i++) {
        if (!chosen(ctl, &parts[i]))
            continue;
        const bool both = !davy_ctl_option(ctl, "only");
        char *to = davy_ctl_format("%s%s", davy_ctl_argument(ctl, 0), both ? parts[i].suffix : "");
        code = backup(ctl, &parts[i], to, &out);
        free(to);
    }
    davy_json_close(&out, '}');
    if (ctl->json && code == CTL_DONE)
        puts(text);
    return code;
}
