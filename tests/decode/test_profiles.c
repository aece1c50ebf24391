/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every profile in conf/profiles against its golden vectors, tests/data/profiles/NAME.vec: loaded by the real loader,
 * planned, decoded. The vectors are complete: without any one status entry, bit of a mask, bad value or range of the
 * profile some vector fails.
 */
#include <dirent.h>
#include <limits.h>
#include <math.h>
#include <unistd.h>

#include "support/vectors.h"

#include "acquire/request.h"
#include "config/load.h"
#include "decode/decode.h"

#define POINTS_MAX   128
#define PROFILES_MAX 128
#define CASES_MIN    5

struct rig {
    const char *name;
    char vector_file[PATH_MAX];
    struct vectors *vectors;
    struct davy_config *config;
    struct davy_device *device;
    struct davy_block block;
    struct davy_reading readings[DAVY_DECODE_MAX];
    struct davy_reading results[POINTS_MAX];
    char why[512]; /* the first difference of the last run */
};

/* ---- files ---- */

/* FOLDER/NAME.ENDING in the source. */
static const char *source_path(const char *folder, const char *name, const char *ending, char path[PATH_MAX])
{
    const char *source = getenv("DAVY_SOURCE");
    int length = snprintf(path, PATH_MAX, "%s/%s/%.*s%s", source ? source : ".", folder, DAVY_ID_MAX, name, ending);
    assert_in_range(length, 1, PATH_MAX - 1);
    return path;
}

static int compare_names(const void *left, const void *right)
{
    return strcmp(left, right);
}

/* Names in a folder that end with `ending`, without it, sorted. */
static size_t list(const char *folder, const char *ending, char names[PROFILES_MAX][DAVY_ID_MAX + 1])
{
    char path[PATH_MAX];
    size_t count = 0;
    DIR *dir = opendir(source_path(folder, "", "", path));
    if (!dir)
        fail_msg("%s: %s", path, strerror(errno));
    for (struct dirent *entry = readdir(dir); entry; entry = readdir(dir)) {
        size_t length = strlen(entry->d_name), tail = strlen(ending);
        if (length <= tail || length - tail > DAVY_ID_MAX || strcmp(entry->d_name + length - tail, ending) != 0)
            continue;
        assert_true(count < PROFILES_MAX);
        snprintf(names[count++], DAVY_ID_MAX + 1, "%.*s", (int)(length - tail), entry->d_name);
    }
    closedir(dir);
    qsort(names, count, sizeof names[0], compare_names);
    return count;
}

static const char tcp_bus[] = "type = \"tcp\"; host = \"h\";";

/* A gap of many registers costs more than a request here. */
static const char slow_bus[] = "type = \"rtu\"; device = \"/dev/ttyS0\"; baud = 2400;";

/* A configuration of one device with this profile, planned. */
static struct davy_config *load(const char *bus, const char *profile)
{
    char file[] = "/tmp/davy-profile-XXXXXX", text[1024];
    struct davy_problems problems = {0};
    struct davy_config *config = NULL;
    int fd = mkstemp(file);
    assert_true(fd >= 0);
    dprintf(fd,
            "gateway = { id = \"a\"; site = \"b\"; };\n"
            "buses = ( { name = \"x\"; %s } );\n"
            "devices = ( { id = \"D\"; bus = \"x\"; unit = 1; profile = \"%s\"; } );\n",
            bus, profile);
    close(fd);
    int rc = davy_config_load(file, &problems, &config);
    unlink(file);
    for (size_t i = 0; rc != 0 && i < problems.count; i++)
        print_message("    %s\n", davy_problem_format(&problems.items[i], text, sizeof text));
    davy_problems_done(&problems);
    assert_int_equal(rc, 0);
    assert_int_equal(davy_requests_plan(config), 0);
    assert_true(config->point_count <= POINTS_MAX);
    return config;
}

static void rig_open(struct rig *rig, const char *bus, const char *name)
{
    memset(rig, 0, sizeof *rig);
    rig->name = name;
    rig->vectors = vectors_read(source_path("tests/data/profiles", name, ".vec", rig->vector_file));
    rig->config = load(bus, name);
    rig->device = &rig->config->devices[0];
    rig->block.generation = rig->config->generation;
}

static void rig_close(struct rig *rig)
{
    davy_config_unref(rig->config);
    free(rig->vectors);
}

/* ---- one image ---- */

