/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/registers.h"

#include <stdio.h>
#include <string.h>

bool davy_read_is_bits(enum davy_table table)
{
    return table == DAVY_TABLE_COIL || table == DAVY_TABLE_DISCRETE;
}

/* False where they are not what was asked for. */
static bool take_words(const json_t *reply, size_t expected, uint16_t *words)
{
    const json_t *list = json_object_get(reply, "words");
    if (json_array_size(list) != expected)
        return false;
    for (size_t i = 0; i < expected; i++) {
        const json_t *word = json_array_get(list, i);
        if (!json_is_integer(word) || json_integer_value(word) < 0 || json_integer_value(word) > 0xffff)
            return false;
        words[i] = (uint16_t)json_integer_value(word);
    }
    return true;
}

static void take_failure(const json_t *reply, struct read_answer *answer)
{
    snprintf(answer->answer, sizeof answer->answer, "%s", davy_ctl_text(reply, "answer"));
    snprintf(answer->error, sizeof answer->error, "%s", davy_ctl_text(reply, "error"));
    answer->exception = (int)json_integer_value(json_object_get(reply, "exception"));
}

int davy_read_ask(struct ctl *ctl, const struct read_request *r, struct read_answer *ret_answer)
{
    json_t *reply = NULL;
    int code = davy_ctl_exchange(ctl,
                                 json_pack("{s:s,s:s,s:i,s:s,s:i,s:i}", "verb", "read", "bus", r->bus, "unit", r->unit,
                                           "table", davy_table_name(r->table), "register", r->start, "count", r->count),
                                 &reply);
    if (code != CTL_DONE)
        return code;
    *ret_answer = (struct read_answer){.ok = json_is_true(json_object_get(reply, "ok"))};
    if (!ret_answer->ok)
        take_failure(reply, ret_answer);
    else if (!take_words(reply, (size_t)r->count, ret_answer->words))
        code = davy_ctl_fail(ctl, CTL_REFUSED, "the reply does not hold what was asked for");
    json_decref(reply);
    return code;
}

/* Modicon's numbers; the digit in front names the table. */
static const long digits[] = {
    [DAVY_TABLE_COIL] = 0, [DAVY_TABLE_DISCRETE] = 1, [DAVY_TABLE_INPUT] = 3, [DAVY_TABLE_HOLDING] = 4};
_Static_assert(DAVY_LENGTH(digits) == DAVY_TABLE_COUNT_, "a digit for each table");

long davy_registers_document(enum davy_table table, int address)
{
    return digits[table] * (address < 9999 ? 10000 : 100000) + address + 1;
}

int davy_registers_meant(enum davy_table table, int number)
{
    const long address = number - digits[table] * 10000 - 1;
    return digits[table] > 0 && address >= 0 && address < 9999 ? (int)address : -1;
}
