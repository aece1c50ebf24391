/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guard against devices in virtual time: late, out of order, deaf, refusing, losing requests. The value of each
 * register tells where it was read, so that a reply taken for another one shows.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "acquire/guard.h"
#include "base/attr.h"
#include "base/num.h"
#include "support/seed.h"

#define TIMEOUT_NS (300 * DAVY_NS_PER_MS)
#define MAX_REPLY  ((davy_span){700 * DAVY_NS_PER_MS})
#define QUICK_NS   (20 * DAVY_NS_PER_MS)
#define SILENCE_NS (2 * DAVY_NS_PER_MS)
#define EVENTS     256

/* How a device answers what it was not made for. */
enum manners { OBLIGING, REFUSING, DEAF, MANNERS };

/* What it does wrong, each as a share of requests. */
struct device {
    enum manners manners;
    double late;
    int64_t least_ns, most_ns; /* late replies take so long */
    bool in_order;             /* nothing overtakes */
    bool one_at_a_time;        /* late again only when nothing is under way */
    double lost;
    double broken; /* its CRC is wrong */
    double twice;
    int64_t twice_after_ns; /* 0: before the line was silent */
    bool one_shape;         /* all reads are of two registers */
};

struct event {
    int64_t at;
    struct davy_frame frame; /* kind NONE: bytes that are no frame */
    uint16_t value;
};

struct line {
    struct davy_guard guard;
    struct davy_wire wire;
    struct device device;
    struct davy_random random;
    int64_t now;
    struct event events[EVENTS];
    size_t count;
    uint64_t exchanges, reads, good, wrong;
};

static double draw(struct line *line)
{
    return davy_random_unit(&line->random);
}

static davy_mono wire_now(void *context)
{
    return (davy_mono){((struct line *)context)->now};
}

static void add(struct line *line, struct event event)
{
    assert_true(line->count < EVENTS);
    size_t at = line->count++;
    for (; at > 0 && line->events[at - 1].at > event.at; at--)
        line->events[at] = line->events[at - 1];
    line->events[at] = event;
}

/* The next thing on the line, if it comes before `until`; time moves there. */
static bool take(struct line *line, int64_t until, struct event *ret_event)
{
    if (line->count == 0 || line->events[0].at > until) {
        line->now = until > line->now ? until : line->now;
        return false;
    }
    *ret_event = line->events[0];
    memmove(line->events, line->events + 1, --line->count * sizeof *line->events);
    line->now = ret_event->at > line->now ? ret_event->at : line->now;
    return true;
}

static void hear(struct line *line, const struct event *event)
{
    if (event->frame.kind != DAVY_FRAME_NONE)
        davy_guard_heard(&line->guard, &event->frame, (davy_mono){line->now}, MAX_REPLY);
}

static uint8_t function_of(enum davy_table table)
{
    for (uint8_t function = 1; function < 5; function++)
        if (davy_frame_table(function) == table)
            return function;
    return 0;
}

/* Reads that the device was made for: two or four holding registers at an even address. */
static bool is_made_for(const struct davy_bus_request *request)
{
    return request->table == DAVY_TABLE_HOLDING && (request->count == 2 || request->count == 4) &&
           request->start % 2 == 0;
}

static int64_t delay(struct line *line)
{
    const struct device *device = &line->device;
    bool late = draw(line) < device->late && !(device->one_at_a_time && line->count > 0);
    if (!late)
        return QUICK_NS;
    return device->least_ns + (int64_t)(draw(line) * (double)(device->most_ns - device->least_ns));
}

