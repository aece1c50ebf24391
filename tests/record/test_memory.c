/* SPDX-License-Identifier: Apache-2.0 */
#include "record_support.h"

#include <errno.h>

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

static struct davy_limit_memory random_limit(struct davy_random *random)
{
    return (struct davy_limit_memory){
        .level = (enum davy_level)below(random, DAVY_LEVEL_COUNT_),
        .condition = (enum davy_condition)below(random, DAVY_CONDITION_COUNT_),
        .tripped = below(random, 2),
        .held = below(random, 2),
        .uncertain = below(random, 2),
        .timer = DAVY_TIMER_NONE,
        .started = {{random_integer(random)}, {random_integer(random)}},
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
        .raised = {.wall = {random_integer(random)}},
        .last_limit = (uint8_t)below(random, DAVY_LIMITS_MAX),
        .has_value = below(random, 2),
        .value = random_double(random),
        .quality = (enum davy_quality)below(random, DAVY_QUALITY_COUNT_),
        .reason = (enum davy_reason)below(random, DAVY_REASON_COUNT_),
        .limit_count = below(random, DAVY_LIMITS_MAX + 1),
    };
    memset(memory.key, 'k', sizeof(memory.key) - 1);
    memory.key[below(random, sizeof(memory.key) - 1) + 1] = '\0';
    for (size_t i = 0; i < memory.limit_count; i++)
        memory.limits[i] = random_limit(random);
    return memory;
}

static void assert_same_limit(const struct davy_limit_memory *a, const struct davy_limit_memory *b)
{
    assert_int_equal(a->level, b->level);
    assert_int_equal(a->condition, b->condition);
    assert_int_equal(a->tripped, b->tripped);
    assert_int_equal(a->held, b->held);
    assert_int_equal(a->uncertain, b->uncertain);
    assert_int_equal(a->timer, b->timer);
    assert_int_equal(a->started.mono.ns, b->started.mono.ns);
    assert_int_equal(a->started.wall.ns, b->started.wall.ns);
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
    assert_int_equal(a->raised.wall.ns, b->raised.wall.ns);
    assert_int_equal(a->last_limit, b->last_limit);
    assert_int_equal(a->has_value, b->has_value);
    assert_true(same_bits(a->value, b->value));
    assert_int_equal(a->quality, b->quality);
    assert_int_equal(a->reason, b->reason);
    assert_int_equal(a->limit_count, b->limit_count);
    for (size_t i = 0; i < a->limit_count; i++)
        assert_same_limit(&a->limits[i], &b->limits[i]);
}

static void memory_comes_back_to_the_last_bit(void **state)
{
    struct fixture *f = *state;
    struct davy_random random = {test_seed()};
    for (int round = 0; round < 300; round++) {
        struct recalled recalled = {.count = 0};
        struct davy_alarm_memory memory = random_memory(&random);
        remember(f->ledger, &memory, stamp_s(1000, 0));
        assert_int_equal(davy_ledger_recall(f->ledger, stamp_s(5, 100), BOOT_B, take, &recalled), 0);
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
        TEST(two_boots_without_an_id_are_not_the_same),
        TEST(members_of_a_later_version_are_ignored_and_missing_ones_are_zero),
        TEST(a_memory_that_cannot_be_read_is_told_and_spoils_no_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