static bool find_word(const struct vector_words *words, enum davy_table table, unsigned address, uint16_t *ret)
{
    for (size_t i = words->count; i-- > 0;)
        if (words->words[i].table == table && words->words[i].address == address) {
            *ret = words->words[i].word;
            return true;
        }
    return false;
}

static uint16_t image_word(const struct rig *rig, const struct vector_case *c, size_t each, enum davy_table table,
                           unsigned address)
{
    uint16_t word = 0;
    const struct vector_word *one = c->each.count ? &c->each.words[each] : NULL;
    if (one && one->table == table && one->address == address)
        return one->word;
    if (!find_word(&c->changes, table, address, &word) && !find_word(&rig->vectors->image, table, address, &word))
        fail_msg("%s: case %s: %s %u is read, but not in the image", rig->name, c->name, davy_table_name(table),
                 address);
    return word;
}

static void fill_block(struct rig *rig, const struct vector_case *c, size_t each, uint32_t index)
{
    const struct davy_request *request = &rig->config->requests[index];
    bool bits = request->table == DAVY_TABLE_COIL || request->table == DAVY_TABLE_DISCRETE;
    memset(rig->block.words, 0, sizeof rig->block.words);
    for (unsigned i = 0; i < request->count; i++) {
        uint16_t word = image_word(rig, c, each, request->table, request->start + i);
        if (bits)
            rig->block.words[i / 16] |= (uint16_t)((word & 1U) << (i % 16));
        else
            rig->block.words[i] = word;
    }
    rig->block.request = index;
}

/*
 * Two rounds over the plan by a decoder that knows nothing yet; the results of the second, by which all status is
 * known.
 */
static void decode_image(struct rig *rig, const struct vector_case *c, size_t each)
{
    struct davy_decoder *decoder;
    assert_int_equal(davy_decoder_new(rig->config, &decoder), 0);
    for (unsigned round = 0; round < 2; round++)
        for (uint32_t i = 0; i < rig->config->request_count; i++) {
            rig->block.at.mono.ns += DAVY_NS_PER_S;
            fill_block(rig, c, each, i);
            size_t count = davy_decode_block(decoder, &rig->block, rig->readings);
            for (size_t k = 0; k < count; k++)
                rig->results[rig->readings[k].point] = rig->readings[k];
        }
    davy_decoder_free(decoder);
}

static const struct vector_expect *find_expect(const struct vector_case *c, const char *point)
{
    for (size_t i = 0; i < c->expect_count; i++)
        if (strcmp(c->expects[i].point, point) == 0)
            return &c->expects[i];
    return NULL;
}

static bool same_value(double a, double b)
{
    return fabs(a - b) <= 1e-6 * fmax(1, fabs(b));
}

static bool agrees(struct rig *rig, const struct vector_case *c, size_t each, size_t point)
{
    const struct davy_reading *got = &rig->results[point];
    const char *name = rig->config->points[point].name;
    const struct vector_expect *expect = find_expect(c, name);
    if (!expect && !c->has_rest)
        fail_msg("%s: case %s says nothing of %s", rig->name, c->name, name);
    enum davy_reason reason = expect ? expect->reason : c->rest;
    bool same = got->reason == reason && got->quality == davy_reason_quality(reason);
    if (expect)
        same =
            same && got->has_value == expect->has_value && (!got->has_value || same_value(got->value, expect->value));
    if (!same)
        snprintf(rig->why, sizeof rig->why, "%s: case %s (word 0x%04X): %s is %s %.9g %s %s", rig->name, c->name,
                 c->each.count ? c->each.words[each].word : 0U, name, got->has_value ? "value" : "without value",
                 got->value, davy_quality_name(got->quality), got->reason ? davy_reason_name(got->reason) : "");
    return same;
}

static bool case_holds(struct rig *rig, const struct vector_case *c)
{
    size_t times = c->each.count ? c->each.count : 1;
    for (size_t each = 0; each < times; each++) {
        decode_image(rig, c, each);
        for (size_t i = 0; i < rig->config->point_count; i++)
            if (!agrees(rig, c, each, i))
                return false;
    }
    return true;
}

static bool all_hold(struct rig *rig)
{
    for (size_t i = 0; i < rig->vectors->case_count; i++)
        if (!case_holds(rig, &rig->vectors->cases[i]))
            return false;
    return true;
}

/* ---- completeness ---- */

static struct davy_status *copy_status(struct rig *rig, const struct davy_status *from, size_t count)
{
    struct davy_status *copy = davy_config_alloc(rig->config, count + 1, sizeof *copy);
    assert_non_null(copy);
    if (count)
        memcpy(copy, from, count * sizeof *copy);
    return copy;
}

