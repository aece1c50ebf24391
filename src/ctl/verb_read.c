/* SPDX-License-Identifier: Apache-2.0 */
/* read: raw registers, and what they would mean in every type and order, plausible ones first. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "ctl/ctl.h"
#include "decode/registers.h"

/* In one request at most; bits come as one number each. */
#define WORDS 125
#define BITS  2000

/* One way to read some of the registers. */
struct guess {
    unsigned offset;
    enum davy_type type;
    enum davy_order order;
    double value;
    unsigned doubt; /* 0: looks like a measurement */
};

/* What sensors give lies between a ten-thousandth and a hundred thousand; a wrong order gives extremes. */
static unsigned doubt_of(enum davy_type type, double value)
{
    const bool is_float = type == DAVY_TYPE_FLOAT32 || type == DAVY_TYPE_FLOAT64;
    const double size = fabs(value);
    if (!isfinite(value))
        return 9;
    if (size < 1e-300)
        return 4;
    if (is_float)
        return size >= 1e-4 && size <= 1e5 ? 0 : 8;
    return (size <= 1e5 ? 1 : 7) + davy_type_registers(type) / 2;
}

static int compare(const void *left, const void *right)
{
    const struct guess *a = left, *b = right;
    const unsigned keys[2][4] = {{a->offset, a->doubt, a->type, a->order}, {b->offset, b->doubt, b->type, b->order}};
    for (size_t i = 0; i < 4; i++)
        if (keys[0][i] != keys[1][i])
            return keys[0][i] < keys[1][i] ? -1 : 1;
    return 0;
}

/* Swapped words are nothing new in one register. */
static bool is_distinct(enum davy_type type, enum davy_order order)
{
    return davy_type_registers(type) > 1 || order == DAVY_ORDER_ABCD || order == DAVY_ORDER_BADC;
}

static size_t guess_all(const uint16_t *words, size_t count, struct guess *guesses)
{
    size_t made = 0;
    for (int type = DAVY_TYPE_INT16; type < DAVY_TYPE_COUNT_; type++) {
        const unsigned width = davy_type_registers((enum davy_type)type);
        for (int order = 0; order < DAVY_ORDER_COUNT_; order++) {
            if (!is_distinct((enum davy_type)type, (enum davy_order)order))
                continue;
            for (unsigned offset = 0; offset + width <= count; offset += width) {
                struct guess *g = &guesses[made++];
                *g = (struct guess){offset, (enum davy_type)type, (enum davy_order)order, 0, 0};
                g->value = davy_registers_number(davy_registers_raw(words + offset, g->type, g->order), g->type);
                g->doubt = doubt_of(g->type, g->value);
            }
        }
    }
    qsort(guesses, made, sizeof *guesses, compare);
    return made;
}

static char *number_text(double value)
{
    char text[DAVY_NUM_TEXT];
    return davy_ctl_copy(isnan(value) ? "not a number" : isinf(value) ? "infinite" : davy_num_print(value, text));
}

static void print_raw(const struct ctl *ctl, int64_t start, const uint16_t *words, size_t count)
{
    static const char *const heads[] = {">REGISTER", ">DECIMAL", "HEX", NULL};
    struct table table;
    davy_table_init(&table, heads, ctl->colour);
    for (size_t i = 0; i < count; i++) {
        davy_table_add(&table, davy_ctl_format("%lld", (long long)start + (long long)i), NULL);
        davy_table_add(&table, davy_ctl_format("%u", words[i]), NULL);
        davy_table_add(&table, davy_ctl_format("0x%04x", words[i]), NULL);
    }
    davy_table_flush(&table);
    davy_table_done(&table);
}

static void print_guesses(const struct ctl *ctl, int64_t start, const struct guess *guesses, size_t count)
{
    static const char *const heads[] = {">REGISTER", "TYPE", "ORDER", "VALUE", NULL};
    struct table table;
    davy_table_init(&table, heads, ctl->colour);
    for (size_t i = 0; i < count; i++) {
        davy_table_add(&table, davy_ctl_format("%lld", (long long)start + guesses[i].offset), NULL);
        davy_table_add(&table, davy_ctl_copy(davy_type_name(guesses[i].type)), NULL);
        davy_table_add(&table, davy_ctl_copy(davy_order_name(guesses[i].order)), NULL);
        davy_table_add(&table, number_text(guesses[i].value), NULL);
    }
    putchar('\n');
    davy_table_flush(&table);
    davy_table_done(&table);
}

static json_t *guess_json(int64_t start, const struct guess *g)
{
    return json_pack("{s:I,s:s,s:s,s:o*,s:b}", "register", (json_int_t)(start + g->offset), "type",
                     davy_type_name(g->type), "order", davy_order_name(g->order), "value",
                     isfinite(g->value) ? json_real(g->value) : json_null(), "plausible", g->doubt < 4);
}

