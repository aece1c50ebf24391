/* SPDX-License-Identifier: Apache-2.0 */
#include "control/request.h"

#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"

static const char *const verb_names[] = {
    [DAVY_VERB_STATUS] = "status",
    [DAVY_VERB_POINTS] = "points",
    [DAVY_VERB_ALARMS] = "alarms",
    [DAVY_VERB_ACK] = "ack",
    [DAVY_VERB_RESET] = "reset",
    [DAVY_VERB_SHELVE] = "shelve",
    [DAVY_VERB_UNSHELVE] = "unshelve",
    [DAVY_VERB_OUT_OF_SERVICE] = "out-of-service",
    [DAVY_VERB_IN_SERVICE] = "in-service",
    [DAVY_VERB_INHIBIT] = "inhibit",
    [DAVY_VERB_UNINHIBIT] = "uninhibit",
    [DAVY_VERB_EXPLAIN] = "explain",
    [DAVY_VERB_SETTINGS] = "settings",
    [DAVY_VERB_RELOAD] = "reload",
    [DAVY_VERB_READ] = "read",
    [DAVY_VERB_SCAN_BEGIN] = "scan-begin",
    [DAVY_VERB_SCAN] = "scan",
    [DAVY_VERB_SCAN_END] = "scan-end",
    [DAVY_VERB_FRAMES] = "frames",
    [DAVY_VERB_LOG_LEVEL] = "log-level",
};
_Static_assert(DAVY_LENGTH(verb_names) == DAVY_VERB_COUNT_, "a name for each verb");

const char *davy_verb_name(enum davy_verb verb)
{
    return (unsigned)verb < DAVY_VERB_COUNT_ ? verb_names[verb] : NULL;
}

/* Where a refusal is explained. */
struct complaint {
    char *text;
    size_t size;
};

static int DAVY_PRINTF(2, 3) complain(const struct complaint *complaint, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(complaint->text, complaint->size, format, arguments);
    va_end(arguments);
    return -EINVAL;
}

/* How a member is taken: from a string, a boolean or a whole number, into the request. */
struct field {
    const char *name;
    json_type type;
    unsigned allowed;  /* bit set of verbs */
    unsigned required; /* bit set of verbs */
    int64_t low;       /* of a number */
    int64_t high;
    int (*text)(struct davy_request_line *request, const char *value); /* 0, -EINVAL or -ENAMETOOLONG */
    void (*number)(struct davy_request_line *request, int64_t value);
};

static int copy(char *to, size_t size, const char *value)
{
    size_t length = strlen(value);
    if (length >= size)
        return -ENAMETOOLONG;
    memcpy(to, value, length + 1);
    return 0;
}

static int take_alarm(struct davy_request_line *request, const char *value)
{
    return value[0] == '\0' ? -EINVAL : copy(request->alarm, sizeof request->alarm, value);
}

/* An empty glob is all points. */
static int take_glob(struct davy_request_line *request, const char *value)
{
    return copy(request->alarm, sizeof request->alarm, value);
}

static int take_after(struct davy_request_line *request, const char *value)
{
    return copy(request->after, sizeof request->after, value);
}

static int take_note(struct davy_request_line *request, const char *value)
{
    return copy(request->note, sizeof request->note, value);
}

static int take_device(struct davy_request_line *request, const char *value)
{
    return strlen(value) > DAVY_ID_MAX ? -ENAMETOOLONG : take_alarm(request, value);
}

/* An empty point is all of the rule. */
static int take_point(struct davy_request_line *request, const char *value)
{
    return copy(request->point, sizeof request->point, value);
}

static int take_bus(struct davy_request_line *request, const char *value)
{
    return value[0] == '\0' ? -EINVAL : copy(request->bus, sizeof request->bus, value);
}

static int take_id(struct davy_request_line *request, const char *value)
{
    return davy_uuid_parse(value, &request->id);
}

static int take_level(struct davy_request_line *request, const char *value)
{
    if (request->verb == DAVY_VERB_LOG_LEVEL) {
        enum davy_log_level level;
        int rc = davy_log_parse_level(value, &level);
        if (rc == 0)
            request->log_level = level;
        return rc;
    }
    int level = value[0] ? davy_level_find(value) : -EINVAL;
    if (level <= DAVY_LEVEL_NONE)
        return -EINVAL;
    request->level = (enum davy_level)level;
    return 0;
}

static int take_table(struct davy_request_line *request, const char *value)
{
    int table = davy_table_find(value);
    if (table < 0)
        return -EINVAL;
    request->table = (enum davy_table)table;
    return 0;
}

static void take_all(struct davy_request_line *request, int64_t value)
{
    request->all = value != 0;
}

