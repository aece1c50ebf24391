/* SPDX-License-Identifier: Apache-2.0 */
#include "evaluate/alarm_fsm.h"

#include <string.h>

#include "support/cmocka_all.h"

static void describe(enum davy_state state, enum davy_alarm_input input, char text[80])
{
    const struct davy_alarm_cell *cell = davy_alarm_cell(state, input);
    if (cell->kind == DAVY_CELL_DO)
        snprintf(text, 80, "%s, %s", davy_event_name(cell->event), davy_state_name(cell->next));
    else
        snprintf(text, 80, "%s", cell->kind == DAVY_CELL_REFUSE ? "refused" : "–");
}

/* ARCHITECTURE.md shows the table as "| state | trip | rise | … |"; here it is printed anew and looked for there. */
static void is_the_table_of_the_architecture(void **unused)
{
    (void)unused;
    char path[512];
    snprintf(path, sizeof path, "%s/ARCHITECTURE.md", getenv("DAVY_SOURCE"));
    DAVY_AUTO_FILE FILE *file = fopen(path, "r");
    assert_non_null(file);
    DAVY_AUTO_FREE char *text = calloc(1, 1 << 20);
    assert_true(fread(text, 1, (1 << 20) - 1, file) > 0);
    for (int state = 0; state <= DAVY_STATE_LATCHED; state++) {
        char row[1024];
        int length = snprintf(row, sizeof row, "| %s |", davy_state_name((enum davy_state)state));
        for (int input = 0; input < DAVY_INPUT_COUNT_; input++) {
            char cell[80];
            describe((enum davy_state)state, (enum davy_alarm_input)input, cell);
            length += snprintf(row + length, sizeof row - (size_t)length, " %s |", cell);
        }
        if (!strstr(text, row))
            fail_msg("ARCHITECTURE.md lacks the row:\n%s", row);
    }
}

static void every_way_to_normal_ends_with_somebody_knowing(void **unused)
{
    (void)unused;
    for (int state = 0; state < DAVY_STATE_COUNT_; state++) {
        for (int input = 0; input < DAVY_INPUT_COUNT_; input++) {
            const struct davy_alarm_cell *cell = davy_alarm_cell((enum davy_state)state, (enum davy_alarm_input)input);
            if (cell->kind != DAVY_CELL_DO || cell->next != DAVY_STATE_NORMAL)
                continue;
            bool known = cell->ack == DAVY_ACK_SET || state == DAVY_STATE_ACKNOWLEDGED || input == DAVY_INPUT_RETIRE;
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
        cmocka_unit_test(is_the_table_of_the_architecture),
        cmocka_unit_test(every_way_to_normal_ends_with_somebody_knowing),
        cmocka_unit_test(refusals_have_reasons),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
