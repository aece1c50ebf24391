/* SPDX-License-Identifier: Apache-2.0 */
/* Votes, M of N (ARCHITECTURE.md, Votes): the whole truth table of 2 of 3, and what runs on the count. */
#include "support/bench.h"

#define VOTE  "tank:_"
#define FAULT "tank.fault:_"

static struct bench bench;

/* Points 0 … members-1 are the vote's; there is one more, for `when`. */
static struct davy_config *plant_of(unsigned needed, size_t members, enum davy_on_bad on_bad, struct davy_limit limit)
{
    struct davy_config *config = plant_new(members + 1);
    plant_add_rule(config, "tank", &limit, 1);
    bench_points(config, 0, 0, members);
    config->rules[0].vote = needed;
    config->rules[0].on_bad = on_bad;
    config->rules[0].fault_name = "tank.fault";
    return config;
}

static struct davy_limit red(void)
{
    return (struct davy_limit){
        .level = DAVY_LEVEL_RED, .condition = DAVY_CONDITION_ABOVE, .a = 14, .deadband = 2, .acknowledge = true};
}

static void begin(unsigned needed, size_t members, enum davy_on_bad on_bad, struct davy_limit limit)
{
    bench_begin(&bench, plant_of(needed, members, on_bad, limit));
    bench.kinds = 1U << DAVY_ALARM_RULE | 1U << DAVY_ALARM_VOTE_FAULT;
}

/* 2 of 3. A: alarm, N: normal, B: bad, never had a vote. '1': the group is active. */
struct row {
    char members[4];
    char degrade, trip, abstain;
    char fault; /* fewer than 2 members are healthy */
};

static const struct row truth[] = {
    {"AAA", '1', '1', '1', '0'}, {"AAN", '1', '1', '1', '0'}, {"AAB", '1', '1', '1', '0'}, {"ANA", '1', '1', '1', '0'},
    {"ANN", '0', '0', '0', '0'}, {"ANB", '1', '1', '0', '0'}, {"ABA", '1', '1', '1', '0'}, {"ABN", '1', '1', '0', '0'},
    {"ABB", '1', '1', '0', '1'}, {"NAA", '1', '1', '1', '0'}, {"NAN", '0', '0', '0', '0'}, {"NAB", '1', '1', '0', '0'},
    {"NNA", '0', '0', '0', '0'}, {"NNN", '0', '0', '0', '0'}, {"NNB", '0', '0', '0', '0'}, {"NBA", '1', '1', '0', '0'},
    {"NBN", '0', '0', '0', '0'}, {"NBB", '0', '1', '0', '1'}, {"BAA", '1', '1', '1', '0'}, {"BAN", '1', '1', '0', '0'},
    {"BAB", '1', '1', '0', '1'}, {"BNA", '1', '1', '0', '0'}, {"BNN", '0', '0', '0', '0'}, {"BNB", '0', '1', '0', '1'},
    {"BBA", '1', '1', '0', '1'}, {"BBN", '0', '1', '0', '1'}, {"BBB", '0', '1', '0', '1'},
};

static char expected(const struct row *row, enum davy_on_bad on_bad)
{
    return on_bad == DAVY_ON_BAD_DEGRADE ? row->degrade : on_bad == DAVY_ON_BAD_TRIP ? row->trip : row->abstain;
}

/* `bad` is what makes a member bad: a reason that is bad or inhibits. K: bad, but it had a vote before. */
static void read_members(const char *members, enum davy_reason bad)
{
    for (uint32_t p = 0; members[p]; p++) {
        if (members[p] == 'A' || members[p] == 'K')
            bench_good(&bench, 1, p, 20);
        else if (members[p] == 'N')
            bench_good(&bench, 1, p, 5);
    }
    for (uint32_t p = 0; members[p]; p++)
        if (members[p] == 'B' || members[p] == 'K')
            bench_read(&bench, 2, p, 99, bad);
}

static void check_row(const char *members, enum davy_on_bad on_bad, enum davy_reason bad, char active, char fault)
{
    begin(2, 3, on_bad, red());
    read_members(members, bad);
    struct davy_alarm_view view = bench_view(&bench, VOTE), broken = bench_view(&bench, FAULT);
    if (view.active != (active == '1') || broken.active != (fault == '1'))
        fail_msg("%s, on_bad %d, reason %d: active %d, fault %d", members, (int)on_bad, (int)bad, view.active,
                 broken.active);
    if (view.active)
        assert_true(view.value >= view.limit);
    bench_end(&bench);
}

