/* SPDX-License-Identifier: Apache-2.0 */
/* read: raw registers, and what they would mean in every type and order, plausible ones first. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/num.h"
#include "ctl/ctl.h"
#include "ctl/guess.h"
#include "ctl/registers.h"

static char *number_text(double value)
{
    char text[DAVY_NUM_TEXT];
    return davy_ctl_copy(isnan(value) ? "not a number" : isinf(value) ? "infinite" : davy_ctl_number(value, text));
}

/* "0 4 15", "-" */
static char *bits_cell(uint16_t word)
{
    char text[64] = "-";
    struct davy_buf buf;
    davy_buf_init(&buf, text, sizeof text);
    for (unsigned bit = 0; bit < 16; bit++)
        if (word >> bit & 1U)
            davy_buf_printf(&buf, "%s%u", buf.length ? " " : "", bit);
    return davy_ctl_copy(word ? text : "-");
}

static void print_raw(const struct ctl *ctl, const struct read_request *r, const uint16_t *words)
{
    static const char *const heads[] = {">REGISTER", ">NUMBER", ">DECIMAL", "HEX", "BITS SET", NULL};
    struct table table;
    davy_table_init(&table, heads, ctl->colour);
    for (int i = 0; i < r->count; i++) {
        davy_table_add(&table, davy_ctl_format("%d", r->start + i), NULL);
        davy_table_add(&table, davy_ctl_format("%ld", davy_registers_document(r->table, r->start + i)), NULL);
        davy_table_add(&table, davy_ctl_format("%u", words[i]), NULL);
        davy_table_add(&table, davy_ctl_format("0x%04x", words[i]), NULL);
        davy_table_add(&table, bits_cell(words[i]), NULL);
    }
    davy_table_flush(&table);
    davy_table_done(&table);
}

static void print_guesses(const struct ctl *ctl, int start, const struct guess *guesses, size_t count)
{
    static const char *const heads[] = {">REGISTER", "TYPE", "ORDER", "PLAUSIBLE", "VALUE", NULL};
    struct table table;
    davy_table_init(&table, heads, ctl->colour);
    for (size_t i = 0; i < count; i++) {
        davy_table_add(&table, davy_ctl_format("%d", start + (int)guesses[i].offset), NULL);
        davy_table_add(&table, davy_ctl_copy(davy_type_name(guesses[i].type)), NULL);
        davy_table_add(&table, davy_ctl_copy(davy_order_name(guesses[i].order)), NULL);
        davy_table_add(&table, davy_ctl_copy(guesses[i].doubt < GUESS_ZERO ? "yes" : "-"), NULL);
        davy_table_add(&table, number_text(guesses[i].value), NULL);
    }
    putchar('\n');
    davy_table_flush(&table);
    davy_table_done(&table);
}

static json_t *guess_json(int start, const struct guess *g)
{
    return json_pack("{s:I,s:s,s:s,s:o*,s:b}", "register", (json_int_t)(start + (int)g->offset), "type",
                     davy_type_name(g->type), "order", davy_order_name(g->order), "value",
                     isfinite(g->value) ? json_real(g->value) : json_null(), "plausible", g->doubt < GUESS_ZERO);
}

/* What stands one register beside, where a list that counts from 1 would lead to it. Quiet where it cannot be read. */
static int ask_beside(struct ctl *ctl, const struct read_request *r, struct guess *ret_guess)
{
    const struct read_request wider = {r->bus, r->unit, r->table, r->start - 1, r->count + 2};
    struct read_answer answer;
    if (r->count < 2 || wider.start < 0 || wider.start + wider.count > 65536 || wider.count > READ_WORDS ||
        davy_read_ask(ctl, &wider, &answer) != CTL_DONE || !answer.ok)
        return 0;
    return davy_guess_shift(answer.words, (size_t)r->count, ret_guess);
}

static void print_beside(int start, int shift, const struct guess *g)
{
    char value[DAVY_NUM_TEXT];
    printf(
        "\nregister %d as %s, order %s, would be %s: one %s what was asked for. Registers count from 0 here, in many "
        "lists from 1.\n",
        start + shift + (int)g->offset, davy_type_name(g->type), davy_order_name(g->order),
        davy_ctl_number(g->value, value), shift < 0 ? "before" : "behind");
}

