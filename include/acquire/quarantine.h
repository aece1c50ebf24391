/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Devices that do not answer, or are slow, and how much of a connection's time they may cost the others. Pure but for
 * its memory. Thread: one caller.
 *
 * A device that missed is not read at its raster any more but probed: after its interval (1 s at most), from the third
 * miss in a row on after 1 s, 2 s, 4 s, then every 5 s; where nobody answers, every 2 s. Probes and retries that are
 * not answered are paid, with the time that they took, from an account that grows by a tenth of the time that passes
 * and holds at most max(retries, 1) × C, C being the longest miss of the devices here: max(timeout, max_reply) on a
 * line, timeout on TCP. What is answered is free, as is a probe that ends before the next poll is due. Nothing is begun
 * on an account that is not positive, but for retries of a device that has answered until now and misses seldom, which
 * may overdraw it by C; and no probe of a device in quarantine on one that does not hold the whole of its miss. Else
 * dead devices would have all of it, and a single damaged reply of a healthy one would hide that for 10 C and more.
 * What missed once, and does so seldom, is probed first, then the device that waits longest. A device that
 * misses more than one poll in seven, by a moving mean, pays for each miss, and while the account is empty it waits in
 * that line too.
 *
 * Where many devices miss now and then and answer again, or half of them often, the line is bad and nobody is to be
 * protected from anybody: then only those that missed three times in a row are silent, and retries are free.
 *
 * The bound, where it is not so: in any time T in which d devices fall silent, all that does not answer and is not free
 * takes at most
 *     d × C + (max(retries, 1) + 1) × C + min(1, (d - 1) × retries) × C + T / 10
 * of it, a probe that the adapter encloses by others (acquire/bus.h) counting as it took, where it is the last one. The
 * first term is the first miss of each, that nobody can foresee. Each poll of the others is late by at most that; once
 * it is caught up with, they lose a tenth of the time. A device that is back is seen within 5 s and one exchange, or
 * within
 * 10 C × (devices silent) where that is longer. One that missed often and has answered each time since, be it a probe for
 * want of money, is read at its interval again after 15 answers at most; a read that it never answers is not held
 * against it.
 *
 * Several devices that come back together after a miss or two look like noise, for about six of their polls. Who falls
 * silent meanwhile takes up to (retries + 3) × C instead of its C: its three misses, the first with its retries.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "acquire/bus.h"
#include "acquire/pace.h"
#include "acquire/share.h"
#include "base/attr.h"
#include "base/clock.h"
#include "model/config.h"

struct davy_patient {
    uint32_t device;
    unsigned misses; /* in a row */
    bool told;       /* the third one was: it is in quarantine */
    davy_span first; /* period of the first probes */
    davy_span cost;  /* longest that a miss of it takes */
    davy_span period;
    davy_mono probe_at;
    uint32_t probed;         /* request that was last asked; DAVY_NONE */
    enum davy_answer answer; /* how it last failed: told from memory */
    uint8_t exception;
    bool slow;
    bool flapping;      /* misses more than one poll in seven */
    bool queued;        /* and its turn waits among the probes */
    bool glitchy;       /* lately missed and then answered */
    int64_t glitches;   /* moving mean, of 1000: polls that were answered after a miss */
    int64_t miss_share; /* moving mean, of 1000 */
    int64_t mean_ns;    /* moving mean of what its exchanges took */
    int64_t planned_ns; /* and of what they should take */
    struct davy_pace turn_around;
    bool shown; /* its figures are with the others' (struct davy_poller_device) */
};

struct davy_quarantine {
    const struct davy_config *config; /* not a reference: outlives this */
    struct davy_patient *patients;    /* every device of the share, by index of device */
    size_t count;
    size_t sick;     /* with a miss */
    size_t isolated; /* with three or more */
    size_t glitchy;  /* that miss now and then, but not often */
    size_t flapping; /* that miss often, and answer in between */
    int64_t credit_ns;
    int64_t credit_max_ns;
    int64_t debt_max_ns; /* what retries of those that answered until now may overdraw it by */
    davy_mono credited;
};

#define DAVY_QUARANTINE_INIT ((struct davy_quarantine){.patients = NULL})

/* 0 or -ENOMEM. */
int davy_quarantine_init(struct davy_quarantine *quarantine, const struct davy_config *config,
                         const struct davy_share *share, davy_mono now) DAVY_MUST_CHECK;

/* Take over from `old` what is known of devices that stayed (by id and unit number), and the account. */
void davy_quarantine_keep(struct davy_quarantine *quarantine, const struct davy_quarantine *old);

/* Repeatable. */
void davy_quarantine_done(struct davy_quarantine *quarantine);

/* What is known of a device of the share; NULL for others. */
struct davy_patient *davy_quarantine_find(const struct davy_quarantine *quarantine, uint32_t device);

/* True when it is only probed, or misses often and cannot pay (then it gets into the line): told from memory. */
bool davy_quarantine_is_silent(struct davy_quarantine *quarantine, uint32_t device, davy_mono now);

/* The device whose probe is due and paid for, or that is done before `next`, the next poll; DAVY_NONE. */
uint32_t davy_quarantine_probe(struct davy_quarantine *quarantine, davy_mono now, davy_mono next);

/* When davy_quarantine_probe() may give one, if no poll were due; DAVY_MONO_NEVER: nobody is sick. */
davy_mono davy_quarantine_next(const struct davy_quarantine *quarantine);

/* Whether the account allows something that others have to wait for. */
bool davy_quarantine_can_pay(struct davy_quarantine *quarantine, davy_mono now);

/* Take it from the account. */
void davy_quarantine_pay(struct davy_quarantine *quarantine, davy_span cost, davy_mono now);

/* Whether a miss of a poll of it is to be paid: of a retry, and where it misses often of the first try too. */
bool davy_quarantine_pays(const struct davy_quarantine *quarantine, uint32_t device, bool retry);

/* Whether a poll of it that was not answered may be tried again at once. */
bool davy_quarantine_may_retry(struct davy_quarantine *quarantine, uint32_t device, davy_mono now);

/*
 * It answered.
 * missed    only when it was tried again
 * returns   true when that ended its quarantine
 */
bool davy_quarantine_answer(struct davy_quarantine *quarantine, uint32_t device, bool missed);

/* It did not, or a gateway says so for it. Returns true when that began its quarantine. */
bool davy_quarantine_miss(struct davy_quarantine *quarantine, uint32_t device, const struct davy_bus_reply *reply,
                          davy_mono now);

/*
 * A poll of it took so long, or the probe of one that is queued, which stands for its poll; no other probe.
 * planned   what it should take
 * returns   true when that changed whether it is slow: what is answered takes, on the average, more than 4 times as long
 *           as planned, and more than 50 ms
 */
bool davy_quarantine_note(struct davy_quarantine *quarantine, uint32_t device, davy_span took, davy_span planned,
                          bool missed);
