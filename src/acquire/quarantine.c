/* SPDX-License-Identifier: Apache-2.0 */
#include "acquire/quarantine.h"

#include <errno.h>
#include <stdlib.h>

#define MISSES     3U
#define FIRST_NS   (1 * DAVY_NS_PER_S)
#define LONGEST_NS (5 * DAVY_NS_PER_S)
#define NOBODY_NS  (2 * DAVY_NS_PER_S)

/* What does not answer may take a tenth of the time. */
#define SHARE 10

/* An exchange with all its probes and silences takes about ten times as long as a timeout. */
#define SLEPT_TIMES 16

/* Slow is what takes so many times as long as planned, of exchanges weighted by a moving mean over about eight. */
#define SLOW_TIMES 4
#define SLOW_NS    (50 * DAVY_NS_PER_MS)
#define MEAN       8
#define FLAPPING   150 /* of 1000 */

/*
 * A miss that is followed by an answer is noise where many devices have it now and then, lately: within about six
 * polls; many: more than one in ten. Where some have it often, it is them; where half have, it is the line. So few may
 * as well fall silent together (acquire/estimate.h counts on what they cost then), unless there are no others.
 */
#define LATELY 60 /* of 1000 */
#define MANY   10
#define FEW    3

static int64_t longer(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static davy_span cost_of(const struct davy_config *config, const struct davy_device *device)
{
    const struct davy_bus *bus = &config->buses[device->bus];
    return (davy_span){bus->type == DAVY_BUS_TCP ? bus->timeout.ns : longer(bus->timeout.ns, device->max_reply.ns)};
}

int davy_quarantine_init(struct davy_quarantine *quarantine, const struct davy_config *config,
                         const struct davy_share *share, davy_mono now)
{
    *quarantine = (struct davy_quarantine){.config = config, .credited = now};
    quarantine->patients = calloc(davy_share_count(share, config) + 1, sizeof *quarantine->patients);
    if (!quarantine->patients)
        return -ENOMEM;
    int64_t longest = 1;
    for (uint32_t d = davy_share_next(share, config, 0); d != DAVY_NONE; d = davy_share_next(share, config, d + 1)) {
        struct davy_patient *patient = &quarantine->patients[quarantine->count++];
        int64_t interval = config->devices[d].interval.ns;
        patient->device = d;
        patient->probed = DAVY_NONE;
        patient->cost = cost_of(config, &config->devices[d]);
        patient->first.ns = interval > 0 && interval < FIRST_NS ? interval : FIRST_NS;
        longest = longer(longest, patient->cost.ns);
    }
    quarantine->credit_max_ns = longest * longer(config->buses[share->bus].retries, 1);
    quarantine->credit_ns = quarantine->credit_max_ns;
    quarantine->debt_max_ns = longest;
    return 0;
}

static void count_all(struct davy_quarantine *quarantine)
{
    quarantine->sick = quarantine->isolated = quarantine->glitchy = quarantine->flapping = 0;
    for (size_t i = 0; i < quarantine->count; i++) {
        const struct davy_patient *patient = &quarantine->patients[i];
        bool isolated = patient->misses >= MISSES, glitchy = patient->glitchy && !isolated;
        quarantine->sick += patient->misses > 0 || patient->queued;
        quarantine->isolated += isolated;
        quarantine->glitchy += glitchy && !patient->flapping;
        quarantine->flapping += glitchy && patient->flapping;
    }
}

void davy_quarantine_keep(struct davy_quarantine *quarantine, const struct davy_quarantine *old)
{
    quarantine->credited = old->credited;
    quarantine->credit_ns = old->credit_ns < quarantine->credit_max_ns ? old->credit_ns : quarantine->credit_max_ns;
    for (size_t i = 0; i < quarantine->count; i++) {
        struct davy_patient *patient = &quarantine->patients[i];
        uint32_t before = davy_config_find_device(old->config, quarantine->config->devices[patient->device].id);
        const struct davy_patient *known = before == DAVY_NONE ? NULL : davy_quarantine_find(old, before);
        if (!known || old->config->devices[before].unit != quarantine->config->devices[patient->device].unit)
            continue;
        const struct davy_patient fresh = *patient;
        *patient = *known;
        patient->device = fresh.device;
        patient->shown = false;
        patient->probed = DAVY_NONE;
        patient->first = fresh.first;
        patient->cost = fresh.cost;
    }
    count_all(quarantine);
}

void davy_quarantine_done(struct davy_quarantine *quarantine)
{
    free(quarantine->patients);
    *quarantine = DAVY_QUARANTINE_INIT;
}

struct davy_patient *davy_quarantine_find(const struct davy_quarantine *quarantine, uint32_t device)
{
    size_t low = 0, high = quarantine->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (quarantine->patients[middle].device < device)
            low = middle + 1;
        else
            high = middle;
    }
    return low < quarantine->count && quarantine->patients[low].device == device ? &quarantine->patients[low] : NULL;
}

