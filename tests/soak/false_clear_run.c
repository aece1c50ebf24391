/* SPDX-License-Identifier: Apache-2.0 */
#include "false_clear_run.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/attr.h"
#include "decode/decode.h"
#include "evaluate/zones.h"
#include "record/ledger.h"

/* What the recorder has not been told to forget: memories since the last restart, with when and by what they came. */
struct told_memory {
    struct davy_alarm_memory memory;
    struct davy_stamp at;
    unsigned op;
};

struct kept_reading {
    struct davy_reading reading; /* its point is one of the plan */
    unsigned op;
};

struct world {
    const struct plan *plan;
    const struct plant_spec *spec;
    const struct davy_config *config;
    struct davy_decoder *decoder;
    struct davy_engine *engine;
    struct davy_zones *zones;
    struct ledger_place *place;
    FILE *trace;
    unsigned op;
    unsigned boots;
    bool stepped;       /* the wall clock, since memories were told */
    int64_t mono_shift; /* monotonic = time of the oracle + this, in ns */
    davy_wall wall;     /* at `now` */
    int64_t now;        /* ms, of the oracle */
    struct told_memory *memories;
    size_t memory_count, memory_room;
    struct kept_reading *readings;
    size_t reading_count, reading_room;
    struct oracle oracle, kept; /* kept: before what a kill will take */
    uint64_t ids;
    uint32_t generation;
    enum davy_level colours[2]; /* as told last */
    const struct davy_config *next;
    const struct plant_spec *next_spec;
    struct davy_zones *next_zones;
    struct verdict *verdict;
};

struct ledger_place {
    char folder[64];
    struct davy_ledger *ledger;
};

