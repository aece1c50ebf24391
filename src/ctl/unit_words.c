/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/unit_words.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/registers.h"
#include "ctl/units.h"

/* A lost reply is asked for once more; a busy device too. */
#define TRIES 2

/* Modbus Application Protocol V1.1b3, 7: what another read of the same would not be refused for. */
#define EXCEPTION_WRONG 3

void davy_unit_words_init(struct unit_words *words, struct ctl *ctl, const char *bus, int unit)
{
    *words = (struct unit_words){.ctl = ctl, .bus = bus, .unit = unit};
    words->map = davy_ctl_grow(NULL, 1, sizeof *words->map);
    memset(words->map, 0, sizeof *words->map);
}

void davy_unit_words_done(struct unit_words *words)
{
    free(words->map);
    words->map = NULL;
}

static bool is_settled(const struct unit_words *words, enum davy_table table, int start, int count)
{
    for (int i = start; i < start + count; i++)
        if (words->map->state[table][i] == WORD_UNREAD)
            return false;
    return true;
}

static void put_answer(struct unit_words *words, const struct read_request *r, const struct read_answer *answer)
{
    const enum word_state state = answer->ok ? WORD_KNOWN : answer->exception ? WORD_REFUSED : WORD_SILENT;
    for (int i = 0; i < r->count; i++) {
        const int at = r->start + i;
        if (words->map->state[r->table][at] == WORD_KNOWN && !answer->ok)
            continue;
        words->map->state[r->table][at] = (uint8_t)state;
        words->map->exception[r->table][at] = (uint8_t)answer->exception;
        words->map->value[r->table][at] = answer->ok ? answer->words[i] : 0;
    }
}

/* Whether the same question could have another answer. */
static bool is_passing(const struct read_answer *answer)
{
    return !answer->ok && answer->answer[0] && (answer->exception == 0 || answer->exception > EXCEPTION_WRONG);
}

/* The answer, of the second try where the first failed. Without one from the daemon itself the verb ends. */
static int ask(struct unit_words *words, const struct read_request *r, struct read_answer *answer)
{
    int code = CTL_DONE;
    for (int tries = words->trial ? TRIES - 1 : 0; tries < TRIES && code == CTL_DONE; tries++) {
        code = davy_read_ask(words->ctl, r, answer);
        if (code == CTL_DONE && !answer->ok && !answer->answer[0])
            code = davy_ctl_fail(words->ctl, CTL_REFUSED, "%s", answer->error);
        if (code == CTL_DONE && !is_passing(answer))
            break;
    }
    words->ended = words->ended || (words->trial && code == CTL_DONE && !answer->ok && answer->exception == 0);
    return code;
}

/* A gateway's word that nobody is behind it is no answer. */
static bool is_there(const struct read_answer *answer)
{
    return davy_scan_is_there(answer->ok ? "ok" : answer->answer, answer->exception);
}

/*
 * Some devices do not answer for registers that they do not have, and nobody has answered yet: whether it is there at
 * all.
 */
static int probe(struct unit_words *words, struct read_answer *answer)
{
    const struct read_request r = {words->bus, words->unit, DAVY_TABLE_HOLDING, 0, 1};
    const int code = ask(words, &r, answer);
    if (code != CTL_DONE)
        return code;
    words->answered = is_there(answer);
    words->silent = !words->answered;
    if (!answer->ok)
        snprintf(words->error, sizeof words->error, "%s", answer->error);
    put_answer(words, &r, answer);
    return CTL_DONE;
}

int davy_unit_words_fetch(struct unit_words *words, enum davy_table table, int start, int count)
{
    if (start < 0 || start + count > REGISTERS || words->silent || words->ended ||
        is_settled(words, table, start, count))
        return CTL_DONE;
    const struct read_request r = {words->bus, words->unit, table, start, count};
    struct read_answer answer;
    const int code = ask(words, &r, &answer);
    if (code != CTL_DONE)
        return code;
    words->answered = words->answered || is_there(&answer);
    if (!words->answered)
        return probe(words, &answer);
    if (answer.ok || count == 1)
        put_answer(words, &r, &answer);
    return CTL_DONE;
}

static int fetch_status(struct unit_words *words, const struct davy_status *statuses, size_t count)
{
    int code = CTL_DONE;
    for (size_t i = 0; i < count && code == CTL_DONE; i++)
        code = davy_unit_words_fetch(words, statuses[i].table, statuses[i].address, 1);
    return code;
}

/* A value that is refused whole is refused in each of its registers: half a value is none. */
static int fetch_point(struct unit_words *words, const struct davy_point *point)
{
    const int count = (int)davy_verdict_width(point);
    const struct read_request r = {words->bus, words->unit, point->table, point->address, count};
    struct read_answer answer;
    if (r.start + count > REGISTERS || words->silent || words->ended || is_settled(words, r.table, r.start, count))
        return CTL_DONE;
    const int code = ask(words, &r, &answer);
    if (code == CTL_DONE)
        put_answer(words, &r, &answer);
    return code;
}

/* Request by request; where one is not answered with its data, value by value. */
int davy_unit_words_device(struct unit_words *words, const struct davy_config *config, uint32_t device)
{
    const struct davy_device *owner = &config->devices[device];
    int code = CTL_DONE;
    for (size_t i = 0; i < config->request_count && code == CTL_DONE; i++) {
        const struct davy_request *r = &config->requests[i];
        if (r->device == device)
            code = davy_unit_words_fetch(words, r->table, r->start, r->count);
    }
    if (code == CTL_DONE)
        code = fetch_status(words, owner->status, owner->status_count);
    for (uint32_t i = 0; i < owner->point_count && code == CTL_DONE; i++) {
        const struct davy_point *point = &config->points[owner->first_point + i];
        code = fetch_point(words, point);
        if (code == CTL_DONE)
            code = fetch_status(words, point->status, point->status_count);
    }
    return code;
}

/* One register by itself, also where more of them at once were refused. */
static int fetch_single(struct unit_words *words, enum davy_table table, int address)
{
    if (address < 0 || address >= REGISTERS || words->map->state[table][address] == WORD_KNOWN)
        return CTL_DONE;
    words->map->state[table][address] = WORD_UNREAD;
    return davy_unit_words_fetch(words, table, address, 1);
}

int davy_unit_words_beside(struct unit_words *words, const struct davy_point *point)
{
    const int width = (int)davy_verdict_width(point);
    uint8_t *own = &words->map->state[point->table][point->address];
    const bool refused = own[0] == WORD_REFUSED;
    int code = CTL_DONE, known = 0;
    for (int i = -1; i <= width && code == CTL_DONE; i++)
        code = fetch_single(words, point->table, point->address + i);
    for (int i = 0; i < width && point->address + i < REGISTERS; i++)
        known += own[i] == WORD_KNOWN;
    if (refused && known == width) /* it gives them one by one, but the daemon never reads half a value */
        own[0] = WORD_REFUSED;
    return code;
}
