/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/num.h"
#include "ctl/identify.h"
#include "ctl/registers.h"

static const struct davy_device *device_of(const struct finding *finding)
{
    return &finding->config->devices[finding->device];
}

static const struct davy_point *point_at(const struct finding *finding, uint32_t i)
{
    return &finding->config->points[device_of(finding)->first_point + i];
}

/* ---- status words ---- */

typedef void each_status(void *context, const struct davy_status *status);

static void for_each_status(const struct finding *finding, each_status *each, void *context)
{
    const struct davy_device *device = device_of(finding);
    for (size_t i = 0; i < device->status_count; i++)
        each(context, &device->status[i]);
    for (uint32_t p = 0; p < device->point_count; p++)
        for (size_t i = 0; i < point_at(finding, p)->status_count; i++)
            each(context, &point_at(finding, p)->status[i]);
}

/* Where a sentence about each status word that speaks goes. */
struct speaker {
    const struct word_map *map;
    void (*tell)(void *context, const char *text);
    void *context;
    size_t count;
    const struct davy_status *missing[32]; /* words that were told: several rows look at one */
    size_t missing_count;
};

static bool is_told(struct speaker *speaker, const struct davy_status *status)
{
    for (size_t i = 0; i < speaker->missing_count; i++)
        if (speaker->missing[i]->table == status->table && speaker->missing[i]->address == status->address)
            return true;
    if (speaker->missing_count < DAVY_LENGTH(speaker->missing))
        speaker->missing[speaker->missing_count++] = status;
    return false;
}

static void speak(void *context, const struct davy_status *status)
{
    struct speaker *speaker = context;
    const char *table = davy_table_name(status->table);
    const unsigned address = status->address, word = speaker->map->value[status->table][address];
    const bool known = speaker->map->state[status->table][address] == WORD_KNOWN;
    char text[200];
    if (known ? !davy_verdict_holds(status, speaker->map) : is_told(speaker, status))
        return;
    if (!known)
        snprintf(text, sizeof text, "the status word at %s %u is not given: exception %u", table, address,
                 speaker->map->exception[status->table][address]);
    else
        snprintf(text, sizeof text, "the device says %s: %s %u is 0x%04x, mask 0x%04x", davy_means_name(status->means),
                 table, address, word, status->mask);
    speaker->count++;
    if (speaker->tell)
        speaker->tell(speaker->context, text);
}

bool davy_identify_status_speaks(const struct finding *finding)
{
    struct speaker speaker = {.map = finding->words->map};
    for_each_status(finding, speak, &speaker);
    return speaker.count > 0;
}

/* ---- reasons ---- */

static bool is_silent(const struct finding *finding)
{
    return finding->words->silent;
}

void davy_identify_reasons(const struct finding *finding, void (*tell)(void *context, const char *text), void *context)
{
    char text[512];
    if (is_silent(finding)) {
        snprintf(text, sizeof text, "no answer: %s", finding->words->error);
        tell(context, text);
        return;
    }
    for (uint32_t i = 0; finding->config && i < device_of(finding)->point_count; i++) {
        const struct judgement *judgement = &finding->judgements[i];
        if (judgement->verdict <= VERDICT_ZERO)
            continue;
        snprintf(text, sizeof text, "%s: %s%s%s", point_at(finding, i)->name, judgement->why,
                 judgement->hint[0] ? "; " : "", judgement->hint);
        tell(context, text);
    }
    if (finding->config && davy_verdict_all_zero(finding->config, finding->device, finding->words->map))
        tell(context, "all its registers are zero: nothing proves that they are the right ones");
    struct speaker speaker = {.map = finding->words->map, .tell = tell, .context = context};
    if (finding->config)
        for_each_status(finding, speak, &speaker);
}

/* ---- text ---- */

static char *place_cell(const struct davy_point *point)
{
    const unsigned width = davy_verdict_width(point);
    const char *table = davy_table_name(point->table);
    return width == 1 ? davy_ctl_format("%s %u", table, point->address)
                      : davy_ctl_format("%s %u-%u", table, point->address, point->address + width - 1);
}

static char *words_cell(const struct finding *finding, const struct davy_point *point)
{
    char text[64] = "";
    struct davy_buf buf;
    davy_buf_init(&buf, text, sizeof text);
    for (unsigned i = 0; i < davy_verdict_width(point) && point->address + i < REGISTERS; i++) {
        const bool known = finding->words->map->state[point->table][point->address + i] == WORD_KNOWN;
        if (known)
            davy_buf_printf(&buf, "%s%04x", i ? " " : "", finding->words->map->value[point->table][point->address + i]);
        else
            davy_buf_printf(&buf, "%s-", i ? " " : "");
    }
    return davy_ctl_copy(text);
}