#define MUST(call)                                                                                                     \
    do {                                                                                                               \
        if ((call) != 0) {                                                                                             \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #call);                                                 \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

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

/* ---- time ---- */

static struct davy_stamp stamp_at(const struct world *world, int64_t now)
{
    return (struct davy_stamp){.mono = {now * DAVY_NS_PER_MS + world->mono_shift},
                               .wall = {world->wall.ns + (now - world->now) * DAVY_NS_PER_MS}};
}

static int64_t time_of(const struct world *world, davy_mono mono)
{
    return (mono.ns - world->mono_shift) / DAVY_NS_PER_MS;
}

static void set_now(struct world *world, int64_t now)
{
    world->wall.ns += (now - world->now) * DAVY_NS_PER_MS;
    world->now = now;
}

/* ---- what the engine tells ---- */

static unsigned slot_of_subject(const struct plant_spec *spec, const struct davy_subject *subject)
{
    switch ((int)subject->kind) {
    case DAVY_ALARM_RULE:
        return slot_of_rule(plan_rule_of(spec, subject->rule),
                            subject->point == DAVY_NONE ? PLAN_POINTS : plan_point_of(spec, subject->point));
    case DAVY_ALARM_FAULT:
        if (subject->point != DAVY_NONE)
            return SLOT_FAULT_PT + plan_point_of(spec, subject->point);
        return subject->device == DAVY_NONE ? SLOT_FAULT_BUS : SLOT_FAULT_DEV + plan_device_of(spec, subject->device);
    case DAVY_ALARM_INHIBIT:
        return SLOT_INHIBIT + plan_device_of(spec, subject->device);
    case DAVY_ALARM_VOTE_FAULT:
        return SLOT_VOTE_FAULT + plan_rule_of(spec, subject->rule);
    default:
        return SLOT_NONE;
    }
}

static void trace_event(const struct world *world, const struct davy_event *event)
{
    char key[DAVY_KEY_SIZE];
    if (world->trace)
        fprintf(world->trace, "%10.3f     %s %s: %s -> %s, level %d -> %d%s%s%s\n",
                (double)time_of(world, event->at.mono) / 1e3, davy_event_name(event->type),
                davy_subject_key(world->config, &event->subject, key), davy_state_name(event->previous_state),
                davy_state_name(event->state), (int)event->previous_level, (int)event->level,
                event->active ? ", active" : "", event->acknowledged ? ", acknowledged" : "",
                event->ends ? ", ends" : "");
}

static void on_event(void *context, const struct davy_event *event)
{
    struct world *world = context;
    unsigned slot = slot_of_subject(world->spec, &event->subject);
    trace_event(world, event);
    world->verdict->events++;
    davy_zones_event(world->zones, event);
    oracle_time(&world->oracle, time_of(world, event->at.mono));
    if (slot != SLOT_NONE)
        oracle_event(&world->oracle, slot, event, time_of(world, event->at.mono));
}

static bool on_memory(void *context, const struct davy_alarm_memory *memory)
{
    struct world *world = context;
    if (world->memory_count == world->memory_room) {
        world->memory_room = 2 * world->memory_room + 64;
        world->memories = reallocarray(world->memories, world->memory_room, sizeof *world->memories);
    }
    world->memories[world->memory_count++] =
        (struct told_memory){.memory = *memory, .at = stamp_at(world, world->now), .op = world->op};
    return true;
}

static void keep_reading(struct world *world, const struct davy_reading *reading)
{
    if (world->reading_count == world->reading_room) {
        world->reading_room = 2 * world->reading_room + 256;
        world->readings = reallocarray(world->readings, world->reading_room, sizeof *world->readings);
    }
    struct kept_reading *kept = &world->readings[world->reading_count++];
    *kept = (struct kept_reading){.reading = *reading, .op = world->op};
    kept->reading.point = plan_point_of(world->spec, reading->point);
}

static void on_made(void *context, const struct davy_reading *reading)
{
    struct world *world = context;
    keep_reading(world, reading);
    davy_decoder_stale(world->decoder, reading->point);
}

static struct davy_uuid on_new_id(void *context, davy_wall t)
{
    struct world *world = context;
    return davy_uuid_v7(t, 0, ++world->ids);
}

/* ---- time passes ---- */

/* What of points and devices survives a restart. */
static void tell_of_decoder(struct world *world)
{
    struct davy_alarm_memory memory;
    for (uint32_t p = 0; p < world->config->point_count; p++)
        if (davy_decoder_tell(world->decoder, p, davy_engine_point_in_alarm(world->engine, p), &memory))
            on_memory(world, &memory);
    for (uint32_t d = 0; d < world->config->device_count; d++)
        if (davy_decoder_tell_device(world->decoder, d, stamp_at(world, world->now).mono, &memory))
            on_memory(world, &memory);
}

static void on_colour(void *context, uint32_t zone, const struct davy_zone_view *view)
{
    struct world *world = context;
    oracle_colour(&world->oracle, zone, view->colour);
    world->colours[zone] = view->colour;
}

static void judge_zones(struct world *world)
{
    davy_zones_judge(world->zones, world->engine, stamp_at(world, world->now), on_colour, world);
    for (uint32_t z = 0; z < world->config->zone_count; z++) {
        struct davy_alarm_memory memory;
        oracle_colour(&world->oracle, z, world->colours[z]);
        if (davy_zones_tell(world->zones, z, &memory))
            on_memory(world, &memory);
    }
}

/* What is due at this instant, but not the silence that ends with it: a command that names nothing lets it pass. */
static void pass_instant(struct world *world)
{
    char reason[192];
    static const struct davy_command nothing = {.verb = DAVY_COMMAND_ACK, .alarm = "nothing"};
    (void)!davy_engine_command(world->engine, &nothing, stamp_at(world, world->now), NULL, reason, sizeof reason);
    oracle_time(&world->oracle, world->now);
}

static void pass_to(struct world *world, int64_t now)
{
    for (;;) {
        davy_mono due = davy_engine_due(world->engine);
        if (due.ns >= stamp_at(world, now).mono.ns)
            break;
        int64_t at = time_of(world, due);
        set_now(world, at > world->now ? at : world->now);
        davy_engine_advance(world->engine, stamp_at(world, world->now));
        oracle_time(&world->oracle, world->now);
    }
    set_now(world, now);
    pass_instant(world);
    tell_of_decoder(world);
    oracle_check(&world->oracle);
    judge_zones(world);
}

/* As after each start: what is stored is of this boot, and of the clock as it is now. */
static void tell_all(struct world *world)
{
    davy_engine_tell_all(world->engine);
    davy_decoder_tell_kept(world->decoder);
    tell_of_decoder(world);
    for (uint32_t z = 0; z < world->config->zone_count; z++)
        davy_zones_untold(world->zones, z);
    judge_zones(world);
}

/* As the record stage does with a damaged ledger: what it knew is gone, and all is told again. */
static void begin_ledger(struct world *world)
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
    tell_all(world);
}

/* ---- start and stop ---- */

static void make_engine(struct world *world)
{
    const struct davy_engine_options options = {.config = world->config,
                                                .event = on_event,
                                                .memory = on_memory,
                                                .new_id = on_new_id,
                                                .made = on_made,
                                                .context = world};
    MUST(davy_engine_new(&options, &world->engine));
    MUST(davy_decoder_new(world->config, &world->decoder));
    MUST(davy_zones_new(world->config, NULL, &world->zones));
}

static void drop_engine(struct world *world)
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
        davy_engine_restore(world->engine, memory, stamp_at(world, world->now));
    else if (recalled->orphan_count < SLOTS)
        recalled->orphans[recalled->orphan_count++] = *memory;
}