static void all_27_cases_of_2oo3_for_each_on_bad(void **unused)
{
    (void)unused;
    static const enum davy_reason bad[] = {DAVY_REASON_COMM, DAVY_REASON_DEVICE_FAULT, DAVY_REASON_STALE,
                                           DAVY_REASON_WARM_UP, DAVY_REASON_CALIBRATION};
    assert_int_equal(sizeof truth / sizeof truth[0], 27);
    for (size_t i = 0; i < 27; i++)
        for (int on_bad = 0; on_bad < DAVY_ON_BAD_COUNT_; on_bad++)
            for (size_t b = 0; b < sizeof bad / sizeof bad[0]; b++)
                check_row(truth[i].members, (enum davy_on_bad)on_bad, bad[b],
                          expected(&truth[i], (enum davy_on_bad)on_bad), truth[i].fault);
}

/* Each alarm of the table may have gone bad since: the votes are the same, the health is not. */
static void a_member_that_goes_bad_keeps_its_vote(void **unused)
{
    (void)unused;
    unsigned cases = 0;
    for (size_t i = 0; i < 27; i++)
        for (unsigned kept = 1; kept < 8; kept++) {
            char members[4];
            unsigned ill = 0, fit = 1;
            memcpy(members, truth[i].members, sizeof members);
            for (unsigned p = 0; p < 3; p++) {
                fit &= !(kept & 1U << p) || members[p] == 'A';
                members[p] = kept & 1U << p ? 'K' : members[p];
                ill += members[p] == 'K' || members[p] == 'B';
            }
            for (int on_bad = 0; fit && on_bad < DAVY_ON_BAD_COUNT_; on_bad++, cases++)
                check_row(members, (enum davy_on_bad)on_bad, DAVY_REASON_COMM,
                          expected(&truth[i], (enum davy_on_bad)on_bad), ill >= 2 ? '1' : '0');
        }
    assert_int_equal(cases, (64 - 27) * 3);
}

static void of_2oo2_one_bad_member_is_never_silent(void **unused)
{
    (void)unused;
    for (int on_bad = 0; on_bad < DAVY_ON_BAD_COUNT_; on_bad++)
        for (uint32_t bad = 0; bad < 2; bad++) {
            begin(2, 2, (enum davy_on_bad)on_bad, red());
            bench_good(&bench, 1, 0, 5);
            bench_good(&bench, 1, 1, 5);
            expect_silence(&bench);
            bench_bad(&bench, 2, bad);
            expect(&bench, 2, "raised " FAULT " acknowledged yellow");
            bench_good(&bench, 3, 1 - bad, 20);
            if (on_bad != DAVY_ON_BAD_ABSTAIN)
                expect(&bench, 3, "raised " VOTE " unacknowledged red");
            expect_silence(&bench);
            bench_end(&bench);
        }
}

static void the_event_tells_votes_needed_and_members(void **unused)
{
    (void)unused;
    begin(2, 3, DAVY_ON_BAD_DEGRADE, red());
    bench_bad(&bench, 1, 2);
    bench_good(&bench, 2, 0, 5);
    bench_good(&bench, 3, 1, 15);
    const struct davy_event *event = expect(&bench, 3, "raised " VOTE " unacknowledged red");
    assert_int_equal(event->condition, DAVY_CONDITION_VOTE);
    assert_int_equal(event->subject.point, DAVY_NONE);
    assert_true(event->has_value && event->has_limit);
    assert_int_equal((int)event->value, 1);
    assert_int_equal((int)event->limit, 1); /* one of three is bad: one is enough */
    assert_int_equal(event->quality, DAVY_QUALITY_GOOD);
    const struct davy_members *members = event->members;
    assert_int_equal(members->count, 3);
    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(members->list[i].point, i);
    assert_false(members->list[0].vote);
    assert_true(members->list[1].vote);
    assert_false(members->list[2].vote);
    assert_true(members->list[0].has_value && members->list[1].has_value && !members->list[2].has_value);
    assert_int_equal((int)members->list[1].value, 15);
    assert_int_equal(members->list[2].quality, DAVY_QUALITY_BAD);
    bench_good(&bench, 4, 0, 16); /* no event of its own */
    expect_silence(&bench);
    bench_ack(&bench, 5, VOTE);
    event = expect(&bench, 5, "acknowledged " VOTE " acknowledged red");
    assert_int_equal((int)event->value, 2);
    assert_true(event->members->list[0].vote);
    bench_end(&bench);
}