static char *range_cell(const struct davy_point *point)
{
    char low[DAVY_NUM_TEXT], high[DAVY_NUM_TEXT];
    return point->has_range
               ? davy_ctl_format("%s to %s", davy_ctl_number(point->low, low), davy_ctl_number(point->high, high))
               : davy_ctl_copy("-");
}

static char *quality_cell(const struct davy_reading *reading)
{
    const char *reason = davy_reason_name(reading->reason);
    return davy_ctl_format("%s%s%s", davy_quality_name(reading->quality), reason ? ":" : "", reason ? reason : "");
}

static void add_point(struct table *table, const struct finding *finding, uint32_t i)
{
    const struct davy_point *point = point_at(finding, i);
    const struct judgement *judgement = &finding->judgements[i];
    char value[DAVY_NUM_TEXT];
    davy_table_add(table, davy_ctl_copy(point->name), NULL);
    davy_table_add(table, place_cell(point), NULL);
    davy_table_add(table, davy_ctl_format("%s %s", davy_type_name(point->type), davy_order_name(point->order)), NULL);
    davy_table_add(table, words_cell(finding, point), NULL);
    davy_table_add(table,
                   davy_ctl_copy(judgement->reading.has_value ? davy_ctl_number(judgement->reading.value, value) : "-"),
                   NULL);
    davy_table_add(table, davy_ctl_escape(point->unit), NULL);
    davy_table_add(table, quality_cell(&judgement->reading), davy_quality_name(judgement->reading.quality));
    davy_table_add(table, range_cell(point), NULL);
    davy_table_add(table, davy_ctl_copy(davy_verdict_name(judgement->verdict)),
                   judgement->verdict > VERDICT_ZERO ? "orange" : NULL);
}

static void print_points(const struct ctl *ctl, const struct finding *finding)
{
    static const char *const heads[] = {"POINT", "REGISTER", "TYPE",  "WORDS",   ">VALUE",
                                        "UNIT",  "QUALITY",  "RANGE", "VERDICT", NULL};
    struct table table;
    davy_table_init(&table, heads, ctl->colour);
    for (uint32_t i = 0; i < device_of(finding)->point_count; i++)
        add_point(&table, finding, i);
    davy_table_flush(&table);
    davy_table_done(&table);
}

struct status_table {
    struct table table;
    const struct word_map *map;
};

static void add_status(void *context, const struct davy_status *status)
{
    struct status_table *to = context;
    const bool known = to->map->state[status->table][status->address] == WORD_KNOWN;
    const bool holds = davy_verdict_holds(status, to->map);
    davy_table_add(&to->table, davy_ctl_format("%s %u", davy_table_name(status->table), status->address), NULL);
    davy_table_add(&to->table,
                   known ? davy_ctl_format("%04x", to->map->value[status->table][status->address]) : davy_ctl_copy("-"),
                   NULL);
    davy_table_add(&to->table, davy_ctl_format("%04x", status->mask), NULL);
    davy_table_add(&to->table, status->has_value ? davy_ctl_format("%04x", status->value) : davy_ctl_copy("any"), NULL);
    davy_table_add(&to->table, davy_ctl_copy(davy_means_name(status->means)), NULL);
    davy_table_add(&to->table,
                   davy_ctl_copy(!known  ? "refused"
                                 : holds ? "SET"
                                         : "-"),
                   !known || holds ? "orange" : NULL);
}

static void print_status(const struct ctl *ctl, const struct finding *finding)
{
    static const char *const heads[] = {"STATUS", "WORD", "MASK", "VALUE", "MEANS", "IS", NULL};
    struct status_table to = {.map = finding->words->map};
    davy_table_init(&to.table, heads, ctl->colour);
    for_each_status(finding, add_status, &to);
    if (to.table.count > 0) {
        putchar('\n');
        davy_table_flush(&to.table);
    }
    davy_table_done(&to.table);
}

static void print_reason(void *context, const char *text)
{
    (void)context;
    char *safe = davy_ctl_escape(text);
    printf("  %s\n", safe);
    free(safe);
}

