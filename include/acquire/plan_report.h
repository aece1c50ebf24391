/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a checked configuration will do to its buses, for people (davyd --check, davyctl check). Pure but for the
 * stream. The requests must have been planned (acquire/request.h). Thread: any.
 */
#pragma once

#include <stdio.h>

#include "model/config.h"

/*
 * Buses with their requests and the share of their time that these take; then of each rule its measure, vote, `when`
 * and ladder, where it has any, and per limit the longest time from a step at a sensor to the alarm (of a measure that
 * looks back: to its evaluation): its worst point's detection time (acquire/estimate.h), alone, beside one and beside
 * three dead devices where there are so many, plus on_delay.
 */
void davy_plan_report_print(FILE *out, const struct davy_config *config);

/*
 * The longest time from a step at a point of the rule to the alarm of this limit, or where its measure looks back, to
 * its evaluation; 0 where none of its points is read.
 */
davy_span davy_plan_report_detection(const struct davy_config *config, const struct davy_rule *rule,
                                     const struct davy_limit *limit, enum davy_dead dead);

/*
 * What is unwise about the plan, a sentence each: a bus that is planned above 80 %, a limit that is detected later than
 * gateway.detect_within.
 */
void davy_plan_report_warn(const struct davy_config *config, void (*warn)(void *context, const char *text),
                           void *context);