static void with_trip_a_bad_member_is_told_as_a_vote(void **unused)
{
    (void)unused;
    begin(2, 3, DAVY_ON_BAD_TRIP, red());
    bench_bad(&bench, 1, 2);
    bench_good(&bench, 3, 1, 15);
    const struct davy_event *event = expect(&bench, 3, "raised " VOTE " unacknowledged red");
    assert_int_equal((int)event->value, 2);
    assert_int_equal((int)event->limit, 2);
    assert_true(event->members->list[2].vote && event->members->list[1].vote && !event->members->list[0].vote);
    assert_false(event->uncertain);
    bench_end(&bench);
}

static void a_member_votes_until_below_its_deadband(void **unused)
{
    (void)unused;
    begin(2, 3, DAVY_ON_BAD_DEGRADE, red());
    bench_good(&bench, 1, 0, 20);
    bench_good(&bench, 2, 1, 14);
    expect(&bench, 2, "raised " VOTE " unacknowledged red");
    bench_good(&bench, 3, 1, 12); /* 14 - 2: not yet below */
    expect_silence(&bench);
    bench_good(&bench, 4, 1, 11.9);
    expect(&bench, 4, "cleared " VOTE " returned red");
    bench_end(&bench);
}

/* The votes of different members follow each other; that enough vote is what lasts. */
static void the_on_delay_runs_on_the_count(void **unused)
{
    (void)unused;
    struct davy_limit limit = red();
    limit.on_delay = davy_span_s(10);
    begin(2, 3, DAVY_ON_BAD_DEGRADE, limit);
    bench_good(&bench, 1, 0, 20);
    bench_good(&bench, 2, 1, 20); /* two vote from here on */
    bench_good(&bench, 5, 2, 20);
    bench_good(&bench, 6, 0, 1);
    bench_good(&bench, 11.9, 1, 20);
    expect_silence(&bench);
    bench_advance(&bench, 30);
    expect(&bench, 12, "raised " VOTE " unacknowledged red");
    bench_end(&bench);

    begin(2, 3, DAVY_ON_BAD_DEGRADE, limit);
    bench_good(&bench, 1, 0, 20);
    bench_good(&bench, 2, 1, 20);
    bench_good(&bench, 5, 0, 1); /* too few: begins anew */
    bench_good(&bench, 6, 2, 20);
    bench_advance(&bench, 30);
    expect(&bench, 16, "raised " VOTE " unacknowledged red");
    bench_end(&bench);
}

static void the_off_delay_of_the_group_is_cancelled_by_a_vote(void **unused)
{
    (void)unused;
    struct davy_limit limit = red();
    limit.off_delay = davy_span_s(10);
    begin(2, 3, DAVY_ON_BAD_DEGRADE, limit);
    bench_good(&bench, 1, 0, 20);
    bench_good(&bench, 1, 1, 20);
    expect(&bench, 1, "raised " VOTE " unacknowledged red");
    bench_good(&bench, 2, 0, 1);
    bench_good(&bench, 8, 2, 20);
    bench_good(&bench, 9, 2, 1);
    bench_advance(&bench, 18.9);
    expect_silence(&bench);
    bench_advance(&bench, 19);
    expect(&bench, 19, "cleared " VOTE " returned red");
    bench_end(&bench);
}