static void recall(struct world *world)
{
    char boot[16];
    struct recalled *recalled = calloc(1, sizeof *recalled);
    recalled->world = world;
    boot_name(world->boots, boot);
    MUST(davy_ledger_recall(world->place->ledger, stamp_at(world, world->now), boot, on_recalled, recalled));
    for (size_t i = 0; i < recalled->orphan_count; i++)
        retire_orphan(world, &recalled->orphans[i]);
    free(recalled);
}

/* As the record gives them: by the wall clock. */
static void refill(struct world *world)
{
    struct davy_stamp now = stamp_at(world, world->now);
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

/* How many happenings a kill takes with it: none that was before another start, or a reload, of which people know. */
static bool is_kept(enum op_kind kind)
{
    return kind == OP_RESTART || kind == OP_RELOAD || kind == OP_LEDGER;
}

static unsigned lost_by(const struct plan *plan, unsigned kill)
{
    unsigned lost = 0;
    while (lost < plan->ops[kill].lose && lost < kill && !is_kept(plan->ops[kill - lost - 1].kind))
        lost++;
    return lost;
}

/* What was lost was never seen: the oracle is what it was before. */
static void lose(struct world *world)
{
    unsigned lost = lost_by(world->plan, world->op), first = world->op - lost;
    for (unsigned i = first; i < world->op; i++)
        world->stepped |= world->plan->ops[i].kind == OP_CLOCK;
    if (lost > 0)
        world->oracle = world->kept;
    while (lost > 0 && world->reading_count > 0 && world->readings[world->reading_count - 1].op >= first)
        world->reading_count--;
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
        !davy_decoder_inhibited(world->decoder, device, stamp_at(world, world->now).mono, &inhibit))
        return 0;
    return time_of(world, inhibit.until.mono);
}

static void restart(struct world *world, const struct op *op)
{
    lose(world);
    drop_engine(world);
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
    make_engine(world);
    bool stepped = world->stepped || op->wall_ms != 0;
    world->stepped = false;
    enum lost_time lost = back ? LOST_BACK : stepped && op->reboot ? LOST_STEPPED : LOST_NOTHING;
    oracle_restart(&world->oracle, world->spec, world->now, lost, op->reboot);
    recall(world);
    for (unsigned d = 0; d < PLAN_DEVICES; d++)
        if (stepped || !was->devices[d].present) /* a device that is back may still be inhibited */
            world->oracle.inhibit_until[d] = inhibited_until(world, d);
    if (stepped && op->reboot)
        take_shelves(world);
    refill(world);
    davy_engine_start(world->engine, stamp_at(world, world->now), true);
    pass_instant(world);
    oracle_switched(&world->oracle);
    tell_all(world);
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
    on_memory(context, memory);
}