static void assert_missed(struct rig *rig, const char *owner, const char *what, size_t index, unsigned detail)
{
    if (all_hold(rig))
        fail_msg("%s: no vector depends on %s[%zu] of %s (0x%04X)", rig->name, what, index, owner, detail);
}

/* With a value: without the entry. Else: without each bit of its mask. */
static void check_entry(struct rig *rig, const char *owner, struct davy_status *status, size_t index)
{
    const struct davy_status whole = *status;
    for (unsigned bit = 0; bit < 16; bit++) {
        unsigned taken = whole.has_value ? whole.mask : whole.mask & 1U << bit;
        if (taken == 0 || (whole.has_value && bit > 0))
            continue;
        status->mask = (uint16_t)(whole.mask & ~taken);
        status->has_value = false;
        assert_missed(rig, owner, "status", index, taken);
        *status = whole;
    }
}

static void check_statuses(struct rig *rig)
{
    struct davy_status *own = copy_status(rig, rig->device->status, rig->device->status_count);
    rig->device->status = own;
    for (size_t i = 0; i < rig->device->status_count; i++)
        check_entry(rig, "the device", &own[i], i);
    for (size_t p = 0; p < rig->config->point_count; p++) {
        struct davy_point *point = &rig->config->points[p];
        own = copy_status(rig, point->status, point->status_count);
        point->status = own;
        for (size_t i = 0; i < point->status_count; i++)
            check_entry(rig, point->name, &own[i], i);
    }
}

static void check_bad_values(struct rig *rig, struct davy_point *point)
{
    uint64_t *values = davy_config_alloc(rig->config, point->bad_value_count + 1, sizeof *values);
    assert_non_null(values);
    if (point->bad_value_count)
        memcpy(values, point->bad_values, point->bad_value_count * sizeof *values);
    point->bad_values = values;
    for (size_t i = 0; i < point->bad_value_count; i++) {
        uint64_t value = values[i];
        values[i] = UINT64_MAX; /* no raw value of 16 or 32 bits */
        assert_missed(rig, point->name, "bad_values", i, (unsigned)value);
        values[i] = value;
    }
}

/* Whether a raw value can be so low that it is a fault, which is 10 % of the span below the range. */
static bool reaches_below(const struct davy_point *point)
{
    bool is_unsigned = point->type == DAVY_TYPE_UINT16 || point->type == DAVY_TYPE_UINT32;
    return !is_unsigned || point->offset < point->low - 0.1 * (point->high - point->low);
}

static void check_range(struct rig *rig, struct davy_point *point)
{
    const double low = point->low, high = point->high;
    if (!point->has_range)
        return;
    if (reaches_below(point)) {
        point->low = -1e9;
        assert_missed(rig, point->name, "low end of range", 0, 0);
        point->low = low;
    }
    point->high = 1e9;
    assert_missed(rig, point->name, "high end of range", 0, 0);
    point->high = high;
}

/* A point whose value is the same in all vectors proves no register. */
static void check_values(const struct rig *rig, const struct davy_point *point)
{
    const struct vectors *v = rig->vectors;
    const struct vector_expect *first = NULL;
    for (size_t i = 0; i < v->case_count; i++) {
        const struct vector_expect *expect = find_expect(&v->cases[i], point->name);
        if (expect && expect->has_value && first && !same_value(first->value, expect->value))
            return;
        if (expect && expect->has_value && !first)
            first = expect;
    }
    fail_msg("%s: no two values of %s are expected", rig->name, point->name);
}

static void check_names(const struct rig *rig)
{
    for (size_t i = 0; i < rig->vectors->case_count; i++)
        for (size_t k = 0; k < rig->vectors->cases[i].expect_count; k++) {
            char full[DAVY_KEY_SIZE];
            snprintf(full, sizeof full, "D.%s", rig->vectors->cases[i].expects[k].point);
            if (davy_config_find_point(rig->config, full) == DAVY_NONE)
                fail_msg("%s: case %s expects a point %s", rig->name, rig->vectors->cases[i].name, full + 2);
        }
}

static size_t images_of(const struct vectors *v)
{
    size_t count = 0;
    for (size_t i = 0; i < v->case_count; i++)
        count += v->cases[i].each.count ? v->cases[i].each.count : 1;
    return count;
}

/* ---- tests ---- */

