/* SPDX-License-Identifier: Apache-2.0 */
/* How often something happened in a window, or on how many local calendar days in a row. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One occurrence; where days are counted, the latest one of a day. */
struct davy_count_entry {
    int64_t at;
    int64_t day;
};

struct davy_count {
    struct davy_count_entry *entries; /* a ring by time; of days an array by day */
    size_t capacity;
    size_t first;
    size_t count;
    int64_t length;
    bool days;
};

void davy_count_open(struct davy_count *count, int64_t length, bool days);
void davy_count_close(struct davy_count *count);
void davy_count_take(struct davy_count *count, int64_t at, int64_t day);
/* In (now - length, now]: how many; of days the run that ends with the latest one. */
size_t davy_count_value(struct davy_count *count, int64_t now);
size_t davy_count_bytes(const struct davy_count *count);
size_t davy_count_bytes_max(int64_t length, bool days, int64_t interval);
