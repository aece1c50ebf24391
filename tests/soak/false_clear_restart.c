/* SPDX-License-Identifier: Apache-2.0 */
/* What a ledger keeps, kills and starts, reloads. */
#include <string.h>
#include <unistd.h>

#include "false_clear_world.h"

/* ---- the ledger: one transaction that is never committed, and rolled back behind each schedule ---- */

struct ledger_place *ledger_place_new(void)
{
    struct ledger_place *place = calloc(1, sizeof *place);
    snprintf(place->folder, sizeof place->folder, "%s/false-clear-XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    if (!mkdtemp(place->folder))
        abort();
    MUST(davy_ledger_open(place->folder, (davy_wall){0}, NULL, &place->ledger));
    return place;
}

struct ledger_place *ledger_place_free(struct ledger_place *place)
{
    static const char *const names[] = {"ledger.db", "ledger.db-wal", "ledger.db-shm", "lock"};
    char path[96];
    davy_ledger_close(place->ledger);
    for (size_t i = 0; i < DAVY_LENGTH(names); i++) {
        snprintf(path, sizeof path, "%s/%s", place->folder, names[i]);
        unlink(path);
    }
    rmdir(place->folder);
    free(place);
    return NULL;
}

/* As the record stage does with a damaged ledger: what it knew is gone, and all is told again. */
void world_begin_ledger(struct world *world)
{
    char key[64];
    for (unsigned s = 0; s < SLOTS; s++) {
        oracle_slot_key(s, key);
        MUST(davy_ledger_forget(world->place->ledger, key));
    }
    for (unsigned p = 0; p < PLAN_POINTS; p++) {
        snprintf(key, sizeof key, "=D%u.p%u", p / PLAN_PER_DEVICE, p % PLAN_PER_DEVICE);
        MUST(davy_ledger_forget(world->place->ledger, key));
    }
    for (unsigned d = 0; d < PLAN_DEVICES; d++) {
        snprintf(key, sizeof key, "~D%u", d);
        MUST(davy_ledger_forget(world->place->ledger, key));
    }
    MUST(davy_ledger_forget(world->place->ledger, "@Z0"));
    MUST(davy_ledger_forget(world->place->ledger, "@Z1"));
    world->memory_count = 0;
    davy_decoder_tell_again(world->decoder);
    world_tell_all(world);
}

/* ---- start and stop ---- */

void world_make_engine(struct world *world)
{
    const struct davy_engine_options options = {.config = world->config,
                                                .event = world_on_event,
                                                .memory = world_on_memory,
                                                .new_id = world_on_new_id,
                                                .made = world_on_made,
                                                .context = world};
    MUST(davy_engine_new(&options, &world->engine));
    MUST(davy_decoder_new(world->config, &world->decoder));
    MUST(davy_zones_new(world->config, NULL, &world->zones));
}

void world_drop_engine(struct world *world)
{
    world->engine = davy_engine_free(world->engine);
    world->decoder = davy_decoder_free(world->decoder);
    world->zones = davy_zones_free(world->zones);
    world->config = davy_config_unref(world->config);
}

static void boot_name(unsigned boots, char text[16])
{
    snprintf(text, 16, "boot-%u", boots);
}

/* Of each alarm the last memory that reached the disk; those of the happenings from `lost` on did not. */
static void write_memories(struct world *world, unsigned lost)
{
    char boot[16];
    boot_name(world->boots, boot);
    for (size_t i = 0; i < world->memory_count; i++) {
        const struct told_memory *told = &world->memories[i];
        bool newer = false;
        for (size_t j = i + 1; j < world->memory_count && !newer; j++)
            newer = world->memories[j].op < lost && strcmp(world->memories[j].memory.key, told->memory.key) == 0;
        if (!newer && told->op < lost)
            MUST(davy_ledger_remember(world->place->ledger, &told->memory, told->at, boot));
    }
    world->memory_count = 0;
}

/* An alarm that the configuration does not know any more: the record stage ends it. */
static void retire_orphan(struct world *world, const struct davy_alarm_memory *memory)
{
    unsigned slot = SLOTS;
    for (unsigned s = 0; s < SLOTS && slot == SLOTS; s++) {
        char name[32];
        oracle_slot_key(s, name);
        if (strcmp(name, memory->key) == 0)
            slot = s;
    }
    if (slot < SLOTS && oracle_told(&world->oracle, slot))
        oracle_retired(&world->oracle, slot);
    MUST(davy_ledger_forget(world->place->ledger, memory->key));
}

struct recalled {
    struct world *world;
    struct davy_alarm_memory orphans[SLOTS];
    size_t orphan_count;
};

static void on_recalled(void *context, const struct davy_alarm_memory *memory)
{
    struct recalled *recalled = context;
    struct world *world = recalled->world;
    if (davy_decoder_recall(world->decoder, memory) || davy_zones_recall(world->zones, memory))
        return;
    if (davy_engine_knows(world->engine, memory->key))
        davy_engine_restore(world->engine, memory, world_stamp_at(world, world->now));
    else if (recalled->orphan_count < SLOTS)
        recalled->orphans[recalled->orphan_count++] = *memory;
}

static void recall(struct world *world)
{
    char boot[16];
    struct recalled *recalled = calloc(1, sizeof *recalled);
    recalled->world = world;
    boot_name(world->boots, boot);
    MUST(davy_ledger_recall(world->place->ledger, world_stamp_at(world, world->now), boot, on_recalled, recalled));
    for (size_t i = 0; i < recalled->orphan_count; i++)
        retire_orphan(world, &recalled->orphans[i]);
    free(recalled);
}

/* As the record gives them: by the wall clock. */
static void refill(struct world *world)
{
    struct davy_stamp now = world_stamp_at(world, world->now);
    for (size_t i = 0; i < world->reading_count; i++) {
        struct davy_reading reading = world->readings[i].reading;
        reading.point = plan_point_index(world->spec, reading.point);
        if (reading.point == DAVY_NONE || reading.at.wall.ns > now.wall.ns)
            continue;
        reading.at.mono.ns = now.mono.ns - (now.wall.ns - reading.at.wall.ns);
        if (davy_engine_reading_lookback(world->engine, reading.point).ns > 0)
            davy_engine_past_reading(world->engine, &reading);
    }
}

static void recount(struct world *world)
{
    struct davy_stamp now = world_stamp_at(world, world->now);
    for (size_t i = 0; i < world->raise_count; i++) {
        const struct kept_raise *raise = &world->raises[i];
        struct davy_stamp at = {.mono = {now.mono.ns - (now.wall.ns - raise->at.ns)}, .wall = raise->at};
        char key[32];
        oracle_slot_key(raise->slot, key);
        if (raise->at.ns <= now.wall.ns)
            davy_engine_past_raise(world->engine, key, at);
    }
}

/* How many happenings a kill takes with it: none that was before another start, or a reload, of which people know. */
static bool is_kept(enum op_kind kind)
{
    return kind == OP_RESTART || kind == OP_RELOAD || kind == OP_LEDGER;
}

unsigned world_lost_by(const struct plan *plan, unsigned kill)
{
    unsigned lost = 0;
    while (lost < plan->ops[kill].lose && lost < kill && !is_kept(plan->ops[kill - lost - 1].kind))
        lost++;
    return lost;
}

/* What was lost was never seen: the oracle is what it was before. */
static void lose(struct world *world)
{
    unsigned lost = world_lost_by(world->plan, world->op), first = world->op - lost;
    for (unsigned i = first; i < world->op; i++)
        world->stepped |= world->plan->ops[i].kind == OP_CLOCK;
    if (lost > 0)
        world->oracle = world->kept;
    if (world->stepped)
        oracle_stepped(&world->oracle);
    while (lost > 0 && world->reading_count > 0 && world->readings[world->reading_count - 1].op >= first)
        world->reading_count--;
    while (lost > 0 && world->raise_count > 0 && world->raises[world->raise_count - 1].op >= first)
        world->raise_count--;
    write_memories(world, lost > 0 ? first : UINT32_MAX);
}

/* When an inhibit or a shelf ends is not judged where a wall clock that has stepped is all that tells. */
static void take_shelves(struct world *world)
{
    for (unsigned slot = 0; slot < SLOTS; slot++)
        world->oracle.slots[slot].shelf_until = world->now + 24 * 3600000;
}

static int64_t inhibited_until(const struct world *world, unsigned d)
{
    struct davy_inhibit inhibit;
    uint32_t device = plan_device_index(world->spec, d);
    if (device == DAVY_NONE ||
        !davy_decoder_inhibited(world->decoder, device, world_stamp_at(world, world->now).mono, &inhibit))
        return 0;
    return world_time_of(world, inhibit.until.mono);
}

void world_restart(struct world *world, const struct op *op)
{
    lose(world);
    world_drop_engine(world);
    davy_wall before = world->wall;
    int64_t mono = world->now * DAVY_NS_PER_MS + world->mono_shift + op->down_ms * DAVY_NS_PER_MS;
    world->wall.ns += (op->down_ms + op->wall_ms) * DAVY_NS_PER_MS;
    bool back = world->wall.ns < before.ns;
    int64_t down = op->reboot ? op->down_ms + op->wall_ms : op->down_ms;
    world->now += back || down < 0 ? 0 : down;
    if (op->reboot) {
        mono = INT64_C(7123456789); /* no instant is 0, which is none */
        world->boots++;
    }
    world->mono_shift = mono - world->now * DAVY_NS_PER_MS;
    const struct plant_spec *was = world->spec;
    world->spec = &world->plan->versions[op->version];
    world->config = plan_config(world->spec, ++world->generation);
    world_make_engine(world);
    bool stepped = world->stepped || op->wall_ms != 0;
    world->stepped = false;
    if (op->wall_ms != 0)
        oracle_stepped(&world->oracle);
    enum lost_time lost = back ? LOST_BACK : stepped && op->reboot ? LOST_STEPPED : LOST_NOTHING;
    oracle_restart(&world->oracle, world->spec, world->now, lost, op->reboot);
    recall(world);
    for (unsigned d = 0; d < PLAN_DEVICES; d++)
        if (stepped || !was->devices[d].present) /* a device that is back may still be inhibited */
            world->oracle.inhibit_until[d] = inhibited_until(world, d);
    if (stepped && op->reboot)
        take_shelves(world);
    refill(world);
    recount(world);
    davy_engine_start(world->engine, world_stamp_at(world, world->now), true);
    world_pass_instant(world);
    oracle_switched(&world->oracle);
    world_tell_all(world);
    world->verdict->restarts++;
}

static void on_switched(void *context)
{
    struct world *world = context;
    const struct davy_config *old = world->config;
    world->config = world->next;
    world->spec = world->next_spec;
    davy_config_unref(old);
    davy_zones_keep(world->next_zones, world->zones);
    davy_zones_free(world->zones);
    world->zones = world->next_zones;
}

static void on_gone(void *context, const struct davy_alarm_memory *memory)
{
    world_on_memory(context, memory);
}

void world_reload(struct world *world, const struct op *op)
{
    struct davy_decoder *decoder;
    world->next_spec = &world->plan->versions[op->version];
    world->next = plan_config(world->next_spec, ++world->generation);
    MUST(davy_decoder_renew(world->decoder, world->next, &decoder));
    MUST(davy_zones_new(world->next, world->zones, &world->next_zones));
    oracle_reload(&world->oracle, world->next_spec);
    MUST(davy_engine_reload(world->engine, world->next, world_stamp_at(world, world->now), on_switched));
    davy_decoder_tell_gone(world->decoder, world->config, on_gone, world);
    davy_decoder_free(world->decoder);
    world->decoder = decoder;
    oracle_switched(&world->oracle);
    world->verdict->reloads++;
}
