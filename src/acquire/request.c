/* SPDX-License-Identifier: Apache-2.0 */
#include "acquire/request.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "acquire/estimate.h"

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
    uint32_t low, high; /* what it is best read together with: itself and its own status words in reach */
};

/* The best way to read the items before this one: its time, and what breaks ties. */
struct best {
    int64_t ns;
    uint32_t requests;
    uint32_t addresses;
    size_t first; /* item that its last request begins with */
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

static uint32_t largest_gap(const struct davy_device *device, enum davy_table table)
{
    uint32_t words = device->max_gap < 0 ? 0 : (uint32_t)device->max_gap;
    return is_bits(table) ? words * BITS_PER_WORD : words;
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

static uint32_t lesser(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static uint32_t greater(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

static struct item *add_item(struct plan *plan, enum davy_table table, davy_span interval, uint32_t start,
                             uint32_t length, uint32_t point)
{
    uint32_t end = lesser(start + length, ADDRESSES);
    struct item *item = &plan->items[plan->item_count++];
    *item = (struct item){table, interval, start, end, point, start, end};
    return item;
}

/* A value and its own status word belong into one request where the device's limits allow it. */
static void reach(const struct davy_device *device, const struct davy_status *status, struct item *item)
{
    uint32_t low = lesser(item->low, status->address), high = greater(item->high, status->address + 1U);
    uint32_t gap = status->address >= item->high ? status->address - item->high
                   : status->address < item->low ? item->low - status->address - 1U
                                                 : 0;
    if (status->table != item->table || gap > largest_gap(device, item->table) ||
        high - low > longest(device, item->table))
        return;
    item->low = low;
    item->high = high;
}

static void add_point(struct plan *plan, uint32_t index)
{
    const struct davy_point *point = &plan->config->points[index];
    const struct davy_device *device = &plan->config->devices[plan->device];
    struct item *item = add_item(plan, point->table, point->interval, point->address,
                                 is_bits(point->table) ? 1 : davy_type_registers(point->type), index);
    for (size_t i = 0; i < point->status_count; i++)
        reach(device, &point->status[i], item);
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

static struct davy_request request_of(const struct plan *plan, const struct item *first, uint32_t end)
{
    return (struct davy_request){.bus = plan->config->devices[plan->device].bus,
                                 .device = plan->device,
                                 .table = first->table,
                                 .start = (uint16_t)first->start,
                                 .count = (uint16_t)(end - first->start),
                                 .interval = first->interval};
}

/* True when `item` may go into the run that began with `first` and ends before `end`. */
static bool joins(const struct plan *plan, const struct item *first, uint32_t end, const struct item *item)
{
    const struct davy_device *device = &plan->config->devices[plan->device];
    if (item->end <= end)
        return true;
    return (item->start <= end || item->start - end <= largest_gap(device, first->table)) &&
           item->end - first->start <= longest(device, first->table);
}

/* A request that grows from `first` on, and the values in it whose own status words it does not reach yet. */
struct growth {
    const struct item *first;
    uint32_t end;
    uint32_t torn;
    uint16_t waiting[BITS_MAX + 1]; /* of those torn, by the place behind which it would be whole */
};

static void grow(struct growth *growth, const struct item *item)
{
    uint32_t start = growth->first->start;
    for (uint32_t end = growth->end; end < item->end; end++)
        growth->torn -= growth->waiting[end + 1 - start];
    growth->end = greater(growth->end, item->end);
    const bool torn = item->low < start || item->high > growth->end;
    growth->torn += torn;
    if (torn && item->low >= start && item->high - start <= BITS_MAX)
        growth->waiting[item->high - start]++;
}

/*
 * The best way to read the items before `first`, and then those of the growth by one request. A value torn from its
 * status word counts as one request more.
 */
static struct best extend(const struct plan *plan, const struct best *before, size_t first, const struct growth *growth)
{
    struct davy_request request = request_of(plan, growth->first, growth->end);
    int64_t ns = davy_estimate_request(plan->config, &request).ns;
    request.count = 0;
    int64_t torn = growth->torn == 0 ? 0 : growth->torn * davy_estimate_request(plan->config, &request).ns;
    return (struct best){.ns = before->ns + ns + torn,
                         .requests = before->requests + 1,
                         .addresses = before->addresses + (growth->end - growth->first->start),
                         .first = first};
}

static bool is_better(const struct best *a, const struct best *b)
{
    if (a->ns != b->ns)
        return a->ns < b->ns;
    if (a->requests != b->requests)
        return a->requests < b->requests;
    return a->addresses < b->addresses;
}

/*
 * Items [first, first + count) are of one table and interval. best[k] becomes the best way to read the first k of them:
 * the least bus time, by which a gap is read just where its characters take less time than one request more
 * (13 characters, turn-around and silence).
 */
static void solve(const struct plan *plan, size_t first, size_t count, struct best *best)
{
    best[0] = (struct best){.first = first};
    for (size_t k = 1; k <= count; k++)
        best[k].ns = INT64_MAX;
    for (size_t i = 0; i < count; i++) {
        const struct item *items = &plan->items[first];
        struct growth growth = {.first = &items[i], .end = items[i].start};
        size_t k = i;
        do {
            grow(&growth, &items[k++]);
            struct best found = extend(plan, &best[i], first + i, &growth);
            if (!is_better(&best[k], &found)) /* of equals the one that fills the earlier requests */
                best[k] = found;
        } while (k < count && joins(plan, &items[i], growth.end, &items[k]));
    }
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

static int add_request(struct plan *plan, size_t first, size_t next)
{
    uint32_t end = 0;
    for (size_t i = first; i < next; i++)
        end = greater(end, plan->items[i].end);
    struct davy_request request = request_of(plan, &plan->items[first], end);
    int rc = take_points(plan, first, next, &request);
    if (rc == 0)
        plan->requests[plan->request_count++] = request;
    return rc;
}

/* The requests of a solution, from its last item back, then put into the order of addresses. */
static int cut_group(struct plan *plan, size_t first, size_t count, const struct best *best)
{
    size_t begun = plan->request_count;
    for (size_t k = count; k > 0; k = best[k].first - first) {
        int rc = add_request(plan, best[k].first, first + k);
        if (rc < 0)
            return rc;
    }
    for (size_t i = begun, k = plan->request_count; i + 1 < k; i++, k--) {
        struct davy_request swapped = plan->requests[i];
        plan->requests[i] = plan->requests[k - 1];
        plan->requests[k - 1] = swapped;
    }
    return 0;
}

static size_t group_of(const struct plan *plan, size_t first)
{
    const struct item *begin = &plan->items[first];
    size_t count = 1;
    while (first + count < plan->item_count && begin[count].table == begin->table &&
           begin[count].interval.ns == begin->interval.ns)
        count++;
    return count;
}

static int cut_requests(struct plan *plan)
{
    DAVY_AUTO_FREE struct best *best = calloc(plan->item_count + 1, sizeof *best);
    if (!best)
        return -ENOMEM;
    plan->device_first = plan->request_count;
    for (size_t i = 0, count; i < plan->item_count; i += count) {
        count = group_of(plan, i);
        solve(plan, i, count, best);
        int rc = cut_group(plan, i, count, best);
        if (rc < 0)
            return rc;
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
