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
    davy_config_unref(config);
    davy_problems_done(&problems);
    return 0;
}