static void print_registers(struct ctl *ctl, json_t *document, const struct read_request *r, const uint16_t *words)
{
    struct guess *guesses = davy_ctl_grow(NULL, (size_t)r->count * GUESSES_PER_REGISTER + 1, sizeof *guesses), beside;
    const size_t made = davy_guess_all(words, (size_t)r->count, guesses);
    const int shift = ask_beside(ctl, r, &beside);
    if (ctl->json) {
        json_t *list = json_array();
        for (size_t i = 0; i < made; i++)
            json_array_append_new(list, guess_json(r->start, &guesses[i]));
        json_object_set_new(document, "values", list);
        json_object_set_new(document, "beside", shift ? guess_json(r->start + shift, &beside) : json_null());
        davy_ctl_print_json(document, true);
    } else {
        print_raw(ctl, r, words);
        print_guesses(ctl, r->start, guesses, made);
        if (shift)
            print_beside(r->start, shift, &beside);
    }
    free(guesses);
}

static void print_bits(const struct ctl *ctl, const struct read_request *r, const uint16_t *words)
{
    static const char *const heads[] = {">REGISTER", ">NUMBER", "VALUE", NULL};
    struct table table;
    davy_table_init(&table, heads, ctl->colour);
    for (int i = 0; i < r->count; i++) {
        davy_table_add(&table, davy_ctl_format("%d", r->start + i), NULL);
        davy_table_add(&table, davy_ctl_format("%ld", davy_registers_document(r->table, r->start + i)), NULL);
        davy_table_add(&table, davy_ctl_format("%u", words[i]), NULL);
    }
    davy_table_flush(&table);
    davy_table_done(&table);
}

static int take_arguments(const struct ctl *ctl, struct read_request *ret)
{
    const char *table = davy_ctl_argument(ctl, 2);
    const int kind = davy_table_find(table);
    int64_t unit, start, count;
    if (kind < 0)
        return davy_ctl_fail(ctl, CTL_USAGE, "'%s' is not coil, discrete, input or holding", table);
    const bool bits = davy_read_is_bits((enum davy_table)kind);
    int code = davy_ctl_take_number(ctl, davy_ctl_argument(ctl, 1), 0, 255, &unit);
    if (code == CTL_DONE)
        code = davy_ctl_take_number(ctl, davy_ctl_argument(ctl, 3), 0, 65535, &start);
    if (code == CTL_DONE)
        code = davy_ctl_take_number(ctl, davy_ctl_argument(ctl, 4), 1, bits ? READ_BITS : READ_WORDS, &count);
    if (code == CTL_DONE)
        *ret =
            (struct read_request){davy_ctl_argument(ctl, 0), (int)unit, (enum davy_table)kind, (int)start, (int)count};
    return code;
}

/* The device has no such register: what the person may have meant. */
static void hint(struct ctl *ctl, const struct read_request *r)
{
    const int meant = davy_registers_meant(r->table, r->start);
    struct read_request other = *r;
    struct read_answer answer;
    other.start = meant >= 0 ? meant : r->start - 1;
    if (ctl->json || other.start < 0 || davy_read_ask(ctl, &other, &answer) != CTL_DONE || !answer.ok)
        return;
    fprintf(stderr,
            "davyctl: register %d answers: registers count from 0, number %ld of the documentation is register %d\n",
            other.start, davy_registers_document(r->table, other.start), other.start);
}

int davy_ctl_read(struct ctl *ctl)
{
    struct read_request r;
    struct read_answer answer;
    int code = take_arguments(ctl, &r);
    if (code == CTL_DONE)
        code = davy_read_ask(ctl, &r, &answer);
    if (code != CTL_DONE)
        return code;
    if (!answer.ok) {
        code = davy_ctl_fail(ctl, CTL_REFUSED, "%s", answer.error);
        if (answer.exception == 2)
            hint(ctl, &r);
        return code;
    }
    json_t *document = json_object(), *words = json_array();
    for (int i = 0; i < r.count; i++)
        json_array_append_new(words, json_integer(answer.words[i]));
    json_object_set_new(document, "ok", json_true());
    json_object_set_new(document, "words", words);
    if (!davy_read_is_bits(r.table))
        print_registers(ctl, document, &r, answer.words);
    else if (ctl->json)
        davy_ctl_print_json(document, true);
    else
        print_bits(ctl, &r, answer.words);
    json_decref(document);
    return CTL_DONE;
}
