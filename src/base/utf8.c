/* SPDX-License-Identifier: Apache-2.0 */
#include "base/utf8.h"

#include "base/attr.h"

struct range {
    uint32_t first;
    uint32_t last;
};

/* Length, lowest code point and mask of the first byte by its upper bits. */
static const struct {
    unsigned char mask;
    unsigned char lead;
    size_t length;
    uint32_t least;
} forms[] = {
    {0x80, 0x00, 1, 0},
    {0xe0, 0xc0, 2, 0x80},
    {0xf0, 0xe0, 3, 0x800},
    {0xf8, 0xf0, 4, 0x10000},
};

size_t davy_utf8_next(const char *text, uint32_t *ret_code)
{
    const unsigned char *s = (const unsigned char *)text;
    *ret_code = DAVY_UTF8_BAD;
    for (size_t form = 0; form < DAVY_LENGTH(forms); form++) {
        if ((s[0] & forms[form].mask) != forms[form].lead)
            continue;
        uint32_t code = s[0] & (unsigned char)~forms[form].mask;
        for (size_t i = 1; i < forms[form].length; i++) {
            if ((s[i] & 0xc0) != 0x80)
                return 1;
            code = code << 6 | (s[i] & 0x3f);
        }
        if (code < forms[form].least || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
            return 1;
        *ret_code = code;
        return forms[form].length;
    }
    return 1;
}

static bool within(const struct range *table, size_t length, uint32_t code)
{
    for (size_t i = 0; i < length; i++)
        if (code >= table[i].first && code <= table[i].last)
            return true;
    return false;
}

bool davy_utf8_is_control(uint32_t code)
{
    static const struct range controls[] = {{0x00, 0x1f},     {0x7f, 0x9f},     {0x61c, 0x61c},  {0x200e, 0x200f},
                                            {0x2028, 0x202e}, {0x2066, 0x2069}, {0xfff9, 0xfffb}};
    return within(controls, DAVY_LENGTH(controls), code);
}

void davy_utf8_escape(struct davy_buf *out, const char *text)
{
    uint32_t code;
    for (size_t length; *text; text += length) {
        length = davy_utf8_next(text, &code);
        for (size_t i = 0; i < length; i++) {
            if (code == DAVY_UTF8_BAD || davy_utf8_is_control(code))
                davy_buf_printf(out, "\\x%02x", (unsigned char)text[i]);
            else
                davy_buf_char(out, text[i]);
        }
    }
}

/* Unicode 15, EastAsianWidth W and F, coarse by block; general category Mn of the scripts that names are written in. */
static const struct range wide[] = {
    {0x1100, 0x115f},   {0x231a, 0x231b},   {0x2329, 0x232a},   {0x23e9, 0x23ec},   {0x2e80, 0x303e},
    {0x3041, 0x33ff},   {0x3400, 0x4dbf},   {0x4e00, 0xa4cf},   {0xa960, 0xa97c},   {0xac00, 0xd7a3},
    {0xf900, 0xfaff},   {0xfe10, 0xfe19},   {0xfe30, 0xfe6f},   {0xff00, 0xff60},   {0xffe0, 0xffe6},
    {0x17000, 0x18cff}, {0x1b000, 0x1b2ff}, {0x1f300, 0x1f64f}, {0x1f680, 0x1f6ff}, {0x1f900, 0x1f9ff},
    {0x20000, 0x3fffd},
};
static const struct range zero[] = {
    {0x0300, 0x036f}, {0x0483, 0x0489}, {0x0591, 0x05bd}, {0x0610, 0x061a}, {0x064b, 0x065f}, {0x0e31, 0x0e31},
    {0x0e34, 0x0e3a}, {0x0e47, 0x0e4e}, {0x1ab0, 0x1aff}, {0x1dc0, 0x1dff}, {0x200b, 0x200d}, {0x20d0, 0x20ff},
    {0x3099, 0x309a}, {0xfe00, 0xfe0f}, {0xfe20, 0xfe2f}, {0xfeff, 0xfeff},
};

unsigned davy_utf8_columns(uint32_t code)
{
    if (code < 0x300)
        return 1;
    if (within(zero, DAVY_LENGTH(zero), code))
        return 0;
    return within(wide, DAVY_LENGTH(wide), code) ? 2 : 1;
}
