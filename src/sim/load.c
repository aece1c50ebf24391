/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/load.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "sim/command.h"
#include "sim/device.h"
#include "sim/reader.h"
#include "sim/subst.h"

#define REQUIRED  NULL
#define FILE_MAX  (16 * 1024 * 1024)
#define ID_MAX    64
#define STEPS_MAX 10000

static const char *const root_keys[] = {"seed", "lines", "devices", "incidents", NULL};
static const char *const line_keys[] = {"name", "type",          "host",         "port", "link",
                                        "baud", "bits_per_byte", "unknown_unit", NULL};
static const char *const device_keys[] = {"id", "line", "unit", "turnaround", "points", "ranges", "copies", NULL};
static const char *const range_keys[] = {"table", "register", "count", NULL};
static const char *const point_keys[] = {"name",   "table", "register", "type",  "order", "scale",
                                         "offset", "range", "wave",     "value", NULL};
static const char *const wave_keys[] = {"type",   "mean",  "amplitude", "low",   "high",
                                        "period", "phase", "duty",      "noise", NULL};
static const char *const incident_keys[] = {"name", "at", "repeat", "do", NULL};

/* What the sections share while they are read. */
struct loader {
    struct davy_sim_reader reader;
    struct davy_sim_plant *plant;
};

static char *keep(const char *text)
{
    char *copy = strdup(text);
    if (!copy)
        abort(); /* at start-up, before anything is served */
    return copy;
}

static void *keep_array(size_t count, size_t size)
{
    void *array = calloc(count ? count : 1, size);
    if (!array)
        abort();
    return array;
}

static char *read_id(struct loader *l, const config_setting_t *group, const char *key, bool dot)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-.";
    const char *id = davy_sim_reader_text(&l->reader, group, key, REQUIRED);
    const config_setting_t *at = config_setting_get_member(group, key);
    size_t length = strlen(id);
    if (at && (length == 0 || length > ID_MAX || strspn(id, letters) != length || (!dot && strchr(id, '.'))))
        davy_sim_reader_problem(&l->reader, at, "1 to 64 of letters, digits, _ - %sare expected", dot ? ". " : "");
    return keep(id);
}

/* An index from one of the names tables; 0 after the complaint. */
static int read_name(struct loader *l, const config_setting_t *group, const char *key, const char *fallback,
                     int (*find)(const char *name))
{
    const char *name = davy_sim_reader_text(&l->reader, group, key, fallback);
    const config_setting_t *at = config_setting_get_member(group, key);
    int index = find(name);
    if (index < 0 && at && config_setting_get_string(at))
        davy_sim_reader_problem(&l->reader, at, "\"%s\" is not known here", name);
    return index < 0 ? 0 : index;
}

static void check_line_keys(struct loader *l, const config_setting_t *group, const struct davy_sim_line *line)
{
    static const char *const serial[] = {"link", "baud", "bits_per_byte", NULL};
    static const char *const network[] = {"host", "port", NULL};
    static const char *const over_tcp[] = {"link", NULL};
    static const char *const *const not_for[] = {
        [DAVY_BUS_RTU] = network, [DAVY_BUS_TCP] = serial, [DAVY_BUS_RTU_OVER_TCP] = over_tcp};
    for (const char *const *wrong = not_for[line->type]; *wrong; wrong++) {
        const config_setting_t *at = config_setting_get_member(group, *wrong);
        if (at)
            davy_sim_reader_problem(&l->reader, at, "a line of type %s has no such key",
                                    davy_bus_type_name(line->type));
    }
}

static int read_unknown_unit(struct loader *l, const config_setting_t *group, bool tcp)
{
    const config_setting_t *at = config_setting_get_member(group, "unknown_unit");
    const char *text = at ? config_setting_get_string(at) : NULL;
    if (!at)
        return tcp ? 11 : 0; /* gateway target device failed to respond */
    if (text && strcmp(text, "silence") == 0)
        return 0;
    return (int)davy_sim_reader_integer(&l->reader, group, "unknown_unit", 1, 255, 11);
}

