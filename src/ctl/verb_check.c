/* SPDX-License-Identifier: Apache-2.0 */
/* check: a configuration, offline; every problem in one run, and the plan where there is none. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "acquire/plan_report.h"
#include "acquire/request.h"
#include "config/load.h"
#include "ctl/ctl.h"
#include "davy_build.h"

#define LINE_SIZE 2048

static void print_problems(FILE *out, const struct davy_problems *problems)
{
    char line[LINE_SIZE];
    for (size_t i = 0; i < problems->count; i++) {
        char *text = davy_ctl_escape(davy_problem_format(&problems->items[i], line, sizeof line));
        fprintf(out, "%s\n", text);
        free(text);
    }
    if (problems->left_off > 0)
        fprintf(out, "… and %zu more\n", problems->left_off);
}

int davy_ctl_load_config(const struct ctl *ctl, const char *file, struct davy_config **ret_config)
{
    struct davy_problems problems = {0};
    int rc = davy_config_load(file, &problems, ret_config);
    print_problems(stderr, &problems);
    davy_problems_done(&problems);
    if (rc < 0)
        return davy_ctl_fail(ctl, CTL_REFUSED, "%s: %s", file, strerror(-rc));
    return rc == 0 ? CTL_DONE : CTL_REFUSED;
}

static void add_warning(void *context, const char *text)
{
    davy_problems_add(context, DAVY_PROBLEM_WARNING, NULL, 0, NULL, "%s", text);
}

static json_t *problem_json(const struct davy_problem *problem)
{
    return json_pack("{s:s,s:s?,s:i,s:s?,s:s}", "severity",
                     problem->severity == DAVY_PROBLEM_ERROR ? "error" : "warning", "file", problem->file, "line",
                     problem->line, "path", problem->path, "message", problem->message);
}

static void print_document(bool ok, const struct davy_problems *problems)
{
    json_t *list = json_array();
    for (size_t i = 0; i < problems->count; i++)
        json_array_append_new(list, problem_json(&problems->items[i]));
    json_t *document = json_pack("{s:b,s:o}", "ok", ok, "problems", list);
    davy_ctl_print_json(document, true);
    json_decref(document);
}

int davy_ctl_load_judged(const struct ctl *ctl, const char *file, struct davy_config **ret_config)
{
    struct davy_problems problems = {0};
    struct davy_config *config = NULL;
    int rc = davy_config_load(file, &problems, &config);
    if (rc == 0)
        rc = davy_requests_plan(config);
    if (rc > 0 && ctl->json)
        print_document(false, &problems);
    else if (rc > 0)
        print_problems(stderr, &problems);
    davy_problems_done(&problems);
    if (rc == 0) {
        *ret_config = config;
        return CTL_DONE;
    }
    if (config)
        davy_config_unref(config);
    return rc < 0 ? davy_ctl_fail(ctl, CTL_REFUSED, "%s: %s", file, strerror(-rc)) : CTL_REFUSED;
}

int davy_ctl_check(struct ctl *ctl)
{
    const char *given = davy_ctl_argument(ctl, 0);
    const char *file = given ? given : DAVY_CONFDIR "/davyd.conf";
    struct davy_problems problems = {0};
    struct davy_config *config = NULL;
    int rc = davy_config_load(file, &problems, &config);
    if (rc == 0)
        rc = davy_requests_plan(config);
    if (rc == 0)
        davy_plan_report_warn(config, add_warning, &problems);
    if (ctl->json && rc >= 0) {
        print_document(rc == 0, &problems);
    } else {
        print_problems(stderr, &problems);
        if (rc == 0)
            davy_plan_report_print(stdout, config);
        if (rc >= 0)
            printf("%s: %zu errors, %zu warnings\n", file, problems.errors, problems.warnings);
    }
    davy_problems_done(&problems);
    if (config)
        davy_config_unref(config);
    if (rc < 0)
        return davy_ctl_fail(ctl, CTL_REFUSED, "%s: %s", file, strerror(-rc));
    return rc == 0 ? CTL_DONE : CTL_REFUSED;
}
