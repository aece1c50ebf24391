/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the ledger remembers of an alarm is read back at a start, perhaps from a disk that has rotted. The input is the
 * text of one memory: it is left out, or it is one that the engine can live with, and that is stored again as it was
 * read.
 */
#undef NDEBUG
#include <assert.h>
#include <math.h>
#include <sqlite3.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "record/ledger.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define BOOT "0192f3c1-7b1e-7c44-9d0a-3f6f1f0a2b11"

static const struct davy_stamp now = {{100 * DAVY_NS_PER_S}, {1763884862 * DAVY_NS_PER_S}};

struct target {
    struct davy_ledger *ledger;
    sqlite3 *beside; /* who puts the rotten row there */
    sqlite3_stmt *put;
};

static struct target *open_target(void)
{
    static struct target target;
    char folder[] = "/tmp/davy-fuzz-XXXXXX", file[64];
    if (target.ledger)
        return &target;
    davy_log_set_level(DAVY_LOG_ERROR);
    assert(mkdtemp(folder));
    snprintf(file, sizeof file, "%s/ledger.db", folder);
    assert(davy_ledger_open(folder, now.wall, NULL, &target.ledger) == 0);
    assert(sqlite3_open(file, &target.beside) == SQLITE_OK);
    assert(sqlite3_exec(target.beside, "PRAGMA synchronous=OFF", NULL, NULL, NULL) == SQLITE_OK);
    assert(sqlite3_prepare_v2(
               target.beside,
               "INSERT OR REPLACE INTO memory(alarm, mono_ns, wall_ns, boot_id, body) VALUES('k', 1, 1, '" BOOT "', ?)",
               -1, &target.put, NULL) == SQLITE_OK);
    return &target;
}

struct found {
    int count;
    struct davy_alarm_memory memory;
};

static void take(void *context, const struct davy_alarm_memory *memory)
{
    struct found *found = context;
    found->count++;
    found->memory = *memory;
    assert(memory->state < DAVY_STATE_COUNT_ && memory->level < DAVY_LEVEL_COUNT_ && memory->floor < DAVY_LEVEL_COUNT_);
    assert(memory->limit_count <= DAVY_LIMITS_MAX);
    assert(memchr(memory->key, '\0', sizeof memory->key) && memchr(memory->note, '\0', sizeof memory->note));
    for (size_t i = 0; i < memory->limit_count; i++)
        assert(memory->limits[i].condition < DAVY_CONDITION_COUNT_ && memory->limits[i].level < DAVY_LEVEL_COUNT_);
}

static struct found recall(struct target *target)
{
    struct found found = {.count = 0};
    assert(davy_ledger_recall(target->ledger, now, BOOT, take, &found) >= 0);
    return found;
}

static void put(struct target *target, const uint8_t *data, size_t size)
{
    assert(sqlite3_exec(target->beside, "DELETE FROM memory", NULL, NULL, NULL) == SQLITE_OK);
    sqlite3_bind_text(target->put, 1, (const char *)data, (int)size, SQLITE_STATIC);
    assert(sqlite3_step(target->put) == SQLITE_DONE);
    sqlite3_reset(target->put);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 64 * 1024)
        return 0;
    struct target *target = open_target();
    put(target, data, size);
    struct found found = recall(target);
    assert(found.count <= 1);
    if (found.count == 0)
        return 0;
    assert(davy_ledger_begin(target->ledger) == 0);
    assert(davy_ledger_remember(target->ledger, &found.memory, now, BOOT) == 0);
    assert(davy_ledger_commit(target->ledger) == 0);
    return 0;
}