static void read_line(struct loader *l, const config_setting_t *group, struct davy_sim_line *line)
{
    struct davy_sim_reader *r = &l->reader;
    if (!davy_sim_reader_keys(r, group, line_keys)) {
        line->name = keep("");
        return;
    }
    line->name = read_id(l, group, "name", true);
    line->type = (enum davy_bus_type)read_name(l, group, "type", REQUIRED, davy_bus_type_find);
    line->host = keep(davy_sim_reader_text(r, group, "host", "127.0.0.1"));
    line->port = (int)davy_sim_reader_integer(r, group, "port", 0, UINT16_MAX, 0);
    const char *link = davy_sim_reader_text(r, group, "link", "");
    line->link = *link ? keep(link) : NULL;
    line->baud = (int)davy_sim_reader_integer(r, group, "baud", 300, 4000000, 0);
    line->bits_per_byte = (int)davy_sim_reader_integer(r, group, "bits_per_byte", 9, 12, 10);
    line->unknown_exception = read_unknown_unit(l, group, line->type == DAVY_BUS_TCP);
    check_line_keys(l, group, line);
    for (const struct davy_sim_line *other = l->plant->lines; other < line; other++)
        if (strcmp(other->name, line->name) == 0)
            davy_sim_reader_problem(r, group, "there is a line \"%s\" already", line->name);
}

static void read_lines(struct loader *l, const config_setting_t *root)
{
    const config_setting_t *list = davy_sim_reader_list(&l->reader, root, "lines");
    if (!list || config_setting_length(list) == 0) {
        davy_sim_reader_problem(&l->reader, root, "lines is missing: at least one is needed");
        return;
    }
    size_t count = (size_t)config_setting_length(list);
    l->plant->lines = keep_array(count, sizeof(*l->plant->lines));
    for (size_t i = 0; i < count; i++) {
        read_line(l, config_setting_get_elem(list, (unsigned)i), &l->plant->lines[i]);
        l->plant->line_count = i + 1;
    }
}

/* low and high, or mean and amplitude; the first are turned into the second. */
static void read_wave_span(struct loader *l, const config_setting_t *group, struct davy_sim_wave *wave)
{
    struct davy_sim_reader *r = &l->reader;
    bool ends = config_setting_get_member(group, "low") || config_setting_get_member(group, "high");
    bool middle = config_setting_get_member(group, "mean") || config_setting_get_member(group, "amplitude");
    if (ends && middle)
        davy_sim_reader_problem(r, group, "either low and high, or mean and amplitude");
    if (!ends) {
        wave->mean = davy_sim_reader_number(r, group, "mean", NAN);
        wave->amplitude = davy_sim_reader_number(r, group, "amplitude", wave->type == DAVY_SIM_WAVE_CONSTANT ? 0 : NAN);
        return;
    }
    double low = davy_sim_reader_number(r, group, "low", NAN);
    double high = davy_sim_reader_number(r, group, "high", NAN);
    if (low > high)
        davy_sim_reader_problem(r, group, "low is above high");
    wave->mean = (low + high) / 2;
    wave->amplitude = (high - low) / 2;
}

static double read_share(struct loader *l, const config_setting_t *group, const char *key, double fallback)
{
    double share = davy_sim_reader_number(&l->reader, group, key, fallback);
    if (share >= 0 && share <= 1)
        return share;
    davy_sim_reader_problem(&l->reader, config_setting_get_member(group, key), "a number from 0 to 1 is expected");
    return fallback;
}

static void read_wave(struct loader *l, const config_setting_t *group, struct davy_sim_wave *wave)
{
    struct davy_sim_reader *r = &l->reader;
    if (!davy_sim_reader_keys(r, group, wave_keys))
        return;
    wave->type = (enum davy_sim_wave_type)read_name(l, group, "type", REQUIRED, davy_sim_wave_find);
    read_wave_span(l, group, wave);
    wave->period_s =
        davy_sim_reader_seconds(r, group, "period", wave->type == DAVY_SIM_WAVE_CONSTANT ? "1s" : REQUIRED);
    if (wave->period_s <= 0) {
        davy_sim_reader_problem(r, group, "period must be longer than nothing");
        wave->period_s = 1;
    }
    wave->phase = read_share(l, group, "phase", 0);
    wave->duty = read_share(l, group, "duty", 0.5);
    wave->noise = davy_sim_reader_number(r, group, "noise", 0);
    if (wave->noise < 0)
        davy_sim_reader_problem(r, group, "noise must not be negative");
}

static void read_range(struct loader *l, const config_setting_t *group, struct davy_sim_point *point)
{
    const config_setting_t *range = config_setting_get_member(group, "range");
    point->low = -INFINITY;
    point->high = INFINITY;
    if (!range)
        return;
    if (!config_setting_is_aggregate(range) || config_setting_length(range) != 2) {
        davy_sim_reader_problem(&l->reader, range, "[low, high] is expected");
        return;
    }
    point->low = davy_sim_reader_as_number(&l->reader, config_setting_get_elem(range, 0));
    point->high = davy_sim_reader_as_number(&l->reader, config_setting_get_elem(range, 1));
    if (point->low > point->high)
        davy_sim_reader_problem(&l->reader, range, "low is above high");
}