static void the_latch_of_the_group_holds_until_reset(void **unused)
{
    (void)unused;
    struct davy_limit limit = red();
    limit.latch = true;
    begin(2, 3, DAVY_ON_BAD_DEGRADE, limit);
    bench_good(&bench, 1, 0, 20);
    bench_good(&bench, 1, 1, 20);
    expect(&bench, 1, "raised " VOTE " unacknowledged red");
    bench_good(&bench, 2, 0, 1);
    expect(&bench, 2, "latched " VOTE " latched red");
    bench_good(&bench, 3, 2, 20);
    const struct davy_event *again = expect(&bench, 3, "raised " VOTE " unacknowledged red");
    assert_int_equal(again->count, 2);
    bench_good(&bench, 4, 2, 1);
    expect(&bench, 4, "latched " VOTE " latched red");
    assert_int_equal(bench_command(&bench, 5, DAVY_COMMAND_RESET, VOTE), 0);
    assert_true(expect(&bench, 5, "reset " VOTE " normal red")->ends);
    expect_silence(&bench);
    bench_end(&bench);
}

static void votes_that_are_needed_and_uncertain_make_the_group_so(void **unused)
{
    (void)unused;
    begin(2, 3, DAVY_ON_BAD_DEGRADE, red());
    bench_good(&bench, 1, 0, 20);
    bench_read(&bench, 2, 1, 1000, DAVY_REASON_OVER_RANGE);
    const struct davy_event *event = expect(&bench, 2, "raised " VOTE " unacknowledged red");
    assert_true(event->uncertain);
    bench_good(&bench, 3, 2, 20); /* two are certain now */
    bench_ack(&bench, 4, VOTE);
    event = expect(&bench, 4, "acknowledged " VOTE " acknowledged red");
    assert_false(event->uncertain);
    bench_end(&bench);
}

static void an_uncertain_reading_gives_a_vote_but_takes_none(void **unused)
{
    (void)unused;
    begin(2, 3, DAVY_ON_BAD_ABSTAIN, red());
    bench_good(&bench, 1, 0, 20);
    bench_read(&bench, 1, 1, 20, DAVY_REASON_NO_STATUS);
    expect(&bench, 1, "raised " VOTE " unacknowledged red");
    bench_read(&bench, 2, 0, 1, DAVY_REASON_SETTLING);
    bench_read(&bench, 2, 1, 1, DAVY_REASON_NO_STATUS);
    bench_read(&bench, 3, 0, 1, DAVY_REASON_WARM_UP);
    expect_silence(&bench);
    bench_good(&bench, 4, 1, 1);
    expect(&bench, 4, "cleared " VOTE " returned red");
    bench_end(&bench);
}

static void a_member_without_a_reading_is_healthy_and_has_no_vote(void **unused)
{
    (void)unused;
    begin(2, 3, DAVY_ON_BAD_TRIP, red());
    bench_good(&bench, 1, 0, 20);
    expect_silence(&bench);
    bench_bad(&bench, 2, 1);
    expect(&bench, 2, "raised " VOTE " unacknowledged red");
    expect_silence(&bench); /* two of three are healthy: no fault */
    bench_end(&bench);
}

static void the_fault_comes_at_once_and_goes_when_enough_are_healthy(void **unused)
{
    (void)unused;
    begin(2, 3, DAVY_ON_BAD_ABSTAIN, red());
    bench_bad(&bench, 1, 0);
    expect_silence(&bench);
    bench_read(&bench, 2, 1, 1, DAVY_REASON_CALIBRATION);
    const struct davy_event *event = expect(&bench, 2, "raised " FAULT " acknowledged yellow");
    assert_true(event->acknowledged && event->active);
    assert_int_equal(event->subject.kind, DAVY_ALARM_VOTE_FAULT);
    bench_bad(&bench, 3, 2);
    expect_silence(&bench);
    bench_good(&bench, 4, 0, 1);
    expect_silence(&bench); /* one is healthy, two are needed */
    bench_read(&bench, 5, 1, 1, DAVY_REASON_NO_STATUS);
    bench_read(&bench, 6, 1, 1, DAVY_REASON_SETTLING);
    expect_silence(&bench); /* neither is evidence that it is well again */
    bench_good(&bench, 7, 1, 1);
    assert_true(expect(&bench, 7, "cleared " FAULT " normal yellow")->ends);
    expect_silence(&bench);
    bench_end(&bench);
}

