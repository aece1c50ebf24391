/* SPDX-License-Identifier: Apache-2.0 */
#include "base/num.h"

#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/attr.h"
#include "support/cmocka_all.h"
#include "support/seed.h"

#define ROUNDS 100000

static double of_bits(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static uint64_t bits_of(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* Digits between the first and the last that is not 0, without the exponent. */
static size_t significant_digits(const char *text)
{
    size_t count = 0, zeros = 0;
    for (; *text && *text != 'e'; text++) {
        if (*text < '0' || *text > '9' || (*text == '0' && count == 0))
            continue;
        zeros = *text == '0' ? zeros + 1 : 0;
        count++;
    }
    return count - zeros;
}

/* Reads back bit for bit, and no decimal of fewer digits does. */
static void check_round_trip(double value)
{
    char text[DAVY_NUM_TEXT], other[400];
    double back = 1;
    assert_ptr_equal(davy_num_print(value, text), text);
    assert_int_equal(davy_num_parse(text, &back), 0);
    if (value < 0 || value > 0)
        assert_int_equal(bits_of(back), bits_of(value));
    else
        assert_string_equal(text, "0");
    size_t digits = significant_digits(text);
    if (digits < 2)
        return;
    snprintf(other, sizeof other, "%.*g", (int)digits - 1, value);
    if (bits_of(strtod(other, NULL)) == bits_of(value) && fabs(value) >= DBL_MIN)
        fail_msg("%s would do for %s", other, text);
}

static void any_double_reads_back_as_itself(void **unused)
{
    (void)unused;
    struct davy_random random = {davy_test_seed(20261125)};
    for (int i = 0; i < ROUNDS; i++) {
        double value = of_bits(davy_random_next(&random));
        if (isfinite(value))
            check_round_trip(value);
    }
}

static void subnormals_and_extremes_read_back_as_themselves(void **unused)
{
    (void)unused;
    struct davy_random random = {davy_test_seed(20261125)};
    const double extremes[] = {
        0.0,    -0.0,       DBL_MAX, -DBL_MAX, DBL_MIN, DBL_TRUE_MIN, -DBL_TRUE_MIN, DBL_EPSILON, 1 + DBL_EPSILON,
        0x1p53, 0x1p53 + 2, 1e22,    1e23,     5e-324,  0.1,          1.0 / 3};
    for (size_t i = 0; i < DAVY_LENGTH(extremes); i++)
        check_round_trip(extremes[i]);
    for (int i = 0; i < ROUNDS / 10; i++)
        check_round_trip(of_bits(davy_random_next(&random) >> 12));
}

/* How the C library says it: 15 to 17 digits, the first that read back. */
static void check_as_the_library(double value)
{
    char text[DAVY_NUM_TEXT], wanted[DAVY_NUM_TEXT];
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(wanted, sizeof wanted, "%.*g", digits, value);
        if (bits_of(strtod(wanted, NULL)) == bits_of(value))
            break;
    }
    assert_string_equal(davy_num_print(value, text), wanted);
}

static void measured_values_print_as_the_c_library_says_them(void **unused)
{
    (void)unused;
    struct davy_random random = {davy_test_seed(20261125)};
    for (int i = 0; i < ROUNDS; i++) {
        double unit = davy_random_unit(&random), place = pow(10, davy_random_unit(&random) * 24 - 6);
        check_as_the_library(unit * place);
        check_as_the_library(-(double)(float)(unit * place));
        check_as_the_library(rint(unit * 1e6) / 1e3);
        check_as_the_library(rint(unit * place));
    }
}

static void neighbours_of_powers_and_ties_print_as_the_c_library_says_them(void **unused)
{
    (void)unused;
    for (int exponent = -20; exponent <= 20; exponent++) {
        double around[] = {pow(10, exponent), 5 * pow(10, exponent), ldexp(1, exponent * 3), ldexp(3, exponent * 3)};
        for (size_t i = 0; i < DAVY_LENGTH(around); i++) {
            check_as_the_library(around[i]);
            check_as_the_library(nextafter(around[i], 0));
            check_as_the_library(nextafter(around[i], INFINITY));
        }
    }
    for (int i = 1; i < 4096; i++) /* exact ties at each place that a binary fraction has */
        for (int shift = 0; shift < 60; shift += 3)
            check_as_the_library(ldexp(i, -shift));
}

static void numbers_of_instruments_print_as_people_write_them(void **unused)
{
    (void)unused;
    const struct {
        double value;
        const char *text;
    } cases[] = {{0.1, "0.1"},       {15.2, "15.2"}, {70, "70"},  {-3.5, "-3.5"}, {1e22, "1e+22"},
                 {100000, "100000"}, {0.3, "0.3"},   {-0.0, "0"}, {1e-7, "1e-07"}};
    char text[DAVY_NUM_TEXT];
    for (size_t i = 0; i < DAVY_LENGTH(cases); i++)
        assert_string_equal(davy_num_print(cases[i].value, text), cases[i].text);
}

static void only_whole_finite_decimals_are_numbers(void **unused)
{
    (void)unused;
    const char *const bad[] = {"",  " 1", "1 ", "1x",  "0x10", "nan", "inf",   "-inf", "infinity", "+",
                               "-", ".",  "1e", "1e+", "1,5",  "--1", "1.2.3", "e5",   "\t1",      "1\n"};
    const char *const far[] = {"1e400", "-1e400", "1e99999"};
    double value = 42;
    for (size_t i = 0; i < DAVY_LENGTH(bad); i++)
        if (davy_num_parse(bad[i], &value) != -EINVAL)
            fail_msg("\"%s\" was taken", bad[i]);
    for (size_t i = 0; i < DAVY_LENGTH(far); i++)
        assert_int_equal(davy_num_parse(far[i], &value), -ERANGE);
    assert_true(value >= 42 && value <= 42);
    assert_int_equal(davy_num_parse("-1.25e2", &value), 0);
    assert_true(value >= -125 && value <= -125);
}

static void whole_numbers_fill_64_bits_and_no_more(void **unused)
{
    (void)unused;
    const struct {
        const char *text;
        int rc;
        int64_t value;
    } cases[] = {
        {"0", 0, 0},
        {"-0", 0, 0},
        {"010", 0, 10},
        {"9223372036854775807", 0, INT64_MAX},
        {"-9223372036854775808", 0, INT64_MIN},
        {"9223372036854775808", -ERANGE, 0},
        {"-9223372036854775809", -ERANGE, 0},
        {"0x7fffffffffffffff", 0, INT64_MAX},
        {"0x8000000000000000", -ERANGE, 0},
        {"0X1f", 0, 31},
        {"0x", -EINVAL, 0},
        {"0xg", -EINVAL, 0},
        {"", -EINVAL, 0},
        {"-", -EINVAL, 0},
        {"+1", -EINVAL, 0},
        {" 1", -EINVAL, 0},
        {"1 ", -EINVAL, 0},
        {"1.0", -EINVAL, 0},
        {"0b1", -EINVAL, 0},
        {"--1", -EINVAL, 0},
    };
    for (size_t i = 0; i < DAVY_LENGTH(cases); i++) {
        int64_t value = -7;
        if (davy_int_parse(cases[i].text, &value) != cases[i].rc)
            fail_msg("\"%s\"", cases[i].text);
        assert_int_equal(value, cases[i].rc == 0 ? cases[i].value : -7);
    }
}

static void durations_have_one_number_and_one_unit(void **unused)
{
    (void)unused;
    const struct {
        const char *text;
        int rc;
        int64_t ms;
    } cases[] = {
        {"250ms", 0, 250},      {"10s", 0, 10000},    {"15min", 0, 900000},    {"8h", 0, 28800000},
        {"30d", 0, 2592000000}, {"0s", 0, 0},         {"1s30ms", -EINVAL, 0},  {"1.5s", -EINVAL, 0},
        {"-1s", -EINVAL, 0},    {"+1s", -EINVAL, 0},  {"s", -EINVAL, 0},       {"10", -EINVAL, 0},
        {"10 s", -EINVAL, 0},   {" 10s", -EINVAL, 0}, {"10S", -EINVAL, 0},     {"", -EINVAL, 0},
        {"1week", -EINVAL, 0},  {"10s ", -EINVAL, 0}, {"106752d", -ERANGE, 0}, {"99999999999999999999s", -ERANGE, 0},
    };
    for (size_t i = 0; i < DAVY_LENGTH(cases); i++) {
        davy_span span = {-7};
        if (davy_span_parse(cases[i].text, &span) != cases[i].rc)
            fail_msg("\"%s\"", cases[i].text);
        assert_int_equal(span.ns, cases[i].rc == 0 ? cases[i].ms * DAVY_NS_PER_MS : -7);
    }
}

static void durations_print_in_the_largest_exact_unit(void **unused)
{
    (void)unused;
    struct davy_random random = {davy_test_seed(20261125)};
    char text[DAVY_NUM_TEXT];
    assert_string_equal(davy_span_print(davy_span_s(90), text), "90s");
    assert_string_equal(davy_span_print(davy_span_s(3600), text), "1h");
    assert_string_equal(davy_span_print(davy_span_s(172800), text), "2d");
    assert_string_equal(davy_span_print(davy_span_ms(1500), text), "1500ms");
    assert_string_equal(davy_span_print((davy_span){999}, text), "0ms");
    for (int i = 0; i < 10000; i++) {
        davy_span span = davy_span_ms((int64_t)(davy_random_next(&random) >> (24 + davy_random_next(&random) % 40)));
        davy_span back;
        assert_int_equal(davy_span_parse(davy_span_print(span, text), &back), 0);
        assert_int_equal(back.ns, span.ns);
    }
}

static void sizes_have_binary_units(void **unused)
{
    (void)unused;
    int64_t bytes = -7;
    const char *const bad[] = {"1", "MiB", "1MB", "1.5GiB", "-1B", "1 MiB", "1mib", ""};
    for (size_t i = 0; i < DAVY_LENGTH(bad); i++)
        assert_int_equal(davy_size_parse(bad[i], &bytes), -EINVAL);
    assert_int_equal(davy_size_parse("9007199254740992GiB", &bytes), -ERANGE);
    assert_int_equal(bytes, -7);
    assert_int_equal(davy_size_parse("512MiB", &bytes), 0);
    assert_int_equal(bytes, 536870912);
    assert_int_equal(davy_size_parse("2GiB", &bytes), 0);
    assert_int_equal(bytes, 2147483648);
}

static void the_generator_repeats_with_its_seed_and_stays_in_the_unit(void **unused)
{
    (void)unused;
    struct davy_random a = {7}, b = {7}, c = {8};
    double sum = 0;
    assert_int_equal(davy_random_next(&a), davy_random_next(&b));
    assert_int_not_equal(davy_random_next(&b), davy_random_next(&c));
    for (int i = 0; i < 10000; i++) {
        double unit = davy_random_unit(&a);
        assert_true(unit >= 0 && unit < 1);
        sum += unit;
    }
    assert_true(sum > 4800 && sum < 5200);
}

static void bytes_of_the_kernel_differ_from_call_to_call(void **unused)
{
    (void)unused;
    unsigned char a[32] = {0}, b[32] = {0};
    davy_random_bytes(a, sizeof a);
    davy_random_bytes(b, sizeof b);
    assert_memory_not_equal(a, b, sizeof a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_double_reads_back_as_itself),
        cmocka_unit_test(subnormals_and_extremes_read_back_as_themselves),
        cmocka_unit_test(measured_values_print_as_the_c_library_says_them),
        cmocka_unit_test(neighbours_of_powers_and_ties_print_as_the_c_library_says_them),
        cmocka_unit_test(numbers_of_instruments_print_as_people_write_them),
        cmocka_unit_test(only_whole_finite_decimals_are_numbers),
        cmocka_unit_test(whole_numbers_fill_64_bits_and_no_more),
        cmocka_unit_test(durations_have_one_number_and_one_unit),
        cmocka_unit_test(durations_print_in_the_largest_exact_unit),
        cmocka_unit_test(sizes_have_binary_units),
        cmocka_unit_test(the_generator_repeats_with_its_seed_and_stays_in_the_unit),
        cmocka_unit_test(bytes_of_the_kernel_differ_from_call_to_call),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