static void read_source(struct loader *l, const config_setting_t *group, struct davy_sim_point *point)
{
    const config_setting_t *wave = config_setting_get_member(group, "wave");
    const config_setting_t *value = config_setting_get_member(group, "value");
    point->wave = (struct davy_sim_wave){.type = DAVY_SIM_WAVE_CONSTANT, .period_s = 1};
    if (wave && value)
        davy_sim_reader_problem(&l->reader, group, "either wave or value");
    else if (wave)
        read_wave(l, wave, &point->wave);
    else if (value && config_setting_type(value) == CONFIG_TYPE_BOOL)
        point->wave.mean = config_setting_get_bool(value);
    else
        point->wave.mean = davy_sim_reader_number(&l->reader, group, "value", 0);
}

static void check_point(struct loader *l, const config_setting_t *group, const struct davy_sim_point *point)
{
    bool bits = point->table == DAVY_TABLE_COIL || point->table == DAVY_TABLE_DISCRETE;
    if (bits != (point->type == DAVY_TYPE_BOOL))
        davy_sim_reader_problem(&l->reader, group, "coils and discretes are bool, registers are not");
    if (point->scale == 0)
        davy_sim_reader_problem(&l->reader, group, "scale must not be 0");
}

static void read_point(struct loader *l, const config_setting_t *group, struct davy_sim_point *point)
{
    struct davy_sim_reader *r = &l->reader;
    if (!davy_sim_reader_keys(r, group, point_keys)) {
        point->name = keep("");
        return;
    }
    point->name = read_id(l, group, "name", false);
    point->table = (enum davy_table)read_name(l, group, "table", "holding", davy_table_find);
    point->address = (uint16_t)davy_sim_reader_integer(r, group, "register", 0, UINT16_MAX, INT64_MIN);
    point->type = (enum davy_type)read_name(l, group, "type", REQUIRED, davy_type_find);
    point->order = (enum davy_order)read_name(l, group, "order", "ABCD", davy_order_find);
    point->scale = davy_sim_reader_number(r, group, "scale", 1);
    point->offset = davy_sim_reader_number(r, group, "offset", 0);
    read_range(l, group, point);
    read_source(l, group, point);
    check_point(l, group, point);
}

static void read_points(struct loader *l, const config_setting_t *group, struct davy_sim_device *device)
{
    struct davy_sim_reader *r = &l->reader;
    const config_setting_t *list = davy_sim_reader_list(r, group, "points");
    size_t count = list ? (size_t)config_setting_length(list) : 0;
    if (count > DAVY_SIM_POINTS_MAX) {
        davy_sim_reader_problem(r, list, "at most %d points", DAVY_SIM_POINTS_MAX);
        return;
    }
    device->points = keep_array(count, sizeof(*device->points));
    for (size_t i = 0; i < count; i++) {
        const config_setting_t *at = config_setting_get_elem(list, (unsigned)i);
        struct davy_sim_point *point = &device->points[i];
        read_point(l, at, point);
        if (davy_sim_plant_point(device, point->name))
            davy_sim_reader_problem(r, at, "there is a point \"%s\" already", point->name);
        device->point_count = i + 1;
        if (davy_sim_device_declare(device, point->table, point->address, davy_type_registers(point->type)) < 0)
            davy_sim_reader_problem(r, at, "the registers end at 65535");
        else if (davy_sim_device_claim(device, i) < 0)
            davy_sim_reader_problem(r, at, "another point has one of these registers");
    }
}

static void read_ranges(struct loader *l, const config_setting_t *group, struct davy_sim_device *device)
{
    const config_setting_t *list = davy_sim_reader_list(&l->reader, group, "ranges");
    for (int i = 0; list && i < config_setting_length(list); i++) {
        const config_setting_t *at = config_setting_get_elem(list, (unsigned)i);
        if (!davy_sim_reader_keys(&l->reader, at, range_keys))
            continue;
        enum davy_table table = (enum davy_table)read_name(l, at, "table", "holding", davy_table_find);
        int64_t first = davy_sim_reader_integer(&l->reader, at, "register", 0, UINT16_MAX, INT64_MIN);
        int64_t count = davy_sim_reader_integer(&l->reader, at, "count", 1, 65536, INT64_MIN);
        if (davy_sim_device_declare(device, table, (uint32_t)first, (uint32_t)count) < 0)
            davy_sim_reader_problem(&l->reader, at, "the registers end at 65535");
    }
}

