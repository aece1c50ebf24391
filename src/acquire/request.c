/* SPDX-License-Identifier: Apache-2.0 */
#include "acquire/request.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "acquire/estimate.h"

/*
 * A gap is worth reading while its characters take less time than a request of its own: on a serial line
 * about (13 characters + turn-around + silence) / 2 characters a register. Of TCP only the device's max_gap counts.
 */
#define TURN_AROUND_NS     (20 * DAVY_NS_PER_MS)
#define REQUEST_CHARACTERS 13

#define ADDRESSES     65536U
#define BITS_MAX      2000U
#define BITS_PER_WORD 16U

/* Something to be read: a point, or a status word (point is DAVY_NONE). */
struct item {
    enum davy_table table;
    davy_span interval;
    uint32_t start;
    uint32_t end; /* behind the last */
    uint32_t point;
};

/* The items of one device, sorted by table, interval and address; and the requests found so far. */
struct plan {
    struct davy_config *config;
    uint32_t device;
    struct item *items;
    size_t item_count;
    struct davy_request *requests; /* of all devices */
    size_t request_count;
    size_t device_first; /* first request of this device */
};

static bool is_bits(enum davy_table table)
{
    return table == DAVY_TABLE_COIL || table == DAVY_TABLE_DISCRETE;
}

static uint32_t longest(const struct davy_device *device, enum davy_table table)
{
    uint32_t words = device->max_registers < 1 ? 1U : (uint32_t)device->max_registers;
    if (words > 125)
        words = 125;
    uint32_t bits = words * BITS_PER_WORD;
    return is_bits(table) ? (bits < BITS_MAX ? bits : BITS_MAX) : words;
}

/* Registers whose characters cost as much time as one more request. */
static int64_t gap_worth(const struct davy_bus *bus)
{
    if (bus->type != DAVY_BUS_RTU || bus->baud <= 0)
        return ADDRESSES;
    int bits = 1 + bus->data_bits + (bus->parity == 'N' ? 0 : 1) + bus->stop_bits;
    int64_t character = bits * DAVY_NS_PER_S / bus->baud;
    int64_t silence = character * 7 / 2 > bus->pause.ns ? character * 7 / 2 : bus->pause.ns;
    return (REQUEST_CHARACTERS * character + TURN_AROUND_NS + silence) / (2 * character);
}

static uint32_t largest_gap(const struct davy_config *config, const struct davy_device *device, enum davy_table table)
{
    int64_t worth = gap_worth(&config->buses[device->bus]);
    int64_t allowed = device->max_gap < 0 ? 0 : device->max_gap;
    int64_t words = worth < allowed ? worth : allowed;
    return (uint32_t)(is_bits(table) ? words * BITS_PER_WORD : words);
}

static int compare_items(const void *left, const void *right)
{
    const struct item *a = left;
    const struct item *b = right;
    if (a->table != b->table)
        return a->table < b->table ? -1 : 1;
    if (a->interval.ns != b->interval.ns)
        return a->interval.ns < b->interval.ns ? -1 : 1;
    if (a->start != b->start)
        return a->start < b->start ? -1 : 1;
    return a->point < b->point ? -1 : a->point > b->point;
}

static void add_item(struct plan *plan, enum davy_table table, davy_span interval, uint32_t start, uint32_t length,
                     uint32_t point)
{
    uint32_t end = start + length > ADDRESSES ? ADDRESSES : start + length;
    plan->items[plan->item_count++] = (struct item){table, interval, start, end, point};
}

static void add_point(struct plan *plan, uint32_t index)
{
    const struct davy_point *point = &plan->config->points[index];
    const struct davy_device *device = &plan->config->devices[plan->device];
    add_item(plan, point->table, point->interval, point->address,
             is_bits(point->table) ? 1 : davy_type_registers(point->type), index);
    for (size_t i = 0; i < device->status_count; i++)
        add_item(plan, device->status[i].table, point->interval, device->status[i].address, 1, DAVY_NONE);
    for (size_t i = 0; i < point->status_count; i++)
        add_item(plan, point->status[i].table, point->interval, point->status[i].address, 1, DAVY_NONE);
}

static size_t count_items(const struct davy_config *config, const struct davy_device *device)
{
    size_t count = 0;
    for (uint32_t i = 0; i < device->point_count; i++)
        count += 1 + device->status_count + config->points[device->first_point + i].status_count;
    return count;
}

/* True when `item` may go into the run that began with `first` and ends before `end`. */
static bool joins(const struct plan *plan, const struct item *first, uint32_t end, const struct item *item)
{
    const struct davy_device *device = &plan->config->devices[plan->device];
    if (item->table != first->table || item->interval.ns != first->interval.ns)
        return false;
    uint32_t gap = item->start > end ? item->start - end : 0;
    uint32_t last = item->end > end ? item->end : end;
    return gap <= largest_gap(plan->config, device, first->table) &&
           last - first->start <= longest(device, first->table);
}

/* One behind the last item of the run that begins at `first`; its end address. */
static size_t run_of(const struct plan *plan, size_t first, uint32_t *ret_end)
{
    uint32_t end = plan->items[first].end;
    size_t next = first + 1;
    while (next < plan->item_count && joins(plan, &plan->items[first], end, &plan->items[next])) {
        if (plan->items[next].end > end)
            end = plan->items[next].end;
        next++;
    }
    *ret_end = end;
    return next;
}

