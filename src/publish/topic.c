/* SPDX-License-Identifier: Apache-2.0 */
#include "publish/topic.h"

#include "base/buf.h"

char *davy_topic(const struct davy_config *config, const char *rest, char text[DAVY_TOPIC_SIZE])
{
    struct davy_buf topic;
    davy_buf_init(&topic, text, DAVY_TOPIC_SIZE);
    davy_buf_printf(&topic, "%s/%s/%s/%s", config->mqtt.prefix, config->gateway.site, config->gateway.id, rest);
    return text;
}

/* The device level of an alarm's topic and payload; NULL for a vote's. */
const char *davy_topic_device(const struct davy_config *config, const struct davy_subject *subject)
{
    if (subject->device != DAVY_NONE)
        return config->devices[subject->device].id;
    if (subject->bus != DAVY_NONE)
        return config->buses[subject->bus].name;
    return subject->rule != DAVY_NONE ? NULL : "gateway";
}

static const char *level(const char *name)
{
    return name ? name : "_";
}

char *davy_topic_alarm(const struct davy_config *config, const struct davy_subject *subject, char text[DAVY_TOPIC_SIZE])
{
    char rest[DAVY_TOPIC_SIZE];
    struct davy_buf buf;
    uint32_t zone = davy_subject_zone(config, subject);
    davy_buf_init(&buf, rest, sizeof rest);
    davy_buf_printf(&buf, "alarm/%s/%s/%s/%s", level(zone != DAVY_NONE ? config->zones[zone].id : NULL),
                    level(davy_topic_device(config, subject)),
                    level(subject->point != DAVY_NONE ? config->points[subject->point].name : NULL),
                    davy_subject_rule_name(config, subject));
    return davy_topic(config, rest, text);
}