static void attach(struct loader *l, const config_setting_t *group, struct davy_sim_device *device)
{
    struct davy_sim_reader *r = &l->reader;
    const char *name = davy_sim_reader_text(r, group, "line", REQUIRED);
    const config_setting_t *at = config_setting_get_member(group, "line");
    device->line = davy_sim_plant_line(l->plant, name);
    if (!device->line) {
        if (at)
            davy_sim_reader_problem(r, at, "there is no line \"%s\"", name);
        return;
    }
    if (device->line->type != DAVY_BUS_TCP && (device->unit < 1 || device->unit > 247))
        davy_sim_reader_problem(r, group, "a unit on a serial line is 1 to 247");
    if (device->line->by_unit[device->unit])
        davy_sim_reader_problem(r, group, "unit %d of line %s is %s already", device->unit, name,
                                device->line->by_unit[device->unit]->id);
    device->line->by_unit[device->unit] = device;
}

/* copies = N: the same device N times, at unit, unit + 1, …, with the ids ID-1 to ID-N. */
static char *device_id(struct loader *l, const config_setting_t *group, int copies, int copy)
{
    char *id = read_id(l, group, "id", true);
    char *numbered = NULL;
    if (copies == 1)
        return id;
    if (asprintf(&numbered, "%s-%d", id, copy + 1) < 0)
        abort();
    free(id);
    return numbered;
}

static void read_device(struct loader *l, const config_setting_t *group, int copies, int copy)
{
    struct davy_sim_reader *r = &l->reader;
    struct davy_sim_device *device = &l->plant->devices[l->plant->device_count];
    char *id = device_id(l, group, copies, copy);
    if (davy_sim_plant_device(l->plant, id) || davy_sim_plant_line(l->plant, id))
        davy_sim_reader_problem(r, group, "there is a device or line \"%s\" already", id);
    device->id = id;
    l->plant->device_count++;
    device->unit = (int)davy_sim_reader_integer(r, group, "unit", 0, 255 - (copies - 1), INT64_MIN) + copy;
    device->turnaround.ns = (int64_t)(davy_sim_reader_seconds(r, group, "turnaround", "0ms") * 1e9);
    attach(l, group, device);
    read_points(l, group, device);
    read_ranges(l, group, device);
}

static int read_copies(struct loader *l, const config_setting_t *group)
{
    if (config_setting_type(group) != CONFIG_TYPE_GROUP)
        return 1;
    return (int)davy_sim_reader_integer(&l->reader, group, "copies", 1, 255, 1);
}

static void read_devices(struct loader *l, const config_setting_t *root)
{
    const config_setting_t *list = davy_sim_reader_list(&l->reader, root, "devices");
    int length = list ? config_setting_length(list) : 0;
    size_t total = 0;
    for (int i = 0; i < length; i++)
        total += (size_t)read_copies(l, config_setting_get_elem(list, (unsigned)i));
    l->plant->devices = keep_array(total, sizeof(*l->plant->devices));
    for (int i = 0; i < length; i++) {
        const config_setting_t *group = config_setting_get_elem(list, (unsigned)i);
        if (!davy_sim_reader_keys(&l->reader, group, device_keys))
            continue;
        int problems = l->reader.count;
        int copies = read_copies(l, group);
        /* the first copy has all the complaints */
        for (int copy = 0; copy < copies && l->reader.count == problems; copy++)
            read_device(l, group, copies, copy);
    }
}

static void read_step(struct loader *l, const config_setting_t *at, double at_s, double repeat_s)
{
    struct davy_sim_plant *plant = l->plant;
    const char *text = config_setting_get_string(at);
    if (!text) {
        davy_sim_reader_problem(&l->reader, at, "a command in quotes is expected");
        return;
    }
    char why[DAVY_SIM_COMMAND_SIZE];
    struct davy_buf buf;
    davy_buf_init(&buf, why, sizeof(why));
    struct davy_sim_command command;
    if (davy_sim_command_parse(plant, text, &buf, &command) < 0)
        davy_sim_reader_problem(&l->reader, at, "\"%s\": %s", text, why);
    else if (!davy_sim_command_scriptable(&command))
        davy_sim_reader_problem(&l->reader, at, "\"%s\" is for the control socket only", text);
    struct davy_sim_step *steps = reallocarray(plant->steps, plant->step_count + 1, sizeof(*steps));
    if (!steps)
        abort();
    plant->steps = steps;
    steps[plant->step_count++] =
        (struct davy_sim_step){.at_s = at_s, .repeat_s = repeat_s, .next_s = at_s, .text = keep(text)};
}