static void answer(struct line *line, const struct davy_bus_request *request)
{
    const struct device *device = &line->device;
    bool other = !is_made_for(request);
    if ((other && device->manners == DEAF) || draw(line) < device->lost)
        return;
    struct event event = {.at = line->now + delay(line), .value = request->start};
    if (device->in_order && line->count > 0 && line->events[line->count - 1].at >= event.at)
        event.at = line->events[line->count - 1].at + 1;
    bool refuse = other && device->manners == REFUSING;
    event.frame.kind = draw(line) < device->broken ? DAVY_FRAME_NONE : refuse ? DAVY_FRAME_EXCEPTION : DAVY_FRAME_REPLY;
    event.frame.unit = request->unit;
    event.frame.function = function_of(request->table);
    event.frame.data = refuse ? 0 : (uint16_t)davy_frame_data_bytes(request);
    add(line, event);
    if (draw(line) < device->twice) {
        event.at += device->twice_after_ns > 0 ? device->twice_after_ns : SILENCE_NS / 2;
        add(line, event);
    }
}

static bool is_answer_to(const struct davy_frame *frame, const struct davy_bus_request *request)
{
    bool shaped = frame->kind == DAVY_FRAME_EXCEPTION ||
                  (frame->kind == DAVY_FRAME_REPLY && frame->data == davy_frame_data_bytes(request));
    return shaped && frame->unit == request->unit && davy_frame_table(frame->function) == request->table;
}

static enum davy_answer wire_exchange(void *context, const struct davy_bus_request *request,
                                      struct davy_bus_reply *ret_reply, davy_mono *ret_sent)
{
    struct line *line = context;
    struct event event, second;
    line->exchanges++;
    while (take(line, line->now, &event))
        hear(line, &event);
    *ret_sent = (davy_mono){line->now};
    answer(line, request);
    for (bool broken = false;;) {
        if (!take(line, ret_sent->ns + TIMEOUT_NS, &event))
            return broken ? DAVY_ANSWER_INVALID : DAVY_ANSWER_TIMEOUT;
        if (is_answer_to(&event.frame, request))
            break;
        broken = true;
        hear(line, &event);
    }
    bool twice = false;
    for (int64_t silence = line->now + SILENCE_NS; take(line, silence, &second); silence = line->now + SILENCE_NS) {
        twice = twice || is_answer_to(&second.frame, request);
        if (!is_answer_to(&second.frame, request))
            hear(line, &second);
    }
    if (twice)
        return DAVY_ANSWER_INVALID;
    ret_reply->words[0] = event.value;
    return event.frame.kind == DAVY_FRAME_EXCEPTION ? DAVY_ANSWER_EXCEPTION : DAVY_ANSWER_OK;
}

static enum davy_hush wire_listen(void *context, davy_mono until)
{
    struct line *line = context;
    struct event event;
    if (!take(line, until.ns, &event))
        return DAVY_HUSH_SILENT;
    do {
        hear(line, &event);
    } while (take(line, line->now + SILENCE_NS, &event));
    return DAVY_HUSH_HEARD;
}

static void line_init(struct line *line, struct device device, uint64_t seed)
{
    memset(line, 0, sizeof *line);
    davy_guard_init(&line->guard, (davy_span){0});
    line->now = 1000 * DAVY_NS_PER_S;
    line->device = device;
    line->random.state = seed;
    line->wire = (struct davy_wire){.context = line, .now = wire_now, .exchange = wire_exchange, .listen = wire_listen};
}

static enum davy_answer read_at(struct line *line, uint16_t start, uint16_t count)
{
    struct davy_bus_reply reply = {.words = {0xFFFF}};
    const struct davy_bus_request request = {7, DAVY_TABLE_HOLDING, start, count, MAX_REPLY};
    enum davy_answer got = davy_guard_read(&line->guard, &line->wire, &request, &reply);
    line->reads++;
    line->good += got == DAVY_ANSWER_OK;
    line->wrong += got == DAVY_ANSWER_OK && reply.words[0] != start;
    return got;
}

/* A request that is lost and one that is answered: it is known then whether the device is deaf. */
static void make_acquainted(struct line *line)
{
    const struct device device = line->device;
    line->device = (struct device){.manners = device.manners, .lost = 1};
    (void)read_at(line, 0, 2);
    line->device.lost = 0;
    for (unsigned i = 0; i < 4; i++)
        (void)read_at(line, 0, 2);
    line->device = device;
}

