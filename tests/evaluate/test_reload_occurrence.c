/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What of an occurrence goes over a reload that leaves it without its limit, or moves that (ARCHITECTURE.md, Configuration
 * and reload).
 */
#include "support/bench.h"

#define VOTE "h2s:_"

static struct bench bench;

static struct davy_config *plant_vote(const struct davy_limit *limits, size_t count)
{
    struct davy_config *config = plant_new(3);
    plant_add_rule(config, "h2s", limits, count);
    bench_points(config, 0, 0, 2);
    bench_when(config, 0, 2, 1, davy_span_s(0));
    config->rules[0].vote = 2;
    config->rules[0].fault_name = "h2s.fault";
    return config;
}

/* What was counted of a limit is told of it, wherever it stands now. */
static void the_votes_told_are_those_of_the_limit(void **unused)
{
    (void)unused;
    const struct davy_limit limits[] = {bench_above(DAVY_LEVEL_YELLOW, 5), bench_above(DAVY_LEVEL_ORANGE, 7),
                                        bench_above(DAVY_LEVEL_RED, 14)};
    bench_begin(&bench, plant_vote(&limits[1], 2));
    bench_good(&bench, 1, 0, 15);
    bench_good(&bench, 1, 1, 15);
    expect(&bench, 1, "raised " VOTE " unacknowledged red");
    bench_good(&bench, 2, 2, 0);
    assert_int_equal((int)expect(&bench, 2, "suppressed " VOTE " suppressed red")->value, 2);
    bench_reload(&bench, 3, plant_vote(limits, 3));
    bench_ack(&bench, 4, VOTE);
    assert_int_equal((int)expect(&bench, 4, "acknowledged " VOTE " suppressed red")->value, 2);
    expect_silence(&bench);
    bench_end(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_votes_told_are_those_of_the_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