/* 2oo3, one bad: one vote is enough. The bad one settles: still one, until it has said something that counts. */
static void a_member_that_settles_clears_nothing(void **unused)
{
    (void)unused;
    begin(2, 3, DAVY_ON_BAD_DEGRADE, red());
    bench_bad(&bench, 1, 1);
    bench_good(&bench, 2, 0, 20);
    expect(&bench, 2, "raised " VOTE " unacknowledged red");
    bench_read(&bench, 3, 1, 1, DAVY_REASON_SETTLING);
    bench_read(&bench, 4, 1, 1, DAVY_REASON_NO_STATUS);
    expect_silence(&bench);
    bench_good(&bench, 5, 1, 1);
    expect(&bench, 5, "cleared " VOTE " returned red");
    bench_end(&bench);
}

static void on_fault_trip_makes_a_bad_member_vote(void **unused)
{
    (void)unused;
    struct davy_limit limit = red();
    limit.trip_on_fault = true;
    begin(2, 3, DAVY_ON_BAD_ABSTAIN, limit);
    bench_bad(&bench, 1, 0);
    expect_silence(&bench);
    bench_good(&bench, 2, 1, 15);
    expect(&bench, 2, "raised " VOTE " unacknowledged red");
    bench_end(&bench);
}

static void two_levels_count_their_votes_apart(void **unused)
{
    (void)unused;
    const struct davy_limit limits[] = {bench_above(DAVY_LEVEL_ORANGE, 7), bench_above(DAVY_LEVEL_RED, 14)};
    struct davy_config *config = plant_new(3);
    plant_add_rule(config, "tank", limits, 2);
    config->rules[0].vote = 2;
    config->rules[0].fault_name = "tank.fault";
    bench_begin(&bench, config);
    bench_good(&bench, 1, 0, 20);
    bench_good(&bench, 2, 1, 8);
    assert_int_equal((int)expect(&bench, 2, "raised " VOTE " unacknowledged orange")->value, 2);
    bench_good(&bench, 3, 2, 9);
    expect_silence(&bench);
    bench_good(&bench, 4, 2, 15);
    assert_int_equal((int)expect(&bench, 4, "escalated " VOTE " unacknowledged red")->value, 2);
    bench_good(&bench, 5, 0, 8);
    assert_int_equal((int)expect(&bench, 5, "lowered " VOTE " unacknowledged orange")->value, 3);
    bench_end(&bench);
}

/* Each member's mean is what votes. */
static void a_measure_votes(void **unused)
{
    (void)unused;
    struct davy_config *config = plant_of(2, 3, DAVY_ON_BAD_DEGRADE, red());
    config->rules[0].measure = DAVY_MEASURE_MEAN;
    config->rules[0].options = (struct davy_measure_options){.window = davy_span_s(10), .coverage = 0.5};
    bench_begin(&bench, config);
    for (int t = 0; t <= 20; t += 2) {
        bench_good(&bench, t, 0, 20);
        bench_good(&bench, t, 1, t < 10 ? 0 : 20);
    }
    /* (t - 10 s, t] holds 20 since 10 s: at 18 s the mean of the second is 16, at 16 s it was 12 */
    const struct davy_event *event = expect(&bench, 18, "raised " VOTE " unacknowledged red");
    assert_true(event->members->list[1].has_value);
    assert_true(event->members->list[1].value > 15.999 && event->members->list[1].value < 16.001);
    bench_end(&bench);
}

/* Two members, and both bounds of their exposure. */
static struct davy_config *exposed(void)
{
    const struct davy_limit limits[] = {
        {.level = DAVY_LEVEL_ORANGE, .condition = DAVY_CONDITION_ABOVE, .a = 10, .upper = true, .shelvable = true},
        {.level = DAVY_LEVEL_RED, .condition = DAVY_CONDITION_ABOVE, .a = 10, .shelvable = true}};
    struct davy_config *config = plant_new(2);
    plant_add_rule(config, "tank", limits, 2);
    config->rules[0].vote = 1;
    config->rules[0].fault_name = "tank.fault";
    config->rules[0].measure = DAVY_MEASURE_STEL;
    config->rules[0].options = (struct davy_measure_options){.window = davy_span_s(900)};
    return config;
}