/* Many devices of a kind, each read many times with pauses between, then honest again. */
static void run_trials(struct device kind, unsigned trials, bool must_recover, const char *what)
{
    static struct line line;
    uint64_t seed = davy_test_seed(20261125), reads = 0, good = 0, wrong = 0, late = 0, exchanges = 0;
    for (unsigned trial = 0; trial < trials; trial++) {
        line_init(&line, kind, seed + trial);
        make_acquainted(&line);
        for (unsigned i = 0; i < 200; i++) {
            (void)read_at(&line, (uint16_t)(2 * (unsigned)(draw(&line) * 8)),
                          kind.one_shape || draw(&line) < 0.7 ? 2 : 4);
            line.now += draw(&line) < 0.5 ? 0 : (int64_t)(draw(&line) * 400) * DAVY_NS_PER_MS;
        }
        wrong += line.wrong;
        if (must_recover && line.wrong > 0)
            fail_msg("%llu wrong values, DAVY_SEED=%llu", (unsigned long long)line.wrong,
                     (unsigned long long)(seed + trial));
        line.device = (struct device){.manners = kind.manners};
        late += line.guard.late;
        reads += line.reads;
        good += line.good;
        exchanges += line.exchanges;
        line.now += 30 * DAVY_NS_PER_S;
        for (unsigned i = 0; must_recover && i < 6; i++) { /* two reads of each shape at most may go for probes */
            enum davy_answer got = read_at(&line, 2, kind.one_shape || i % 2 == 0 ? 2 : 4);
            assert_true(i < 4 || got == DAVY_ANSWER_OK);
        }
    }
    print_message("%s: %llu reads in %llu exchanges, %llu good, %llu wrong, %llu late\n", what,
                  (unsigned long long)reads, (unsigned long long)exchanges, (unsigned long long)good,
                  (unsigned long long)wrong, (unsigned long long)late);
    assert_true(good > 0);
    assert_true(kind.most_ns <= MAX_REPLY.ns || late > 0);
    if (kind.most_ns <= MAX_REPLY.ns && kind.twice == 0)
        assert_int_equal(late, 0);
}

static void within_max_reply_no_order_and_no_loss_gives_a_wrong_value(void **state)
{
    (void)state;
    for (unsigned manners = 0; manners < MANNERS; manners++)
        run_trials((struct device){.manners = (enum manners)manners,
                                   .late = 0.4,
                                   .least_ns = QUICK_NS,
                                   .most_ns = MAX_REPLY.ns,
                                   .lost = 0.1,
                                   .broken = 0.05},
                   300, true, "within max_reply");
}

static void replies_that_come_twice_give_no_wrong_value_either(void **state)
{
    (void)state;
    for (unsigned manners = 0; manners < MANNERS; manners++)
        run_trials((struct device){.manners = (enum manners)manners,
                                   .late = 0.4,
                                   .least_ns = QUICK_NS,
                                   .most_ns = MAX_REPLY.ns,
                                   .lost = 0.1,
                                   .broken = 0.05,
                                   .twice = 0.05},
                   300, true, "twice");
}

static void a_device_in_order_may_be_as_late_as_it_likes(void **state)
{
    (void)state;
    for (unsigned manners = OBLIGING; manners <= REFUSING; manners++)
        run_trials((struct device){.manners = (enum manners)manners,
                                   .late = 0.3,
                                   .least_ns = QUICK_NS,
                                   .most_ns = 10 * MAX_REPLY.ns,
                                   .in_order = true,
                                   .one_at_a_time = true, /* else it leaves so many probes unanswered as a deaf one */
                                   .lost = 0.1,
                                   .broken = 0.05},
                   300, true, "in order");
}

static void a_reply_that_is_overtaken_shows_as_a_second_one(void **state)
{
    (void)state;
    for (unsigned manners = OBLIGING; manners <= REFUSING; manners++)
        run_trials((struct device){.manners = (enum manners)manners,
                                   .late = 0.3,
                                   .least_ns = QUICK_NS,
                                   .most_ns = 3 * MAX_REPLY.ns,
                                   .one_at_a_time = true},
                   300, true, "overtaken");
}

