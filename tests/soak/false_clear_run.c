/* SPDX-License-Identifier: Apache-2.0 */
/* A schedule, happening by happening; kills and reloads are in false_clear_restart.c. */
#include <string.h>

#include "false_clear_world.h"

/* ---- time ---- */

struct davy_stamp world_stamp_at(const struct world *world, int64_t now)
{
    return (struct davy_stamp){.mono = {now * DAVY_NS_PER_MS + world->mono_shift},
                               .wall = {world->wall.ns + (now - world->now) * DAVY_NS_PER_MS}};
}

int64_t world_time_of(const struct world *world, davy_mono mono)
{
    return (mono.ns - world->mono_shift) / DAVY_NS_PER_MS;
}

static void set_now(struct world *world, int64_t now)
{
    world->wall.ns += (now - world->now) * DAVY_NS_PER_MS;
    world->now = now;
}

/* ---- what the engine tells ---- */

unsigned world_slot_of_subject(const struct plant_spec *spec, const struct davy_subject *subject)
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
                (double)world_time_of(world, event->at.mono) / 1e3, davy_event_name(event->type),
                davy_subject_key(world->config, &event->subject, key), davy_state_name(event->previous_state),
                davy_state_name(event->state), (int)event->previous_level, (int)event->level,
                event->active ? ", active" : "", event->acknowledged ? ", acknowledged" : "",
                event->ends ? ", ends" : "");
}

/* As the ledger has it, which keeps events by the wall clock. */
static void keep_raise(struct world *world, unsigned slot, const struct davy_event *event)
{
    if (event->type != DAVY_EVENT_RAISED || slot >= SLOT_RULES)
        return;
    if (world->raise_count == world->raise_room) {
        world->raise_room = 2 * world->raise_room + 64;
        world->raises = reallocarray(world->raises, world->raise_room, sizeof *world->raises);
    }
    world->raises[world->raise_count++] = (struct kept_raise){.slot = slot, .at = event->at.wall, .op = world->op};
}

void world_on_event(void *context, const struct davy_event *event)
{
    struct world *world = context;
    unsigned slot = world_slot_of_subject(world->spec, &event->subject);
    trace_event(world, event);
    world->verdict->events++;
    davy_zones_event(world->zones, event);
    keep_raise(world, slot, event);
    oracle_time(&world->oracle, world_time_of(world, event->at.mono));
    if (slot != SLOT_NONE)
        oracle_event(&world->oracle, slot, event, world_time_of(world, event->at.mono));
}

bool world_on_memory(void *context, const struct davy_alarm_memory *memory)
{
    struct world *world = context;
    if (world->memory_count == world->memory_room) {
        world->memory_room = 2 * world->memory_room + 64;
        world->memories = reallocarray(world->memories, world->memory_room, sizeof *world->memories);
    }
    world->memories[world->memory_count++] =
        (struct told_memory){.memory = *memory, .at = world_stamp_at(world, world->now), .op = world->op};
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

void world_on_made(void *context, const struct davy_reading *reading)
{
    struct world *world = context;
    keep_reading(world, reading);
    davy_decoder_stale(world->decoder, reading->point);
}

struct davy_uuid world_on_new_id(void *context, davy_wall t)
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
            world_on_memory(world, &memory);
    for (uint32_t d = 0; d < world->config->device_count; d++)
        if (davy_decoder_tell_device(world->decoder, d, world_stamp_at(world, world->now).mono, &memory))
            world_on_memory(world, &memory);
}

static void on_colour(void *context, uint32_t zone, const struct davy_zone_view *view)
{
    struct world *world = context;
    oracle_colour(&world->oracle, zone, view->colour);
    world->colours[zone] = view->colour;
}

static void judge_zones(struct world *world)
{
    davy_zones_judge(world->zones, world->engine, world_stamp_at(world, world->now), on_colour, world);
    for (uint32_t z = 0; z < world->config->zone_count; z++) {
        struct davy_alarm_memory memory;
        oracle_colour(&world->oracle, z, world->colours[z]);
        if (davy_zones_tell(world->zones, z, &memory))
            world_on_memory(world, &memory);
    }
}

/* What is due at this instant, but not the silence that ends with it: a command that names nothing lets it pass. */
void world_pass_instant(struct world *world)
{
    char reason[192];
    static const struct davy_command nothing = {.verb = DAVY_COMMAND_ACK, .alarm = "nothing"};
    (void)!davy_engine_command(world->engine, &nothing, world_stamp_at(world, world->now), NULL, reason, sizeof reason);
    oracle_time(&world->oracle, world->now);
}

