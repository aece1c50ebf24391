/* SPDX-License-Identifier: Apache-2.0 */
/* verify: whether the ledger proves what it says, with the sum of all events in plain words. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "ctl/ctl.h"
#include "record/verify.h"

static void put_strand(struct davy_buf *out, const char *key, const struct davy_ledger_strand *strand)
{
    davy_json_key_open(out, key, '{');
    davy_json_integer(out, "after", strand->after);
    davy_json_integer(out, "last", strand->last);
    davy_json_integer(out, "rows", strand->rows);
    davy_json_text(out, "hash", strand->hash);
    davy_json_close(out, '}');
}

static void put_sum(struct davy_buf *out, const struct davy_ledger_check *check)
{
    davy_json_key_open(out, "sum", '{');
    davy_json_integer(out, "decided", check->decided);
    davy_json_integer(out, "delivered", check->delivered);
    davy_json_integer(out, "unsent", check->unsent);
    davy_json_integer(out, "pending", check->pending);
    davy_json_integer(out, "declared", check->declared);
    davy_json_close(out, '}');
    davy_json_integer(out, "readings_lost", check->lost_readings);
    davy_json_integer(out, "telemetry_lost", check->lost_telemetry);
}

/* error: NULL where all holds */
static void print_json(const struct davy_ledger_check *check, const char *error)
{
    char text[8192];
    struct davy_buf out;
    davy_buf_init(&out, text, sizeof text);
    davy_json_open(&out, '{');
    davy_json_bool(&out, "ok", !error);
    if (error) {
        davy_json_text(&out, "error", error);
        davy_json_text(&out, "strand", check->bad_strand);
        davy_json_integer(&out, "seq", check->bad_seq);
    } else {
        davy_json_integer(&out, "rows", check->events.rows + check->actions.rows);
    }
    put_strand(&out, "events", &check->events);
    put_strand(&out, "actions", &check->actions);
    davy_json_integer(&out, "tied", check->tied);
    if (check->summed)
        put_sum(&out, check);
    davy_json_close(&out, '}');
    puts(text);
}

static void print_strand(const char *name, const struct davy_ledger_strand *strand)
{
    printf("%" PRId64 " rows of %s hold", strand->rows, name);
    if (strand->after > 0)
        printf(", from %" PRId64 " on; those before were pruned, or are in a file that was set aside",
               strand->after + 1);
    printf("\n    the last is %" PRId64 ", with %s\n", strand->last, strand->hash);
}

static void print_sum(const struct davy_ledger_check *check)
{
    printf("%" PRId64 " events decided = %" PRId64 " delivered + %" PRId64 " pending + %" PRId64 " declared lost",
           check->decided, check->delivered, check->pending, check->declared);
    if (check->unsent > 0)
        printf(" + %" PRId64 " not to be sent", check->unsent);
    printf("\n");
    if (check->lost_readings > 0 || check->lost_telemetry > 0)
        printf("declared lost besides: %" PRId64 " readings, %" PRId64 " messages of telemetry\n", check->lost_readings,
               check->lost_telemetry);
}

static void print_text(const struct davy_ledger_check *check)
{
    print_strand("events", &check->events);
    print_strand("actions", &check->actions);
    if (check->untied > 0)
        printf("    of them %" PRId64 " are older than the tie between actions and events\n", check->untied);
    if (check->summed)
        print_sum(check);
    else
        printf("the file is of an earlier version, which cannot prove that each event was delivered\n");
}

static int refuse(const struct ctl *ctl, const char *file, const struct davy_ledger_check *check)
{
    char *error = strcmp(check->bad_strand, "sum") == 0
                      ? davy_ctl_format("%s: the sum does not hold: %s", file, check->reason)
                      : davy_ctl_format("%s: the ledger does not hold at %s %" PRId64 ": %s", file, check->bad_strand,
                                        check->bad_seq, check->reason);
    const struct ctl teller = {.json = false}; /* the document has more than the reason */
    if (ctl->json)
        print_json(check, error);
    else if (check->summed)
        print_sum(check);
    int code = davy_ctl_fail(&teller, CTL_REFUSED, "%s", error);
    free(error);
    return code;
}

static int verify(const struct ctl *ctl, const char *file)
{
    char error[256] = "";
    struct davy_ledger_check check;
    int rc = davy_ledger_verify(file, &check, error, sizeof error);
    if (rc < 0)
        return davy_ctl_fail(ctl, CTL_REFUSED, "%s", *error ? error : strerror(-rc));
    if (rc > 0)
        return refuse(ctl, file, &check);
    if (ctl->json)
        print_json(&check, NULL);
    else
        print_text(&check);
    return CTL_DONE;
}

int davy_ctl_verify(struct ctl *ctl)
{
    char *file = NULL;
    int code = davy_ctl_find_database(ctl, "ledger.db", &file);
    if (code == CTL_DONE)
        code = verify(ctl, file);
    free(file);
    return code;
}