static void a_deaf_device_may_be_three_times_max_reply_late(void **state)
{
    (void)state;
    run_trials((struct device){.manners = DEAF,
                               .late = 0.3,
                               .least_ns = QUICK_NS,
                               .most_ns = 3 * MAX_REPLY.ns,
                               .lost = 0.1,
                               .broken = 0.05,
                               .one_shape = true},
               300, true, "deaf");
}

/* Then wrong values are possible; that it is so must show. The share is printed. */
static void beyond_what_is_assumed_it_is_counted(void **state)
{
    (void)state;
    for (unsigned manners = 0; manners < MANNERS; manners++)
        run_trials((struct device){.manners = (enum manners)manners,
                                   .late = 0.3,
                                   .least_ns = QUICK_NS,
                                   .most_ns = 15 * MAX_REPLY.ns,
                                   .lost = 0.1,
                                   .twice = 0.05},
                   300, false, "anything");
}

/* ---- what it costs ---- */

static int64_t cost_after_one_loss(enum manners manners, int64_t between_ns, uint64_t *ret_exchanges)
{
    static struct line line;
    line_init(&line, (struct device){.manners = manners}, 1);
    assert_int_equal(read_at(&line, 2, 2), DAVY_ANSWER_OK);
    line.device.lost = 1;
    int64_t lost = line.now;
    assert_int_equal(read_at(&line, 2, 2), DAVY_ANSWER_TIMEOUT);
    assert_int_equal(line.now - lost, MAX_REPLY.ns); /* the silence is its own */
    line.device.lost = 0;
    line.now += between_ns;
    int64_t before = line.now;
    uint64_t exchanges = line.exchanges;
    enum davy_answer got = read_at(&line, 4, 2);
    while (got == DAVY_ANSWER_TIMEOUT) /* what was learned by it is known the next time */
        got = read_at(&line, 4, 2);
    assert_int_equal(got, DAVY_ANSWER_OK);
    *ret_exchanges = line.exchanges - exchanges;
    return (line.now - before) / DAVY_NS_PER_MS;
}

static void a_lost_reply_costs_max_reply_and_two_probes(void **state)
{
    (void)state;
    uint64_t exchanges;
    assert_in_range(cost_after_one_loss(OBLIGING, 0, &exchanges), 0, 3 * 25);
    assert_int_equal(exchanges, 3);
    /* Other units were asked meanwhile. */
    assert_in_range(cost_after_one_loss(REFUSING, 2 * MAX_REPLY.ns, &exchanges), 0, 4 * 25);
    assert_int_equal(exchanges, 4);
}

static void a_unit_that_refuses_probes_holds_up_neither_itself_nor_others_for_long(void **state)
{
    (void)state;
    static struct line line;
    line_init(&line, (struct device){.manners = REFUSING, .lost = 1}, 1);
    int64_t begin = line.now;
    assert_int_equal(read_at(&line, 2, 2), DAVY_ANSWER_TIMEOUT);
    line.device.lost = 0;
    int64_t before = line.now;
    assert_int_equal(read_at(&line, 2, 2), DAVY_ANSWER_OK); /* the same again: at once */
    assert_in_range((line.now - before) / DAVY_NS_PER_MS, 0, 5 * 25);
    before = line.now;
    assert_int_equal(read_at(&line, 4, 2), DAVY_ANSWER_TIMEOUT); /* other registers: others first */
    assert_in_range(line.now - before, MAX_REPLY.ns, MAX_REPLY.ns * 3 / 2 + 4 * QUICK_NS);
    assert_int_equal(read_at(&line, 4, 2), DAVY_ANSWER_OK);
    assert_true(line.now - begin < 4 * MAX_REPLY.ns);
}

