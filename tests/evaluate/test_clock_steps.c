/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Steps of the wall clock, of any size and at any moment, change nothing of what an engine decides nor when: delays,
 * ladders, shelves, windows, staleness and floods run by the monotonic clock. One engine runs with a clock that is
 * right, its twin over the same course with one that is stepped all the time.
 */
#include "support/random_plant.h"
#include "support/seed.h"

#define INPUTS 3200
#define SEEDS  40

static int64_t stepped(struct davy_random *random, int64_t offset_ns)
{
    static const int64_t steps_s[] = {
        1, -1, 60, -60, 3600, -3600, 86400, -86400, 631152000, -631152000 /* 20 years */, -1700000000 /* 1970 */};
    const size_t which = below(random, DAVY_LENGTH(steps_s) + 1);
    if (which == DAVY_LENGTH(steps_s))
        return 0; /* set right */
    int64_t step = steps_s[which] * DAVY_NS_PER_S;
    return step > DAVY_NS_PER_S * 86400 || step < -DAVY_NS_PER_S * 86400 ? step : offset_ns + step;
}

/* The same course, as a clock tells it that is stepped before one input in ten. */
static struct input *course_with_steps(const struct input *course, uint64_t seed)
{
    struct davy_random random = {.state = ~seed};
    struct input *inputs = calloc(INPUTS, sizeof *inputs);
    assert_non_null(inputs);
    int64_t offset_ns = 0;
    for (size_t i = 0; i < INPUTS; i++) {
        if (below(&random, 10) == 0)
            offset_ns = stepped(&random, offset_ns);
        inputs[i] = course[i];
        inputs[i].at.wall.ns += offset_ns;
        inputs[i].reading.at.wall.ns += offset_ns;
    }
    return inputs;
}

static void run_course(struct run *run, const struct davy_config *config, const struct input *inputs, bool whole)
{
    run_init(run, config, NULL, whole);
    davy_engine_start(run->engine, plant_at(0), false);
    for (size_t i = 0; i < INPUTS; i++)
        run_step(run, &inputs[i]);
}

/* What a wall clock has a share in: written down, never decided by. */
static struct kept_event without_wall(const struct kept_event *kept)
{
    struct kept_event copy = *kept;
    copy.event.at.wall.ns = copy.event.raised_at.ns = 0;
    memset(&copy.event.id, 0, sizeof copy.event.id);
    return copy;
}

static bool same_but_for_wall(const struct kept_event *left, const struct kept_event *right)
{
    const struct kept_event a = without_wall(left), b = without_wall(right);
    return same_transition(&a, &b) && same_facts(&a.event, &b.event) &&
           same_members(a.event.members, b.event.members) && same_value(&a.event, &b.event) &&
           same_quality(&a.event, &b.event);
}

static void compare(uint64_t seed, const struct run *right, const struct run *wrong)
{
    for (size_t i = 0; i < right->count || i < wrong->count; i++) {
        const struct kept_event *a = i < right->count ? &right->events[i] : NULL;
        const struct kept_event *b = i < wrong->count ? &wrong->events[i] : NULL;
        if (a && b && same_but_for_wall(a, b))
            continue;
        if (a)
            print_kept("right clock", a);
        if (b)
            print_kept("stepped", b);
        fail_msg("event %zu, DAVY_SEED=%llu", i, (unsigned long long)seed);
    }
}

/* Returns the types of events that were seen, as bits. */
static unsigned try_seed(uint64_t seed, bool whole)
{
    struct run right, wrong;
    unsigned types = 0;
    struct davy_config *config = random_plant_new(davy_span_s(4), davy_span_s(2));
    struct input *course = random_course(seed, INPUTS), *with_steps = course_with_steps(course, seed);
    run_course(&right, config, course, whole);
    run_course(&wrong, config, with_steps, whole);
    compare(seed, &right, &wrong);
    for (size_t i = 0; i < right.count; i++)
        types |= 1U << right.events[i].event.type;
    run_free(&right);
    run_free(&wrong);
    free(course);
    free(with_steps);
    davy_config_unref(config);
    return types;
}

static void steps_of_the_clock_change_no_decision_and_no_time_of_one(void **unused)
{
    (void)unused;
    const uint64_t first = davy_test_seed(1);
    unsigned types = 0;
    for (uint64_t seed = first; seed < first + SEEDS; seed++)
        types |= try_seed(seed, seed % 2 == 0);
    const unsigned needed = 1U << DAVY_EVENT_RAISED | 1U << DAVY_EVENT_CLEARED | 1U << DAVY_EVENT_OVERDUE |
                            1U << DAVY_EVENT_UNSHELVED | 1U << DAVY_EVENT_SUPPRESSED | 1U << DAVY_EVENT_LATCHED;
    assert_int_equal(types & needed, needed); /* or it proves little */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steps_of_the_clock_change_no_decision_and_no_time_of_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
