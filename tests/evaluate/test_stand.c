/* SPDX-License-Identifier: Apache-2.0 */
/* What stands still over a restart, until the next good reading (ARCHITECTURE.md, Storage). */
#include "support/bench.h"

#define ALARM "h2s:GT-101.h2s"

static struct bench bench;

/* A return takes 5 s. */
static struct davy_config *plant(void)
{
    struct davy_limit limit = bench_above(DAVY_LEVEL_RED, 10);
    limit.off_delay = davy_span_s(5);
    struct davy_config *config = plant_new(1);
    plant_add_rule(config, "h2s", &limit, 1);
    return config;
}

/* It has returned for 2 s, of which the memory tells, and was restarted at 10 s. */
static void begin(void)
{
    bench_begin(&bench, plant());
    bench_good(&bench, 0, 0, 20);
    expect(&bench, 0, "raised " ALARM " unacknowledged red");
    bench_good(&bench, 1, 0, 1);
    assert_int_equal(bench_ack(&bench, 3, ALARM), 0);
    expect(&bench, 3, "acknowledged " ALARM " acknowledged red");
    bench_restart(&bench, 10);
}

static void an_off_delay_goes_on_with_the_next_good_reading(void **unused)
{
    (void)unused;
    begin();
    bench_good(&bench, 12, 0, 1);
    bench_advance(&bench, 20);
    expect(&bench, 15, "cleared " ALARM " normal red");
    bench_end(&bench);
}

static void a_reload_meanwhile_changes_nothing(void **unused)
{
    (void)unused;
    begin();
    bench_reload(&bench, 11, plant());
    bench_good(&bench, 12, 0, 1);
    bench_advance(&bench, 20);
    expect(&bench, 15, "cleared " ALARM " normal red");
    bench_end(&bench);
}

/* Later is safe, sooner would not be. */
static void over_a_second_restart_it_begins_anew(void **unused)
{
    (void)unused;
    begin();
    bench_restart(&bench, 11);
    bench_good(&bench, 12, 0, 1);
    bench_advance(&bench, 20);
    expect(&bench, 17, "cleared " ALARM " normal red");
    bench_end(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_off_delay_goes_on_with_the_next_good_reading),
        cmocka_unit_test(a_reload_meanwhile_changes_nothing),
        cmocka_unit_test(over_a_second_restart_it_begins_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
