/* SPDX-License-Identifier: Apache-2.0 */
/* Topic names (ARCHITECTURE.md, MQTT). Ids are topic levels already; nothing needs escaping. Pure. */
#pragma once

#include "model/alarm.h"
#include "model/config.h"

/* With the end. */
#define DAVY_TOPIC_SIZE 512

/* "{prefix}/{site}/{gateway}/{rest}" into `text`; returns text. */
char *davy_topic(const struct davy_config *config, const char *rest, char text[DAVY_TOPIC_SIZE]);

/*
 * The device level of an alarm's topic and the `device` of its payload: the device, the bus of a line's fault,
 * "gateway" of a self-alarm. NULL for a vote's alarm (a subject with a rule and no device).
 */
const char *davy_topic_device(const struct davy_config *config, const struct davy_subject *subject);

/* P/alarm/{zone}/{device}/{point}/{rule}, with `_` where there is none. */
char *davy_topic_alarm(const struct davy_config *config, const struct davy_subject *subject,
                       char text[DAVY_TOPIC_SIZE]);