static void pass_to(struct world *world, int64_t now)
{
    for (;;) {
        davy_mono due = davy_engine_due(world->engine);
        if (due.ns >= world_stamp_at(world, now).mono.ns)
            break;
        int64_t at = world_time_of(world, due);
        set_now(world, at > world->now ? at : world->now);
        davy_engine_advance(world->engine, world_stamp_at(world, world->now));
        oracle_time(&world->oracle, world->now);
    }
    set_now(world, now);
    world_pass_instant(world);
    tell_of_decoder(world);
    oracle_check(&world->oracle);
    judge_zones(world);
}

/* As after each start: what is stored is of this boot, and of the clock as it is now. */
void world_tell_all(struct world *world)
{
    davy_engine_tell_all(world->engine);
    davy_decoder_tell_kept(world->decoder);
    tell_of_decoder(world);
    for (uint32_t z = 0; z < world->config->zone_count; z++)
        davy_zones_untold(world->zones, z);
    judge_zones(world);
}

/* ---- happenings ---- */

static void take(struct world *world, const struct op *op, unsigned k, const struct davy_reading *reading)
{
    unsigned point = op->device * PLAN_PER_DEVICE + k;
    struct evidence evidence = oracle_evidence(&world->oracle, op, k);
    if (reading->quality == DAVY_QUALITY_GOOD && evidence.worth != WORTH_GOOD)
        oracle_wrong(&world->oracle, SLOT_NONE, "D%u.p%u is decoded as good, which it is not", op->device, k);
    if (reading->reason == DAVY_REASON_SETTLING && evidence.worth == WORTH_GOOD) {
        evidence.worth = WORTH_RAISE; /* longer than it must */
        evidence.counts = false;
    }
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
                               .at = world_stamp_at(world, world->now)};
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
    int rc =
        davy_engine_command(world->engine, &command, world_stamp_at(world, world->now), NULL, reason, sizeof reason);
    if (world->trace && rc != 0)
        fprintf(world->trace, "               refused: %s\n", reason);
    oracle_commanded(&world->oracle, rc == 0);
}

static void inhibit(struct world *world, const struct op *op)
{
    uint32_t device = plan_device_index(world->spec, op->device);
    struct davy_stamp now = world_stamp_at(world, world->now);
    if (device == DAVY_NONE)
        return;
    struct davy_inhibit inhibit = {
        .until = world_stamp_at(world, world->now + op->duration_ms), .by = "local:operator", .reason = "bump test"};
    int rc = op->duration_ms > 0 ? davy_decoder_inhibit(world->decoder, device, &inhibit, now.mono)
                                 : davy_decoder_uninhibit(world->decoder, device, now.mono);
    if (rc == 0)
        world->oracle.inhibit_until[op->device] = op->duration_ms > 0 ? world->now + op->duration_ms : 0;
}

static void release(struct world *world, const struct op *op)
{
    uint32_t point = plan_point_index(world->spec, op->point);
    if (point != DAVY_NONE && davy_decoder_reset(world->decoder, point) == 0)
        oracle_release(&world->oracle, op->point);
}

/* A step that is seen as one has all memories told anew: how old they are is counted from behind it. */
static void step_clock(struct world *world, const struct op *op)
{
    oracle_stepped(&world->oracle);
    if (op->wall_ms > 1000 || op->wall_ms < -1000)
        world_tell_all(world);
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
    case OP_RELEASE:
        release(world, op);
        break;
    case OP_INHIBIT:
        inhibit(world, op);
        break;
    case OP_RELOAD:
        world_reload(world, op);
        break;
    case OP_CLOCK:
        world->wall.ns += op->wall_ms * DAVY_NS_PER_MS;
        step_clock(world, op);
        break;
    case OP_LEDGER:
        world_begin_ledger(world);
        break;
    case OP_RESTART:
        world_restart(world, op);
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
        unsigned slot = world_slot_of_subject(world->spec, &view.subject);
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
    return j < plan->op_count && world_lost_by(plan, j) == j - i;
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
    world_make_engine(world);
    davy_engine_start(world->engine, world_stamp_at(world, 0), true);
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
    ret_verdict->held_over = world->oracle.held_over;
    ret_verdict->jumps = world->oracle.jumps;
    memcpy(ret_verdict->tallies, world->oracle.tallies, sizeof ret_verdict->tallies);
    davy_ledger_rollback(place->ledger);
    world_drop_engine(world);
    free(world->memories);
    free(world->readings);
    free(world->raises);
    free(world);
}
