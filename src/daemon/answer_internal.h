/* SPDX-License-Identifier: Apache-2.0 */
/* What answer.c, answer_explain.c and answer_builtin.c share. */
#pragma once

#include "base/buf.h"
#include "daemon/answer.h"

/* Below what the control protocol carries; a page ends before it when its rows are long. */
#define ANSWER_SIZE ((size_t)1000 * 1024)

/* A number, or null where there is none; a time, or null for 0. */
void answer_number(struct davy_buf *out, const char *key, bool there, double value);
void answer_time(struct davy_buf *out, const char *key, davy_wall time);

/* What a person has done about an alarm; inhibit: that of the device, where it is what holds it, or NULL. */
void answer_cover(struct davy_buf *out, const struct davy_alarm_view *view, const struct davy_inhibit *inhibit);

/* Of the built-in alarm of a device that a person inhibits: who, why and until when, in *inhibit; else NULL. */
const struct davy_inhibit *answer_inhibit(const struct davy_alarm_view *view, const struct davy_decoder *decoder,
                                          davy_mono now, struct davy_inhibit *inhibit);

/* The alarm as a sentence, as events have it. Returns text. */
const char *answer_message(const struct davy_config *config, const struct davy_alarm_view *view, char *text,
                           size_t size);

/* The members of an explanation that rules and built-in alarms have alike: from `rule` to `count`, and the covers. */
void answer_state(struct davy_buf *out, const struct davy_config *config, const struct davy_alarm_view *view,
                  const struct davy_inhibit *inhibit);

/*
 * Built-in alarms: those of the name ("fault", "storage", of votes "RULE.fault"); false if it is none. Whether one is
 * meant: its name behind the colon matches, or without a glob it is the only one or not normal. Its explanation.
 */
bool answer_builtin_find(const struct davy_config *config, const char *name, struct davy_subject *ret_subject);
bool answer_builtin_meant(const struct davy_config *config, const struct davy_subject *asked, const char *glob,
                          const struct davy_alarm_view *view);
void answer_builtin(struct davy_buf *out, const struct davy_config *config, const struct davy_alarm_view *view,
                    const struct davy_inhibit *inhibit);

/* Room for a page, to be freed; NULL: there is none, and that is answered. */
char *answer_room(struct route *route, const struct ask *ask);

/* Pages: where the next begins, whether a row more fits, and its end. */
size_t answer_alarm_after(const struct davy_config *config, const struct davy_engine *engine, const char *after);
bool answer_has_room(const struct davy_buf *out, size_t rows);
void answer_finish(struct route *route, const struct ask *ask, struct davy_buf *out, bool more);
