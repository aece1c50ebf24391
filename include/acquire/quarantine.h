/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Devices that do not answer, and how much of the bus they may cost the others. After three misses in a
 * row a device is only probed, with a growing period: all probes together take about a tenth of the bus time, as long
 * as each is probed once in 30 s; where nobody on the bus answers, every 2 s. Pure but for its memory. Thread: one
 * caller.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/clock.h"
#include "model/config.h"

struct davy_patient {
    bool present; /* on this bus */
    unsigned misses;
    davy_span period;
    davy_mono probed;
};

struct davy_quarantine {
    const struct davy_config *config; /* not a reference: outlives this */
    struct davy_patient *devices;     /* by index */
    davy_mono next_probe;             /* of any device, for the budget */
};

#define DAVY_QUARANTINE_INIT ((struct davy_quarantine){.devices = NULL})

enum davy_quarantine_verdict {
    DAVY_QUARANTINE_READ,   /* as configured, with retries */
    DAVY_QUARANTINE_PROBE,  /* once */
    DAVY_QUARANTINE_SILENT, /* not now: it has not answered */
};

/* 0 or -ENOMEM. */
int davy_quarantine_init(struct davy_quarantine *quarantine, const struct davy_config *config,
                         uint32_t bus) DAVY_MUST_CHECK;

/* Take over from `old` what is known of devices that stayed (by id). */
void davy_quarantine_keep(struct davy_quarantine *quarantine, const struct davy_quarantine *old);

/* Repeatable. */
void davy_quarantine_done(struct davy_quarantine *quarantine);

/* What to do with a request to this device that is due now. Changes nothing. */
enum davy_quarantine_verdict davy_quarantine_ask(const struct davy_quarantine *quarantine, uint32_t device,
                                                 davy_mono now);

/* It answered. Returns true when that ended its quarantine. */
bool davy_quarantine_answer(struct davy_quarantine *quarantine, uint32_t device);

/*
 * It did not.
 * cost      bus time that this took
 * returns   true when that began its quarantine
 */
bool davy_quarantine_miss(struct davy_quarantine *quarantine, uint32_t device, davy_span cost, davy_mono now);

/* How many devices are in quarantine. */
unsigned davy_quarantine_count(const struct davy_quarantine *quarantine);
