/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/wire.h"

/* Modbus over Serial Line V1.02, 2.5.1.1: 3.5 characters, above 19200 baud fixed. */
#define FAST_BAUD       19200
#define FAST_SILENCE_NS (1750 * DAVY_NS_PER_US)

#define PORTION_NS (1 * DAVY_NS_PER_MS)

struct davy_sim_wire davy_sim_wire_make(int baud, int bits_per_byte)
{
    struct davy_sim_wire wire = {.character.ns = 0};
    if (baud <= 0)
        return wire;
    wire.character.ns = bits_per_byte * DAVY_NS_PER_S / baud;
    wire.silence.ns = baud > FAST_BAUD ? FAST_SILENCE_NS : wire.character.ns * 7 / 2;
    return wire;
}

davy_span davy_sim_wire_time(const struct davy_sim_wire *wire, size_t count)
{
    return (davy_span){(int64_t)count * wire->character.ns};
}

static davy_mono later(davy_mono a, davy_mono b)
{
    return a.ns > b.ns ? a : b;
}

static enum davy_sim_wire_verdict judge(const struct davy_sim_wire *wire, davy_mono now, bool begins)
{
    davy_mono busy_until = later(wire->asked_until, wire->replied_until);
    if (now.ns < wire->replied_until.ns)
        return DAVY_SIM_WIRE_COLLISION;
    bool early = begins && busy_until.ns != 0 && now.ns < davy_mono_add(busy_until, wire->silence).ns;
    return early ? DAVY_SIM_WIRE_EARLY : DAVY_SIM_WIRE_CLEAN;
}

enum davy_sim_wire_verdict davy_sim_wire_hear(struct davy_sim_wire *wire, davy_mono now, size_t count, bool begins)
{
    enum davy_sim_wire_verdict verdict = judge(wire, now, begins);
    wire->asked_until = davy_mono_add(later(now, wire->asked_until), davy_sim_wire_time(wire, count));
    return verdict;
}

bool davy_sim_wire_is_asking(const struct davy_sim_wire *wire, davy_mono now)
{
    return now.ns < wire->asked_until.ns;
}

davy_mono davy_sim_wire_turn(const struct davy_sim_wire *wire, davy_span turn_around)
{
    return davy_mono_add(wire->asked_until, turn_around.ns > wire->silence.ns ? turn_around : wire->silence);
}

enum davy_sim_wire_verdict davy_sim_wire_reply(struct davy_sim_wire *wire, davy_mono now, davy_mono until)
{
    bool busy = davy_sim_wire_is_asking(wire, now) || now.ns < wire->replied_until.ns;
    wire->replied_until = later(wire->replied_until, until);
    return busy ? DAVY_SIM_WIRE_COLLISION : DAVY_SIM_WIRE_CLEAN;
}

size_t davy_sim_wire_portion(const struct davy_sim_wire *wire)
{
    int64_t count = PORTION_NS / wire->character.ns;
    return count > 1 ? (size_t)count : 1;
}