/* 0 would say that nobody was exposed. */
static void before_a_reading_counts_the_exposure_of_a_member_is_unknown(void **unused)
{
    (void)unused;
    bench_begin(&bench, exposed());
    bench_read(&bench, 1, 0, 50, DAVY_REASON_CALIBRATION);
    bench_good(&bench, 1, 1, 9);
    bench_good(&bench, 11, 1, 9);
    assert_int_equal(bench_command(&bench, 12, DAVY_COMMAND_SHELVE, VOTE), 0);
    const struct davy_member *members = expect(&bench, 12, "shelved " VOTE " shelved -")->members->list;
    assert_false(members[0].has_value);
    assert_true(members[1].value > 0.0999 && members[1].value < 0.1001); /* the lower bound, 9 for 10 s of 900 s */
    bench_good(&bench, 313, 1, 20);
    bench_good(&bench, 613, 1, 20); /* 9 ppm for 312 s, before that unknown, then 20 ppm */
    members = expect(&bench, 613, "raised " VOTE " shelved orange")->members->list;
    assert_false(members[0].has_value);
    assert_true(members[1].has_value && members[1].value > 10);
    bench_end(&bench);
}

static void when_is_one_gate_for_the_whole(void **unused)
{
    (void)unused;
    struct davy_config *config = plant_of(2, 3, DAVY_ON_BAD_DEGRADE, red());
    bench_when(config, 0, 3, 1, davy_span_s(0));
    bench_begin(&bench, config);
    bench_good(&bench, 1, 0, 20);
    bench_good(&bench, 1, 1, 20);
    expect(&bench, 1, "raised " VOTE " unacknowledged red");
    bench_good(&bench, 2, 3, 0);
    const struct davy_event *gone = expect(&bench, 2, "suppressed " VOTE " suppressed red");
    for (size_t i = 0; i < 3; i++)
        assert_false(gone->members->list[i].vote);
    bench_good(&bench, 3, 1, 1);
    bench_good(&bench, 3, 2, 30);
    expect_silence(&bench);
    bench_good(&bench, 4, 3, 1); /* the newest of each: 20, 1, 30 */
    expect(&bench, 4, "unsuppressed " VOTE " returned red");
    const struct davy_event *again = expect(&bench, 4, "raised " VOTE " unacknowledged red");
    assert_int_equal((int)again->value, 2);
    assert_false(again->members->list[1].vote);
    expect_silence(&bench);
    bench_end(&bench);
}

static void a_vote_is_shelved_as_a_whole(void **unused)
{
    (void)unused;
    struct davy_limit limit = red();
    limit.shelvable = true;
    begin(2, 3, DAVY_ON_BAD_DEGRADE, limit);
    bench_good(&bench, 1, 0, 20);
    bench_good(&bench, 1, 1, 20);
    expect(&bench, 1, "raised " VOTE " unacknowledged red");
    assert_int_equal(bench_command(&bench, 2, DAVY_COMMAND_SHELVE, VOTE), 0);
    assert_int_equal(expect(&bench, 2, "shelved " VOTE " shelved red")->members->count, 3);
    assert_int_equal(bench_command(&bench, 2, DAVY_COMMAND_SHELVE, "tank:GT-101.h2s"), DAVY_REFUSED);
    bench_good(&bench, 3, 0, 1);
    expect(&bench, 3, "cleared " VOTE " shelved red");
    bench_good(&bench, 4, 0, 20);
    expect(&bench, 4, "raised " VOTE " shelved red");
    bench_advance(&bench, 3602);
    expect(&bench, 3602, "unshelved " VOTE " unacknowledged red");
    expect_silence(&bench);
    bench_end(&bench);
}

static void a_restart_keeps_votes_and_health(void **unused)
{
    (void)unused;
    begin(2, 3, DAVY_ON_BAD_DEGRADE, red());
    bench_good(&bench, 1, 0, 20);
    bench_bad(&bench, 1, 0); /* bad, but it has a vote */
    bench_restart(&bench, 2);
    bench_good(&bench, 3, 1, 20);
    expect(&bench, 3, "raised " VOTE " unacknowledged red");
    bench_bad(&bench, 4, 1);
    expect(&bench, 4, "raised " FAULT " acknowledged yellow");
    bench_restart(&bench, 5);
    bench_good(&bench, 6, 2, 1);
    expect_silence(&bench); /* the votes of the bad ones stay, and so does the fault */
    bench_good(&bench, 7, 0, 1);
    expect(&bench, 7, "cleared " VOTE " returned red");
    expect(&bench, 7, "cleared " FAULT " normal yellow");
    expect_silence(&bench);
    bench_end(&bench);
}

