/* SPDX-License-Identifier: Apache-2.0 */
/* A version of the plant as the configuration that the gateway runs, the registers of a poll, and both as text. */
#include <math.h>
#include <string.h>

#include "evaluate/engine.h"
#include "false_clear_plan.h"

static davy_span ms(int64_t value)
{
    return (davy_span){value * DAVY_NS_PER_MS};
}

/* ---- numbers of things ---- */

uint32_t plan_device_index(const struct plant_spec *spec, unsigned device)
{
    uint32_t index = 0;
    for (unsigned d = 0; d < device; d++)
        index += spec->devices[d].present;
    return spec->devices[device].present ? index : DAVY_NONE;
}

uint32_t plan_point_index(const struct plant_spec *spec, unsigned point)
{
    uint32_t device = plan_device_index(spec, point / PLAN_PER_DEVICE);
    return device == DAVY_NONE ? DAVY_NONE : device * PLAN_PER_DEVICE + point % PLAN_PER_DEVICE;
}

unsigned plan_device_of(const struct plant_spec *spec, uint32_t index)
{
    unsigned d = 0;
    while (d < PLAN_DEVICES && (!spec->devices[d].present || index-- > 0))
        d++;
    return d;
}

unsigned plan_point_of(const struct plant_spec *spec, uint32_t index)
{
    return plan_device_of(spec, index / PLAN_PER_DEVICE) * PLAN_PER_DEVICE + index % PLAN_PER_DEVICE;
}

unsigned plan_rule_of(const struct plant_spec *spec, uint32_t index)
{
    unsigned r = 0;
    while (r < PLAN_RULES && (!spec->rules[r].present || index-- > 0))
        r++;
    return r;
}

/* ---- the configuration ---- */

static const struct davy_status statuses[] = {
    {DAVY_TABLE_HOLDING, PLAN_WORDS - 1, STATUS_FAULT, 0, false, DAVY_MEANS_FAULT},
    {DAVY_TABLE_HOLDING, PLAN_WORDS - 1, STATUS_WARM_UP, 0, false, DAVY_MEANS_WARM_UP},
    {DAVY_TABLE_HOLDING, PLAN_WORDS - 1, STATUS_CALIBRATION, 0, false, DAVY_MEANS_CALIBRATION},
    {DAVY_TABLE_HOLDING, PLAN_WORDS - 1, STATUS_OVER_RANGE, 0, false, DAVY_MEANS_OVER_RANGE},
    {DAVY_TABLE_HOLDING, PLAN_WORDS - 1, STATUS_MAINTENANCE, 0, false, DAVY_MEANS_MAINTENANCE},
};

static const char *const device_names[PLAN_DEVICES] = {"D0", "D1", "D2"};
static const char *const point_names[PLAN_PER_DEVICE] = {"p0", "p1"};
static const char *const rule_names[PLAN_RULES] = {"r0", "r1", "r2"};
static const char *const fault_names[PLAN_RULES] = {"r0.fault", "r1.fault", "r2.fault"};

