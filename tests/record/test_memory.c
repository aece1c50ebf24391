/* SPDX-License-Identifier: Apache-2.0 */
#include "record_support.h"

#include <errno.h>
#include <inttypes.h>

#define BOOT_A "11111111-1111-1111-1111-111111111111"
#define BOOT_B "22222222-2222-2222-2222-222222222222"

struct fixture {
    struct folder folder;
    struct davy_ledger *ledger;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    folder_new(&f->folder);
    assert_int_equal(davy_ledger_open(f->folder.path, wall_s(0), NULL, &f->ledger), 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    davy_ledger_close(f->ledger);
    folder_done(&f->folder);
    free(f);
    return 0;
}

static struct davy_stamp stamp_s(int64_t mono, int64_t wall)
{
    return (struct davy_stamp){{mono * DAVY_NS_PER_S}, wall_s(wall)};
}

static void remember(struct davy_ledger *ledger, const struct davy_alarm_memory *memory, struct davy_stamp now)
{
    assert_int_equal(davy_ledger_begin(ledger), 0);
    assert_int_equal(davy_ledger_remember(ledger, memory, now, BOOT_A), 0);
    assert_int_equal(davy_ledger_commit(ledger), 0);
}

struct recalled {
    int count;
    struct davy_alarm_memory memory[4];
};

static void take(void *context, const struct davy_alarm_memory *memory)
{
    struct recalled *recalled = context;
    assert_true(recalled->count < 4);
    recalled->memory[recalled->count++] = *memory;
}

static struct recalled recall(struct fixture *f, struct davy_stamp now, const char *boot_id)
{
    struct recalled recalled = {.count = 0};
    f->ledger = davy_ledger_close(f->ledger);
    assert_int_equal(davy_ledger_open(f->folder.path, wall_s(0), NULL, &f->ledger), 0);
    assert_int_equal(davy_ledger_recall(f->ledger, now, boot_id, take, &recalled), 0);
    return recalled;
}

static bool same_bits(double a, double b)
{
    return memcmp(&a, &b, sizeof(a)) == 0;
}

/* Any finite double, also subnormal, with either sign. */
static double random_double(struct davy_random *random)
{
    for (;;) {
        uint64_t bits = davy_random_next(random);
        double value;
        memcpy(&value, &bits, sizeof(value));
        if (isfinite(value))
            return value;
    }
}

static int64_t random_integer(struct davy_random *random)
{
    return (int64_t)(davy_random_next(random) >> (davy_random_next(random) % 64)) *
           (davy_random_next(random) & 1 ? 1 : -1);
}

static unsigned below(struct davy_random *random, unsigned bound)
{
    return (unsigned)(davy_random_next(random) % bound);
}

/* Any time, the same on both clocks, so that it does not move where nothing has happened. */
static struct davy_stamp random_stamp(struct davy_random *random)
{
    int64_t before = random_integer(random) / 4;
    return (struct davy_stamp){{1000 * DAVY_NS_PER_S - before}, {wall_s(0).ns - before}};
}

/* Text of any characters, also of those that JSON escapes. */
static void random_text(struct davy_random *random, char *text, size_t size)
{
    static const char *const characters[] = {"a", "\x01", "\"", "\\", "\n", "\x7f", "é", "泵", "😀"};
    size_t most = below(random, (unsigned)size), length = 0;
    for (;;) {
        const char *each = characters[below(random, 9)];
        if (length + strlen(each) > most)
            break;
        memcpy(text + length, each, strlen(each));
        length += strlen(each);
    }
    text[length] = '\0';
}

static struct davy_limit_memory random_limit(struct davy_random *random)
{
    return (struct davy_limit_memory){
        .level = (enum davy_level)below(random, DAVY_LEVEL_COUNT_),
        .condition = (enum davy_condition)below(random, DAVY_CONDITION_COUNT_),
        .upper = below(random, 2),
        .tripped = below(random, 2),
        .held = below(random, 2),
        .uncertain = below(random, 2),
        .timer = (enum davy_timer)below(random, 3),
        .started = random_stamp(random),
        .crossed = random_double(random),
    };
}

static struct davy_alarm_memory random_memory(struct davy_random *random)
{
    struct davy_alarm_memory memory = {
        .id = davy_uuid_v7(wall_s(0), (uint16_t)below(random, 4096), davy_random_next(random)),
        .count = (uint32_t)davy_random_next(random),
        .state = (enum davy_state)below(random, DAVY_STATE_COUNT_),
        .level = (enum davy_level)below(random, DAVY_LEVEL_COUNT_),
        .acknowledged = below(random, 2),
        .raised = random_stamp(random),
        .last_limit = (uint8_t)below(random, DAVY_LIMITS_MAX),
        .has_value = below(random, 2),
        .value = random_double(random),
        .quality = (enum davy_quality)below(random, DAVY_QUALITY_COUNT_),
        .reason = (enum davy_reason)below(random, DAVY_REASON_COUNT_),
        .steps_done = (uint8_t)below(random, DAVY_STEPS_MAX + 1),
        .floor = (enum davy_level)below(random, DAVY_LEVEL_COUNT_),
        .when_false = below(random, 2),
        .when_since = random_stamp(random),
        .when_asks = davy_random_next(random) >> 1,
        .unwell = below(random, 2),
        .out_of_service = below(random, 2),
        .shelved_until = random_stamp(random),
        .shelved_level = (enum davy_level)below(random, DAVY_LEVEL_COUNT_),
        .limit_count = below(random, DAVY_LIMITS_MAX + 1),
    };
    if (memory.raised.mono.ns > 0) /* before it was stored */
        memory.raised.mono.ns = 0;
    random_text(random, memory.by, sizeof memory.by);
    random_text(random, memory.note, sizeof memory.note);
    memset(memory.key, 'k', sizeof(memory.key) - 1);
    memory.key[below(random, sizeof(memory.key) - 1) + 1] = '\0';
    for (size_t i = 0; i < memory.limit_count; i++)
        memory.limits[i] = random_limit(random);
    return memory;
}

static void assert_same_stamp(struct davy_stamp a, struct davy_stamp b)
{
    assert_int_equal(a.mono.ns, b.mono.ns);
    assert_int_equal(a.wall.ns, b.wall.ns);
}

static void assert_same_limit(const struct davy_limit_memory *a, const struct davy_limit_memory *b)
{
    assert_int_equal(a->level, b->level);
    assert_int_equal(a->condition, b->condition);
    assert_int_equal(a->upper, b->upper);
    assert_int_equal(a->tripped, b->tripped);
    assert_int_equal(a->held, b->held);
    assert_int_equal(a->uncertain, b->uncertain);
    assert_int_equal(a->timer, b->timer);
    if (a->timer != DAVY_TIMER_NONE)
        assert_same_stamp(a->started, b->started);
    assert_true(same_bits(a->crossed, b->crossed));
}

static void assert_same(const struct davy_alarm_memory *a, const struct davy_alarm_memory *b)
{
    assert_string_equal(a->key, b->key);
    assert_memory_equal(&a->id, &b->id, sizeof(a->id));
    assert_int_equal(a->count, b->count);
    assert_int_equal(a->state, b->state);
    assert_int_equal(a->level, b->level);
    assert_int_equal(a->acknowledged, b->acknowledged);
    assert_same_stamp(a->raised, b->raised);
    assert_int_equal(a->last_limit, b->last_limit);
    assert_int_equal(a->has_value, b->has_value);
    assert_true(same_bits(a->value, b->value));
    assert_int_equal(a->quality, b->quality);
    assert_int_equal(a->reason, b->reason);
    assert_int_equal(a->steps_done, b->steps_done);
    assert_int_equal(a->floor, b->floor);
    assert_int_equal(a->when_false, b->when_false);
    assert_same_stamp(a->when_since, b->when_since);
    assert_true(a->when_asks == b->when_asks);
    assert_int_equal(a->unwell, b->unwell);
    assert_int_equal(a->out_of_service, b->out_of_service);
    assert_same_stamp(a->shelved_until, b->shelved_until);
    assert_int_equal(a->shelved_level, b->shelved_level);
    assert_string_equal(a->by, b->by);
    assert_string_equal(a->note, b->note);
    assert_int_equal(a->limit_count, b->limit_count);
    for (size_t i = 0; i < a->limit_count; i++)
        assert_same_limit(&a->limits[i], &b->limits[i]);
}

static void memory_comes_back_to_the_last_bit(void **state)
{
    struct fixture *f = *state;
    struct davy_random random = {davy_test_seed(20261125)};
    for (int round = 0; round < 300; round++) {
        struct recalled recalled = {.count = 0};
        struct davy_alarm_memory memory = random_memory(&random);
        remember(f->ledger, &memory, stamp_s(1000, 0));
        assert_int_equal(davy_ledger_recall(f->ledger, stamp_s(1000, 0), BOOT_A, take, &recalled), 0);
        assert_int_equal(recalled.count, 1);
        assert_same(&recalled.memory[0], &memory);
        assert_int_equal(davy_ledger_begin(f->ledger), 0);
        assert_int_equal(davy_ledger_forget(f->ledger, memory.key), 0);
        assert_int_equal(davy_ledger_commit(f->ledger), 0);
    }
}

static void what_is_not_a_number_stays_so_and_zero_has_no_sign(void **state)
{
    struct fixture *f = *state;
    struct davy_alarm_memory memory = {.key = "h2s:GT-1.h2s", .state = DAVY_STATE_LATCHED, .value = -0.0};
    memory.limit_count = 1;
    memory.limits[0].crossed = (double)NAN;
    remember(f->ledger, &memory, stamp_s(0, 0));
    struct recalled recalled = recall(f, stamp_s(1, 1), BOOT_A);
    assert_true(same_bits(recalled.memory[0].value, 0.0));
    assert_true(isnan(recalled.memory[0].limits[0].crossed));
}

static void an_alarm_with_nothing_to_remember_is_deleted(void **state)
{
    struct fixture *f = *state;
    struct davy_alarm_memory memory = {.key = "h2s:GT-1.h2s", .state = DAVY_STATE_UNACKNOWLEDGED, .limit_count = 1};
    remember(f->ledger, &memory, stamp_s(0, 0));
    memory.state = DAVY_STATE_SHELVED; /* without an occurrence: still to be kept */
    remember(f->ledger, &memory, stamp_s(0, 0));
    assert_int_equal(recall(f, stamp_s(1, 1), BOOT_A).count, 1);
    memory.state = DAVY_STATE_NORMAL;
    memory.limits[0].timer = DAVY_TIMER_ON;
    remember(f->ledger, &memory, stamp_s(0, 0));
    assert_int_equal(recall(f, stamp_s(1, 1), BOOT_A).count, 1);
    memory.limits[0].timer = DAVY_TIMER_NONE;
    remember(f->ledger, &memory, stamp_s(0, 0));
    assert_int_equal(recall(f, stamp_s(1, 1), BOOT_A).count, 0);
}

static void a_rolled_back_memory_is_not_remembered(void **state)
{
    struct fixture *f = *state;
    struct davy_alarm_memory memory = {.key = "h2s:GT-1.h2s", .state = DAVY_STATE_UNACKNOWLEDGED};
    assert_int_equal(davy_ledger_remember(f->ledger, &memory, stamp_s(0, 0), BOOT_A), -EINVAL);
    assert_int_equal(davy_ledger_begin(f->ledger), 0);
    assert_int_equal(davy_ledger_remember(f->ledger, &memory, stamp_s(0, 0), BOOT_A), 0);
    davy_ledger_rollback(f->ledger);
    assert_int_equal(recall(f, stamp_s(1, 1), BOOT_A).count, 0);
}

/* A timer started at mono 1000 s, wall 100 s; stored 5 s later. */
static struct davy_limit_memory recall_timer(struct fixture *f, enum davy_timer timer, struct davy_stamp now,
                                             const char *boot_id)
{
    struct davy_alarm_memory memory = {.key = "h2s:GT-1.h2s", .limit_count = 1};
    memory.limits[0].timer = timer;
    memory.limits[0].started = stamp_s(1000, 100);
    remember(f->ledger, &memory, stamp_s(1005, 105));
    struct recalled recalled = recall(f, now, boot_id);
    assert_int_equal(recalled.count, 1);
    assert_int_equal(recalled.memory[0].limits[0].timer, timer);
    return recalled.memory[0].limits[0];
}

static void assert_started(struct davy_limit_memory limit, int64_t mono, int64_t wall)
{
    assert_int_equal(limit.started.mono.ns, stamp_s(mono, 0).mono.ns);
    assert_int_equal(limit.started.wall.ns, wall_s(wall).ns);
}

static void an_on_delay_goes_on_over_a_restart(void **state)
{
    assert_started(recall_timer(*state, DAVY_TIMER_ON, stamp_s(1030, 130), BOOT_A), 1000, 100);
}

static void within_one_boot_a_step_of_the_clock_changes_no_on_delay(void **state)
{
    assert_started(recall_timer(*state, DAVY_TIMER_ON, stamp_s(1030, 9999), BOOT_A), 1000, 100);
}

static void an_on_delay_goes_on_over_a_reboot(void **state)
{
    /* 30 s by the wall clock since its start; the monotonic clock began anew */
    assert_started(recall_timer(*state, DAVY_TIMER_ON, stamp_s(7, 130), BOOT_B), 7 - 30, 100);
}

static void where_the_wall_clock_went_backwards_down_time_is_nothing(void **state)
{
    /* only the 5 s that had run when it was stored */
    assert_started(recall_timer(*state, DAVY_TIMER_ON, stamp_s(7, 50), BOOT_B), 2, 45);
}

static void an_off_delay_stands_still_while_down(void **state)
{
    assert_started(recall_timer(*state, DAVY_TIMER_OFF, stamp_s(1030, 130), BOOT_A), 1025, 125);
    assert_started(recall_timer(*state, DAVY_TIMER_OFF, stamp_s(7, 130), BOOT_B), 2, 125);
}

/* Stored at mono 1005 s, wall 105 s. */
static struct davy_alarm_memory recall_memory(struct fixture *f, struct davy_alarm_memory memory, struct davy_stamp now,
                                              const char *boot_id)
{
    memcpy(memory.key, "h2s:GT-1.h2s", sizeof "h2s:GT-1.h2s");
    remember(f->ledger, &memory, stamp_s(1005, 105));
    struct recalled recalled = recall(f, now, boot_id);
    assert_int_equal(recalled.count, 1);
    return recalled.memory[0];
}

static struct davy_alarm_memory occurrence(void)
{
    struct davy_alarm_memory memory = {.state = DAVY_STATE_UNACKNOWLEDGED, .raised = stamp_s(1000, 100)};
    memory.id = davy_uuid_v7(wall_s(100), 0, 1);
    return memory;
}

static void the_first_raise_lies_as_far_back_as_it_does(void **state)
{
    const struct {
        struct davy_stamp now;
        const char *boot_id;
        int64_t mono;
    } rows[] = {
        {stamp_s(1030, 130), BOOT_A, 1000},  /* within one boot */
        {stamp_s(1030, 9999), BOOT_A, 1000}, /* whatever the wall clock does */
        {stamp_s(7, 130), BOOT_B, 7 - 30},   /* 30 s ago by the wall clock */
        {stamp_s(7, 50), BOOT_B, 7 - 5},     /* which went backwards: down time is nothing */
    };
    for (size_t i = 0; i < DAVY_LENGTH(rows); i++) {
        struct davy_alarm_memory memory = recall_memory(*state, occurrence(), rows[i].now, rows[i].boot_id);
        assert_same_stamp(memory.raised, stamp_s(rows[i].mono, 100));
    }
}

static void a_first_raise_of_the_earlier_version_counts_by_the_wall_clock(void **state)
{
    struct fixture *f = *state;
    char sql[512], text[16];
    snprintf(sql, sizeof sql,
             "INSERT INTO memory VALUES ('a', 1005000000000, %" PRId64 ", 'x', '{\"key\":\"a\","
             "\"id\":\"0192f3c1-7b1e-7c44-9d0a-3f6f1f0a2b11\",\"raised_wall_ns\":%" PRId64 "}')",
             wall_s(105).ns, wall_s(100).ns);
    look(folder_file(&f->folder, "ledger.db"), sql, text, sizeof text);
    assert_same_stamp(recall(f, stamp_s(7, 130), BOOT_B).memory[0].raised, stamp_s(7 - 30, 100));
    assert_same_stamp(recall(f, stamp_s(7, 50), BOOT_B).memory[0].raised, stamp_s(7 - 5, 100));
}

static struct davy_alarm_memory changing_when(bool when_false)
{
    return (struct davy_alarm_memory){.when_false = when_false, .when_since = stamp_s(1000, 100)};
}

static void a_when_that_goes_true_goes_on(void **state)
{
    struct davy_alarm_memory memory = recall_memory(*state, changing_when(true), stamp_s(7, 130), BOOT_B);
    assert_true(memory.when_false);
    assert_same_stamp(memory.when_since, stamp_s(7 - 30, 100));
    memory = recall_memory(*state, changing_when(true), stamp_s(7, 50), BOOT_B);
    assert_same_stamp(memory.when_since, stamp_s(2, 45));
}

static void a_when_that_goes_false_stands_still(void **state)
{
    assert_same_stamp(recall_memory(*state, changing_when(false), stamp_s(1030, 130), BOOT_A).when_since,
                      stamp_s(1025, 125));
    assert_same_stamp(recall_memory(*state, changing_when(false), stamp_s(7, 130), BOOT_B).when_since, stamp_s(2, 125));
}

static struct davy_alarm_memory shelved(void)
{
    return (struct davy_alarm_memory){.shelved_until = stamp_s(1100, 200)};
}

static void a_shelf_ends_when_it_said(void **state)
{
    assert_same_stamp(recall_memory(*state, shelved(), stamp_s(1030, 130), BOOT_A).shelved_until, stamp_s(1100, 200));
    assert_same_stamp(recall_memory(*state, shelved(), stamp_s(7, 130), BOOT_B).shelved_until, stamp_s(77, 200));
    assert_same_stamp(recall_memory(*state, shelved(), stamp_s(7, 230), BOOT_B).shelved_until, stamp_s(7 - 30, 200));
}

static void a_shelf_ends_where_the_wall_clock_went_backwards(void **state)
{
    assert_same_stamp(recall_memory(*state, shelved(), stamp_s(7, 50), BOOT_B).shelved_until, stamp_s(7, 50));
    assert_same_stamp(recall_memory(*state, shelved(), stamp_s(1030, 50), BOOT_A).shelved_until, stamp_s(1030, 50));
}

static void an_instant_that_falls_on_zero_is_still_one(void **state)
{
    struct davy_alarm_memory memory = recall_memory(*state, shelved(), stamp_s(30, 230), BOOT_B);
    assert_int_not_equal(memory.shelved_until.mono.ns, 0);
    memory = recall_memory(*state, changing_when(true), stamp_s(30, 130), BOOT_B);
    assert_int_not_equal(memory.when_since.mono.ns, 0);
}

static void covers_when_and_ladder_are_worth_keeping(void **state)
{
    const struct davy_alarm_memory kept[] = {
        {.when_false = true}, changing_when(false),         {.out_of_service = true}, shelved(),
        {.steps_done = 1},    {.floor = DAVY_LEVEL_ORANGE}, {.unwell = true},
    };
    for (size_t i = 0; i < DAVY_LENGTH(kept); i++)
        recall_memory(*state, kept[i], stamp_s(1030, 130), BOOT_A);
}

static void the_longest_memory_fits(void **state)
{
    struct davy_alarm_memory memory = occurrence();
    memset(memory.by, '\x01', sizeof memory.by - 1);
    memset(memory.note, '\x01', sizeof memory.note - 1);
    memory.limit_count = DAVY_LIMITS_MAX;
    memory.raised = memory.when_since = memory.shelved_until = (struct davy_stamp){{INT64_MIN}, {INT64_MIN}};
    for (size_t i = 0; i < DAVY_LIMITS_MAX; i++)
        memory.limits[i] = (struct davy_limit_memory){.timer = DAVY_TIMER_OFF,
                                                      .level = DAVY_LEVEL_ORANGE,
                                                      .condition = DAVY_CONDITION_OUTSIDE,
                                                      .started = {{INT64_MIN}, {INT64_MIN}},
                                                      .crossed = -2.2250738585072014e-308};
    memset(memory.key, '\x01', sizeof memory.key - 1);
    struct fixture *f = *state;
    remember(f->ledger, &memory, stamp_s(1005, 105));
    assert_string_equal(recall(f, stamp_s(1005, 105), BOOT_A).memory[0].note, memory.note);
}

static void two_boots_without_an_id_are_not_the_same(void **state)
{
    struct fixture *f = *state;
    struct davy_alarm_memory memory = {.key = "h2s:GT-1.h2s", .limit_count = 1};
    memory.limits[0].timer = DAVY_TIMER_ON;
    memory.limits[0].started = stamp_s(1000, 100);
    assert_int_equal(davy_ledger_begin(f->ledger), 0);
    assert_int_equal(davy_ledger_remember(f->ledger, &memory, stamp_s(1005, 105), "unknown"), 0);
    assert_int_equal(davy_ledger_commit(f->ledger), 0);
    struct recalled recalled = recall(f, stamp_s(7, 130), "unknown");
    assert_started(recalled.memory[0].limits[0], 7 - 30, 100);
}

static void members_of_a_later_version_are_ignored_and_missing_ones_are_zero(void **state)
{
    struct fixture *f = *state;
    char text[16];
    look(folder_file(&f->folder, "ledger.db"),
         "INSERT INTO memory VALUES ('a', 0, 0, 'x', '{\"key\":\"a\",\"id\":\"0192f3c1-7b1e-7c44-9d0a-3f6f1f0a2b11\","
         "\"new\":{\"x\":1},\"limits\":[{\"level\":\"violet\",\"tripped\":true}]}')",
         text, sizeof(text));
    struct recalled recalled = recall(f, stamp_s(0, 0), BOOT_A);
    assert_int_equal(recalled.count, 1);
    assert_int_equal(recalled.memory[0].state, DAVY_STATE_UNACKNOWLEDGED); /* towards danger */
    assert_true(recalled.memory[0].limits[0].tripped);
    assert_int_equal(recalled.memory[0].limits[0].level, DAVY_LEVEL_NONE);
}

static void a_memory_that_cannot_be_read_is_told_and_spoils_no_other(void **state)
{
    struct fixture *f = *state;
    char text[16];
    struct recalled recalled = {.count = 0};
    struct davy_alarm_memory memory = {.key = "z", .state = DAVY_STATE_UNACKNOWLEDGED};
    remember(f->ledger, &memory, stamp_s(0, 0));
    look(folder_file(&f->folder, "ledger.db"), "INSERT INTO memory VALUES ('a', 0, 0, 'x', '{\"key\":')", text,
         sizeof(text));
    assert_int_equal(davy_ledger_recall(f->ledger, stamp_s(0, 0), BOOT_A, take, &recalled), DAVY_LEDGER_PARTLY);
    assert_int_equal(recalled.count, 1);
    assert_string_equal(recalled.memory[0].key, "z");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(memory_comes_back_to_the_last_bit),
        TEST(what_is_not_a_number_stays_so_and_zero_has_no_sign),
        TEST(an_alarm_with_nothing_to_remember_is_deleted),
        TEST(a_rolled_back_memory_is_not_remembered),
        TEST(an_on_delay_goes_on_over_a_restart),
        TEST(within_one_boot_a_step_of_the_clock_changes_no_on_delay),
        TEST(an_on_delay_goes_on_over_a_reboot),
        TEST(where_the_wall_clock_went_backwards_down_time_is_nothing),
        TEST(an_off_delay_stands_still_while_down),
        TEST(the_first_raise_lies_as_far_back_as_it_does),
        TEST(a_first_raise_of_the_earlier_version_counts_by_the_wall_clock),
        TEST(a_when_that_goes_true_goes_on),
        TEST(a_when_that_goes_false_stands_still),
        TEST(a_shelf_ends_when_it_said),
        TEST(a_shelf_ends_where_the_wall_clock_went_backwards),
        TEST(an_instant_that_falls_on_zero_is_still_one),
        TEST(covers_when_and_ladder_are_worth_keeping),
        TEST(the_longest_memory_fits),
        TEST(two_boots_without_an_id_are_not_the_same),
        TEST(members_of_a_later_version_are_ignored_and_missing_ones_are_zero),
        TEST(a_memory_that_cannot_be_read_is_told_and_spoils_no_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
