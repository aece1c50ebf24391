/* SPDX-License-Identifier: Apache-2.0 */
#include "record/delivery.h"

#include "record_support.h"

#include <fcntl.h>

#include "record/verify.h"

struct fixture {
    struct folder folder;
    struct davy_ledger *ledger;
    int64_t renewals;
};

static void reopen(struct fixture *f)
{
    bool aside = true;
    f->ledger = davy_ledger_close(f->ledger);
    assert_int_equal(davy_ledger_open(f->folder.path, wall_s(0), &aside, &f->ledger), 0);
    assert_false(aside);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    folder_new(&f->folder);
    reopen(f);
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

static const char *file_of(struct fixture *f)
{
    return folder_file(&f->folder, "ledger.db");
}

static void switch_to(struct davy_ledger *ledger, bool platform)
{
    assert_int_equal(davy_ledger_begin(ledger), 0);
    assert_int_equal(davy_ledger_deliver(ledger, platform), 0);
    assert_int_equal(davy_ledger_commit(ledger), 0);
}

static void acknowledge(struct davy_ledger *ledger, int64_t seq)
{
    assert_int_equal(davy_ledger_begin(ledger), 0);
    assert_int_equal(davy_ledger_outbox_done(ledger, 2 * seq, wall_s(100)), 0);
    assert_int_equal(davy_ledger_outbox_done(ledger, 2 * seq + 1, wall_s(100)), 0);
    assert_int_equal(davy_ledger_commit(ledger), 0);
}

static void refuse(struct davy_ledger *ledger, int64_t seq)
{
    assert_int_equal(davy_ledger_begin(ledger), 0);
    assert_int_equal(davy_ledger_outbox_refused(ledger, 2 * seq, 0x87, (davy_mono){0}), 0);
    assert_int_equal(davy_ledger_commit(ledger), 0);
}

static void confirm(struct davy_ledger *ledger, int64_t seq)
{
    assert_int_equal(davy_ledger_begin(ledger), 0);
    assert_int_equal(davy_ledger_confirm(ledger, seq), 0);
    assert_int_equal(davy_ledger_commit(ledger), 0);
}

/* Events from, from + 1 … to, each of an alarm of its own. */
static void store_range(struct davy_ledger *ledger, int64_t to)
{
    while (davy_ledger_last_seq(ledger) < to)
        store(ledger, (int)davy_ledger_last_seq(ledger), "unacknowledged");
}

static int64_t oldest_s(struct davy_ledger *ledger)
{
    struct davy_outbox_state state;
    assert_int_equal(davy_ledger_outbox_state(ledger, &state), 0);
    return state.oldest.ns == 0 ? 0 : (state.oldest.ns - T0) / DAVY_NS_PER_S;
}

static int64_t next_again(struct davy_ledger *ledger, int64_t after, int64_t upto)
{
    struct davy_outbox_row row;
    int r = davy_ledger_unconfirmed_next(ledger, after, upto, &row);
    assert_true(r == 0 || r == DAVY_OUTBOX_EMPTY);
    return r == 0 ? row.seq : 0;
}

static int64_t sent_seq(struct davy_ledger *ledger, int64_t sent_row)
{
    int64_t seq = -1;
    assert_int_equal(davy_ledger_sent_seq(ledger, sent_row, &seq), 0);
    return seq;
}

static void what_the_broker_has_is_pending_until_the_platform_confirms_it(void **state)
{
    struct fixture *f = *state;
    switch_to(f->ledger, true);
    store_range(f->ledger, 5);
    for (int64_t seq = 1; seq <= 4; seq++)
        acknowledge(f->ledger, seq);
    assert_int_equal(davy_ledger_outbox_count(f->ledger), 5);
    assert_int_equal(davy_ledger_unconfirmed(f->ledger), 4);
    assert_int_equal(look_number(file_of(f), "SELECT count(*) FROM pending"), 5);
    assert_int_equal(oldest_s(f->ledger), 1);
    confirm(f->ledger, 3);
    assert_int_equal(davy_ledger_outbox_count(f->ledger), 2);
    assert_int_equal(davy_ledger_unconfirmed(f->ledger), 1);
    assert_int_equal(look_number(file_of(f), "SELECT min(seq) FROM pending"), 4);
    assert_int_equal(oldest_s(f->ledger), 4);
    reopen(f);
    assert_true(davy_ledger_delivers_to_platform(f->ledger));
    assert_int_equal(davy_ledger_outbox_count(f->ledger), 2);
    assert_int_equal(davy_ledger_unconfirmed(f->ledger), 1);
    assert_int_equal(davy_ledger_settled_seq(f->ledger), 3);
}

/*
 * The platform may have been faster than the broker's acknowledgement: the row is sent until that comes, all the same.
 */
static void a_watermark_before_the_acknowledgement_leaves_the_row(void **state)
{
    struct fixture *f = *state;
    switch_to(f->ledger, true);
    store_range(f->ledger, 2);
    confirm(f->ledger, 2);
    assert_int_equal(davy_ledger_outbox_count(f->ledger), 2);
    assert_int_equal(look_number(file_of(f), "SELECT count(*) FROM pending"), 2);
    acknowledge(f->ledger, 1);
    assert_int_equal(davy_ledger_unconfirmed(f->ledger), 0);
    acknowledge(f->ledger, 2);
    assert_int_equal(davy_ledger_outbox_count(f->ledger), 0);
    assert_int_equal(look_number(file_of(f), "SELECT count(*) FROM pending"), 0);
    assert_int_equal(oldest_s(f->ledger), 0);
}

static void nobody_confirms_what_is_not_decided(void **state)
{
    struct fixture *f = *state;
    switch_to(f->ledger, true);
    store_range(f->ledger, 2);
    acknowledge(f->ledger, 1);
    acknowledge(f->ledger, 2);
    confirm(f->ledger, 1000);
    assert_int_equal(davy_ledger_confirmed_seq(f->ledger), 2);
    store_range(f->ledger, 3);
    acknowledge(f->ledger, 3);
    assert_int_equal(davy_ledger_unconfirmed(f->ledger), 1);
}

static void the_broker_alone_needs_no_watermark(void **state)
{
    struct fixture *f = *state;
    store_range(f->ledger, 3);
    acknowledge(f->ledger, 1);
    confirm(f->ledger, 2);
    assert_int_equal(davy_ledger_outbox_count(f->ledger), 2);
    assert_int_equal(davy_ledger_unconfirmed(f->ledger), 0);
    assert_int_equal(look_number(file_of(f), "SELECT count(*) FROM pending"), 2);
}

static void the_platform_is_asked_from_what_waits_on(void **state)
{
    struct fixture *f = *state;
    store_range(f->ledger, 6);
    for (int64_t seq = 1; seq <= 6; seq++)
        if (seq != 3)
            acknowledge(f->ledger, seq);
    switch_to(f->ledger, true);
    assert_int_equal(davy_ledger_settled_seq(f->ledger), 2);
    assert_int_equal(davy_ledger_unconfirmed(f->ledger), 3); /* 4, 5, 6; 3 is the broker's */
    assert_int_equal(davy_ledger_outbox_count(f->ledger), 4);
    assert_int_equal(next_again(f->ledger, davy_ledger_settled_seq(f->ledger), 6), 4);
    switch_to(f->ledger, false);
    assert_int_equal(davy_ledger_outbox_count(f->ledger), 1);
    acknowledge(f->ledger, 3);
    assert_int_equal(davy_ledger_outbox_count(f->ledger), 0);
    switch_to(f->ledger, true);
    assert_int_equal(davy_ledger_settled_seq(f->ledger), 6);
    assert_int_equal(davy_ledger_outbox_count(f->ledger), 0);
}

static void only_what_the_broker_has_goes_again(void **state)
{
    struct fixture *f = *state;
    switch_to(f->ledger, true);
    store_range(f->ledger, 5);
    acknowledge(f->ledger, 2);
    acknowledge(f->ledger, 4);
    assert_int_equal(next_again(f->ledger, 0, 5), 2);
    assert_int_equal(next_again(f->ledger, 2, 5), 4);
    assert_int_equal(next_again(f->ledger, 2, 3), 0);
    assert_int_equal(next_again(f->ledger, 4, 5), 0);
}

static void sent_is_what_every_row_up_to_it_was(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(sent_seq(f->ledger, 0), 0);
    store(f->ledger, 1, "unacknowledged");
    store(f->ledger, 1, "normal"); /* 4, and 5 the clearing */
    store(f->ledger, 2, "unacknowledged");
    assert_int_equal(sent_seq(f->ledger, 0), 0);
    assert_int_equal(sent_seq(f->ledger, 2), 1);
    assert_int_equal(sent_seq(f->ledger, 4), 2); /* that its topic is cleared later changes nothing */
    assert_int_equal(sent_seq(f->ledger, 6), 3);
    acknowledge(f->ledger, 1);
    assert_int_equal(sent_seq(f->ledger, 0), 1); /* of another run: that one was sent */
}

static void what_waits_behind_a_refusal_was_not_sent(void **state)
{
    struct fixture *f = *state;
    store(f->ledger, 1, "unacknowledged");
    store(f->ledger, 2, "unacknowledged");
    refuse(f->ledger, 1);
    assert_int_equal(sent_seq(f->ledger, 4), 2); /* a refusal holds up no other alarm */
    store(f->ledger, 1, "acknowledged");         /* waits behind the first */
    assert_int_equal(sent_seq(f->ledger, 4), 2);
    store(f->ledger, 2, "acknowledged");
    assert_int_equal(sent_seq(f->ledger, 8), 2);
    refuse(f->ledger, 3);
    assert_int_equal(sent_seq(f->ledger, 8), 4);
}

static void retention_keeps_what_is_not_confirmed(void **state)
{
    struct fixture *f = *state;
    switch_to(f->ledger, true);
    store_range(f->ledger, 6);
    for (int64_t seq = 1; seq <= 6; seq++)
        acknowledge(f->ledger, seq);
    confirm(f->ledger, 2);
    assert_int_equal(davy_ledger_prune(f->ledger, wall_s(1000), wall_s(LONG_AFTER)), 0);
    assert_int_equal(look_number(file_of(f), "SELECT min(seq) FROM events"), 3);
    assert_int_equal(davy_ledger_unconfirmed(f->ledger), 4);
    reopen(f);
    assert_int_equal(davy_ledger_unconfirmed(f->ledger), 4);
    confirm(f->ledger, 6);
    assert_int_equal(davy_ledger_prune(f->ledger, wall_s(1000), wall_s(LONG_AFTER)), 0);
    assert_int_equal(look_number(file_of(f), "SELECT count(*) FROM events"), 0);
    assert_int_equal(davy_ledger_unconfirmed(f->ledger), 0);
    reopen(f);
    assert_int_equal(davy_ledger_unconfirmed(f->ledger), 0);
}

/* ---- in a new file ---------------------------------------------------------------------------------------------- */

enum renewal { TAKEN_AWAY, DAMAGED, DAMAGED_AT_START, RENEWAL_COUNT };

/* Bytes of the page on which `table` begins. */
static void damage(struct fixture *f, const char *table)
{
    char sql[96], bytes[64];
    snprintf(sql, sizeof sql, "SELECT rootpage - 1 FROM sqlite_schema WHERE name = '%s'", table);
    off_t at = (off_t)(4096 * look_number(file_of(f), sql));
    int fd = open(file_of(f), O_WRONLY | O_CLOEXEC);
    memset(bytes, 0xa5, sizeof bytes);
    assert_int_equal(pwrite(fd, bytes, sizeof bytes, at), (ssize_t)sizeof bytes);
    close(fd);
}

/* As by a slip in a shell, the file has no header any more. */
static void spoil(struct fixture *f)
{
    int fd = open(file_of(f), O_WRONLY | O_CLOEXEC);
    assert_int_equal(pwrite(fd, "no database", 11, 0), 11);
    close(fd);
}

static void begin_anew(struct fixture *f, const char *damaged)
{
    bool aside = false;
    f->ledger = davy_ledger_close(f->ledger);
    damage(f, damaged);
    assert_int_equal(davy_ledger_open(f->folder.path, wall_s(f->renewals), &aside, &f->ledger), 0);
    assert_true(aside);
}

/* All that it held can be read, but at a start not what became of the events before the first that is kept. */
static void renew(struct fixture *f, enum renewal how)
{
    f->renewals++;
    if (how == DAMAGED_AT_START) {
        begin_anew(f, "tally");
        return;
    }
    if (how == TAKEN_AWAY)
        assert_int_equal(unlink(file_of(f)), 0);
    else
        spoil(f);
    assert_int_equal(davy_ledger_tend(f->ledger, (struct davy_stamp){{1}, wall_s(f->renewals)}), 1);
    assert_int_equal(davy_ledger_begin(f->ledger), DAVY_LEDGER_RENEWED);
    assert_int_equal(davy_ledger_commit(f->ledger), 0);
}

static void a_renewed_ledger_asks_the_platform_for_what_it_has_not_confirmed(void **state)
{
    struct fixture *f = *state;
    for (int how = 0; how < RENEWAL_COUNT; how++) {
        int64_t last = davy_ledger_last_seq(f->ledger);
        switch_to(f->ledger, true);
        store_range(f->ledger, last + 9);
        for (int64_t seq = last + 1; seq <= last + 7; seq++)
            acknowledge(f->ledger, seq);
        confirm(f->ledger, last + 3);
        renew(f, (enum renewal)how);
        assert_true(davy_ledger_delivers_to_platform(f->ledger));
        assert_int_equal(davy_ledger_settled_seq(f->ledger), last + 3);
        assert_int_equal(davy_ledger_unconfirmed(f->ledger), 4);
        assert_int_equal(davy_ledger_outbox_count(f->ledger), 6);
        assert_int_equal(look_number(file_of(f), "SELECT count(*) FROM pending"), 6);
        assert_int_equal(oldest_s(f->ledger), last + 4);
        assert_int_equal(next_again(f->ledger, last + 3, last + 9), last + 4);
        reopen(f);
        assert_int_equal(davy_ledger_unconfirmed(f->ledger), 4);
        acknowledge(f->ledger, last + 8);
        acknowledge(f->ledger, last + 9);
        confirm(f->ledger, last + 9);
        assert_int_equal(davy_ledger_outbox_count(f->ledger), 0);
        assert_int_equal(look_number(file_of(f), "SELECT count(*) FROM pending"), 0);
    }
}

/* It answers what it has already; nobody else would ever ask. */
static void a_platform_whose_watermark_cannot_be_read_is_asked_again(void **state)
{
    struct fixture *f = *state;
    switch_to(f->ledger, true);
    store_range(f->ledger, 9);
    for (int64_t seq = 1; seq <= 7; seq++)
        acknowledge(f->ledger, seq);
    confirm(f->ledger, 3);
    begin_anew(f, "confirmed");
    switch_to(f->ledger, true);
    assert_int_equal(davy_ledger_unconfirmed(f->ledger), 7);
    assert_int_equal(look_number(file_of(f), "SELECT count(*) FROM pending"), 9);
    switch_to(f->ledger, false);
    assert_int_equal(davy_ledger_outbox_count(f->ledger), 2);
}

/* ---- against a model -------------------------------------------------------------------------------------------- */

#define EVENTS_MAX 400

struct model {
    int64_t last, confirmed, asked;
    bool platform;
    bool silent[EVENTS_MAX + 1], acked[EVENTS_MAX + 1];
};

static bool is_pending(const struct model *m, int64_t seq)
{
    if (m->silent[seq])
        return false;
    return !m->acked[seq] || (m->platform && seq > m->confirmed && seq > m->asked);
}

static void check(struct fixture *f, const struct model *m)
{
    int64_t pending = 0, first = 0, unconfirmed = 0;
    for (int64_t seq = 1; seq <= m->last; seq++) {
        pending += is_pending(m, seq);
        unconfirmed += is_pending(m, seq) && m->acked[seq];
        first = first == 0 && is_pending(m, seq) ? seq : first;
    }
    assert_int_equal(davy_ledger_unconfirmed(f->ledger), unconfirmed);
    assert_int_equal(davy_ledger_outbox_count(f->ledger), pending);
    assert_int_equal(look_number(file_of(f), "SELECT count(*) FROM pending"), pending);
    assert_int_equal(look_number(file_of(f), "SELECT coalesce(min(seq), 0) FROM pending"), first);
    assert_int_equal(oldest_s(f->ledger), first);
}

static void add(struct fixture *f, struct model *m, bool silent)
{
    struct sample_event s;
    struct davy_ledger_event event = *sample(&s, m->last + 1, (int)(m->last % 7), "unacknowledged");
    if (silent)
        event.topic = NULL;
    assert_int_equal(davy_ledger_begin(f->ledger), 0);
    assert_int_equal(davy_ledger_append(f->ledger, &event), 0);
    assert_int_equal(davy_ledger_commit(f->ledger), 0);
    m->silent[++m->last] = silent;
}

static void switch_model(struct fixture *f, struct model *m)
{
    m->platform = !m->platform;
    switch_to(f->ledger, m->platform);
    if (!m->platform)
        return;
    m->asked = m->last;
    for (int64_t seq = m->last; seq >= 1; seq--)
        if (!m->silent[seq] && !m->acked[seq])
            m->asked = seq - 1;
}

static void lose(struct fixture *f, int64_t seq) /* a transaction that is rolled back changes nothing */
{
    assert_int_equal(davy_ledger_begin(f->ledger), 0);
    assert_int_equal(davy_ledger_confirm(f->ledger, seq), 0);
    assert_int_equal(davy_ledger_outbox_done(f->ledger, 2 * seq, wall_s(0)), 0);
    davy_ledger_rollback(f->ledger);
}

static void step(struct fixture *f, struct model *m, struct davy_random *random)
{
    int64_t any = m->last > 0 ? 1 + (int64_t)(davy_random_next(random) % (uint64_t)m->last) : 0;
    uint64_t what = davy_random_next(random) % (20 + RENEWAL_COUNT);
    if (any == 0 || (what < 8 && m->last < EVENTS_MAX)) {
        add(f, m, davy_random_next(random) % 10 == 0);
    } else if (what < 15) {
        acknowledge(f->ledger, any);
        m->acked[any] = true;
    } else if (what < 17) {
        confirm(f->ledger, any);
        m->confirmed = any > m->confirmed ? any : m->confirmed;
    } else if (what == 17) {
        switch_model(f, m);
    } else if (what == 18) {
        reopen(f);
    } else if (what == 19) {
        lose(f, any);
    } else {
        renew(f, (enum renewal)(what - 20));
    }
}

static void pending_is_what_the_model_says(void **state)
{
    struct fixture *f = *state;
    struct davy_random random = {davy_test_seed(20261125)};
    struct model m = {.last = 0};
    for (int i = 0; i < 600; i++) {
        step(f, &m, &random);
        if (i % 5 == 0)
            check(f, &m);
    }
    check(f, &m);
    struct davy_ledger_check whole;
    char error[256] = "";
    if (davy_ledger_verify(file_of(f), &whole, error, sizeof error) != 0)
        fail_msg("%s %s: %s", error, whole.bad_strand, whole.reason);
    assert_int_equal(whole.declared, 0);
    assert_int_equal(whole.pending, davy_ledger_outbox_count(f->ledger));
}

static void a_watermark_over_many_events_counts_them_all(void **state)
{
    struct fixture *f = *state;
    store_range(f->ledger, 2);
    switch_to(f->ledger, true);
    assert_int_equal(davy_ledger_begin(f->ledger), 0);
    for (int64_t seq = 3; seq <= 20000; seq++) {
        struct sample_event s;
        assert_int_equal(davy_ledger_append(f->ledger, sample(&s, seq, (int)(seq % 50), "unacknowledged")), 0);
        assert_int_equal(davy_ledger_outbox_done(f->ledger, 2 * seq, wall_s(0)), 0);
    }
    assert_int_equal(davy_ledger_commit(f->ledger), 0);
    acknowledge(f->ledger, 1);
    acknowledge(f->ledger, 2);
    assert_int_equal(davy_ledger_unconfirmed(f->ledger), 20000);
    confirm(f->ledger, 19999);
    assert_int_equal(davy_ledger_unconfirmed(f->ledger), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        T(what_the_broker_has_is_pending_until_the_platform_confirms_it),
        T(a_watermark_before_the_acknowledgement_leaves_the_row),
        T(nobody_confirms_what_is_not_decided),
        T(the_broker_alone_needs_no_watermark),
        T(the_platform_is_asked_from_what_waits_on),
        T(only_what_the_broker_has_goes_again),
        T(sent_is_what_every_row_up_to_it_was),
        T(what_waits_behind_a_refusal_was_not_sent),
        T(retention_keeps_what_is_not_confirmed),
        T(a_renewed_ledger_asks_the_platform_for_what_it_has_not_confirmed),
        T(a_platform_whose_watermark_cannot_be_read_is_asked_again),
        T(pending_is_what_the_model_says),
        T(a_watermark_over_many_events_counts_them_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
