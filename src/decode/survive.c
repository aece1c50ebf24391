/* SPDX-License-Identifier: Apache-2.0 */
/* What of the decoder outlives its readings: latches and how they are reset, an operator's inhibits, the restart. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "decode/internal.h"

/* ---- an operator's inhibit ---- */

bool inhibit_holds(const struct davy_decoder *decoder, uint32_t device, davy_mono now)
{
    davy_mono until = decoder->inhibits[device].is.until.mono;
    return until.ns != 0 && now.ns < until.ns;
}

int davy_decoder_inhibit(struct davy_decoder *decoder, uint32_t device, const struct davy_inhibit *inhibit,
                         davy_mono now)
{
    davy_span left = davy_mono_sub(inhibit->until.mono, now);
    if (device >= decoder->config->device_count)
        return -ENOENT;
    if (left.ns <= 0 || left.ns > DAVY_INHIBIT_MAX.ns || inhibit->reason[0] == '\0')
        return -EINVAL;
    decoder->inhibits[device].is = *inhibit;
    return 0;
}

int davy_decoder_uninhibit(struct davy_decoder *decoder, uint32_t device, davy_mono now)
{
    if (device >= decoder->config->device_count || !inhibit_holds(decoder, device, now))
        return -ENOENT;
    decoder->inhibits[device].is = (struct davy_inhibit){.by = ""};
    return 0;
}

bool davy_decoder_inhibited(const struct davy_decoder *decoder, uint32_t device, davy_mono now,
                            struct davy_inhibit *ret_inhibit)
{
    if (device >= decoder->config->device_count || !inhibit_holds(decoder, device, now))
        return false;
    *ret_inhibit = decoder->inhibits[device].is;
    return true;
}

void inhibits_keep(const struct davy_decoder *old, struct davy_decoder *decoder)
{
    for (uint32_t d = 0; d < decoder->config->device_count; d++) {
        uint32_t index = davy_config_find_device(old->config, decoder->config->devices[d].id);
        if (index != DAVY_NONE)
            decoder->inhibits[d] = old->inhibits[index];
    }
}

static bool same_inhibit(const struct davy_inhibit *a, const struct davy_inhibit *b)
{
    return a->until.mono.ns == b->until.mono.ns && strcmp(a->by, b->by) == 0 && strcmp(a->reason, b->reason) == 0;
}

/* The form of an alarm's memory serves: the inhibit is kept as a shelf. */
bool davy_decoder_tell_device(struct davy_decoder *decoder, uint32_t device, davy_mono now,
                              struct davy_alarm_memory *ret_memory)
{
    struct inhibit *inhibit = &decoder->inhibits[device];
    if (!inhibit_holds(decoder, device, now))
        inhibit->is = (struct davy_inhibit){.by = ""};
    if (same_inhibit(&inhibit->is, &inhibit->was))
        return false;
    inhibit->was = inhibit->is;
    *ret_memory = (struct davy_alarm_memory){.shelved_until = inhibit->is.until};
    snprintf(ret_memory->key, sizeof ret_memory->key, "~%s", decoder->config->devices[device].id);
    memcpy(ret_memory->by, inhibit->is.by, sizeof ret_memory->by);
    memcpy(ret_memory->note, inhibit->is.reason, sizeof ret_memory->note);
    return true;
}

static bool recall_device(struct davy_decoder *decoder, const struct davy_alarm_memory *memory)
{
    uint32_t device = davy_config_find_device(decoder->config, memory->key + 1);
    if (device == DAVY_NONE)
        return false;
    struct davy_inhibit inhibit = {.until = memory->shelved_until};
    memcpy(inhibit.by, memory->by, sizeof inhibit.by);
    memcpy(inhibit.reason, memory->note, sizeof inhibit.reason);
    decoder->inhibits[device] = (struct inhibit){inhibit, inhibit};
    return true;
}

/* ---- latches ---- */

int davy_decoder_reset(struct davy_decoder *decoder, uint32_t point)
{
    if (point >= decoder->config->point_count || !decoder->points[point].latched)
        return -ENOENT;
    decoder->points[point].latched = false;
    return 0;
}

