/* SPDX-License-Identifier: Apache-2.0 */
#include "evaluate/alarm_fsm.h"

#include <string.h>

#include "support/cmocka_all.h"

static void describe(enum davy_state state, enum davy_alarm_input input, char text[80])
{
    static const char *const kinds[] = {
        [DAVY_CELL_NEVER] = "–", [DAVY_CELL_REFUSE] = "refused", [DAVY_CELL_BELOW] = "below"};
    const struct davy_alarm_cell *cell = davy_alarm_cell(state, input);
    if (cell->kind != DAVY_CELL_DO)
        snprintf(text, 80, "%s", kinds[cell->kind]);
    else if (cell->next == DAVY_STATE_STAYS)
        snprintf(text, 80, "%s", davy_event_name(cell->event));
    else
        snprintf(text, 80, "%s → %s", davy_event_name(cell->event), davy_state_name(cell->next));
}

/* The row of an input: "| trip | raised → unacknowledged | … |". */
static void print_row(enum davy_alarm_input input, char *row, size_t size)
{
    int length = snprintf(row, size, "| %s |", davy_alarm_input_name(input));
    for (int state = 0; state < DAVY_STATE_COUNT_; state++) {
        char cell[80];
        describe((enum davy_state)state, input, cell);
        length += snprintf(row + length, size - (size_t)length, " %s |", cell);
    }
}

static void every_cell_is_filled(void **unused)
{
    (void)unused;
    for (int state = 0; state < DAVY_STATE_COUNT_; state++)
        for (int input = 0; input < DAVY_INPUT_COUNT_; input++)
            assert_int_not_equal(davy_alarm_cell((enum davy_state)state, (enum davy_alarm_input)input)->kind,
                                 DAVY_CELL_EMPTY);
}

/* ARCHITECTURE.md shows the table; here it is printed anew and looked for there. */
static void is_the_table_of_the_architecture(void **unused)
{
    (void)unused;
    char path[512];
    snprintf(path, sizeof path, "%s/ARCHITECTURE.md", getenv("DAVY_SOURCE"));
    DAVY_AUTO_FILE FILE *file = fopen(path, "r");
    assert_non_null(file);
    DAVY_AUTO_FREE char *text = calloc(1, 1 << 20);
    assert_true(fread(text, 1, (1 << 20) - 1, file) > 0);
    for (int input = 0; input < DAVY_INPUT_COUNT_; input++) {
        char row[1024];
        print_row((enum davy_alarm_input)input, row, sizeof row);
        if (!strstr(text, row))
            fail_msg("ARCHITECTURE.md lacks the row:\n%s", row);
    }
}

/* Only covers ask below, and what they ask below is answered there: by a cell of its own, or by never being asked. */
static void covers_ask_the_state_below(void **unused)
{
    (void)unused;
    for (int state = 0; state < DAVY_STATE_COUNT_; state++)
        for (int input = 0; input < DAVY_INPUT_COUNT_; input++) {
            enum davy_alarm_input in = (enum davy_alarm_input)input;
            bool cover = state == DAVY_STATE_SHELVED || state == DAVY_STATE_OUT_OF_SERVICE;
            if (davy_alarm_cell((enum davy_state)state, in)->kind == DAVY_CELL_BELOW)
                assert_true(cover);
            for (int covers = 0; !cover && covers < 4; covers++)
                assert_int_not_equal(davy_alarm_step((enum davy_state)state, covers & 1, covers & 2, in)->kind,
                                     DAVY_CELL_BELOW);
        }
}

/* Whatever a person has covered, the alarm below takes the same way. */
static void a_cover_changes_nothing_below(void **unused)
{
    (void)unused;
    for (int state = 0; state <= DAVY_STATE_SUPPRESSED; state++)
        for (int input = DAVY_INPUT_TRIP; input <= DAVY_INPUT_RELEASE_LATCHED; input++)
            for (int covers = 0; covers < 4; covers++)
                assert_ptr_equal(
                    davy_alarm_step((enum davy_state)state, covers & 1, covers & 2, (enum davy_alarm_input)input),
                    davy_alarm_cell((enum davy_state)state, (enum davy_alarm_input)input));
}

static void leaving_a_cover_in_alarm_is_unacknowledged(void **unused)
{
    (void)unused;
    const struct davy_alarm_cell *unshelved =
        davy_alarm_step(DAVY_STATE_ACKNOWLEDGED, true, false, DAVY_INPUT_UNSHELVE_ACTIVE);
    assert_int_equal(unshelved->next, DAVY_STATE_UNACKNOWLEDGED);
    assert_int_equal(unshelved->ack, DAVY_ACK_CLEAR);
    const struct davy_alarm_cell *back =
        davy_alarm_step(DAVY_STATE_ACKNOWLEDGED, true, true, DAVY_INPUT_PUT_BACK_ACTIVE);
    assert_int_equal(back->next, DAVY_STATE_UNACKNOWLEDGED);
    assert_int_equal(back->event, DAVY_EVENT_IN_SERVICE);
    const struct davy_alarm_cell *both = davy_alarm_step(DAVY_STATE_LATCHED, true, true, DAVY_INPUT_UNSHELVE);
    assert_int_equal(both->event, DAVY_EVENT_UNSHELVED);
    assert_int_equal(both->next, DAVY_STATE_STAYS);
}

static void every_way_to_normal_ends_with_somebody_knowing(void **unused)
{
    (void)unused;
    for (int state = 0; state < DAVY_STATE_COUNT_; state++) {
        for (int input = 0; input < DAVY_INPUT_COUNT_; input++) {
            const struct davy_alarm_cell *cell = davy_alarm_cell((enum davy_state)state, (enum davy_alarm_input)input);
            if (cell->kind != DAVY_CELL_DO || cell->next != DAVY_STATE_NORMAL)
                continue;
            bool known = cell->ack == DAVY_ACK_SET || state == DAVY_STATE_ACKNOWLEDGED || input == DAVY_INPUT_RETIRE ||
                         input == DAVY_INPUT_RELEASE_SEEN;
            assert_true(known);
        }
    }
}

static void refusals_have_reasons(void **unused)
{
    (void)unused;
    for (int state = 0; state < DAVY_STATE_COUNT_; state++)
        for (int input = 0; input < DAVY_INPUT_COUNT_; input++) {
            const struct davy_alarm_cell *cell = davy_alarm_cell((enum davy_state)state, (enum davy_alarm_input)input);
            assert_int_equal(cell->kind == DAVY_CELL_REFUSE, cell->refusal != NULL);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_cell_is_filled),
        cmocka_unit_test(covers_ask_the_state_below),
        cmocka_unit_test(a_cover_changes_nothing_below),
        cmocka_unit_test(leaving_a_cover_in_alarm_is_unacknowledged),
        cmocka_unit_test(is_the_table_of_the_architecture),
        cmocka_unit_test(every_way_to_normal_ends_with_somebody_knowing),
        cmocka_unit_test(refusals_have_reasons),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
