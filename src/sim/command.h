/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one language of scripts, control socket and command line: "ramp GT-101.h2s 16 5s", "fault GT-104 timeout for
 * 10s". Parsing refers to a plant and changes nothing; running changes it. Never blocks. Thread: one.
 */
#pragma once

#include "base/buf.h"
#include "sim/plant.h"

/* Longest command, with the end. */
#define DAVY_SIM_COMMAND_SIZE 512

enum davy_sim_verb {
    DAVY_SIM_VERB_SET,
    DAVY_SIM_VERB_RELEASE,
    DAVY_SIM_VERB_RAMP,
    DAVY_SIM_VERB_RAW,
    DAVY_SIM_VERB_FAULT,
    DAVY_SIM_VERB_CLEAR,
    DAVY_SIM_VERB_UNPLUG,
    DAVY_SIM_VERB_PLUG,
    DAVY_SIM_VERB_GET,
    DAVY_SIM_VERB_STATS,
    DAVY_SIM_VERB_LINES,
    DAVY_SIM_VERB_QUIT,
    DAVY_SIM_VERB_COUNT_
};

struct davy_sim_command {
    enum davy_sim_verb verb;
    struct davy_sim_device *device;
    struct davy_sim_point *point;
    struct davy_sim_line *line; /* of a fault or clear on a whole line; else NULL */
    double value;
    double duration_s;
    enum davy_table table;
    uint16_t address;
    struct davy_sim_fault fault;
};

/*
 * why       receives the reason when there is one, in words
 * returns   0, or -EINVAL
 */
int davy_sim_command_parse(const struct davy_sim_plant *plant, const char *text, struct davy_buf *why,
                           struct davy_sim_command *ret_command) DAVY_MUST_CHECK;

/* Whether a script may say it: it changes the plant, not asks or ends. */
bool davy_sim_command_scriptable(const struct davy_sim_command *command);

/* Run at plant time `t_s`; the reply, "ok …" or "error …", goes to `reply`. Quit is the caller's to do. */
void davy_sim_command_run(struct davy_sim_plant *plant, const struct davy_sim_command *command, double t_s,
                          struct davy_buf *reply);
