/* SPDX-License-Identifier: Apache-2.0 */
#include "base/num.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/attr.h"

/* ---- doubles as text ---- */

/* The values that are printed with integers alone: "%.*g" of them has no exponent, and all products fit in 128 bits. */
#define PLAIN_LEAST 1e-4
#define PLAIN_LIMIT 1e15
#define DIGITS_MIN  15
#define DIGITS_MAX  17

/* value = mantissa * 2^-shift, exactly; 10^place <= value < 10^(place + 1). */
struct plain {
    uint64_t mantissa;
    unsigned shift; /* 3 to 66 */
    int place;      /* -4 to 14 */
};

/* 10^exponent; exponent 0 to 20, one more than 64 bits hold. */
static unsigned __int128 power_of_ten(int exponent)
{
    static const uint64_t powers[] = {
        UINT64_C(1),
        UINT64_C(10),
        UINT64_C(100),
        UINT64_C(1000),
        UINT64_C(10000),
        UINT64_C(100000),
        UINT64_C(1000000),
        UINT64_C(10000000),
        UINT64_C(100000000),
        UINT64_C(1000000000),
        UINT64_C(10000000000),
        UINT64_C(100000000000),
        UINT64_C(1000000000000),
        UINT64_C(10000000000000),
        UINT64_C(100000000000000),
        UINT64_C(1000000000000000),
        UINT64_C(10000000000000000),
        UINT64_C(100000000000000000),
        UINT64_C(1000000000000000000),
        UINT64_C(10000000000000000000),
    };
    const int largest = (int)DAVY_LENGTH(powers) - 1;
    return exponent <= largest ? powers[exponent] : (unsigned __int128)powers[largest] * 10;
}

/* Each bound is the least double that is not below its power of ten, so that the comparison is exact. */
static int place_of(double value)
{
    static const double powers[] = {1e-4, 1e-3, 1e-2, 1e-1, 1e0,  1e1,  1e2,  1e3,  1e4, 1e5,
                                    1e6,  1e7,  1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14};
    size_t i = 0;
    while (i + 1 < DAVY_LENGTH(powers) && value >= powers[i + 1])
        i++;
    return (int)i - 4;
}

static struct plain take_apart(double value)
{
    int exponent;
    double fraction = frexp(value, &exponent);
    return (struct plain){
        .mantissa = (uint64_t)ldexp(fraction, 53), .shift = (unsigned)(53 - exponent), .place = place_of(value)};
}

/*
 * The first `digits` digits as one number, rounded half to even, and whether it reads back as the same double: its
 * distance is below half of the distance to the next double, or just that where a reader would round to ours. Both
 * sides are multiplied by 2^shift * 10^scale.
 */
static bool round_to(const struct plain *plain, int digits, uint64_t *ret_number)
{
    int scale = digits - 1 - plain->place;
    unsigned __int128 ten = power_of_ten(scale);
    unsigned __int128 exact = plain->mantissa * ten;
    uint64_t number = (uint64_t)(exact >> plain->shift);
    unsigned __int128 below = (unsigned __int128)number << plain->shift;
    unsigned __int128 rest = exact - below, half = (unsigned __int128)1 << (plain->shift - 1);
    bool up = rest > half || (rest == half && number % 2 != 0);
    unsigned __int128 distance = up ? 2 * half - rest : rest;
    bool narrow = !up && plain->mantissa == UINT64_C(1) << 52; /* doubles are twice as dense below a power of two */
    unsigned __int128 reach = distance * (narrow ? 4 : 2);
    *ret_number = number + up;
    return reach < ten || (reach == ten && plain->mantissa % 2 == 0);
}

/* The digits of `number` with the point behind that of 10^0; `last` is the place of the last one. */
static void write_plain(uint64_t number, int last, char *text)
{
    char digits[24];
    int count = 0;
    while (number % 10 == 0 && last < 0) {
        number /= 10;
        last++;
    }
    for (; number > 0 || count + last < 1; number /= 10) {
        digits[count++] = (char)('0' + number % 10);
        if (count + last == 0)
            digits[count++] = '.', last--;
    }
    for (int i = count; i > 0;)
        *text++ = digits[--i];
    *text = '\0';
}

static void print_plain(double value, char *text)
{
    uint64_t number = 0;
    struct plain plain = take_apart(value);
    int digits = DIGITS_MIN;
    while (!round_to(&plain, digits, &number) && digits < DIGITS_MAX)
        digits++;
    write_plain(number, plain.place - digits + 1, text);
}

static void print_any(double value, char text[DAVY_NUM_TEXT])
{
    for (int digits = DIGITS_MIN; digits <= DIGITS_MAX; digits++) { /* fewer would make 70 "7e+01" */
        snprintf(text, DAVY_NUM_TEXT, "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            break;
    }
}

char *davy_num_print(double value, char text[DAVY_NUM_TEXT])
{
    if (value == 0) /* also -0: nobody measures a negative nothing */
        value = 0;
    double size = fabs(value);
    if (size < PLAIN_LEAST || size >= PLAIN_LIMIT) {
        print_any(value, text);
        return text;
    }
    text[0] = '-';
    print_plain(size, text + (value < 0));
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
