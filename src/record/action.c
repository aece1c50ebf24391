/* SPDX-License-Identifier: Apache-2.0 */
/* The strand of actions: what operators did, changes of configuration, losses. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "ledger_internal.h"

/*
 * The hash covers the payload, so the event before it with its hash stands in there: neither strand can be moved
 * against the other, or be cut alone, and the rule of the hash is the same for both, and for rows older than this.
 */
static void action_text(struct davy_buf *out, const struct davy_ledger_action *action, int64_t seq,
                        const struct ledger_chain *event)
{
    char hash[2 * DAVY_HASH_SIZE + 1];
    davy_chain_text(event->hash, hash);
    davy_json_open(out, '{');
    davy_json_integer(out, "seq", seq);
    davy_json_time(out, "time", action->time);
    davy_json_text(out, "by", action->by);
    davy_json_text(out, "verb", action->verb);
    davy_json_text(out, "target", action->target);
    davy_json_text(out, "note", action->note);
    davy_json_text(out, "result", action->result);
    davy_json_raw(out, "detail", action->detail ? action->detail : "null");
    davy_json_integer(out, "after_seq", event->seq);
    davy_json_text(out, "after_hash", hash);
    davy_json_close(out, '}');
}

static size_t text_bound(const char *text)
{
    return text ? 6 * strlen(text) : 0; /* a byte is at most \u00xx */
}

int davy_action_append(struct davy_ledger *ledger, const struct davy_ledger_action *action)
{
    size_t size = 512 + text_bound(action->by) + text_bound(action->verb) + text_bound(action->target) +
                  text_bound(action->note) + text_bound(action->result) + text_bound(action->detail);
    DAVY_AUTO_FREE char *text = malloc(size);
    if (!text)
        return -ENOMEM;
    struct ledger_chain *chain = &ledger->now.actions;
    struct davy_buf out;
    davy_buf_init(&out, text, size);
    action_text(&out, action, chain->seq + 1, &ledger->now.events);
    davy_chain_next(chain->hash, out.text, out.length, chain->hash);
    chain->seq++;
    return davy_db_do(&ledger->db, LEDGER_ACTION_INSERT, "iiht", chain->seq, action->time.ns / DAVY_NS_PER_US,
                      chain->hash, out.text);
}

int davy_ledger_issued_until(struct davy_ledger *ledger, davy_wall *ret_until)
{
    if (!ledger->db.handle)
        return -EIO;
    sqlite3_stmt *statement = davy_db_use(&ledger->db, LEDGER_ACTION_ISSUED);
    int r = davy_db_step(&ledger->db, statement);
    if (r < 0)
        return r;
    const char *text = r == 0 ? (const char *)sqlite3_column_text(statement, 0) : NULL;
    *ret_until = (davy_wall){0};
    r = text ? davy_wall_parse(text, ret_until) : 0;
    sqlite3_reset(statement);
    return r;
}

bool davy_ledger_loaded_before(struct davy_ledger *ledger, const char *hash)
{
    if (!ledger->db.handle)
        return false;
    sqlite3_stmt *statement = davy_db_use(&ledger->db, LEDGER_ACTION_LOADED);
    bool same = davy_db_step(&ledger->db, statement) == 0;
    const char *loaded = same ? (const char *)sqlite3_column_text(statement, 0) : NULL;
    const char *verb = same ? (const char *)sqlite3_column_text(statement, 1) : NULL;
    same = loaded && verb && strcmp(loaded, hash) == 0 && strcmp(verb, "load") == 0;
    sqlite3_reset(statement);
    return same;
}

int davy_ledger_act(struct davy_ledger *ledger, const struct davy_ledger_action *action)
{
    if (!davy_db_in_transaction(&ledger->db))
        return -EINVAL;
    int r = davy_action_append(ledger, action);
    return r < 0 ? davy_ledger_fail(ledger, r) : 0;
}