static uint64_t sentinel_bits(void)
{
    const float value = (float)PLAN_SENTINEL;
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static void add_point(struct davy_config *config, const struct device_spec *spec, uint32_t device, unsigned k)
{
    uint64_t *bad = davy_config_alloc(config, 1, sizeof *bad);
    *bad = sentinel_bits();
    config->points[config->point_count++] = (struct davy_point){.name = point_names[k],
                                                                .device = device,
                                                                .zone = config->devices[device].zone,
                                                                .kind = DAVY_KIND_GAS,
                                                                .quantity = "H2S",
                                                                .unit = "ppm",
                                                                .table = DAVY_TABLE_HOLDING,
                                                                .address = (uint16_t)(2 * k),
                                                                .type = DAVY_TYPE_FLOAT32,
                                                                .scale = spec->scale,
                                                                .has_range = true,
                                                                .low = PLAN_LOW,
                                                                .high = PLAN_HIGH,
                                                                .over_range_latch = spec->latches >> k & 1,
                                                                .max_rate = spec->max_rate,
                                                                .bad_values = bad,
                                                                .bad_value_count = 1,
                                                                .interval = ms(1000),
                                                                .max_age = ms(spec->max_age_ms)};
}

static void add_request(struct davy_config *config, uint32_t device)
{
    uint32_t *points = davy_config_alloc(config, PLAN_PER_DEVICE, sizeof *points);
    for (uint32_t k = 0; k < PLAN_PER_DEVICE; k++)
        points[k] = device * PLAN_PER_DEVICE + k;
    config->requests[config->request_count++] = (struct davy_request){.device = device,
                                                                      .table = DAVY_TABLE_HOLDING,
                                                                      .count = PLAN_WORDS,
                                                                      .interval = ms(1000),
                                                                      .points = points,
                                                                      .point_count = PLAN_PER_DEVICE};
}

static void add_device(struct davy_config *config, const struct device_spec *spec, unsigned d)
{
    uint32_t device = (uint32_t)config->device_count++;
    config->devices[device] = (struct davy_device){.id = device_names[d],
                                                   .name = device_names[d],
                                                   .zone = plan_zone(d),
                                                   .unit = (uint8_t)(d + 1),
                                                   .interval = ms(1000),
                                                   .settle = spec->settle,
                                                   .enabled = true,
                                                   .status = statuses,
                                                   .status_count = sizeof statuses / sizeof statuses[0],
                                                   .first_point = device * PLAN_PER_DEVICE,
                                                   .point_count = PLAN_PER_DEVICE};
    for (unsigned k = 0; k < PLAN_PER_DEVICE; k++)
        add_point(config, spec, device, k);
    add_request(config, device);
}

static struct davy_limit limit_of(const struct limit_spec *spec)
{
    return (struct davy_limit){.level = spec->level,
                               .condition = spec->condition,
                               .a = spec->a,
                               .b = spec->b,
                               .deadband = spec->deadband,
                               .on_delay = ms(spec->on_ms),
                               .off_delay = ms(spec->off_ms),
                               .latch = spec->latch,
                               .acknowledge = spec->acknowledge,
                               .trip_on_fault = spec->trip_on_fault,
                               .shelvable = spec->shelvable,
                               .upper = spec->upper};
}

static void add_when(struct davy_config *config, const struct plant_spec *plant, const struct rule_spec *spec,
                     struct davy_rule *rule)
{
    uint32_t *points = davy_config_alloc(config, rule->point_count, sizeof *points);
    for (size_t i = 0; i < rule->point_count; i++)
        points[i] = plan_point_index(plant, spec->when_point);
    rule->when = (struct davy_when){
        .points = points, .condition = spec->when_condition, .value = spec->when_value, .hold = ms(spec->when_hold_ms)};
}

static void add_steps(struct davy_config *config, const struct rule_spec *spec, struct davy_rule *rule)
{
    struct davy_step *steps = davy_config_alloc(config, PLAN_STEPS, sizeof *steps);
    for (unsigned s = 0; s < spec->step_count; s++)
        steps[s] = (struct davy_step){.after = ms(spec->steps[s].after_ms),
                                      .unless_cleared = spec->steps[s].unless_cleared,
                                      .level = spec->steps[s].level};
    rule->steps = steps;
    rule->step_count = spec->step_count;
}

static uint32_t rule_index(const struct plant_spec *plant, unsigned rule)
{
    uint32_t index = 0;
    for (unsigned r = 0; r < rule; r++)
        index += plant->rules[r].present;
    return index;
}

static void add_options(struct davy_config *config, const struct plant_spec *plant, const struct rule_spec *spec,
                        struct davy_rule *rule)
{
    rule->options = (struct davy_measure_options){.rule = DAVY_NONE};
    if (spec->measure == DAVY_MEASURE_VALUE)
        return;
    rule->options = (struct davy_measure_options){.window = ms(spec->window_ms),
                                                  .coverage = 0.75,
                                                  .per = ms(spec->per_ms),
                                                  .horizon = ms(spec->horizon_ms),
                                                  .epsilon = spec->epsilon,
                                                  .rule = DAVY_NONE};
    if (spec->measure == DAVY_MEASURE_OCCURRENCES)
        rule->options.rule = rule_index(plant, spec->counted);
    if (spec->measure != DAVY_MEASURE_DIFFERENCE)
        return;
    uint32_t *others = davy_config_alloc(config, rule->point_count, sizeof *others);
    for (size_t i = 0; i < rule->point_count; i++)
        others[i] = plan_point_index(plant, spec->other);
    rule->options.others = others;
}

static void add_rule(struct davy_config *config, const struct plant_spec *plant, unsigned r)
{
    const struct rule_spec *spec = &plant->rules[r];
    struct davy_rule *rule = &config->rules[config->rule_count++];
    struct davy_limit *limits = davy_config_alloc(config, PLAN_LIMITS, sizeof *limits);
    uint32_t *points = davy_config_alloc(config, PLAN_POINTS, sizeof *points);
    *rule = (struct davy_rule){.name = rule_names[r],
                               .measure = spec->measure,
                               .vote = spec->vote,
                               .fault_name = spec->vote ? fault_names[r] : NULL,
                               .on_bad = spec->on_bad,
                               .limits = limits,
                               .limit_count = spec->limit_count,
                               .points = points};
    for (unsigned i = 0; i < spec->limit_count; i++)
        limits[i] = limit_of(&spec->limits[i]);
    for (unsigned p = 0; p < PLAN_POINTS; p++)
        if (spec->points >> p & 1 && plan_point_index(plant, p) != DAVY_NONE)
            points[rule->point_count++] = plan_point_index(plant, p);
    add_options(config, plant, spec, rule);
    if (spec->has_when)
        add_when(config, plant, spec, rule);
    add_steps(config, spec, rule);
}

static void add_places(struct davy_config *config, const struct plant_spec *spec)
{
    config->buses = davy_config_alloc(config, 1, sizeof *config->buses);
    config->buses[config->bus_count++] =
        (struct davy_bus){.name = "bus", .type = DAVY_BUS_TCP, .fault_delay = ms(spec->fault_delay_ms)};
    config->zones = davy_config_alloc(config, 2, sizeof *config->zones);
    config->zones[config->zone_count++] = (struct davy_zone){.id = "Z0", .name = "Z0"};
    config->zones[config->zone_count++] = (struct davy_zone){.id = "Z1", .name = "Z1"};
}

struct davy_config *plan_config(const struct plant_spec *spec, uint32_t generation)
{
    struct davy_config *config = davy_config_new();
    config->generation = generation;
    config->gateway = (struct davy_gateway){.id = "edge", .site = "plant"};
    add_places(config, spec);
    config->devices = davy_config_alloc(config, PLAN_DEVICES, sizeof *config->devices);
    config->points = davy_config_alloc(config, PLAN_POINTS, sizeof *config->points);
    config->requests = davy_config_alloc(config, PLAN_DEVICES, sizeof *config->requests);
    config->rules = davy_config_alloc(config, PLAN_RULES, sizeof *config->rules);
    for (unsigned d = 0; d < PLAN_DEVICES; d++)
        if (spec->devices[d].present)
            add_device(config, &spec->devices[d], d);
    for (unsigned r = 0; r < PLAN_RULES; r++)
        if (spec->rules[r].present)
            add_rule(config, spec, r);
    return config;
}

/* ---- registers ---- */

static float raw_number(const struct op *op, unsigned k)
{
    static const float others[RAW_COUNT_] = {
        [RAW_NAN] = NAN, [RAW_INFINITE] = -INFINITY, [RAW_SUBNORMAL] = 1e-40F, [RAW_SENTINEL] = (float)PLAN_SENTINEL};
    return op->raw[k] == RAW_NUMBER ? (float)op->number[k] : others[op->raw[k]];
}

void plan_words(const struct op *op, uint16_t words[PLAN_WORDS])
{
    for (unsigned k = 0; k < PLAN_PER_DEVICE; k++) {
        float number = raw_number(op, k);
        uint32_t bits;
        memcpy(&bits, &number, sizeof bits);
        words[2 * k] = (uint16_t)(bits >> 16);
        words[2 * k + 1] = (uint16_t)bits;
    }
    words[PLAN_WORDS - 1] = (uint16_t)op->status;
}

/* ---- text ---- */

static const char *const verb_names[DAVY_COMMAND_COUNT_] = {"ack",      "reset",          "shelve",
                                                            "unshelve", "out-of-service", "in-service"};
static const char *const answer_names[DAVY_ANSWER_COUNT_] = {"ok", "exception", "timeout", "invalid", "down"};
static const char *const raw_names[RAW_COUNT_] = {"", "NaN", "-inf", "subnormal", "sentinel"};

static void print_limit(const struct limit_spec *limit, FILE *out)
{
    fprintf(out, "    %s%s %s %g", davy_level_name(limit->level), limit->upper ? " (upper bound)" : "",
            davy_condition_name(limit->condition), limit->a);
    if (limit->condition == DAVY_CONDITION_OUTSIDE)
        fprintf(out, "..%g", limit->b);
    fprintf(out, " deadband %g on_delay %g s off_delay %g s%s%s%s%s\n", limit->deadband, limit->on_ms / 1e3,
            limit->off_ms / 1e3, limit->latch ? " latch" : "", limit->acknowledge ? "" : " acknowledge=false",
            limit->trip_on_fault ? " on_fault=trip" : "", limit->shelvable ? "" : " not shelvable");
}

static void print_points(unsigned points, FILE *out)
{
    for (unsigned p = 0; p < PLAN_POINTS; p++)
        if (points >> p & 1)
            fprintf(out, " D%u.p%u", p / PLAN_PER_DEVICE, p % PLAN_PER_DEVICE);
}

static void print_options(const struct rule_spec *rule, FILE *out)
{
    switch ((int)rule->measure) {
    case DAVY_MEASURE_VALUE:
        break;
    case DAVY_MEASURE_STUCK:
        fprintf(out, " within %g", rule->epsilon);
        break;
    case DAVY_MEASURE_DIFFERENCE:
        fprintf(out, " to D%u.p%u", rule->other / PLAN_PER_DEVICE, rule->other % PLAN_PER_DEVICE);
        break;
    case DAVY_MEASURE_OCCURRENCES:
        fprintf(out, " of r%u over %g s", rule->counted, rule->window_ms / 1e3);
        break;
    default:
        fprintf(out, " over %g s (per %g s, %g s ahead)", rule->window_ms / 1e3, rule->per_ms / 1e3,
                rule->horizon_ms / 1e3);
        break;
    }
}

static void print_rule(const struct rule_spec *rule, unsigned r, FILE *out)
{
    static const char *const on_bad[] = {"degrade", "trip", "abstain"};
    fprintf(out, "  rule r%u: %s", r, davy_measure_name(rule->measure));
    print_options(rule, out);
    fprintf(out, " of");
    print_points(rule->points, out);
    if (rule->vote)
        fprintf(out, ", vote %u, on_bad %s", rule->vote, on_bad[rule->on_bad]);
    if (rule->has_when)
        fprintf(out, ", when D%u.p%u %s %g for %g s", rule->when_point / PLAN_PER_DEVICE,
                rule->when_point % PLAN_PER_DEVICE, davy_condition_name(rule->when_condition), rule->when_value,
                rule->when_hold_ms / 1e3);
    for (unsigned s = 0; s < rule->step_count; s++)
        fprintf(out, ", step %u after %g s%s %s", s + 1, rule->steps[s].after_ms / 1e3,
                rule->steps[s].unless_cleared ? " unless cleared" : "",
                rule->steps[s].level ? davy_level_name(rule->steps[s].level) : "");
    fprintf(out, "\n");
    for (unsigned i = 0; i < rule->limit_count; i++)
        print_limit(&rule->limits[i], out);
}

static void print_plant(const struct plant_spec *spec, unsigned version, FILE *out)
{
    fprintf(out, "version %u: fault_delay %g s\n", version, spec->fault_delay_ms / 1e3);
    for (unsigned d = 0; d < PLAN_DEVICES; d++)
        if (spec->devices[d].present)
            fprintf(out, "  D%u: settle %d max_age %g s scale %g latches %u max_rate %g\n", d, spec->devices[d].settle,
                    spec->devices[d].max_age_ms / 1e3, spec->devices[d].scale, spec->devices[d].latches,
                    spec->devices[d].max_rate);
    for (unsigned r = 0; r < PLAN_RULES; r++)
        if (spec->rules[r].present)
            print_rule(&spec->rules[r], r, out);
}

static void print_read(const struct op *op, FILE *out)
{
    fprintf(out, "read D%u %s", op->device, answer_names[op->answer]);
    for (unsigned k = 0; op->answer == DAVY_ANSWER_OK && k < PLAN_PER_DEVICE; k++)
        if (op->raw[k] == RAW_NUMBER)
            fprintf(out, " %g", op->number[k]);
        else
            fprintf(out, " %s", raw_names[op->raw[k]]);
    if (op->answer == DAVY_ANSWER_OK && op->status)
        fprintf(out, " status %u", op->status);
}

static void print_act(const struct op *op, FILE *out)
{
    fprintf(out, "%s r%u", verb_names[op->verb], op->rule);
    if (op->point < PLAN_POINTS)
        fprintf(out, ":D%u.p%u", op->point / PLAN_PER_DEVICE, op->point % PLAN_PER_DEVICE);
    if (op->verb == DAVY_COMMAND_SHELVE)
        fprintf(out, " for %g s", op->duration_ms / 1e3);
}

void plan_print_op(const struct op *op, int64_t at, FILE *out)
{
    fprintf(out, "%10.3f ", (double)at / 1e3);
    switch ((int)op->kind) {
    case OP_READ:
        print_read(op, out);
        break;
    case OP_COMMAND:
        print_act(op, out);
        break;
    case OP_RELEASE:
        fprintf(out, "reset D%u.p%u", op->point / PLAN_PER_DEVICE, op->point % PLAN_PER_DEVICE);
        break;
    case OP_INHIBIT:
        fprintf(out, "inhibit D%u for %g s", op->device, op->duration_ms / 1e3);
        break;
    case OP_RELOAD:
        fprintf(out, "reload version %u", op->version);
        break;
    case OP_CLOCK:
        fprintf(out, "the wall clock steps by %g s", (double)op->wall_ms / 1e3);
        break;
    case OP_RESTART:
        fprintf(out, "killed for %g s%s, wall clock %+g s, version %u, the last %u of these lost", op->down_ms / 1e3,
                op->reboot ? ", rebooted" : "", (double)op->wall_ms / 1e3, op->version, op->lose);
        break;
    case OP_LEDGER:
        fprintf(out, "the ledger is begun anew");
        break;
    default:
        fprintf(out, "nothing");
        break;
    }
    fprintf(out, "\n");
}

void plan_print(const struct plan *plan, FILE *out)
{
    bool used[PLAN_VERSIONS] = {true};
    int64_t t = 0;
    for (unsigned i = 0; i < plan->op_count; i++)
        if (plan->ops[i].kind == OP_RELOAD || plan->ops[i].kind == OP_RESTART)
            used[plan->ops[i].version] = true;
    for (unsigned v = 0; v < PLAN_VERSIONS; v++)
        if (used[v])
            print_plant(&plan->versions[v], v, out);
    for (unsigned i = 0; i < plan->op_count; i++) {
        t += plan->ops[i].delay_ms;
        plan_print_op(&plan->ops[i], t, out);
        t += plan->ops[i].kind == OP_RESTART ? plan->ops[i].down_ms : 0;
    }
}