static int compare_indices(const void *left, const void *right)
{
    uint32_t a = *(const uint32_t *)left;
    uint32_t b = *(const uint32_t *)right;
    return (a > b) - (a < b);
}

/* The points of items [first, next) in file order. */
static int take_points(struct plan *plan, size_t first, size_t next, struct davy_request *request)
{
    size_t count = 0;
    for (size_t i = first; i < next; i++)
        count += plan->items[i].point != DAVY_NONE;
    if (count == 0)
        return 0;
    uint32_t *points = davy_config_alloc(plan->config, count, sizeof *points);
    if (!points)
        return -ENOMEM;
    for (size_t i = first; i < next; i++)
        if (plan->items[i].point != DAVY_NONE)
            points[request->point_count++] = plan->items[i].point;
    qsort(points, count, sizeof *points, compare_indices);
    request->points = points;
    return 0;
}

/* The table's words from `start` to `end` are read by another request of this device, as often. */
static bool is_covered(const struct plan *plan, const struct davy_request *request)
{
    for (size_t i = plan->device_first; i < plan->request_count; i++) {
        const struct davy_request *other = &plan->requests[i];
        if (other != request && other->count > 0 && other->table == request->table &&
            other->interval.ns <= request->interval.ns && other->start <= request->start &&
            other->start + other->count >= request->start + request->count)
            return true;
    }
    return false;
}

/* Status words go first, so that the values behind them find them known; what others read too goes. */
static int tidy_device(struct plan *plan)
{
    size_t first = plan->device_first, count = plan->request_count - first, kept = 0;
    struct davy_request *sorted = calloc(count ? count : 1, sizeof *sorted);
    if (!sorted)
        return -ENOMEM;
    for (size_t i = first; i < plan->request_count; i++)
        if (plan->requests[i].point_count == 0 && is_covered(plan, &plan->requests[i]))
            plan->requests[i].count = 0;
    for (int with_points = 0; with_points <= 1; with_points++)
        for (size_t i = first; i < plan->request_count; i++)
            if (plan->requests[i].count > 0 && (plan->requests[i].point_count > 0) == (with_points == 1))
                sorted[kept++] = plan->requests[i];
    if (kept > 0)
        memcpy(plan->requests + first, sorted, kept * sizeof *sorted);
    plan->request_count = first + kept;
    free(sorted);
    return 0;
}

static int cut_requests(struct plan *plan)
{
    plan->device_first = plan->request_count;
    for (size_t i = 0, next; i < plan->item_count; i = next) {
        const struct item *item = &plan->items[i];
        uint32_t end;
        next = run_of(plan, i, &end);
        struct davy_request request = {.bus = plan->config->devices[plan->device].bus,
                                       .device = plan->device,
                                       .table = item->table,
                                       .start = (uint16_t)item->start,
                                       .count = (uint16_t)(end - item->start),
                                       .interval = item->interval};
        int rc = take_points(plan, i, next, &request);
        if (rc < 0)
            return rc;
        plan->requests[plan->request_count++] = request;
    }
    return tidy_device(plan);
}

static int plan_device(struct plan *plan, uint32_t index)
{
    const struct davy_device *device = &plan->config->devices[index];
    if (!device->enabled || device->point_count == 0)
        return 0;
    size_t room = count_items(plan->config, device);
    plan->device = index;
    plan->item_count = 0;
    plan->items = calloc(room, sizeof *plan->items);
    struct davy_request *grown = reallocarray(plan->requests, plan->request_count + room, sizeof *grown);
    if (grown)
        plan->requests = grown;
    int rc = -ENOMEM;
    if (plan->items && grown) {
        for (uint32_t i = 0; i < device->point_count; i++)
            add_point(plan, device->first_point + i);
        qsort(plan->items, plan->item_count, sizeof *plan->items, compare_items);
        rc = cut_requests(plan);
    }
    free(plan->items);
    plan->items = NULL;
    return rc;
}

static int plan_all(struct plan *plan)
{
    for (uint32_t bus = 0; bus < plan->config->bus_count; bus++)
        for (uint32_t i = 0; i < plan->config->device_count; i++) {
            int rc = plan->config->devices[i].bus == bus ? plan_device(plan, i) : 0;
            if (rc < 0)
                return rc;
        }
    return 0;
}

/* Hand the requests over to the memory of the configuration. */
static int give(struct plan *plan)
{
    struct davy_config *config = plan->config;
    struct davy_request *requests = NULL;
    if (plan->request_count > 0) {
        requests = davy_config_alloc(config, plan->request_count, sizeof *requests);
        if (!requests)
            return -ENOMEM;
        memcpy(requests, plan->requests, plan->request_count * sizeof *requests);
    }
    config->requests = requests;
    config->request_count = plan->request_count;
    return 0;
}

int davy_requests_plan(struct davy_config *config)
{
    struct plan plan = {.config = config};
    int rc = plan_all(&plan);
    if (rc == 0)
        rc = give(&plan);
    free(plan.requests);
    if (rc == 0)
        davy_estimate_fill(config);
    return rc;
}