static void print_candidates(const struct finding *finding)
{
    if (finding->candidate_count == 0)
        return;
    if (finding->config)
        printf("fits better than its own (%.0f %%):\n", 100 * finding->score);
    else
        puts("profiles that fit:");
    for (size_t i = 0; i < finding->candidate_count; i++) {
        const struct candidate *c = &finding->candidates[i];
        printf("  profile = \"%s\"  %.0f %%, %zu of %zu points look right\n", c->name, 100 * c->score, c->right,
               c->points);
    }
    puts("A fit is no proof: compare with the manual, and with the display of the device.");
}

static void print_head(const struct finding *finding)
{
    if (!finding->config) {
        printf("bus %s, unit %d\n", finding->words->bus, finding->words->unit);
        return;
    }
    const struct davy_device *device = device_of(finding);
    char *name = davy_ctl_escape(device->name);
    const bool named = strcmp(device->name, device->id) != 0;
    printf("%s%s%s: bus %s, unit %u, %s%s\n\n", device->id, named ? " " : "", named ? name : "", finding->words->bus,
           device->unit, device->profile ? "profile " : "no profile", device->profile ? device->profile : "");
    free(name);
}

void davy_identify_print(const struct ctl *ctl, const struct finding *finding)
{
    print_head(finding);
    if (finding->config && !is_silent(finding)) {
        print_points(ctl, finding);
        print_status(ctl, finding);
        putchar('\n');
    }
    if (finding->config)
        printf("%s\n", is_silent(finding) ? "silent" : finding->right ? "looks right" : "suspicious");
    davy_identify_reasons(finding, print_reason, NULL);
    print_candidates(finding);
    if (!finding->config && finding->candidate_count == 0 && !is_silent(finding))
        puts("no profile fits");
}

/* ---- JSON ---- */

static json_t *point_json(const struct finding *finding, uint32_t i)
{
    const struct davy_point *point = point_at(finding, i);
    const struct judgement *judgement = &finding->judgements[i];
    const struct davy_reading *reading = &judgement->reading;
    json_t *words = json_array();
    for (unsigned n = 0; n < davy_verdict_width(point) && point->address + n < REGISTERS; n++) {
        const bool known = finding->words->map->state[point->table][point->address + n] == WORD_KNOWN;
        json_array_append_new(words, known ? json_integer(finding->words->map->value[point->table][point->address + n])
                                           : json_null());
    }
    return json_pack("{s:s,s:s,s:i,s:s,s:s,s:o,s:o,s:s,s:s,s:s?,s:s,s:s,s:s}", "point", point->name, "table",
                     davy_table_name(point->table), "register", point->address, "type", davy_type_name(point->type),
                     "order", davy_order_name(point->order), "words", words, "value",
                     reading->has_value ? json_real(reading->value) : json_null(), "unit", point->unit, "quality",
                     davy_quality_name(reading->quality), "reason", davy_reason_name(reading->reason), "verdict",
                     davy_verdict_name(judgement->verdict), "why", judgement->why, "hint", judgement->hint);
}

static void add_reason(void *context, const char *text)
{
    json_array_append_new(context, json_string(text));
}

static json_t *candidates_json(const struct finding *finding)
{
    json_t *list = json_array();
    for (size_t i = 0; i < finding->candidate_count; i++) {
        const struct candidate *c = &finding->candidates[i];
        json_array_append_new(list, json_pack("{s:s,s:f,s:I,s:I}", "profile", c->name, "score", c->score, "right",
                                              (json_int_t)c->right, "points", (json_int_t)c->points));
    }
    return list;
}

void davy_identify_print_json(const struct finding *finding)
{
    json_t *points = json_array(), *reasons = json_array();
    for (uint32_t i = 0; finding->config && i < device_of(finding)->point_count; i++)
        json_array_append_new(points, point_json(finding, i));
    davy_identify_reasons(finding, add_reason, reasons);
    const bool found = finding->right || (!finding->config && finding->candidate_count > 0);
    const char *verdict = is_silent(finding) ? "silent"
                          : !finding->config ? "not configured"
                          : finding->right   ? "looks right"
                                             : "suspicious";
    json_t *document =
        json_pack("{s:b,s:s,s:s?,s:s,s:i,s:s?,s:f,s:o,s:o,s:o}", "ok", found, "verdict", verdict, "device",
                  finding->config ? device_of(finding)->id : NULL, "bus", finding->words->bus, "unit",
                  finding->words->unit, "profile", finding->config ? device_of(finding)->profile : NULL, "score",
                  finding->score, "reasons", reasons, "points", points, "candidates", candidates_json(finding));
    davy_ctl_print_json(document, true);
    json_decref(document);
}
