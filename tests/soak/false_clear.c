/* SPDX-License-Identifier: Apache-2.0 */
/*
 * No false all-clear: random schedules of readings, faults, kills, reloads, removals, operators and clock steps through
 * the real decoder, engine and memories, judged by false_clear_oracle.h.
 *
 * false_clear [--schedules N] [--seed FIRST] [--jobs J] [--trace SEED]
 *
 * Prints each seed that fails, the first ones with a schedule made as short as it goes, and figures as JSON in the last
 * line. Exit 1 on any.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/num.h"
#include "false_clear_run.h"

/* A broken engine fails everywhere: so many are shown of each job. */
#define SHOWN 3

struct figures {
    uint64_t schedules, problems, first_problem;
    struct verdict all;
};

static bool fails(const struct plan *plan, struct ledger_place *place, struct verdict *ret_verdict)
{
    schedule_run(plan, place, NULL, ret_verdict);
    return ret_verdict->wrong[0] != '\0';
}

static void take_out(struct plan *plan, unsigned first, unsigned count)
{
    plan->op_count -= count;
    memmove(&plan->ops[first], &plan->ops[first + count], (plan->op_count - first) * sizeof plan->ops[0]);
}

/* Leave out what is not needed to fail: in halves, quarters … then one by one, until nothing more goes. */
static void shrink(struct plan *plan, struct ledger_place *place)
{
    struct plan *shorter = malloc(sizeof *shorter);
    struct verdict verdict;
    for (unsigned part = plan->op_count / 2; part > 0; part = part > 1 ? part / 2 : 0) {
        for (unsigned first = 0; first + part <= plan->op_count;) {
            *shorter = *plan;
            take_out(shorter, first, part);
            if (fails(shorter, place, &verdict))
                *plan = *shorter;
            else
                first += part;
        }
    }
    free(shorter);
}

static void show(struct plan *plan, struct ledger_place *place)
{
    struct verdict verdict;
    shrink(plan, place);
    shrink(plan, place);
    printf("---- seed %llu, %u happenings left\n", (unsigned long long)plan->seed, plan->op_count);
    plan_print(plan, stdout);
    printf("  as it went:\n");
    schedule_run(plan, place, stdout, &verdict);
    printf("  WRONG at %s\n", verdict.wrong);
    fflush(stdout);
}

static void add(struct figures *figures, const struct verdict *verdict)
{
    struct verdict *all = &figures->all;
    all->events += verdict->events;
    all->falls += verdict->falls;
    all->demands += verdict->demands;
    all->readings += verdict->readings;
    all->restarts += verdict->restarts;
    all->reloads += verdict->reloads;
    all->held_over += verdict->held_over;
    all->jumps += verdict->jumps;
    for (size_t m = 0; m < DAVY_MEASURE_COUNT_; m++) {
        all->tallies[m].demands += verdict->tallies[m].demands;
        all->tallies[m].raised += verdict->tallies[m].raised;
        all->tallies[m].fell += verdict->tallies[m].fell;
    }
}

/* Every `step`-th seed from `first` on. */
static void work(uint64_t first, uint64_t count, uint64_t step, struct figures *figures)
{
    struct ledger_place *place = ledger_place_new();
    struct plan *plan = malloc(sizeof *plan);
    for (uint64_t i = 0; i < count; i += step) {
        struct verdict verdict;
        plan_make(plan, first + i);
        bool failed = fails(plan, place, &verdict);
        figures->schedules++;
        add(figures, &verdict);
        if (!failed)
            continue;
        if (figures->problems++ == 0)
            figures->first_problem = first + i;
        printf("PROBLEM: seed %llu: %s\n", (unsigned long long)plan->seed, verdict.wrong);
        if (figures->problems <= SHOWN)
            show(plan, place);
        if (figures->problems == 100)
            break;
    }
    free(plan);
    ledger_place_free(place);
}

static void sum(struct figures *all, const struct figures *one)
{
    if (one->problems && (!all->problems || one->first_problem < all->first_problem))
        all->first_problem = one->first_problem;
    all->schedules += one->schedules;
    all->problems += one->problems;
    add(all, &one->all);
}