static void print_registers(const struct ctl *ctl, json_t *reply, int64_t start, const uint16_t *words, size_t count)
{
    /* per register: two orders of the two types of one register, four of the three of two and the three of four */
    struct guess *guesses = davy_ctl_grow(NULL, count * 16 + 1, sizeof *guesses);
    const size_t made = guess_all(words, count, guesses);
    if (ctl->json) {
        json_t *list = json_array();
        for (size_t i = 0; i < made; i++)
            json_array_append_new(list, guess_json(start, &guesses[i]));
        json_object_set_new(reply, "values", list);
        davy_ctl_print_json(reply, true);
    } else {
        print_raw(ctl, start, words, count);
        print_guesses(ctl, start, guesses, made);
    }
    free(guesses);
}

static void print_bits(const struct ctl *ctl, int64_t start, const uint16_t *words, size_t count)
{
    static const char *const heads[] = {">REGISTER", "VALUE", NULL};
    struct table table;
    davy_table_init(&table, heads, ctl->colour);
    for (size_t i = 0; i < count; i++) {
        davy_table_add(&table, davy_ctl_format("%lld", (long long)start + (long long)i), NULL);
        davy_table_add(&table, davy_ctl_format("%u", words[i]), NULL);
    }
    davy_table_flush(&table);
    davy_table_done(&table);
}

struct read_arguments {
    int64_t unit;
    int64_t start;
    int64_t count;
    bool bits;
};

int davy_ctl_take_number(const struct ctl *ctl, const char *text, int64_t low, int64_t high, int64_t *ret)
{
    int64_t value;
    if (davy_int_parse(text, &value) < 0 || value < low || value > high)
        return davy_ctl_fail(ctl, CTL_USAGE, "'%s' is not a number from %lld to %lld", text, (long long)low,
                             (long long)high);
    *ret = value;
    return CTL_DONE;
}

static int take_arguments(const struct ctl *ctl, struct read_arguments *ret)
{
    const char *table = davy_ctl_argument(ctl, 2);
    const int kind = davy_table_find(table);
    if (kind < 0)
        return davy_ctl_fail(ctl, CTL_USAGE, "'%s' is not coil, discrete, input or holding", table);
    ret->bits = kind == DAVY_TABLE_COIL || kind == DAVY_TABLE_DISCRETE;
    int code = davy_ctl_take_number(ctl, davy_ctl_argument(ctl, 1), 0, 255, &ret->unit);
    if (code == CTL_DONE)
        code = davy_ctl_take_number(ctl, davy_ctl_argument(ctl, 3), 0, 65535, &ret->start);
    if (code == CTL_DONE)
        code = davy_ctl_take_number(ctl, davy_ctl_argument(ctl, 4), 1, ret->bits ? BITS : WORDS, &ret->count);
    return code;
}

/* Copy the words of the reply; false where they are not what was asked for. */
static bool take_words(const json_t *reply, size_t expected, uint16_t *words)
{
    const json_t *list = json_object_get(reply, "words");
    if (json_array_size(list) != expected)
        return false;
    for (size_t i = 0; i < expected; i++) {
        const json_t *word = json_array_get(list, i);
        if (!json_is_integer(word) || json_integer_value(word) < 0 || json_integer_value(word) > 0xffff)
            return false;
        words[i] = (uint16_t)json_integer_value(word);
    }
    return true;
}

int davy_ctl_read(struct ctl *ctl)
{
    struct read_arguments a = {0};
    int code = take_arguments(ctl, &a);
    if (code != CTL_DONE)
        return code;
    json_t *reply = NULL;
    code = davy_ctl_ask(ctl,
                        json_pack("{s:s,s:s,s:I,s:s,s:I,s:I}", "verb", "read", "bus", davy_ctl_argument(ctl, 0), "unit",
                                  (json_int_t)a.unit, "table", davy_ctl_argument(ctl, 2), "register",
                                  (json_int_t)a.start, "count", (json_int_t)a.count),
                        &reply);
    if (code != CTL_DONE)
        return code;
    uint16_t words[BITS] = {0};
    if (!take_words(reply, (size_t)a.count, words))
        code = davy_ctl_fail(ctl, CTL_REFUSED, "the reply does not hold what was asked for");
    else if (!a.bits)
        print_registers(ctl, reply, a.start, words, (size_t)a.count);
    else if (ctl->json)
        davy_ctl_print_json(reply, true);
    else
        print_bits(ctl, a.start, words, (size_t)a.count);
    json_decref(reply);
    return code;
}