/* Of a vote at rest nothing is remembered, of a member that votes all is. */
static void a_restart_tells_the_votes_of_a_vote_at_rest(void **unused)
{
    (void)unused;
    begin(2, 3, DAVY_ON_BAD_DEGRADE, red());
    bench_good(&bench, 1, 0, 20);
    bench_good(&bench, 1, 1, 1);
    bench_restart(&bench, 2);
    assert_int_equal(bench_command(&bench, 3, DAVY_COMMAND_OUT_OF_SERVICE, VOTE), 0);
    const struct davy_event *event = expect(&bench, 3, "out-of-service " VOTE " out-of-service -");
    assert_true(event->has_value);
    assert_int_equal((int)event->value, 1);
    bench_end(&bench);
}

/* A ledger that was begun anew is told everything, members too. */
static void all_is_told_with_the_votes_of_the_members(void **unused)
{
    (void)unused;
    begin(2, 3, DAVY_ON_BAD_DEGRADE, red());
    bench_good(&bench, 1, 0, 20);
    bench_good(&bench, 1, 1, 20);
    expect(&bench, 1, "raised " VOTE " unacknowledged red");
    memset(&bench.store, 0, sizeof bench.store);
    davy_engine_tell_all(bench.engine);
    bench_restart(&bench, 2);
    bench_good(&bench, 3, 2, 1);
    expect_silence(&bench); /* two of three still vote */
    bench_end(&bench);
}

/* Fewer votes than are needed from now on: that is no evidence, and silence of a third is none either. */
static void only_a_good_reading_begins_a_return(void **unused)
{
    (void)unused;
    begin(1, 3, DAVY_ON_BAD_ABSTAIN, red());
    bench_good(&bench, 1, 0, 20);
    expect(&bench, 1, "raised " VOTE " unacknowledged red");
    bench_reload(&bench, 2, plant_of(2, 3, DAVY_ON_BAD_ABSTAIN, red()));
    bench_bad(&bench, 3, 1);
    bench_read(&bench, 4, 2, 1, DAVY_REASON_SETTLING);
    expect_silence(&bench);
    bench_good(&bench, 5, 2, 1);
    expect(&bench, 5, "cleared " VOTE " returned red");
    bench_end(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_27_cases_of_2oo3_for_each_on_bad),
        cmocka_unit_test(a_member_that_goes_bad_keeps_its_vote),
        cmocka_unit_test(of_2oo2_one_bad_member_is_never_silent),
        cmocka_unit_test(the_event_tells_votes_needed_and_members),
        cmocka_unit_test(with_trip_a_bad_member_is_told_as_a_vote),
        cmocka_unit_test(a_member_votes_until_below_its_deadband),
        cmocka_unit_test(the_on_delay_runs_on_the_count),
        cmocka_unit_test(the_off_delay_of_the_group_is_cancelled_by_a_vote),
        cmocka_unit_test(the_latch_of_the_group_holds_until_reset),
        cmocka_unit_test(votes_that_are_needed_and_uncertain_make_the_group_so),
        cmocka_unit_test(an_uncertain_reading_gives_a_vote_but_takes_none),
        cmocka_unit_test(a_member_without_a_reading_is_healthy_and_has_no_vote),
        cmocka_unit_test(a_member_that_settles_clears_nothing),
        cmocka_unit_test(the_fault_comes_at_once_and_goes_when_enough_are_healthy),
        cmocka_unit_test(on_fault_trip_makes_a_bad_member_vote),
        cmocka_unit_test(two_levels_count_their_votes_apart),
        cmocka_unit_test(a_measure_votes),
        cmocka_unit_test(before_a_reading_counts_the_exposure_of_a_member_is_unknown),
        cmocka_unit_test(when_is_one_gate_for_the_whole),
        cmocka_unit_test(a_vote_is_shelved_as_a_whole),
        cmocka_unit_test(a_restart_keeps_votes_and_health),
        cmocka_unit_test(a_restart_tells_the_votes_of_a_vote_at_rest),
        cmocka_unit_test(all_is_told_with_the_votes_of_the_members),
        cmocka_unit_test(only_a_good_reading_begins_a_return),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
