/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a configuration: it is loaded or refused, and what is loaded is whole. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "config/diff.h"
#include "config/internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void count(void *context, const struct davy_change *change)
{
    *(size_t *)context += change->old || change->new;
}

/* Touch what a rule refers to, so that a wrong index or length is found. */
static void walk(const struct davy_config *config, const struct davy_rule *rule)
{
    for (size_t i = 0; i < rule->point_count; i++) {
        const uint32_t *others = rule->options.others, *when = rule->when.points;
        if (rule->points[i] >= config->point_count || (others && others[i] >= config->point_count) ||
            (when && when[i] >= config->point_count))
            abort();
        for (size_t l = 1; l < rule->limit_count; l++)
            if (davy_rule_limits(rule, i)[l].level < davy_rule_limits(rule, i)[l - 1].level)
                abort();
    }
    if (rule->limit_count < 1 || rule->limit_count > DAVY_LIMITS_MAX || (rule->vote > 0) != (rule->fault_name != NULL))
        abort();
    for (size_t i = 1; i < rule->step_count; i++)
        if (rule->steps[i].after.ns < rule->steps[i - 1].after.ns)
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct davy_problems problems = {0};
    struct davy_config *config = NULL;
    size_t changes = 0;
    int rc = davy_config_load_text("fuzz.conf", (const char *)data, size, &problems, &config);
    if ((rc == 0) != (config != NULL) || (rc == 0) != (problems.errors == 0))
        abort();
    if (config && davy_config_diff(config, config, count, &changes) != 0)
        abort();
    for (size_t i = 0; config && i < config->rule_count; i++)
        walk(config, &config->rules[i]);
    davy_config_unref(config);
    davy_problems_done(&problems);
    return 0;
}