static void reload(struct world *world, const struct op *op)
{
    struct davy_decoder *decoder;
    world->next_spec = &world->plan->versions[op->version];
    world->next = plan_config(world->next_spec, ++world->generation);
    MUST(davy_decoder_renew(world->decoder, world->next, &decoder));
    MUST(davy_zones_new(world->next, world->zones, &world->next_zones));
    oracle_reload(&world->oracle, world->next_spec);
    MUST(davy_engine_reload(world->engine, world->next, stamp_at(world, world->now), on_switched));
    davy_decoder_tell_gone(world->decoder, world->config, on_gone, world);
    davy_decoder_free(world->decoder);
    world->decoder = decoder;
    oracle_switched(&world->oracle);
    world->verdict->reloads++;
}

/* ---- happenings ---- */

static void take(struct world *world, const struct op *op, unsigned k, const struct davy_reading *reading)
{
    unsigned point = op->device * PLAN_PER_DEVICE + k;
    struct evidence evidence = oracle_evidence(&world->oracle, op, k);
    if (reading->quality == DAVY_QUALITY_GOOD && evidence.worth != WORTH_GOOD)
        oracle_wrong(&world->oracle, SLOT_NONE, "D%u.p%u is decoded as good, which it is not", op->device, k);
    if (reading->reason == DAVY_REASON_SETTLING && evidence.worth == WORTH_GOOD)
        evidence = (struct evidence){.worth = WORTH_RAISE, .value = evidence.value}; /* longer than it must */
    oracle_reading(&world->oracle, point, &evidence);
    keep_reading(world, reading);
    davy_engine_reading(world->engine, reading);
    tell_of_decoder(world);
    oracle_check(&world->oracle);
    world->verdict->readings++;
}

static void poll_device(struct world *world, const struct op *op)
{
    struct davy_reading readings[DAVY_DECODE_MAX];
    uint32_t device = plan_device_index(world->spec, op->device);
    if (device == DAVY_NONE)
        return;
    struct davy_block block = {.generation = world->config->generation,
                               .request = device,
                               .answer = op->answer,
                               .exception = op->answer == DAVY_ANSWER_EXCEPTION ? 2 : 0,
                               .at = stamp_at(world, world->now)};
    if (op->answer == DAVY_ANSWER_OK)
        plan_words(op, block.words);
    size_t count = davy_decode_block(world->decoder, &block, readings);
    oracle_answer(&world->oracle, op->answer == DAVY_ANSWER_OK || op->answer == DAVY_ANSWER_EXCEPTION);
    for (unsigned k = 0; k < count; k++)
        take(world, op, k, &readings[k]);
}

static void command(struct world *world, const struct op *op)
{
    struct davy_command command = {.verb = (enum davy_command_verb)op->verb,
                                   .duration = {op->duration_ms * DAVY_NS_PER_MS},
                                   .by = "local:operator",
                                   .note = "work"};
    char reason[192];
    unsigned slot = slot_of_rule(op->rule, op->point);
    oracle_slot_key(slot, command.alarm);
    if (!oracle_exists(world->spec, slot))
        return;
    oracle_command(&world->oracle, slot, op->verb, op->duration_ms);
    int rc = davy_engine_command(world->engine, &command, stamp_at(world, world->now), NULL, reason, sizeof reason);
    if (world->trace && rc != 0)
        fprintf(world->trace, "               refused: %s\n", reason);
    oracle_commanded(&world->oracle, rc == 0);
}

static void inhibit(struct world *world, const struct op *op)
{
    uint32_t device = plan_device_index(world->spec, op->device);
    struct davy_stamp now = stamp_at(world, world->now);
    if (device == DAVY_NONE)
        return;
    struct davy_inhibit inhibit = {
        .until = stamp_at(world, world->now + op->duration_ms), .by = "local:operator", .reason = "bump test"};
    int rc = op->duration_ms > 0 ? davy_decoder_inhibit(world->decoder, device, &inhibit, now.mono)
                                 : davy_decoder_uninhibit(world->decoder, device, now.mono);
    if (rc == 0)
        world->oracle.inhibit_until[op->device] = op->duration_ms > 0 ? world->now + op->duration_ms : 0;
}