static void each_profile(const char *bus, void (*check)(struct rig *rig))
{
    static char names[PROFILES_MAX][DAVY_ID_MAX + 1];
    static struct rig rig;
    size_t count = list("conf/profiles", ".conf", names);
    assert_true(count > 0);
    for (size_t i = 0; i < count; i++) {
        rig_open(&rig, bus, names[i]);
        check(&rig);
        rig_close(&rig);
    }
}

static void check_agreement(struct rig *rig)
{
    check_names(rig);
    if (rig->vectors->requests != rig->config->request_count)
        fail_msg("%s: %zu requests are planned, not %u", rig->name, rig->config->request_count, rig->vectors->requests);
    if (images_of(rig->vectors) < CASES_MIN)
        fail_msg("%s: less than %d vectors", rig->name, CASES_MIN);
    if (!all_hold(rig))
        fail_msg("%s", rig->why);
}

static void check_completeness(struct rig *rig)
{
    check_statuses(rig);
    for (size_t i = 0; i < rig->config->point_count; i++) {
        check_values(rig, &rig->config->points[i]);
        check_bad_values(rig, &rig->config->points[i]);
        check_range(rig, &rig->config->points[i]);
    }
    assert_true(all_hold(rig)); /* all is as it was */
}

static void every_profile_decodes_its_vectors(void **state)
{
    (void)state;
    each_profile(tcp_bus, check_agreement);
}

static void check_all_hold(struct rig *rig)
{
    if (!all_hold(rig))
        fail_msg("%s", rig->why);
}

static void vectors_hold_however_the_plan_is_cut(void **state)
{
    (void)state;
    each_profile(slow_bus, check_all_hold);
}

static void every_part_of_a_profile_is_held_by_a_vector(void **state)
{
    (void)state;
    each_profile(tcp_bus, check_completeness);
}

static void vectors_and_profiles_are_the_same_set(void **state)
{
    (void)state;
    static char profiles[PROFILES_MAX][DAVY_ID_MAX + 1], vectors[PROFILES_MAX][DAVY_ID_MAX + 1];
    size_t count = list("conf/profiles", ".conf", profiles);
    assert_int_equal(list("tests/data/profiles", ".vec", vectors), count);
    for (size_t i = 0; i < count; i++)
        assert_string_equal(profiles[i], vectors[i]);
}

static const char *read_text(const char *path, char *text, size_t size)
{
    DAVY_AUTO_FILE FILE *file = fopen(path, "r");
    if (!file)
        fail_msg("%s: %s", path, strerror(errno));
    text[fread(text, 1, size - 1, file)] = '\0';
    return text;
}

/* What a person must know before trusting a map, and that none claims to be proven. */
static void every_profile_says_where_it_comes_from(void **state)
{
    (void)state;
    static char names[PROFILES_MAX][DAVY_ID_MAX + 1], text[65536];
    static const char *const lines[] = {"\nname = \"", "\ndescription = \"", "\nsource = \"", "\nnotes = \"",
                                        "\nverified = false;"};
    size_t count = list("conf/profiles", ".conf", names);
    for (size_t i = 0; i < count; i++) {
        char path[PATH_MAX];
        read_text(source_path("conf/profiles", names[i], ".conf", path), text, sizeof text);
        for (size_t k = 0; k < DAVY_LENGTH(lines); k++)
            if (!strstr(text, lines[k]))
                fail_msg("%s has no line that begins with %s", names[i], lines[k] + 1);
    }
}

static void every_profile_is_in_the_readme(void **state)
{
    (void)state;
    static char names[PROFILES_MAX][DAVY_ID_MAX + 1], text[262144];
    char path[PATH_MAX], quoted[DAVY_ID_MAX + 3];
    size_t count = list("conf/profiles", ".conf", names);
    read_text(source_path("", "README", ".md", path), text, sizeof text);
    for (size_t i = 0; i < count; i++) {
        snprintf(quoted, sizeof quoted, "`%.*s`", DAVY_ID_MAX, names[i]);
        if (!strstr(text, quoted))
            fail_msg("%s is not in README.md", names[i]);
    }
}

int main(void)
{
    char path[PATH_MAX];
    setenv("DAVY_DATADIR", source_path("conf", "", "", path), 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors_and_profiles_are_the_same_set),
        cmocka_unit_test(every_profile_says_where_it_comes_from),
        cmocka_unit_test(every_profile_is_in_the_readme),
        cmocka_unit_test(every_profile_decodes_its_vectors),
        cmocka_unit_test(vectors_hold_however_the_plan_is_cut),
        cmocka_unit_test(every_part_of_a_profile_is_held_by_a_vector),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