/*
 * The form of an alarm's memory serves: tripped is the latch, held is "still to settle", and count how many readings.
 */
bool davy_decoder_tell(struct davy_decoder *decoder, uint32_t point, bool in_alarm,
                       struct davy_alarm_memory *ret_memory)
{
    struct memory *memory = &decoder->points[point];
    bool settling = memory->settling > 0 && in_alarm;
    if (!memory->untold && memory->latched == memory->told_latched && settling == memory->told_settling)
        return false;
    memory->untold = false;
    memory->told_latched = memory->latched;
    memory->told_settling = settling;
    const struct davy_device *device = &decoder->config->devices[decoder->config->points[point].device];
    *ret_memory = (struct davy_alarm_memory){
        .count = settling ? (uint32_t)device->settle : 0,
        .limit_count = 1,
        .limits = {{.tripped = memory->latched, .held = settling}},
    };
    char name[DAVY_KEY_SIZE];
    snprintf(ret_memory->key, sizeof ret_memory->key, "=%.*s", DAVY_KEY_SIZE - 2,
             davy_config_point_name(decoder->config, point, name));
    return true;
}

bool davy_decoder_recall(struct davy_decoder *decoder, const struct davy_alarm_memory *memory)
{
    if (memory->key[0] == '~')
        return recall_device(decoder, memory);
    uint32_t point = memory->key[0] == '=' ? davy_config_find_point(decoder->config, memory->key + 1) : DAVY_NONE;
    if (point == DAVY_NONE)
        return false;
    struct memory *of = &decoder->points[point];
    of->latched = of->told_latched = memory->limits[0].tripped;
    of->told_settling = memory->limits[0].held;
    of->settling = (int)memory->count;
    return true;
}

void davy_decoder_untold(struct davy_decoder *decoder, uint32_t point)
{
    decoder->points[point].untold = true;
}

void davy_decoder_untold_device(struct davy_decoder *decoder, uint32_t device)
{
    decoder->inhibits[device].was.until.mono.ns = -1; /* is none's */
}

void davy_decoder_tell_gone(const struct davy_decoder *decoder, const struct davy_config *next,
                            void (*tell)(void *context, const struct davy_alarm_memory *memory), void *context)
{
    const struct davy_config *config = decoder->config;
    for (uint32_t d = 0; d < config->device_count; d++) {
        struct davy_alarm_memory memory = {.count = 0};
        snprintf(memory.key, sizeof memory.key, "~%s", config->devices[d].id);
        if (decoder->inhibits[d].was.until.mono.ns != 0 &&
            davy_config_find_device(next, config->devices[d].id) == DAVY_NONE)
            tell(context, &memory);
    }
    for (uint32_t p = 0; p < config->point_count; p++) {
        const struct memory *of = &decoder->points[p];
        struct davy_alarm_memory memory = {.count = 0};
        char name[DAVY_KEY_SIZE];
        davy_config_point_name(config, p, name);
        snprintf(memory.key, sizeof memory.key, "=%.*s", DAVY_KEY_SIZE - 2, name);
        if ((of->told_latched || of->told_settling) && davy_config_find_point(next, name) == DAVY_NONE)
            tell(context, &memory);
    }
}

void davy_decoder_tell_kept(struct davy_decoder *decoder)
{
    for (uint32_t p = 0; p < decoder->config->point_count; p++)
        if (decoder->points[p].told_latched || decoder->points[p].told_settling)
            davy_decoder_untold(decoder, p);
    for (uint32_t d = 0; d < decoder->config->device_count; d++)
        if (decoder->inhibits[d].was.until.mono.ns != 0)
            davy_decoder_untold_device(decoder, d);
}

void davy_decoder_tell_again(struct davy_decoder *decoder)
{
    for (size_t p = 0; p < decoder->config->point_count; p++)
        decoder->points[p].told_latched = decoder->points[p].told_settling = false;
    for (size_t d = 0; d < decoder->config->device_count; d++)
        decoder->inhibits[d].was = (struct davy_inhibit){.by = ""};
}
