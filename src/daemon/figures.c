/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/figures.h"

#include <string.h>

static void count_points(const struct davy_engine *engine, const struct davy_config *config,
                         struct evaluator_status *status)
{
    memset(status->points, 0, sizeof status->points);
    for (uint32_t p = 0; p < config->point_count; p++) {
        const struct davy_reading *newest = davy_engine_newest(engine, p);
        status->points[newest->at.mono.ns == 0 ? DAVY_QUALITY_BAD : newest->quality]++;
    }
}

/* A device that does not answer is asked seldom: that is no overload. */
static uint32_t count_slow_points(const struct davy_engine *engine, const struct davy_config *config,
                                  struct pace *paces, davy_mono now)
{
    uint32_t slow = 0;
    for (uint32_t p = 0; p < config->point_count; p++) {
        struct pace *pace = &paces[p];
        const struct davy_point *point = &config->points[p];
        bool dead =
            !config->devices[point->device].enabled || davy_engine_newest(engine, p)->reason == DAVY_REASON_COMM;
        slow += read_rate_judge(&pace->rate, pace->count, point->interval, dead, now);
        pace->count = 0;
    }
    return slow;
}

static void count_alarms(const struct davy_engine *engine, struct evaluator_status *status)
{
    memset(status->alarms, 0, sizeof status->alarms);
    status->unacknowledged = status->shelved = status->out_of_service = 0;
    for (size_t i = 0; i < davy_engine_alarm_count(engine); i++) {
        struct davy_alarm_view view;
        if (davy_engine_alarm_normal(engine, i))
            continue;
        davy_engine_alarm(engine, i, &view);
        status->alarms[view.level]++;
        status->unacknowledged += !view.acknowledged && !davy_uuid_is_nil(&view.id);
        status->shelved += view.shelved_until.ns != 0;
        status->out_of_service += view.out_of_service;
    }
}

void figures_count(const struct davy_engine *engine, const struct davy_config *config, struct pace *paces,
                   davy_mono now, struct evaluator_status *status)
{
    count_points(engine, config, status);
    status->slow_points = count_slow_points(engine, config, paces, now);
    count_alarms(engine, status);
}