static void read_incident(struct loader *l, const config_setting_t *group)
{
    struct davy_sim_reader *r = &l->reader;
    if (!davy_sim_reader_keys(r, group, incident_keys))
        return;
    (void)davy_sim_reader_text(r, group, "name", ""); /* for the reader of the file */
    double at_s = davy_sim_reader_seconds(r, group, "at", REQUIRED);
    double repeat_s = davy_sim_reader_seconds(r, group, "repeat", "0ms");
    const config_setting_t *what = config_setting_get_member(group, "do");
    if (!what) {
        davy_sim_reader_problem(r, group, "do is missing");
        return;
    }
    if (!config_setting_is_aggregate(what)) {
        read_step(l, what, at_s, repeat_s);
        return;
    }
    for (int i = 0; i < config_setting_length(what); i++)
        read_step(l, config_setting_get_elem(what, (unsigned)i), at_s, repeat_s);
}

static void read_incidents(struct loader *l, const config_setting_t *root)
{
    const config_setting_t *list = davy_sim_reader_list(&l->reader, root, "incidents");
    int length = list ? config_setting_length(list) : 0;
    if (length > STEPS_MAX) {
        davy_sim_reader_problem(&l->reader, list, "at most %d incidents", STEPS_MAX);
        return;
    }
    for (int i = 0; i < length; i++)
        read_incident(l, config_setting_get_elem(list, (unsigned)i));
}

static int read_all(const char *name, config_t *config, FILE *problems, struct davy_sim_plant *ret_plant)
{
    struct davy_sim_plant plant = {.seed = -1};
    struct loader l = {.reader = {.file = name, .problems = problems}, .plant = &plant};
    const config_setting_t *root = config_root_setting(config);
    davy_sim_reader_keys(&l.reader, root, root_keys);
    plant.seed = davy_sim_reader_integer(&l.reader, root, "seed", 0, INT64_MAX, -1);
    read_lines(&l, root);
    read_devices(&l, root);
    read_incidents(&l, root);
    if (l.reader.count > 0) {
        davy_sim_plant_done(&plant);
        return -EINVAL;
    }
    *ret_plant = plant;
    return 0;
}

static const char *environment(const char *name)
{
    return getenv(name);
}

/* libconfig would look for the file in the working directory, and ends the process when it is a folder. */
static int check_includes(const char *name, const char *text, FILE *problems)
{
    unsigned line = 1;
    for (const char *p = text; *p; line++) {
        p += strspn(p, " \t");
        if (strncmp(p, "@include", strlen("@include")) == 0) {
            fprintf(problems, "%s:%u: @include is not for plant files\n", name, line);
            return -EINVAL;
        }
        p += strcspn(p, "\n");
        p += *p == '\n';
    }
    return 0;
}

int davy_sim_load_text(const char *name, const char *text, FILE *problems, struct davy_sim_plant *ret_plant)
{
    char why[512];
    struct davy_buf buf;
    davy_buf_init(&buf, why, sizeof(why));
    DAVY_AUTO_FREE char *ready = NULL;
    int rc = check_includes(name, text, problems);
    if (rc == 0)
        rc = davy_sim_subst(text, environment, &buf, &ready);
    if (rc < 0) {
        if (buf.length > 0)
            fprintf(problems, "%s:%s\n", name, why);
        return rc;
    }
    config_t config;
    config_init(&config);
    if (config_read_string(&config, ready)) {
        rc = read_all(name, &config, problems, ret_plant);
    } else {
        fprintf(problems, "%s:%d: %s\n", name, config_error_line(&config), config_error_text(&config));
        rc = -EINVAL;
    }
    config_destroy(&config);
    return rc;
}

int davy_sim_load_file(const char *path, FILE *problems, struct davy_sim_plant *ret_plant)
{
    DAVY_AUTO_FILE FILE *file = fopen(path, "re");
    struct stat st;
    if (!file || fstat(fileno(file), &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode) || st.st_size > FILE_MAX)
        return -EFBIG;
    DAVY_AUTO_FREE char *text = malloc((size_t)st.st_size + 2);
    if (!text)
        return -ENOMEM;
    size_t length = fread(text, 1, (size_t)st.st_size, file);
    text[length] = '\n'; /* libconfig refuses a comment as the last line without its end */
    text[length + 1] = '\0';
    if (strlen(text) != length + 1) {
        fprintf(problems, "%s:1: the file has bytes that are not text\n", path);
        return -EINVAL;
    }
    return davy_sim_load_text(path, text, problems, ret_plant);
}
