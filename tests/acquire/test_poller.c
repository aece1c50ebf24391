/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "acquire/poller.h"
#include "acquire/request.h"
#include "support/fake_bus.h"
#include "support/small_config.h"

#define LINKS 4

/* Each connection has a fake bus and a clock of its own: they are moved by different threads. */
static struct fake_clock clocks[LINKS];
static struct fake_bus buses[LINKS];
static unsigned links, refuse_from;

static int new_link(const struct davy_bus *bus, struct davy_bus_link *ret_link)
{
    (void)bus;
    if (links == refuse_from)
        return -ENOMEM;
    fake_clock_init(&clocks[links]);
    *ret_link = fake_bus_init(&buses[links], &clocks[links]);
    buses[links].late = 1;
    links++;
    return 0;
}

static struct davy_config *plan(unsigned devices)
{
    static char ids[SMALL_DEVICES][8];
    struct davy_config *config = small_config_new();
    small_bus(config, "bus", DAVY_BUS_TCP);
    config->buses[0].connections = LINKS;
    for (unsigned i = 0; i < devices; i++) {
        snprintf(ids[i], sizeof ids[i], "D%u", i);
        small_device(config, ids[i], 0, (uint8_t)(i + 1));
        config->devices[i].interval = davy_span_ms(50);
        small_point(config, "p", (uint16_t)(10 * i), DAVY_TYPE_UINT16);
    }
    assert_int_equal(davy_requests_plan(config), 0);
    return config;
}

static int create(const struct davy_config *config, struct davy_queue *blocks, struct davy_queue *replies,
                  struct davy_poller **ret_poller)
{
    const struct davy_poller_options options = {.config = config,
                                                .new_link = new_link,
                                                .clock = &davy_system_clock,
                                                .blocks = blocks,
                                                .demands = replies,
                                                .seed = 3};
    links = 0;
    return davy_poller_new(&options, ret_poller);
}

/* Wait until each of the first `devices` has given a block of this generation. */
static void wait_for_all(struct davy_waker *waker, struct davy_queue *blocks, unsigned devices, uint32_t generation)
{
    struct davy_block block;
    uint64_t seen = 0;
    for (int waits = 0; waits < 1000 && seen != (UINT64_C(1) << devices) - 1; waits++) {
        davy_waker_wait(waker, davy_span_s(1));
        while (davy_queue_pop(blocks, &block))
            if (block.generation == generation)
                seen |= UINT64_C(1) << block.request;
    }
    assert_int_equal(seen, (UINT64_C(1) << devices) - 1);
}