/* A step that is seen as one has all memories told anew: how old they are is counted from behind it. */
static void step_clock(struct world *world, const struct op *op)
{
    if (op->wall_ms > 1000 || op->wall_ms < -1000)
        tell_all(world);
    else
        world->stepped = true;
}

static void happen(struct world *world, const struct op *op)
{
    switch ((int)op->kind) {
    case OP_READ:
        poll_device(world, op);
        break;
    case OP_COMMAND:
        command(world, op);
        break;
    case OP_INHIBIT:
        inhibit(world, op);
        break;
    case OP_RELOAD:
        reload(world, op);
        break;
    case OP_CLOCK:
        world->wall.ns += op->wall_ms * DAVY_NS_PER_MS;
        step_clock(world, op);
        break;
    case OP_LEDGER:
        begin_ledger(world);
        break;
    case OP_RESTART:
        restart(world, op);
        break;
    default:
        break;
    }
}

/* What is live must be what was told. */
static void compare_views(struct world *world)
{
    size_t count = davy_engine_alarm_count(world->engine);
    for (size_t i = 0; i < count; i++) {
        struct davy_alarm_view view;
        davy_engine_alarm(world->engine, i, &view);
        unsigned slot = slot_of_subject(world->spec, &view.subject);
        if (slot != SLOT_NONE)
            oracle_view(&world->oracle, slot, &view);
    }
}

/* Whether a later kill goes back to before this happening. */
static bool will_be_lost(const struct plan *plan, unsigned i)
{
    unsigned j = i + 1;
    while (j < plan->op_count && plan->ops[j].kind != OP_RESTART)
        j++;
    return j < plan->op_count && lost_by(plan, j) == j - i;
}

static void one_happening(struct world *world, unsigned i)
{
    const struct op *op = &world->plan->ops[i];
    if (world->trace)
        plan_print_op(op, world->now + op->delay_ms, world->trace);
    world->op = i;
    if (will_be_lost(world->plan, i))
        world->kept = world->oracle;
    pass_to(world, world->now + op->delay_ms);
    happen(world, op);
    tell_of_decoder(world);
    oracle_check(&world->oracle);
    judge_zones(world);
    compare_views(world);
}

static void begin(struct world *world)
{
    world->wall.ns = INT64_C(1700000000) * DAVY_NS_PER_S;
    world->mono_shift = INT64_C(1000) * DAVY_NS_PER_S;
    world->spec = &world->plan->versions[0];
    world->config = plan_config(world->spec, ++world->generation);
    MUST(davy_ledger_begin(world->place->ledger));
    make_engine(world);
    davy_engine_start(world->engine, stamp_at(world, 0), true);
    oracle_begin(&world->oracle, world->spec, 0);
    world->colours[0] = world->colours[1] = DAVY_LEVEL_BLUE;
}

void schedule_run(const struct plan *plan, struct ledger_place *place, FILE *trace, struct verdict *ret_verdict)
{
    struct world *world = calloc(1, sizeof *world);
    *world = (struct world){.plan = plan, .place = place, .trace = trace, .verdict = ret_verdict};
    *ret_verdict = (struct verdict){.wrong = ""};
    begin(world);
    for (unsigned i = 0; i < plan->op_count && world->oracle.wrong[0] == '\0'; i++)
        one_happening(world, i);
    snprintf(ret_verdict->wrong, sizeof ret_verdict->wrong, "%s", world->oracle.wrong);
    ret_verdict->falls = world->oracle.falls;
    ret_verdict->demands = world->oracle.demands;
    davy_ledger_rollback(place->ledger);
    drop_engine(world);
    free(world->memories);
    free(world->readings);
    free(world);
}