static void a_late_reply_ends_the_silence(void **state)
{
    (void)state;
    static struct line line;
    line_init(&line, (struct device){.late = 1, .least_ns = 400 * DAVY_NS_PER_MS, .most_ns = 400 * DAVY_NS_PER_MS}, 1);
    int64_t before = line.now;
    assert_int_equal(read_at(&line, 2, 2), DAVY_ANSWER_TIMEOUT);
    assert_in_range((line.now - before) / DAVY_NS_PER_MS, 400, 405);
    line.device.late = 0;
    assert_int_equal(read_at(&line, 4, 2), DAVY_ANSWER_OK);
    assert_int_equal(line.exchanges, 2);
    assert_int_equal(line.guard.late, 0);
}

static void a_reply_after_max_reply_is_counted(void **state)
{
    (void)state;
    static struct line line;
    line_init(&line, (struct device){.late = 1, .least_ns = 900 * DAVY_NS_PER_MS, .most_ns = 900 * DAVY_NS_PER_MS}, 1);
    assert_int_equal(read_at(&line, 2, 2), DAVY_ANSWER_TIMEOUT);
    line.device.late = 0;
    line.now += DAVY_NS_PER_S;
    assert_int_equal(read_at(&line, 4, 2), DAVY_ANSWER_OK);
    (void)read_at(&line, 4, 2);
    assert_int_equal(line.guard.late, 1);
}

/* Two devices of one address: the second one's replies come when the line was thought free. */
static void a_second_device_of_the_same_address_is_found_out(void **state)
{
    (void)state;
    static struct line line;
    line_init(&line, (struct device){.twice = 1, .twice_after_ns = 3 * SILENCE_NS}, 1);
    unsigned good = 0;
    for (unsigned i = 0; i < 20; i++) {
        good += read_at(&line, 2, 2) == DAVY_ANSWER_OK;
        line.now += DAVY_NS_PER_S;
    }
    assert_true(good <= 1);
    assert_true(line.guard.doubles > 0);
    line.device.twice = 0;
    (void)read_at(&line, 2, 2);
    line.now += DAVY_NS_PER_S;
    assert_int_equal(read_at(&line, 2, 2), DAVY_ANSWER_OK);
}

static void the_request_of_another_master_makes_its_shape_suspect(void **state)
{
    (void)state;
    static struct line line;
    line_init(&line, (struct device){.manners = OBLIGING}, 1);
    const struct davy_bus_request same = {7, DAVY_TABLE_HOLDING, 0, 2, MAX_REPLY};
    const struct davy_frame heard = {.kind = DAVY_FRAME_REQUEST, .unit = 7, .function = 3, .data = 4};
    assert_false(davy_guard_is_suspect(&line.guard, &same));
    davy_guard_heard(&line.guard, &heard, (davy_mono){line.now}, MAX_REPLY);
    assert_true(davy_guard_is_suspect(&line.guard, &same));
    const struct davy_frame reply = {.kind = DAVY_FRAME_REPLY, .unit = 7, .function = 3, .data = 4};
    davy_guard_heard(&line.guard, &reply, (davy_mono){line.now}, MAX_REPLY);
    assert_false(davy_guard_is_suspect(&line.guard, &same));
    assert_int_equal(line.guard.late + line.guard.doubles, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(within_max_reply_no_order_and_no_loss_gives_a_wrong_value),
        cmocka_unit_test(replies_that_come_twice_give_no_wrong_value_either),
        cmocka_unit_test(a_device_in_order_may_be_as_late_as_it_likes),
        cmocka_unit_test(a_reply_that_is_overtaken_shows_as_a_second_one),
        cmocka_unit_test(a_deaf_device_may_be_three_times_max_reply_late),
        cmocka_unit_test(beyond_what_is_assumed_it_is_counted),
        cmocka_unit_test(a_lost_reply_costs_max_reply_and_two_probes),
        cmocka_unit_test(a_unit_that_refuses_probes_holds_up_neither_itself_nor_others_for_long),
        cmocka_unit_test(a_late_reply_ends_the_silence),
        cmocka_unit_test(a_reply_after_max_reply_is_counted),
        cmocka_unit_test(a_second_device_of_the_same_address_is_found_out),
        cmocka_unit_test(the_request_of_another_master_makes_its_shape_suspect),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
