/* SPDX-License-Identifier: Apache-2.0 */
/* What alarms were goes from a real ledger to main or to the evaluator: all of it, once, or none and then again. */
#include "record/record_support.h"

#include <errno.h>

#include "daemon/recall.h"
#include "record/ledger_internal.h"

#define ALARMS 40

static const char boot_id[] = "11111111-1111-4111-8111-111111111111";

struct fixture {
    struct folder folder;
    struct davy_ledger *ledger;
    struct route route;
    struct disk disk;
    struct recall recall;
    int told;
};

/* ---- what recall.c calls of its neighbours --------------------------------------------------------------------- */

static int troubles, recalls;

void disk_trouble(struct disk *disk, const char *what, int error)
{
    (void)disk, (void)what, (void)error;
    troubles++;
}

int standing_recall(struct standing *standing, struct davy_ledger *ledger, const struct davy_config *config)
{
    (void)standing, (void)ledger, (void)config;
    recalls++;
    return 0;
}

/* ---- the fixture ----------------------------------------------------------------------------------------------- */

static void fill(struct davy_ledger *ledger)
{
    assert_int_equal(davy_ledger_begin(ledger), 0);
    for (int i = 0; i < ALARMS; i++) {
        struct davy_alarm_memory memory = {.shelved_until.mono.ns = INT64_MAX}; /* worth keeping */
        snprintf(memory.key, sizeof memory.key, "high:GT-%d.gas", i);
        assert_int_equal(davy_ledger_remember(ledger, &memory, davy_clock_now(&davy_system_clock), boot_id), 0);
    }
    assert_int_equal(davy_ledger_commit(ledger), 0);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    folder_new(&f->folder);
    assert_int_equal(davy_ledger_open(f->folder.path, wall_s(0), NULL, &f->ledger), 0);
    fill(f->ledger);
    f->route.clock = &davy_system_clock;
    memcpy(f->route.boot_id, boot_id, sizeof boot_id);
    assert_int_equal(davy_queue_init(&f->route.asks, sizeof(struct ask), 2, DAVY_QUEUE_REFUSE, NULL), 0);
    assert_int_equal(recall_init(&f->recall, &f->route, &f->disk, NULL), 0);
    troubles = recalls = 0;
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    recall_done(&f->recall);
    davy_queue_done(&f->route.asks);
    davy_ledger_close(f->ledger);
    folder_done(&f->folder);
    free(f);
    return 0;
}

static void count(void *context, const struct davy_alarm_memory *memory)
{
    int *told = context;
    assert_string_not_equal(memory->key, "");
    ++*told;
}

static int told_to_main(struct fixture *f)
{
    int told = 0;
    assert_true(recall_await(&f->recall, davy_span_s(1), count, &told));
    return told;
}

/* How many the evaluator gets with the next ask; -1: none waits. */
static int told_to_evaluator(struct fixture *f)
{
    struct ask ask;
    if (!davy_queue_pop(&f->route.asks, &ask))
        return -1;
    assert_int_equal(ask.kind, ASK_RESTORE);
    free(ask.memories);
    return (int)ask.memory_count;
}

/* A failure is one of the connection: as at a start. */
static void again(struct fixture *f)
{
    recall_done(&f->recall);
    assert_int_equal(recall_init(&f->recall, &f->route, &f->disk, NULL), 0);
    davy_ledger_close(f->ledger);
    assert_int_equal(davy_ledger_open(f->folder.path, wall_s(0), NULL, &f->ledger), 0);
}

static int stop_at_once(void *context)
{
    (void)context;
    return 1;
}

/* ---- tests ----------------------------------------------------------------------------------------------------- */

static void main_gets_all_that_is_read_in_time(void **state)
{
    struct fixture *f = *state;
    recall_begin(&f->recall, f->ledger, NULL);
    recall_settle(&f->recall);
    assert_int_equal(told_to_main(f), ALARMS);
    assert_int_equal(told_to_evaluator(f), -1);
    assert_true(f->recall.done);
    assert_int_equal(recalls, 1);
}

static void the_evaluator_gets_what_main_did_not_wait_for(void **state)
{
    struct fixture *f = *state;
    int told = 0;
    recall_begin(&f->recall, f->ledger, NULL);
    assert_false(recall_await(&f->recall, (davy_span){0}, count, &told));
    recall_settle(&f->recall);
    assert_int_equal(told, 0);
    assert_int_equal(told_to_evaluator(f), ALARMS);
    assert_true(f->recall.done);
}

static void a_ledger_that_comes_late_is_read_then(void **state)
{
    struct fixture *f = *state;
    recall_begin(&f->recall, NULL, NULL);
    recall_settle(&f->recall);
    assert_int_equal(told_to_main(f), 0);
    assert_false(f->recall.done);
    recall_late(&f->recall, f->ledger, NULL);
    assert_int_equal(told_to_evaluator(f), ALARMS);
    assert_true(f->recall.done);
}

/* Wherever the reading ends: what was read before is neither passed on nor kept. */
static void what_cannot_be_read_whole_is_read_again(void **state)
{
    struct fixture *f = *state;
    int failures = 0;
    for (int steps = 1; !f->recall.done; steps += 7) {
        assert_true(steps < 10000);
        again(f);
        sqlite3_progress_handler(f->ledger->db.handle, steps, stop_at_once, NULL);
        recall_begin(&f->recall, f->ledger, NULL);
        sqlite3_progress_handler(f->ledger->db.handle, 0, NULL, NULL);
        recall_settle(&f->recall);
        assert_int_equal(told_to_main(f), f->recall.done ? ALARMS : 0);
        failures += !f->recall.done;
    }
    assert_true(failures > 10);
    assert_int_equal(troubles, failures);
    assert_int_equal(recalls, 1);
}

static void a_full_queue_takes_them_later(void **state)
{
    struct fixture *f = *state;
    const struct ask other = {.kind = ASK_MEMORIES};
    recall_begin(&f->recall, NULL, NULL);
    recall_settle(&f->recall);
    while (davy_queue_push(&f->route.asks, &other) != DAVY_QUEUE_LOST)
        continue;
    recall_late(&f->recall, f->ledger, NULL);
    assert_false(f->recall.done);
    for (struct ask ask; davy_queue_pop(&f->route.asks, &ask);)
        assert_int_equal(ask.kind, ASK_MEMORIES);
    recall_late(&f->recall, f->ledger, NULL);
    assert_int_equal(told_to_evaluator(f), ALARMS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(main_gets_all_that_is_read_in_time, setup, teardown),
        cmocka_unit_test_setup_teardown(the_evaluator_gets_what_main_did_not_wait_for, setup, teardown),
        cmocka_unit_test_setup_teardown(a_ledger_that_comes_late_is_read_then, setup, teardown),
        cmocka_unit_test_setup_teardown(what_cannot_be_read_whole_is_read_again, setup, teardown),
        cmocka_unit_test_setup_teardown(a_full_queue_takes_them_later, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
