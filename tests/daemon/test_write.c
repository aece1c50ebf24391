/* SPDX-License-Identifier: Apache-2.0 */
/* Which records go into one transaction. */
#include "daemon/write.h"

#include <string.h>

#include "support/cmocka_all.h"

/* A letter a record: `m` more follows, `l` the last of its cause, `a` an action from elsewhere. */
static size_t whole(const char *places)
{
    struct record records[16];
    size_t count = strlen(places);
    for (size_t i = 0; i < count; i++)
        records[i] = (struct record){.kind = RECORD_NOTHING,
                                     .place = places[i] == 'm'   ? RECORD_MORE
                                              : places[i] == 'l' ? RECORD_LAST
                                                                 : RECORD_ALONE};
    return records_whole(records, count);
}

static void a_cause_is_written_when_its_last_record_is_there(void **state)
{
    (void)state;
    assert_int_equal(whole(""), 0);
    assert_int_equal(whole("l"), 1);
    assert_int_equal(whole("mml"), 3);
    assert_int_equal(whole("m"), 0);
    assert_int_equal(whole("mm"), 0);
    assert_int_equal(whole("mlm"), 2);
    assert_int_equal(whole("mlmlmm"), 4);
}

static void an_action_from_elsewhere_neither_waits_nor_divides(void **state)
{
    (void)state;
    assert_int_equal(whole("a"), 1);
    assert_int_equal(whole("aml"), 3);
    assert_int_equal(whole("ma"), 0);
    assert_int_equal(whole("lma"), 1);
    assert_int_equal(whole("mal"), 3);
    assert_int_equal(whole("mla"), 3);
}

/* `e` an event, `m` a memory */
static size_t part(const char *kinds)
{
    struct record records[16];
    size_t count = strlen(kinds);
    for (size_t i = 0; i < count; i++)
        records[i] = (struct record){.kind = kinds[i] == 'e' ? RECORD_EVENT : RECORD_MEMORY, .place = RECORD_MORE};
    return records_part(records, count);
}

static void what_is_too_much_for_one_transaction_is_divided_between_alarms(void **state)
{
    (void)state;
    assert_int_equal(part("emem"), 2);
    assert_int_equal(part("ememe"), 4);
    assert_int_equal(part("eemmeem"), 4);
    assert_int_equal(part("eee"), 3);
    assert_int_equal(part("emm"), 3);
    assert_int_equal(part("e"), 1);
    assert_int_equal(part(""), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cause_is_written_when_its_last_record_is_there),
        cmocka_unit_test(an_action_from_elsewhere_neither_waits_nor_divides),
        cmocka_unit_test(what_is_too_much_for_one_transaction_is_divided_between_alarms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
