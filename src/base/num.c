/* SPDX-License-Identifier: Apache-2.0 */
#include "base/num.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/attr.h"

char *davy_num_print(double value, char text[DAVY_NUM_TEXT])
{
    if (value == 0) /* also -0: nobody measures a negative nothing */
        value = 0;
    for (int digits = 15; digits <= 17; digits++) { /* fewer would make 70 "7e+01" */
        snprintf(text, DAVY_NUM_TEXT, "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            break;
    }
    return text;
}

int davy_num_parse(const char *text, double *ret)
{
    if (strchr("+-.0123456789", text[0]) == NULL || text[0] == '\0' || strpbrk(text, "xXnN"))
        return -EINVAL;
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end != '\0')
        return -EINVAL;
    if (!isfinite(value))
        return -ERANGE;
    *ret = value;
    return 0;
}

int davy_int_parse(const char *text, int64_t *ret)
{
    const char *digits = text + (*text == '-');
    bool hex = digits[0] == '0' && (digits[1] == 'x' || digits[1] == 'X');
    if (digits[0] < '0' || digits[0] > '9')
        return -EINVAL;
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, hex ? 16 : 10);
    if (*end != '\0' || (hex && end == digits + 2))
        return -EINVAL;
    if (errno == ERANGE)
        return -ERANGE;
    *ret = value;
    return 0;
}

struct suffix {
    const char *text;
    int64_t factor;
};

static int parse_with_suffix(const char *text, const struct suffix *table, size_t length, int64_t *ret)
{
    int64_t value = 0;
    const char *p = text;
    for (; *p >= '0' && *p <= '9'; p++)
        if (__builtin_mul_overflow(value, 10, &value) || __builtin_add_overflow(value, *p - '0', &value))
            return -ERANGE;
    if (p == text)
        return -EINVAL;
    for (size_t i = 0; i < length; i++)
        if (strcmp(p, table[i].text) == 0)
            return __builtin_mul_overflow(value, table[i].factor, ret) ? -ERANGE : 0;
    return -EINVAL;
}

static const struct suffix time_units[] = {
    {"d", 86400 * DAVY_NS_PER_S}, {"h", 3600 * DAVY_NS_PER_S}, {"min", 60 * DAVY_NS_PER_S},
    {"s", DAVY_NS_PER_S},         {"ms", DAVY_NS_PER_MS},
};

static const struct suffix size_units[] = {
    {"B", 1},
    {"KiB", INT64_C(1) << 10},
    {"MiB", INT64_C(1) << 20},
    {"GiB", INT64_C(1) << 30},
    {"TiB", INT64_C(1) << 40},
};

int davy_span_parse(const char *text, davy_span *ret)
{
    int64_t ns;
    int rc = parse_with_suffix(text, time_units, DAVY_LENGTH(time_units), &ns);
    if (rc == 0)
        ret->ns = ns;
    return rc;
}

char *davy_span_print(davy_span span, char text[DAVY_NUM_TEXT])
{
    const struct suffix *unit = time_units;
    while (unit < &time_units[DAVY_LENGTH(time_units) - 1] && (span.ns == 0 || span.ns % unit->factor != 0))
        unit++;
    snprintf(text, DAVY_NUM_TEXT, "%lld%s", (long long)(span.ns / unit->factor), unit->text);
    return text;
}

int davy_size_parse(const char *text, int64_t *ret_bytes)
{
    int64_t bytes;
    int rc = parse_with_suffix(text, size_units, DAVY_LENGTH(size_units), &bytes);
    if (rc == 0)
        *ret_bytes = bytes;
    return rc;
}

/* splitmix64: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014. */
uint64_t davy_random_next(struct davy_random *random)
{
    uint64_t z = random->state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

double davy_random_unit(struct davy_random *random)
{
    return (double)(davy_random_next(random) >> 11) * 0x1.0p-53;
}

void davy_random_bytes(void *bytes, size_t length)
{
    if (getrandom(bytes, length, 0) == (ssize_t)length)
        return;
    struct davy_random fallback = {(uint64_t)davy_clock_now(&davy_system_clock).wall.ns};
    unsigned char *out = bytes;
    for (size_t i = 0; i < length; i++)
        out[i] = (unsigned char)davy_random_next(&fallback);
}
