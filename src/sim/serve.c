/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/serve.h"

#include "sim/device.h"

/* A reply on its way out. */
struct reply {
    struct davy_sim_effect effect;
    const struct davy_sim_frame *frame;
    const struct davy_sim_device *device; /* NULL: nobody has that unit */
    uint8_t pdu[DAVY_SIM_PDU_MAX];
    size_t pdu_length;
    uint8_t adu[DAVY_SIM_ADU_MAX];
    size_t length;
};

static bool has(const struct reply *r, enum davy_sim_fault_kind kind)
{
    return davy_sim_effect_has(&r->effect, kind);
}

/* Plant time as the device sees it: frozen values stay those of the moment. */
static double time_of(struct davy_sim *sim, struct davy_sim_device *device)
{
    if (davy_sim_faults_is_on(&device->faults, DAVY_SIM_FAULT_FREEZE, sim->t_s))
        return device->faults.frozen_at_s;
    if (davy_sim_faults_is_on(&device->line->faults, DAVY_SIM_FAULT_FREEZE, sim->t_s))
        return device->line->faults.frozen_at_s;
    return sim->t_s;
}

static void broadcast(struct davy_sim *sim, struct davy_sim_line *line, const struct davy_sim_frame *frame)
{
    uint8_t ignored[DAVY_SIM_PDU_MAX];
    for (int unit = 1; unit < 256; unit++)
        if (line->by_unit[unit])
            davy_sim_device_answer(line->by_unit[unit], sim->t_s, frame->pdu, frame->pdu_length, ignored);
}

static void answer(struct davy_sim *sim, struct davy_sim_device *device, struct reply *r, int unknown_exception)
{
    uint8_t function = r->frame->pdu[0];
    if (device)
        r->pdu_length =
            davy_sim_device_answer(device, time_of(sim, device), r->frame->pdu, r->frame->pdu_length, r->pdu);
    else if (unknown_exception != 0)
        r->pdu_length = davy_sim_exception(function, unknown_exception, r->pdu);
    if (r->pdu_length > 0 && has(r, DAVY_SIM_FAULT_EXCEPTION))
        r->pdu_length = davy_sim_exception(function, r->effect.arg[DAVY_SIM_FAULT_EXCEPTION], r->pdu);
}

static void wrap(const struct davy_sim_line *line, struct reply *r)
{
    uint8_t unit = r->frame->unit;
    uint16_t transaction = r->frame->transaction;
    if (has(r, DAVY_SIM_FAULT_WRONG_FUNCTION))
        r->pdu[0] = (uint8_t)((r->pdu[0] & 0x80) | ((r->pdu[0] & 0x7F) == 4 ? 3 : 4));
    if (has(r, DAVY_SIM_FAULT_WRONG_UNIT))
        unit = (uint8_t)(unit == 247 ? 1 : unit + 1);
    if (has(r, DAVY_SIM_FAULT_WRONG_TRANSACTION))
        transaction = (uint16_t)(transaction + 1);
    r->length = line->type == DAVY_BUS_TCP ? davy_sim_frame_wrap_tcp(r->adu, transaction, unit, r->pdu, r->pdu_length)
                                           : davy_sim_frame_wrap_rtu(r->adu, unit, r->pdu, r->pdu_length);
}

/* What spoils bytes without knowing what they mean. */
static void spoil(struct davy_sim *sim, struct reply *r)
{
    if (has(r, DAVY_SIM_FAULT_CRC))
        r->adu[r->length - 1] ^= 0x55;
    if (has(r, DAVY_SIM_FAULT_GARBAGE)) {
        size_t length = (size_t)r->effect.arg[DAVY_SIM_FAULT_GARBAGE];
        r->length = length > 0 ? length : r->length;
        for (size_t i = 0; i < r->length; i++)
            r->adu[i] = (uint8_t)davy_random_next(&sim->random);
    }
    if (has(r, DAVY_SIM_FAULT_TRUNCATE)) {
        size_t length = (size_t)r->effect.arg[DAVY_SIM_FAULT_TRUNCATE];
        length = length > 0 ? length : r->length / 2;
        r->length = length < r->length ? length : r->length;
    }
}

static int64_t drip_ns(const struct reply *r)
{
    return has(r, DAVY_SIM_FAULT_DRIP) ? r->effect.arg[DAVY_SIM_FAULT_DRIP] * DAVY_NS_PER_MS : 0;
}

