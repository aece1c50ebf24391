/* SPDX-License-Identifier: Apache-2.0 */
/* What identify has found out, for its printer. */
#pragma once

#include "ctl/ctl.h"
#include "ctl/unit_words.h"
#include "ctl/verdict.h"

/* A profile that was tried. */
struct candidate {
    char *name;
    double score;
    size_t right, points; /* that look right, of all */
};

struct finding {
    const struct davy_config *config; /* NULL: a unit that is not configured */
    uint32_t device;
    struct judgement *judgements; /* by point of the device */
    double score;
    bool right;
    struct candidate *candidates; /* those that fit better, best first */
    size_t candidate_count;
    const struct unit_words *words;
};

/* Whether a status word of the device or of one of its points says something, or cannot be read. */
bool davy_identify_status_speaks(const struct finding *finding);

/* What speaks against it, one sentence each, through `tell`. */
void davy_identify_reasons(const struct finding *finding, void (*tell)(void *context, const char *text), void *context);

void davy_identify_print(const struct ctl *ctl, const struct finding *finding);
void davy_identify_print_json(const struct finding *finding);