static void each_connection_polls_its_share_in_a_thread_of_its_own(void **state)
{
    (void)state;
    struct davy_config *config = plan(10), *next = plan(12);
    struct davy_waker waker;
    struct davy_queue blocks, replies;
    struct davy_poller *poller;
    struct davy_poller_status status;
    struct davy_poller_demand_reply reply;
    next->generation = 2;
    refuse_from = LINKS;
    assert_int_equal(davy_waker_init(&waker), 0);
    assert_int_equal(davy_queue_init(&blocks, sizeof(struct davy_block), 256, DAVY_QUEUE_DROP_OLDEST, &waker), 0);
    assert_int_equal(davy_queue_init(&replies, sizeof reply, 8, DAVY_QUEUE_REFUSE, &waker), 0);
    assert_int_equal(create(config, &blocks, &replies, &poller), 0);
    assert_int_equal(links, LINKS);
    assert_int_equal(davy_poller_start(poller), 0);
    const struct davy_poller_demand read = {.ticket = 1, .unit = 1, .table = DAVY_TABLE_INPUT, .count = 1};
    const struct davy_poller_demand frames = {.ticket = 2, .kind = DAVY_DEMAND_FRAMES, .connection = 3};
    assert_int_equal(davy_poller_demand(poller, &read), 0);
    assert_int_equal(davy_poller_demand(poller, &frames), 0);
    davy_poller_alarm(poller, 1, 7, true);
    wait_for_all(&waker, &blocks, 10, 1);
    uint64_t beats = davy_poller_beats(poller);
    davy_poller_switch(poller, next, 0);
    wait_for_all(&waker, &blocks, 12, 2);
    for (int waits = 0; waits < 1000 && davy_poller_beats(poller) == beats; waits++)
        davy_waker_wait(&waker, davy_span_ms(100));
    assert_true(davy_poller_beats(poller) > beats);
    davy_poller_status(poller, &status);
    assert_int_equal(status.state, DAVY_LINK_UP);
    assert_int_equal(status.connects, LINKS);
    assert_true(status.requests >= 22);
    assert_int_equal(status.late, status.requests);
    struct davy_poller_device row;
    for (size_t i = 0; i < 12; i++) {
        assert_true(davy_poller_device(poller, i, &row));
        assert_int_equal(row.device, i);
        assert_int_equal(row.generation, 2);
    }
    assert_false(davy_poller_device(poller, 12, &row));
    davy_poller_stop(poller);
    assert_null(davy_poller_free(poller));
    unsigned taken = 0;
    while (davy_queue_pop(&replies, &reply)) {
        taken++;
        free(reply.capture);
    }
    assert_int_equal(taken, 2);
    for (unsigned i = 0; i < LINKS; i++) {
        assert_int_equal(buses[i].frees, 1);
        for (size_t k = 0; k < buses[i].count; k++)
            assert_int_equal((buses[i].log[k].unit - 1) % LINKS, buses[i].log[k].start == 0 ? 0 : i);
    }
    davy_queue_done(&blocks);
    davy_queue_done(&replies);
    davy_waker_done(&waker);
    davy_config_unref(config);
    davy_config_unref(next);
}

static void connections_without_devices_stay_closed_and_are_not_bad(void **state)
{
    (void)state;
    struct davy_config *config = plan(2);
    struct davy_waker waker;
    struct davy_queue blocks;
    struct davy_poller *poller;
    struct davy_poller_status status;
    refuse_from = LINKS;
    assert_int_equal(davy_waker_init(&waker), 0);
    assert_int_equal(davy_queue_init(&blocks, sizeof(struct davy_block), 256, DAVY_QUEUE_DROP_OLDEST, &waker), 0);
    assert_int_equal(create(config, &blocks, NULL, &poller), 0);
    assert_int_equal(davy_poller_start(poller), 0);
    wait_for_all(&waker, &blocks, 2, 1);
    davy_poller_status(poller, &status);
    assert_int_equal(status.state, DAVY_LINK_UP);
    assert_int_equal(status.connects, 2);
    davy_poller_free(poller);
    assert_int_equal(buses[2].opens + buses[3].opens, 0);
    davy_queue_done(&blocks);
    davy_waker_done(&waker);
    davy_config_unref(config);
}

static void a_failed_start_leaves_nothing_behind(void **state)
{
    (void)state;
    struct davy_config *config = plan(2);
    struct davy_queue blocks;
    struct davy_poller *poller;
    assert_int_equal(davy_queue_init(&blocks, sizeof(struct davy_block), 16, DAVY_QUEUE_DROP_OLDEST, NULL), 0);
    for (refuse_from = 0; refuse_from < LINKS; refuse_from++) {
        assert_int_equal(create(config, &blocks, NULL, &poller), -ENOMEM);
        for (unsigned i = 0; i < refuse_from; i++)
            assert_int_equal(buses[i].frees, 1);
    }
    assert_null(davy_poller_free(NULL));
    davy_queue_done(&blocks);
    davy_config_unref(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_connection_polls_its_share_in_a_thread_of_its_own),
        cmocka_unit_test(connections_without_devices_stay_closed_and_are_not_bad),
        cmocka_unit_test(a_failed_start_leaves_nothing_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