/* ---- the account ---- */

bool davy_quarantine_can_pay(struct davy_quarantine *quarantine, davy_mono now)
{
    int64_t grown = davy_mono_sub(now, quarantine->credited).ns / SHARE;
    if (grown > 0) {
        quarantine->credited = now;
        quarantine->credit_ns += grown;
        if (quarantine->credit_ns > quarantine->credit_max_ns)
            quarantine->credit_ns = quarantine->credit_max_ns;
    }
    return quarantine->credit_ns > 0;
}

/*
 * No exchange takes so long: the machine slept, or the process stood, in the middle of one. No device is to blame for
 * that.
 */
static bool has_slept(const struct davy_quarantine *quarantine, davy_span took)
{
    return took.ns > SLEPT_TIMES * quarantine->credit_max_ns;
}

void davy_quarantine_pay(struct davy_quarantine *quarantine, davy_span cost, davy_mono now)
{
    (void)davy_quarantine_can_pay(quarantine, now);
    quarantine->credit_ns -= has_slept(quarantine, cost) ? quarantine->credit_max_ns : cost.ns;
}

/* No neighbour is left to be harmed. */
static bool is_alone(const struct davy_quarantine *quarantine)
{
    return quarantine->count == 1 || quarantine->isolated == quarantine->count;
}

/* The line is bad, not the devices: those that were not silent three times are read as if nothing were. */
static bool is_noisy(const struct davy_quarantine *quarantine)
{
    const size_t answering = quarantine->count - quarantine->isolated;
    const size_t troubled = quarantine->glitchy + quarantine->flapping;
    if (troubled <= FEW)
        return troubled > 1 && troubled == answering;
    return quarantine->glitchy * MANY > answering || quarantine->flapping * 2 > answering;
}

bool davy_quarantine_is_silent(struct davy_quarantine *quarantine, uint32_t device, davy_mono now)
{
    struct davy_patient *patient = davy_quarantine_find(quarantine, device);
    if (!patient)
        return false;
    if (is_noisy(quarantine))
        return patient->misses >= MISSES;
    bool poor = patient->flapping && !is_alone(quarantine) && !davy_quarantine_can_pay(quarantine, now);
    if (poor && patient->misses == 0 && !patient->queued) {
        patient->queued = true;
        patient->probe_at = now;
        count_all(quarantine);
    }
    return patient->misses > 0 || patient->queued;
}

bool davy_quarantine_pays(const struct davy_quarantine *quarantine, uint32_t device, bool retry)
{
    const struct davy_patient *patient = davy_quarantine_find(quarantine, device);
    return patient && (retry || patient->flapping) && !is_noisy(quarantine);
}

bool davy_quarantine_may_retry(struct davy_quarantine *quarantine, uint32_t device, davy_mono now)
{
    const struct davy_patient *patient = davy_quarantine_find(quarantine, device);
    if (patient && is_noisy(quarantine))
        return patient->misses == 0;
    const bool can_pay = davy_quarantine_can_pay(quarantine, now);
    const bool answered_until_now = patient && patient->misses == 0 && !patient->flapping;
    return can_pay || (answered_until_now && quarantine->credit_ns > -quarantine->debt_max_ns);
}

/* ---- probes ---- */

static davy_mono due_of(const struct davy_quarantine *quarantine, const struct davy_patient *patient)
{
    int64_t early = is_alone(quarantine) && !patient->queued ? longer(patient->period.ns - NOBODY_NS, 0) : 0;
    return (davy_mono){patient->probe_at.ns - early};
}

/* It answered until just now, and misses seldom: most likely noise. */
static bool is_slip(const struct davy_patient *patient)
{
    return patient->misses == 1 && !patient->flapping;
}

/* Of those sick, that slipped or not, the one that has waited longest, or is due first; NULL. */
static const struct davy_patient *first_in_line(const struct davy_quarantine *quarantine, bool slipped)
{
    const struct davy_patient *first = NULL;
    const unsigned least = is_noisy(quarantine) ? MISSES : 1;
    for (size_t i = 0; quarantine->sick > 0 && i < quarantine->count; i++) {
        const struct davy_patient *patient = &quarantine->patients[i];
        if ((patient->misses >= least || patient->queued) && is_slip(patient) == slipped &&
            (!first || due_of(quarantine, patient).ns < due_of(quarantine, first).ns))
            first = patient;
    }
    return first;
}

/* What must be on the account: of a dead device the whole of its miss, so that one of a neighbour's is always left. */
static int64_t price_of(const struct davy_patient *patient)
{
    return patient->misses >= MISSES ? patient->cost.ns : 1;
}

