/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/load.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "sim/command.h"
#include "sim/loader.h"
#include "sim/subst.h"

#define FILE_MAX  (16 * 1024 * 1024)
#define ID_MAX    64
#define STEPS_MAX 10000

static const char *const root_keys[] = {"seed", "lines", "devices", "incidents", NULL};
static const char *const line_keys[] = {"name", "type",          "host",         "port", "link",
                                        "baud", "bits_per_byte", "unknown_unit", NULL};
static const char *const incident_keys[] = {"name", "at", "repeat", "do", NULL};

char *davy_sim_loader_keep(const char *text)
{
    char *copy = strdup(text);
    if (!copy)
        abort(); /* at start-up, before anything is served */
    return copy;
}

void *davy_sim_loader_array(size_t count, size_t size)
{
    void *array = calloc(count ? count : 1, size);
    if (!array)
        abort();
    return array;
}

char *davy_sim_loader_id(struct davy_sim_loader *l, const config_setting_t *group, const char *key, bool dot)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-.";
    const char *id = davy_sim_reader_text(&l->reader, group, key, REQUIRED);
    const config_setting_t *at = config_setting_get_member(group, key);
    size_t length = strlen(id);
    if (at && (length == 0 || length > ID_MAX || strspn(id, letters) != length || (!dot && strchr(id, '.'))))
        davy_sim_reader_problem(&l->reader, at, "1 to 64 of letters, digits, _ - %sare expected", dot ? ". " : "");
    return davy_sim_loader_keep(id);
}

/* An index from one of the names tables; 0 after the complaint. */
int davy_sim_loader_name(struct davy_sim_loader *l, const config_setting_t *group, const char *key,
                         const char *fallback, int (*find)(const char *name))
{
    const char *name = davy_sim_reader_text(&l->reader, group, key, fallback);
    const config_setting_t *at = config_setting_get_member(group, key);
    int index = find(name);
    if (index < 0 && at && config_setting_get_string(at))
        davy_sim_reader_problem(&l->reader, at, "\"%s\" is not known here", name);
    return index < 0 ? 0 : index;
}

static void check_line_keys(struct davy_sim_loader *l, const config_setting_t *group, const struct davy_sim_line *line)
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

static int read_unknown_unit(struct davy_sim_loader *l, const config_setting_t *group, bool tcp)
{
    const config_setting_t *at = config_setting_get_member(group, "unknown_unit");
    const char *text = at ? config_setting_get_string(at) : NULL;
    if (!at)
        return tcp ? 11 : 0; /* gateway target device failed to respond */
    if (text && strcmp(text, "silence") == 0)
        return 0;
    return (int)davy_sim_reader_integer(&l->reader, group, "unknown_unit", 1, 255, 11);
}

static void read_line(struct davy_sim_loader *l, const config_setting_t *group, struct davy_sim_line *line)
{
    struct davy_sim_reader *r = &l->reader;
    if (!davy_sim_reader_keys(r, group, line_keys)) {
        line->name = davy_sim_loader_keep("");
        return;
    }
    line->name = davy_sim_loader_id(l, group, "name", true);
    line->type = (enum davy_bus_type)davy_sim_loader_name(l, group, "type", REQUIRED, davy_bus_type_find);
    line->host = davy_sim_loader_keep(davy_sim_reader_text(r, group, "host", "127.0.0.1"));
    line->port = (int)davy_sim_reader_integer(r, group, "port", 0, UINT16_MAX, 0);
    const char *link = davy_sim_reader_text(r, group, "link", "");
    line->link = *link ? davy_sim_loader_keep(link) : NULL;
    int baud = (int)davy_sim_reader_integer(r, group, "baud", 300, 4000000, 0);
    line->wire = davy_sim_wire_make(baud, (int)davy_sim_reader_integer(r, group, "bits_per_byte", 9, 12, 10));
    line->unknown_exception = read_unknown_unit(l, group, line->type == DAVY_BUS_TCP);
    check_line_keys(l, group, line);
    for (const struct davy_sim_line *other = l->plant->lines; other < line; other++)
        if (strcmp(other->name, line->name) == 0)
            davy_sim_reader_problem(r, group, "there is a line \"%s\" already", line->name);
}

static void read_lines(struct davy_sim_loader *l, const config_setting_t *root)
{
    const config_setting_t *list = davy_sim_reader_list(&l->reader, root, "lines");
    if (!list || config_setting_length(list) == 0) {
        davy_sim_reader_problem(&l->reader, root, "lines is missing: at least one is needed");
        return;
    }
    size_t count = (size_t)config_setting_length(list);
    l->plant->lines = davy_sim_loader_array(count, sizeof(*l->plant->lines));
    for (size_t i = 0; i < count; i++) {
        read_line(l, config_setting_get_elem(list, (unsigned)i), &l->plant->lines[i]);
        l->plant->line_count = i + 1;
    }
}

static void read_step(struct davy_sim_loader *l, const config_setting_t *at, double at_s, double repeat_s)
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
        (struct davy_sim_step){.at_s = at_s, .repeat_s = repeat_s, .next_s = at_s, .text = davy_sim_loader_keep(text)};
}

static void read_incident(struct davy_sim_loader *l, const config_setting_t *group)
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

static void read_incidents(struct davy_sim_loader *l, const config_setting_t *root)
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
    struct davy_sim_loader l = {.reader = {.file = name, .problems = problems}, .plant = &plant};
    const config_setting_t *root = config_root_setting(config);
    davy_sim_reader_keys(&l.reader, root, root_keys);
    plant.seed = davy_sim_reader_integer(&l.reader, root, "seed", 0, INT64_MAX, -1);
    read_lines(&l, root);
    davy_sim_loader_devices(&l, root);
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
