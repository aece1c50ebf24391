/* SPDX-License-Identifier: Apache-2.0 */
/* The strand of actions: what operators did, changes of configuration, losses. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "ledger_internal.h"

static void action_text(struct davy_buf *out, const struct davy_ledger_action *action, int64_t seq)
{
    davy_json_open(out, '{');
    davy_json_integer(out, "seq", seq);
    davy_json_time(out, "time", action->time);
    davy_json_text(out, "by", action->by);
    davy_json_text(out, "verb", action->verb);
    davy_json_text(out, "target", action->target);
    davy_json_text(out, "note", action->note);
    davy_json_text(out, "result", action->result);
    davy_json_raw(out, "detail", action->detail ? action->detail : "null");
    davy_json_close(out, '}');
}

static size_t text_bound(const char *text)
{
    return text ? 6 * strlen(text) : 0; /* a byte is at most \u00xx */
}

int davy_action_append(struct davy_ledger *ledger, const struct davy_ledger_action *action)
{
    size_t size = 256 + text_bound(action->by) + text_bound(action->verb) + text_bound(action->target) +
                  text_bound(action->note) + text_bound(action->result) + text_bound(action->detail);
    DAVY_AUTO_FREE char *text = malloc(size);
    if (!text)
        return -ENOMEM;
    struct ledger_chain *chain = &ledger->now.actions;
    struct davy_buf out;
    davy_buf_init(&out, text, size);
    action_text(&out, action, chain->seq + 1);
    davy_chain_next(chain->hash, out.text, out.length, chain->hash);
    chain->seq++;
    return davy_db_do(&ledger->db, LEDGER_ACTION_INSERT, "iiht", chain->seq, action->time.ns / DAVY_NS_PER_US,
                      chain->hash, out.text);
}

int davy_ledger_act(struct davy_ledger *ledger, const struct davy_ledger_action *action)
{
    if (!davy_db_in_transaction(&ledger->db))
        return -EINVAL;
    int r = davy_action_append(ledger, action);
    return r < 0 ? davy_ledger_fail(ledger, r) : 0;
}