static bool is_due(const struct davy_quarantine *quarantine, const struct davy_patient *patient, davy_mono now)
{
    return patient && due_of(quarantine, patient).ns <= now.ns;
}

uint32_t davy_quarantine_probe(struct davy_quarantine *quarantine, davy_mono now, davy_mono next)
{
    const struct davy_patient *patient = first_in_line(quarantine, true);
    if (!is_due(quarantine, patient, now))
        patient = first_in_line(quarantine, false);
    if (!is_due(quarantine, patient, now))
        return DAVY_NONE;
    (void)davy_quarantine_can_pay(quarantine, now);
    bool fits = davy_mono_add(now, patient->cost).ns <= next.ns, can_pay = quarantine->credit_ns >= price_of(patient);
    return is_alone(quarantine) || fits || can_pay ? patient->device : DAVY_NONE;
}

/* When it is due and can be paid. */
static davy_mono turn_of(const struct davy_quarantine *quarantine, const struct davy_patient *patient)
{
    if (!patient)
        return DAVY_MONO_NEVER;
    const davy_mono due = due_of(quarantine, patient);
    const int64_t missing = price_of(patient) - quarantine->credit_ns;
    if (is_alone(quarantine) || missing <= 0)
        return due;
    const davy_mono paid = davy_mono_add(quarantine->credited, (davy_span){missing * SHARE});
    return due.ns > paid.ns ? due : paid;
}

davy_mono davy_quarantine_next(const struct davy_quarantine *quarantine)
{
    const davy_mono slipped = turn_of(quarantine, first_in_line(quarantine, true));
    const davy_mono other = turn_of(quarantine, first_in_line(quarantine, false));
    return slipped.ns < other.ns ? slipped : other;
}

static void note_glitch(struct davy_quarantine *quarantine, struct davy_patient *patient, bool glitch)
{
    patient->glitches += ((glitch ? 1000 : 0) - patient->glitches) / MEAN;
    bool glitchy = patient->glitches >= LATELY;
    bool changed = glitchy != patient->glitchy;
    patient->glitchy = glitchy;
    if (changed)
        count_all(quarantine);
}

bool davy_quarantine_answer(struct davy_quarantine *quarantine, uint32_t device, bool missed)
{
    struct davy_patient *patient = davy_quarantine_find(quarantine, device);
    if (!patient)
        return false;
    note_glitch(quarantine, patient, missed || (patient->misses > 0 && patient->misses < MISSES));
    if (patient->misses == 0 && !patient->queued)
        return false;
    bool ended = patient->told;
    patient->misses = 0;
    patient->told = patient->queued = false;
    count_all(quarantine);
    return ended;
}

static davy_span next_period(const struct davy_patient *patient)
{
    int64_t ns = patient->misses < MISSES    ? patient->first.ns
                 : patient->misses == MISSES ? FIRST_NS
                                             : 2 * patient->period.ns;
    return (davy_span){ns < LONGEST_NS ? ns : LONGEST_NS};
}

bool davy_quarantine_miss(struct davy_quarantine *quarantine, uint32_t device, const struct davy_bus_reply *reply,
                          davy_mono now)
{
    struct davy_patient *patient = davy_quarantine_find(quarantine, device);
    if (!patient)
        return false;
    patient->misses = patient->misses > MISSES ? MISSES + 1 : patient->misses + 1;
    patient->queued = false;
    patient->period = next_period(patient);
    patient->probe_at = davy_mono_add(now, patient->period);
    patient->answer = reply->answer;
    patient->exception = reply->exception;
    count_all(quarantine);
    bool begins = patient->misses >= MISSES && !patient->told;
    patient->told = patient->misses >= MISSES;
    return begins;
}

bool davy_quarantine_note(struct davy_quarantine *quarantine, uint32_t device, davy_span took, davy_span planned,
                          bool missed)
{
    struct davy_patient *patient = davy_quarantine_find(quarantine, device);
    if (!patient)
        return false;
    patient->miss_share += ((missed ? 1000 : 0) - patient->miss_share) / MEAN;
    bool flapping = patient->miss_share > FLAPPING, turned = flapping != patient->flapping;
    patient->flapping = flapping;
    if (turned)
        count_all(quarantine);
    if (missed || has_slept(quarantine, took))
        return false;
    bool first = patient->planned_ns == 0;
    patient->mean_ns += (took.ns - patient->mean_ns) / (first ? 1 : MEAN);
    patient->planned_ns += (planned.ns - patient->planned_ns) / (first ? 1 : MEAN);
    bool slow = patient->mean_ns > SLOW_TIMES * patient->planned_ns && patient->mean_ns > SLOW_NS;
    bool changed = slow != patient->slow;
    patient->slow = slow;
    return changed;
}
