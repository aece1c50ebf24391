/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/setup.h"

#include <stdio.h>

#include "acquire/plan_report.h"
#include "acquire/request.h"
#include "base/log.h"
#include "base/utf8.h"
#include "daemon/options.h"

static void add_warning(void *context, const char *text)
{
    davy_problems_add(context, DAVY_PROBLEM_WARNING, NULL, 0, NULL, "%s", text);
}

int setup_load(const char *file, uint32_t generation, struct davy_problems *problems, struct davy_config **ret_config)
{
    struct davy_config *config;
    int rc = davy_config_load(file, problems, &config);
    if (rc != 0)
        return rc;
    config->generation = generation;
    rc = davy_requests_plan(config);
    if (rc < 0) {
        davy_config_unref(config);
        return rc;
    }
    davy_plan_report_warn(config, add_warning, problems);
    *ret_config = config;
    return 0;
}

void setup_log_problems(const struct davy_problems *problems)
{
    char text[1024];
    for (size_t i = 0; i < problems->count; i++) {
        bool error = problems->items[i].severity == DAVY_PROBLEM_ERROR;
        davy_log(error ? DAVY_LOG_ERROR : DAVY_LOG_WARNING, "config", "%s",
                 davy_problem_format(&problems->items[i], text, sizeof text));
    }
    if (problems->left_off > 0)
        davy_error("config", "and %zu more problems", problems->left_off);
}

/* It quotes what stands in the file, and a person reads it at a terminal. */
static void print_problem(const struct davy_problem *problem)
{
    char text[1024], escaped[4 * sizeof text];
    struct davy_buf line;
    davy_buf_init(&line, escaped, sizeof escaped);
    davy_utf8_escape(&line, davy_problem_format(problem, text, sizeof text));
    printf("%s\n", escaped);
}

int setup_check(const char *file)
{
    struct davy_problems problems = {0};
    struct davy_config *config = NULL;
    int rc = setup_load(file, 1, &problems, &config);
    if (rc == 0)
        davy_plan_report_print(stdout, config);
    for (size_t i = 0; i < problems.count; i++)
        print_problem(&problems.items[i]);
    printf("%s: %zu errors, %zu warnings\n", file, problems.errors, problems.warnings);
    davy_problems_done(&problems);
    davy_config_unref(config);
    return rc == 0 ? 0 : rc < 0 ? EXIT_SOFTWARE : EXIT_CONFIG;
}
