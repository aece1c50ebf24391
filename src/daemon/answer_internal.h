/* SPDX-License-Identifier: Apache-2.0 */
/* What answer.c shares with answer_explain.c. */
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

/* Room for a page, to be freed; NULL: there is none, and that is answered. */
char *answer_room(struct route *route, const struct ask *ask);

/* Pages: where the next begins, whether a row more fits, and its end. */
size_t answer_alarm_after(const struct davy_config *config, const struct davy_engine *engine, const char *after);
bool answer_has_room(const struct davy_buf *out, size_t rows);
void answer_finish(struct route *route, const struct ask *ask, struct davy_buf *out, bool more);
