/* SPDX-License-Identifier: Apache-2.0 */
#include "acquire/quarantine.h"

#include <errno.h>
#include <stdlib.h>

#define MISSES        3U
#define FIRST_NS      (1 * DAVY_NS_PER_S)
#define LONGEST_NS    (30 * DAVY_NS_PER_S) /* a device that is back is seen within this time */
#define NOBODY_NS     (2 * DAVY_NS_PER_S)
#define BUDGET_FACTOR 10 /* a probe may take a tenth of the time */

int davy_quarantine_init(struct davy_quarantine *quarantine, const struct davy_config *config, uint32_t bus)
{
    *quarantine = (struct davy_quarantine){.config = config};
    quarantine->devices = calloc(config->device_count + 1, sizeof *quarantine->devices);
    if (!quarantine->devices)
        return -ENOMEM;
    for (size_t i = 0; i < config->request_count; i++)
        if (config->requests[i].bus == bus)
            quarantine->devices[config->requests[i].device].present = true;
    return 0;
}

void davy_quarantine_keep(struct davy_quarantine *quarantine, const struct davy_quarantine *old)
{
    quarantine->next_probe = old->next_probe;
    for (uint32_t i = 0; i < quarantine->config->device_count; i++) {
        struct davy_patient *patient = &quarantine->devices[i];
        uint32_t before = davy_config_find_device(old->config, quarantine->config->devices[i].id);
        if (!patient->present || before == DAVY_NONE || !old->devices[before].present)
            continue;
        *patient = old->devices[before];
    }
}

void davy_quarantine_done(struct davy_quarantine *quarantine)
{
    free(quarantine->devices);
    *quarantine = DAVY_QUARANTINE_INIT;
}

static bool anybody_answers(const struct davy_quarantine *quarantine)
{
    for (size_t i = 0; i < quarantine->config->device_count; i++)
        if (quarantine->devices[i].present && quarantine->devices[i].misses < MISSES)
            return true;
    return false;
}

static bool passed(davy_mono since, int64_t ns, davy_mono now)
{
    return davy_mono_sub(now, since).ns >= ns;
}

enum davy_quarantine_verdict davy_quarantine_ask(const struct davy_quarantine *quarantine, uint32_t device,
                                                 davy_mono now)
{
    const struct davy_patient *patient = &quarantine->devices[device];
    if (patient->misses < MISSES)
        return patient->misses == 0 ? DAVY_QUARANTINE_READ : DAVY_QUARANTINE_PROBE;
    bool due;
    if (!anybody_answers(quarantine))
        due = passed(patient->probed, patient->period.ns < NOBODY_NS ? patient->period.ns : NOBODY_NS, now);
    else if (now.ns >= quarantine->next_probe.ns)
        due = passed(patient->probed, patient->period.ns, now);
    else
        due = passed(patient->probed, LONGEST_NS, now);
    return due ? DAVY_QUARANTINE_PROBE : DAVY_QUARANTINE_SILENT;
}

bool davy_quarantine_answer(struct davy_quarantine *quarantine, uint32_t device)
{
    struct davy_patient *patient = &quarantine->devices[device];
    bool ended = patient->misses >= MISSES;
    patient->misses = 0;
    return ended;
}

/* Doubles, but never so short that this device alone takes more than its share. */
static davy_span next_period(const struct davy_patient *patient, davy_span cost)
{
    int64_t ns = patient->misses == MISSES ? FIRST_NS : 2 * patient->period.ns;
    if (ns < BUDGET_FACTOR * cost.ns)
        ns = BUDGET_FACTOR * cost.ns;
    return (davy_span){ns < LONGEST_NS ? ns : LONGEST_NS};
}

bool davy_quarantine_miss(struct davy_quarantine *quarantine, uint32_t device, davy_span cost, davy_mono now)
{
    struct davy_patient *patient = &quarantine->devices[device];
    if (patient->misses < MISSES)
        patient->misses++;
    else
        patient->misses = MISSES + 1;
    if (patient->misses < MISSES)
        return false;
    patient->period = next_period(patient, cost);
    patient->probed = now;
    quarantine->next_probe = davy_mono_add(now, (davy_span){(BUDGET_FACTOR - 1) * cost.ns});
    return patient->misses == MISSES;
}

unsigned davy_quarantine_count(const struct davy_quarantine *quarantine)
{
    unsigned count = 0;
    for (size_t i = 0; i < quarantine->config->device_count; i++)
        count += quarantine->devices[i].misses >= MISSES;
    return count;
}