static void take_duration(struct davy_request_line *request, int64_t value)
{
    request->duration = davy_span_s(value);
}

static void take_from(struct davy_request_line *request, int64_t value)
{
    request->from = (int)value;
}

static void take_unit(struct davy_request_line *request, int64_t value)
{
    request->unit = (int)value;
}

static void take_register(struct davy_request_line *request, int64_t value)
{
    request->address = (int)value;
}

static void take_connection(struct davy_request_line *request, int64_t value)
{
    request->connection = (int)value;
}

static void take_count(struct davy_request_line *request, int64_t value)
{
    request->count = (int)value;
}

#define BIT(verb)  (1U << DAVY_VERB_##verb)
#define EVERY_VERB ((1U << DAVY_VERB_COUNT_) - 1)
#define HIDES      (BIT(SHELVE) | BIT(OUT_OF_SERVICE) | BIT(INHIBIT))
#define SHOWS      (BIT(UNSHELVE) | BIT(IN_SERVICE) | BIT(UNINHIBIT))
#define OF_ALARM   (BIT(ACK) | BIT(RESET) | BIT(SHELVE) | BIT(UNSHELVE) | BIT(OUT_OF_SERVICE) | BIT(IN_SERVICE))
#define OF_DEVICE  (BIT(INHIBIT) | BIT(UNINHIBIT))
#define OF_SCAN    (BIT(SCAN_BEGIN) | BIT(SCAN) | BIT(SCAN_END))
#define READS      (BIT(READ) | BIT(SCAN))
#define OF_BUS     (BIT(READ) | BIT(FRAMES) | OF_SCAN)

/* A year: far longer than anything may be hidden, so that who decides refuses it, in words and audited. */
#define DURATION_MAX_S (366LL * 24 * 3600)

static const struct field fields[] = {
    {"verb", JSON_STRING, EVERY_VERB, EVERY_VERB},
    {"glob", JSON_STRING, BIT(POINTS), 0, .text = take_glob},
    {"after", JSON_STRING, BIT(POINTS) | BIT(ALARMS) | BIT(EXPLAIN), 0, .text = take_after},
    {"all", JSON_TRUE, BIT(ALARMS), 0, .number = take_all},
    {"alarm", JSON_STRING, OF_ALARM, OF_ALARM, .text = take_alarm},
    {"device", JSON_STRING, OF_DEVICE, OF_DEVICE, .text = take_device},
    {"rule", JSON_STRING, BIT(EXPLAIN), BIT(EXPLAIN), .text = take_alarm},
    {"point", JSON_STRING, BIT(EXPLAIN), 0, .text = take_point},
    {"id", JSON_STRING, BIT(ACK) | OF_SCAN, OF_SCAN, .text = take_id},
    {"level", JSON_STRING, BIT(ACK) | BIT(LOG_LEVEL), BIT(LOG_LEVEL), .text = take_level},
    {"note", JSON_STRING, BIT(ACK) | BIT(RESET) | SHOWS, 0, .text = take_note},
    {"reason", JSON_STRING, HIDES, HIDES, .text = take_note},
    {"duration_s", JSON_INTEGER, BIT(SHELVE) | BIT(INHIBIT), 0, 1, DURATION_MAX_S, .number = take_duration},
    {"from", JSON_INTEGER, BIT(SETTINGS), 0, 0, INT32_MAX, .number = take_from},
    {"bus", JSON_STRING, OF_BUS, OF_BUS, .text = take_bus},
    {"unit", JSON_INTEGER, READS, READS, 0, 255, .number = take_unit},
    {"table", JSON_STRING, READS, READS, .text = take_table},
    {"register", JSON_INTEGER, READS, READS, 0, 65535, .number = take_register},
    {"connection", JSON_INTEGER, BIT(FRAMES), 0, 0, 255, .number = take_connection},
    {"count", JSON_INTEGER, BIT(READ), BIT(READ), 1, 2000, .number = take_count},
};

static const struct field *find_field(const char *name)
{
    for (size_t i = 0; i < DAVY_LENGTH(fields); i++)
        if (strcmp(fields[i].name, name) == 0)
            return &fields[i];
    return NULL;
}

static int take_text(const struct field *field, const json_t *value, struct davy_request_line *request,
                     const struct complaint *complaint)
{
    if (!json_is_string(value))
        return complain(complaint, "%s: must be a string", field->name);
    int rc = field->text ? field->text(request, json_string_value(value)) : 0;
    if (rc == -ENAMETOOLONG)
        return complain(complaint, "%s: too long", field->name);
    if (rc < 0)
        return complain(complaint, "%s: '%.80s' is not valid", field->name, json_string_value(value));
    return 0;
}