static davy_span turn_around(const struct reply *r)
{
    int64_t late = has(r, DAVY_SIM_FAULT_LATE) ? r->effect.arg[DAVY_SIM_FAULT_LATE] * DAVY_NS_PER_MS : 0;
    return (davy_span){(r->device ? r->device->turnaround.ns : 0) + late};
}

/* On a line without a speed. */
static void hand_over(struct davy_sim *sim, struct davy_sim_channel *channel, const struct reply *r)
{
    davy_span delay = turn_around(r);
    size_t portion = drip_ns(r) > 0 ? 1 : r->length;
    for (size_t i = 0; i < r->length; i += portion) {
        davy_sim_channel_send(sim, channel, &r->adu[i], portion, delay);
        delay.ns += drip_ns(r);
    }
}

/*
 * Each portion is there when the last bit of its last byte is; the first byte is one of its own, so that its reader can
 * tell how long the device took. returns the last bit of the reply.
 */
static davy_mono transmit(struct davy_sim *sim, struct davy_sim_channel *channel, const struct reply *r,
                          davy_mono start)
{
    const struct davy_sim_wire *wire = &channel->line->wire;
    int64_t step = wire->character.ns + drip_ns(r);
    davy_mono end = davy_mono_add(start, (davy_span){wire->character.ns + (int64_t)(r->length - 1) * step});
    size_t portion = 1;
    for (size_t done = 0; done < r->length; done += portion) {
        portion = done == 0 || drip_ns(r) > 0 ? 1 : davy_sim_wire_portion(wire);
        portion = portion < r->length - done ? portion : r->length - done;
        davy_mono due = davy_mono_add(start, (davy_span){wire->character.ns + (int64_t)(done + portion - 1) * step});
        bool begins = done == 0 && channel->line->type == DAVY_BUS_RTU;
        davy_sim_postpone(sim, channel, due, begins ? end : (davy_mono){0}, &r->adu[done], portion);
    }
    return end;
}

/* The master of a line behind a connection is the gateway: it sends the request now, or after what it still does. */
static void emit_timed(struct davy_sim *sim, struct davy_sim_channel *channel, const struct reply *r, int copies)
{
    struct davy_sim_wire *wire = &channel->line->wire;
    bool gateway = channel->line->type != DAVY_BUS_RTU;
    if (gateway)
        (void)davy_sim_wire_hear(wire, sim->now, r->frame->length, false); /* it keeps the order by itself */
    davy_mono at = davy_sim_wire_turn(wire, turn_around(r));
    for (; copies > 0; copies--)
        at = transmit(sim, channel, r, at);
    if (gateway)
        wire->asked_until = davy_mono_add(at, wire->silence);
}

static void emit(struct davy_sim *sim, struct davy_sim_channel *channel, const struct reply *r)
{
    int copies = has(r, DAVY_SIM_FAULT_DUPLICATE) ? 2 : 1;
    if (davy_sim_wire_is_timed(&channel->line->wire)) {
        emit_timed(sim, channel, r, copies);
        return;
    }
    for (; copies > 0; copies--)
        hand_over(sim, channel, r);
}

void davy_sim_serve(struct davy_sim *sim, struct davy_sim_channel *channel, const struct davy_sim_frame *frame)
{
    struct davy_sim_line *line = channel->line;
    struct davy_sim_device *device = line->by_unit[frame->unit];
    line->stats.requests++;
    if (frame->unit == 0 && line->type != DAVY_BUS_TCP) {
        broadcast(sim, line, frame);
        return;
    }
    struct reply r;
    r.effect.kinds = 0;
    r.frame = frame;
    r.device = device;
    r.pdu_length = 0;
    davy_sim_faults_draw(&line->faults, sim->t_s, &sim->random, &r.effect);
    if (device)
        davy_sim_faults_draw(&device->faults, sim->t_s, &sim->random, &r.effect);
    answer(sim, device, &r, line->unknown_exception);
    if (r.pdu_length == 0)
        return;
    line->stats.faults += r.effect.kinds != 0;
    if (has(&r, DAVY_SIM_FAULT_DISCONNECT))
        davy_sim_channel_break(sim, channel, davy_span_ms(r.effect.arg[DAVY_SIM_FAULT_DISCONNECT]));
    if (has(&r, DAVY_SIM_FAULT_DISCONNECT) || has(&r, DAVY_SIM_FAULT_TIMEOUT))
        return;
    line->stats.replies++;
    line->stats.exceptions += (r.pdu[0] & 0x80) != 0;
    wrap(line, &r);
    spoil(sim, &r);
    emit(sim, channel, &r);
}
