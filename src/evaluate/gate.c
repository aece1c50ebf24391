/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `when`: a rule applies only while its answer is true. The answer is true at first and changes when the new one has
 * held for `for`, either way; a reading that is not good counts as true (ARCHITECTURE.md, When a rule applies).
 */
#include <string.h>

#include "base/num.h"
#include "evaluate/internal.h"

/* Whether this reading says that the rule does not apply. */
static bool says_false(const struct davy_when *when, const struct davy_reading *reading)
{
    double value = reading->value;
    if (reading->quality != DAVY_QUALITY_GOOD || !reading->has_value)
        return false;
    if (when->condition == DAVY_CONDITION_ABOVE)
        return !(value >= when->value);
    if (when->condition == DAVY_CONDITION_BELOW)
        return !(value <= when->value);
    return value < when->value || value > when->value;
}

davy_mono davy_engine_gate_due(const struct gate *gate)
{
    return gate->pending ? davy_mono_add(gate->since, gate->when->hold) : DAVY_MONO_NEVER;
}

void davy_engine_expire_gate(struct alarm *alarm, davy_mono now)
{
    struct gate *gate = &alarm->gate;
    if (!gate->pending || davy_engine_gate_due(gate).ns > now.ns)
        return;
    gate->pending = false;
    gate->closed = !gate->closed;
    gate->flipped = !gate->flipped;
}

/* Returns whether anything changed. */
static bool answer(struct alarm *alarm, bool says_closed, davy_mono now)
{
    struct gate *gate = &alarm->gate;
    davy_span credit = gate->credit;
    gate->credit = (davy_span){0};
    if (says_closed == gate->closed) {
        bool was = gate->pending || credit.ns != 0;
        gate->pending = false;
        return was;
    }
    if (!gate->pending) {
        gate->pending = true;
        gate->since = (davy_mono){now.ns - (says_closed ? credit.ns : 0)};
    }
    davy_engine_expire_gate(alarm, now);
    return true;
}

void davy_engine_settle_gates(struct davy_engine *engine, const struct davy_reading *reading)
{
    for (uint32_t i = engine->gate_first[reading->point]; i < engine->gate_first[reading->point + 1]; i++) {
        uint32_t index = engine->gate_alarms[i];
        struct alarm *alarm = &engine->alarms[index];
        if (answer(alarm, says_false(alarm->gate.when, reading), reading->at.mono))
            davy_engine_touch(engine, index);
    }
}

bool davy_engine_gate_asks(const struct davy_config *config, const struct gate *gate)
{
    return gate->when && config->devices[config->points[gate->point].device].enabled;
}

/* FNV-1a, http://www.isthe.com/chongo/tech/comp/fnv/ */
static uint64_t hash(uint64_t sum, const void *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++)
        sum = (sum ^ ((const unsigned char *)bytes)[i]) * UINT64_C(0x100000001b3);
    return sum;
}

uint64_t davy_engine_gate_question(const struct davy_config *config, const struct gate *gate)
{
    char point[DAVY_KEY_SIZE], value[DAVY_NUM_TEXT];
    if (!gate->when)
        return 0;
    const char *condition = davy_condition_name(gate->when->condition);
    uint64_t sum = UINT64_C(0xcbf29ce484222325);
    davy_config_point_name(config, gate->point, point);
    davy_num_print(gate->when->value, value);
    sum = hash(sum, point, strlen(point) + 1);
    sum = hash(sum, condition, strlen(condition) + 1);
    return hash(sum, value, strlen(value)) >> 1 | 1; /* a positive number in JSON, and never 0 */
}

/* Whether both ask the same of the same point; for how long may differ. */
static bool same_question(const struct davy_config *from, const struct gate *a, const struct davy_config *to,
                          const struct gate *b)
{
    char left[DAVY_KEY_SIZE], right[DAVY_KEY_SIZE];
    return a->when && davy_engine_gate_asks(to, b) && a->when->condition == b->when->condition &&
           a->when->value <= b->when->value && a->when->value >= b->when->value &&
           strcmp(davy_config_point_name(from, a->point, left), davy_config_point_name(to, b->point, right)) == 0;
}

void davy_engine_carry_gate(struct davy_engine *old, const struct alarm *from, struct davy_engine *new,
                            struct alarm *to, davy_mono now)
{
    const struct gate *before = &from->gate;
    struct gate *gate = &to->gate;
    if (same_question(old->options.config, before, new->options.config, gate)) {
        gate->closed = before->closed;
        gate->pending = before->pending;
        gate->since = before->since;
        gate->credit = before->credit;
        davy_engine_expire_gate(to, now); /* `for` may be shorter now */
        return;
    }
    gate->closed = gate->pending = false;
    gate->flipped = before->closed; /* the rule applies again; judged with the reload */
    if (!davy_engine_gate_asks(new->options.config, gate))
        return;
    const struct davy_reading *newest = &new->newest[gate->point];
    const struct davy_point *point = &new->options.config->points[gate->point];
    if (newest->at.mono.ns == 0 || davy_mono_sub(now, newest->at.mono).ns > point->max_age.ns)
        return;
    if (!says_false(gate->when, newest))
        return;
    gate->pending = true;
    gate->since = now;
    davy_engine_expire_gate(to, now);
}