static int take_number(const struct field *field, const json_t *value, struct davy_request_line *request,
                       const struct complaint *complaint)
{
    if (!json_is_integer(value))
        return complain(complaint, "%s: must be a whole number", field->name);
    int64_t number = json_integer_value(value);
    if (number < field->low || number > field->high)
        return complain(complaint, "%s: must be %lld to %lld", field->name, (long long)field->low,
                        (long long)field->high);
    field->number(request, number);
    return 0;
}

static int take_member(const char *key, const json_t *value, struct davy_request_line *request,
                       const struct complaint *complaint)
{
    const struct field *field = find_field(key);
    if (!field || !(field->allowed & (1U << request->verb)))
        return complain(complaint, "'%.80s' is not known of the verb %s", key, davy_verb_name(request->verb));
    if (field->type == JSON_STRING)
        return take_text(field, value, request, complaint);
    if (field->type == JSON_INTEGER)
        return take_number(field, value, request, complaint);
    if (!json_is_boolean(value))
        return complain(complaint, "%s: must be true or false", field->name);
    field->number(request, json_is_true(value));
    return 0;
}

static int find_verb(const json_t *root, enum davy_verb *ret_verb, const struct complaint *complaint)
{
    const json_t *value = json_object_get(root, "verb");
    if (!json_is_string(value))
        return complain(complaint, "the request has no verb");
    int verb = davy_name_find(verb_names, DAVY_VERB_COUNT_, json_string_value(value));
    if (verb < 0)
        return complain(complaint, "the verb '%.80s' is not known", json_string_value(value));
    *ret_verb = (enum davy_verb)verb;
    return 0;
}

/* The bounds of one Modbus request: 125 registers or 2000 bits, none past 65535. */
static int check_read(const struct davy_request_line *request, const struct complaint *complaint)
{
    const bool bits = request->table == DAVY_TABLE_COIL || request->table == DAVY_TABLE_DISCRETE;
    if (!bits && request->count > 125)
        return complain(complaint, "count: must be 1 to 125 registers");
    if (request->address + request->count > 65536)
        return complain(complaint, "register and count reach past 65535");
    return 0;
}

static int take_all_members(json_t *root, struct davy_request_line *request, const struct complaint *complaint)
{
    const char *key;
    json_t *value;
    json_object_foreach(root, key, value)
    {
        int rc = take_member(key, value, request, complaint);
        if (rc < 0)
            return rc;
    }
    for (size_t i = 0; i < DAVY_LENGTH(fields); i++)
        if ((fields[i].required & (1U << request->verb)) && !json_object_get(root, fields[i].name))
            return complain(complaint, "the verb %s needs '%s'", davy_verb_name(request->verb), fields[i].name);
    if ((OF_SCAN & (1U << request->verb)) && davy_uuid_is_nil(&request->id))
        return complain(complaint, "id: must not be nil");
    return request->verb == DAVY_VERB_READ ? check_read(request, complaint) : 0;
}

/*
 * A request is flat: a second opening bracket outside of a string is refused before the parser, which recurses, sees
 * it.
 */
static bool is_flat(const char *line)
{
    bool in_string = false;
    unsigned opened = 0;
    for (const char *c = line; *c; c++) {
        if (in_string && *c == '\\' && c[1])
            c++;
        else if (*c == '"')
            in_string = !in_string;
        else if (!in_string && (*c == '{' || *c == '['))
            opened++;
    }
    return opened <= 1;
}

static json_t *load(const char *line, const struct complaint *complaint)
{
    if (!is_flat(line)) {
        (void)complain(complaint, "the request is not one flat JSON object");
        return NULL;
    }
    json_error_t where;
    json_t *root = json_loads(line, JSON_REJECT_DUPLICATES, &where);
    if (!root) {
        (void)complain(complaint, "not JSON: %s (column %d)", where.text, where.column);
        return NULL;
    }
    if (!json_is_object(root)) {
        json_decref(root);
        (void)complain(complaint, "the request is not a JSON object");
        return NULL;
    }
    return root;
}

int davy_request_parse(const char *line, struct davy_request_line *ret_request, char *error, size_t error_size)
{
    const struct complaint complaint = {error, error_size};
    json_t *root = load(line, &complaint);
    if (!root)
        return -EINVAL;
    struct davy_request_line request = {0};
    int rc = find_verb(root, &request.verb, &complaint);
    if (rc == 0)
        rc = take_all_members(root, &request, &complaint);
    json_decref(root);
    if (rc == 0)
        *ret_request = request;
    return rc;
}