/* A job that dies is a problem. */
static void run_jobs(uint64_t first, uint64_t count, uint64_t jobs, struct figures *all)
{
    int pipes[2];
    if (pipe(pipes) != 0)
        abort();
    fflush(stdout);
    for (uint64_t job = 0; job < jobs; job++) {
        if (fork() != 0)
            continue;
        struct figures figures = {0};
        work(first + job, count - job, jobs, &figures);
        fflush(stdout);
        _exit(write(pipes[1], &figures, sizeof figures) == sizeof figures ? 0 : 2);
    }
    close(pipes[1]);
    struct figures one;
    while (read(pipes[0], &one, sizeof one) == sizeof one)
        sum(all, &one);
    for (int status; wait(&status) > 0;)
        all->problems += !WIFEXITED(status) || WEXITSTATUS(status) != 0;
    close(pipes[0]);
}

static uint64_t option(int argc, char **argv, const char *name, uint64_t otherwise)
{
    int64_t value;
    for (int i = 1; i + 1 < argc; i++)
        if (strcmp(argv[i], name) == 0 && davy_int_parse(argv[i + 1], &value) == 0 && value > 0)
            return (uint64_t)value;
    return otherwise;
}

static int trace(uint64_t seed)
{
    struct plan *plan = malloc(sizeof *plan);
    struct ledger_place *place = ledger_place_new();
    struct verdict verdict;
    plan_make(plan, seed);
    plan_print(plan, stdout);
    schedule_run(plan, place, stdout, &verdict);
    printf("%s\n", verdict.wrong[0] ? verdict.wrong : "nothing wrong");
    ledger_place_free(place);
    free(plan);
    return verdict.wrong[0] != '\0';
}

/* How much of each there was to find, for a person. */
static void print_measures(const struct verdict *all)
{
    for (enum davy_measure m = 0; m < DAVY_MEASURE_COUNT_; m++)
        if (all->tallies[m].raised > 0)
            printf("%-11s raised %llu, fell %llu, floors held against it %llu\n", davy_measure_name(m),
                   (unsigned long long)all->tallies[m].raised, (unsigned long long)all->tallies[m].fell,
                   (unsigned long long)all->tallies[m].demands);
    printf("readings kept from being good: %llu by a latch over the range, %llu by max_rate\n",
           (unsigned long long)all->held_over, (unsigned long long)all->jumps);
}

int main(int argc, char **argv)
{
    uint64_t seed = option(argc, argv, "--trace", 0);
    if (seed)
        return trace(seed);
    uint64_t first = option(argc, argv, "--seed", 1), count = option(argc, argv, "--schedules", 10000);
    struct figures all = {0};
    struct timespec begun, ended;
    printf("seeds %llu to %llu\n", (unsigned long long)first, (unsigned long long)(first + count - 1));
    clock_gettime(CLOCK_MONOTONIC, &begun);
    run_jobs(first, count, option(argc, argv, "--jobs", 1), &all);
    clock_gettime(CLOCK_MONOTONIC, &ended);
    print_measures(&all.all);
    double seconds = (double)(ended.tv_sec - begun.tv_sec) + (double)(ended.tv_nsec - begun.tv_nsec) / 1e9;
    printf("{\"harness\": \"false_clear\", \"seed\": %llu, \"schedules\": %llu, \"problems\": %llu, \"first_problem\": "
           "%llu, "
           "\"readings\": %llu, \"events\": %llu, \"falls\": %llu, \"demands\": %llu, \"restarts\": %llu, "
           "\"reloads\": %llu, \"seconds\": %.1f, \"schedules_per_s\": %.0f}\n",
           (unsigned long long)first, (unsigned long long)all.schedules, (unsigned long long)all.problems,
           (unsigned long long)all.first_problem, (unsigned long long)all.all.readings,
           (unsigned long long)all.all.events, (unsigned long long)all.all.falls, (unsigned long long)all.all.demands,
           (unsigned long long)all.all.restarts, (unsigned long long)all.all.reloads, seconds,
           (double)all.schedules / seconds);
    return all.problems != 0;
}
