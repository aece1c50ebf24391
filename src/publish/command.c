/* SPDX-License-Identifier: Apache-2.0 */
#include "publish/command.h"

#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "publish/topic.h"

/* A nonce with every byte escaped, a reason, a verb and the keys. */
#define REPLY_SIZE 4096

static const char *const verb_names[] = {
    [DAVY_REMOTE_CONFIRM] = "confirm",
    [DAVY_REMOTE_SNAPSHOT] = "snapshot",
    [DAVY_REMOTE_RESEND] = "resend",
    [DAVY_REMOTE_ACK] = "ack",
};
_Static_assert(DAVY_LENGTH(verb_names) == DAVY_REMOTE_COUNT_, "a name for each verb");
_Static_assert(1U << DAVY_REMOTE_CONFIRM == DAVY_MQTT_COMMAND_CONFIRM &&
                   1U << DAVY_REMOTE_SNAPSHOT == DAVY_MQTT_COMMAND_SNAPSHOT &&
                   1U << DAVY_REMOTE_RESEND == DAVY_MQTT_COMMAND_RESEND &&
                   1U << DAVY_REMOTE_ACK == DAVY_MQTT_COMMAND_ACK,
               "verbs are the bits of the configuration");

const char *davy_remote_verb_name(enum davy_remote_verb verb)
{
    return (unsigned)verb < DAVY_REMOTE_COUNT_ ? verb_names[verb] : NULL;
}

void davy_mqtt_command_done(struct davy_mqtt_command *command)
{
    free(command->topic);
    free(command->payload);
    free(command->response_topic);
    free(command->correlation);
    *command = (struct davy_mqtt_command){.topic = NULL};
}

static int DAVY_PRINTF(2, 3) refuse(struct davy_remote *remote, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(remote->refusal, sizeof remote->refusal, format, arguments);
    va_end(arguments);
    return -EINVAL;
}

/* Bytes of the UTF-8 character at `text`, by its first byte; the text is known to be UTF-8 or is cut anyway. */
static size_t character_size(const char *text)
{
    unsigned char first = (unsigned char)text[0];
    size_t size = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    return strnlen(text, size);
}

/* Whether the character is a control character: C0, DEL, or C1 as UTF-8. */
static bool is_control(const char *text)
{
    unsigned char first = (unsigned char)text[0];
    return first < 0x20 || first == 0x7f || (first == 0xc2 && (unsigned char)text[1] < 0xa0);
}

/* Copy what fits, whole characters only, with '?' for control characters. */
static void copy_printable(char *to, size_t size, const char *from)
{
    size_t length = 0;
    while (from[0]) {
        size_t bytes = character_size(from);
        size_t written = is_control(from) ? 1 : bytes;
        if (length + written >= size)
            break;
        if (is_control(from))
            to[length] = '?';
        else
            memcpy(to + length, from, bytes);
        length += written;
        from += bytes;
    }
    to[length] = '\0';
}

/* ---- the topics ------------------------------------------------------------------------------------------------ */

/* What stays of `text` behind `prefix` and a slash; NULL where it is elsewhere. */
static const char *below(const char *text, const char *prefix)
{
    size_t length = strlen(prefix);
    return strncmp(text, prefix, length) == 0 && text[length] == '/' ? text + length + 1 : NULL;
}

/* A verb is ASCII letters and '-'; anything else is shown as '?'. */
static void take_name(const char *verb, struct davy_remote *remote)
{
    size_t length = 0;
    for (; verb[length] && length + 1 < sizeof remote->name; length++) {
        unsigned char c = (unsigned char)verb[length];
        remote->name[length] = (char)(c > 0x20 && c < 0x7f ? c : '?');
    }
    if (length == 0)
        remote->name[length++] = '?';
    remote->name[length] = '\0';
}

bool davy_remote_name(const struct davy_config *config, const char *topic, struct davy_remote *remote)
{
    char commands[DAVY_TOPIC_SIZE];
    const char *verb = below(topic, davy_topic(config, "cmd", commands));
    if (!verb || strchr(verb, '/'))
        return false;
    take_name(verb, remote);
    int found = davy_name_find(verb_names, DAVY_REMOTE_COUNT_, verb);
    remote->verb = found < 0 ? DAVY_REMOTE_COUNT_ : (enum davy_remote_verb)found;
    return true;
}

/* A topic that a message may be published to. */
static bool is_topic(const char *topic)
{
    size_t length = strnlen(topic, DAVY_REMOTE_TOPIC_MAX + 1);
    if (length == 0 || length > DAVY_REMOTE_TOPIC_MAX || topic[0] == '$' || strpbrk(topic, "+#"))
        return false;
    for (size_t i = 0; i < length; i += character_size(topic + i))
        if (is_control(topic + i))
            return false;
    return true;
}

/*
 * Whether the topic belongs to a gateway of this prefix, PREFIX/SITE/GATEWAY/…, and is not one for replies: an answer
 * there would replace a state, or be taken for a command.
 */
static bool is_taken(const struct davy_config *config, const char *topic)
{
    const char *rest = below(topic, config->mqtt.prefix);
    if (!rest)
        return false;
    char ours[DAVY_TOPIC_SIZE];
    size_t own = strlen(davy_topic(config, "", ours)) - 1; /* without the slash */
    if (strncmp(topic, ours, own) == 0 && topic[own] == '\0')
        return true;
    const char *gateway = strchr(rest, '/');
    const char *what = gateway ? strchr(gateway + 1, '/') : NULL;
    return what && strcmp(what, "/reply") != 0 && strncmp(what, "/reply/", 7) != 0;
}

int davy_remote_address(const struct davy_config *config, const struct davy_mqtt_command *command,
                        struct davy_remote *remote)
{
    char topic[DAVY_TOPIC_SIZE];
    snprintf(remote->reply_topic, sizeof remote->reply_topic, "%s", davy_topic(config, "reply", topic));
    if (command->correlation_length > sizeof remote->correlation)
        return refuse(remote, "the correlation data is longer than %d bytes", DAVY_REMOTE_CORRELATION_MAX);
    if (command->correlation_length > 0)
        memcpy(remote->correlation, command->correlation, command->correlation_length);
    remote->correlation_length = command->correlation_length;
    if (!command->response_topic)
        return 0;
    if (!is_topic(command->response_topic))
        return refuse(remote, "the response topic is not one that can be published to");
    if (is_taken(config, command->response_topic))
        return refuse(remote, "the response topic is one of a gateway, and not below its reply");
    snprintf(remote->reply_topic, sizeof remote->reply_topic, "%s", command->response_topic);
    return 0;
}

/* ---- the payload ----------------------------------------------------------------------------------------------- */

static size_t count_characters(const char *text)
{
    size_t count = 0;
    for (; text[0]; text += character_size(text))
        count++;
    return count;
}

static int take_schema(struct davy_remote *remote, const char *value)
{
    (void)remote;
    return strcmp(value, "davy.command/1") == 0 ? 0 : -EINVAL;
}

static int take_nonce(struct davy_remote *remote, const char *value)
{
    size_t length = strnlen(value, sizeof remote->nonce);
    if (length == 0 || length == sizeof remote->nonce || count_characters(value) > DAVY_REMOTE_NONCE_MAX)
        return -EINVAL;
    memcpy(remote->nonce, value, length + 1);
    return 0;
}

/* RFC 3339 with a zone; davy_wall_parse() also knows bare seconds. */
static int take_issued_at(struct davy_remote *remote, const char *value)
{
    davy_wall time;
    if (strlen(value) < 20 || value[10] != 'T' || davy_wall_parse(value, &time) < 0)
        return -EINVAL;
    remote->issued_at = time;
    remote->has_issued_at = true;
    return 0;
}

static int take_by(struct davy_remote *remote, const char *value)
{
    static const char source[] = "mqtt:";
    if (value[0] == '\0')
        return -EINVAL;
    copy_printable(remote->by + sizeof source - 1, sizeof remote->by - (sizeof source - 1), value);
    return 0;
}

static int take_id(struct davy_remote *remote, const char *value)
{
    struct davy_uuid id;
    if (davy_uuid_parse(value, &id) < 0 || davy_uuid_is_nil(&id))
        return -EINVAL;
    remote->id = id;
    return 0;
}

static int take_level(struct davy_remote *remote, const char *value)
{
    int level = value[0] ? davy_level_find(value) : -EINVAL;
    if (level <= DAVY_LEVEL_NONE)
        return -EINVAL;
    remote->level = (enum davy_level)level;
    return 0;
}

static int take_note(struct davy_remote *remote, const char *value)
{
    if (strlen(value) >= sizeof remote->note)
        return -ENAMETOOLONG;
    copy_printable(remote->note, sizeof remote->note, value);
    return 0;
}

static int take_seq(struct davy_remote *remote, int64_t value)
{
    remote->seq = value;
    return value >= 1 ? 0 : -EINVAL;
}

static int take_from(struct davy_remote *remote, int64_t value)
{
    remote->from = value;
    return value >= 1 ? 0 : -EINVAL;
}

static int take_to(struct davy_remote *remote, int64_t value)
{
    remote->to = value;
    return value >= 1 ? 0 : -EINVAL;
}

#define BIT(verb)  (1U << DAVY_REMOTE_##verb)
#define EVERY_VERB ((1U << DAVY_REMOTE_COUNT_) - 1)

/* A member: of which verbs, who must have it, who may say null instead; a text or a whole number. */
static const struct field {
    const char *name;
    unsigned allowed, required, nullable;
    int (*text)(struct davy_remote *remote, const char *value);
    int (*number)(struct davy_remote *remote, int64_t value);
} fields[] = {
    {"schema", EVERY_VERB, EVERY_VERB, 0, take_schema, NULL},
    {"nonce", EVERY_VERB, BIT(ACK), EVERY_VERB & ~BIT(ACK), take_nonce, NULL},
    {"issued_at", EVERY_VERB, BIT(ACK), EVERY_VERB & ~BIT(ACK), take_issued_at, NULL},
    {"by", EVERY_VERB, BIT(ACK), EVERY_VERB & ~BIT(ACK), take_by, NULL},
    {"id", BIT(ACK), BIT(ACK), 0, take_id, NULL},
    {"level", BIT(ACK), BIT(ACK), 0, take_level, NULL},
    {"note", BIT(ACK), 0, BIT(ACK), take_note, NULL},
    {"seq", BIT(CONFIRM), BIT(CONFIRM), 0, NULL, take_seq},
    {"from", BIT(RESEND), BIT(RESEND), 0, NULL, take_from},
    {"to", BIT(RESEND), BIT(RESEND), 0, NULL, take_to},
};

static const struct field *find_field(const char *name)
{
    for (size_t i = 0; i < DAVY_LENGTH(fields); i++)
        if (strcmp(fields[i].name, name) == 0)
            return &fields[i];
    return NULL;
}

static int take_member(struct davy_remote *remote, const char *key, const json_t *value)
{
    const struct field *field = find_field(key);
    unsigned verb = 1U << remote->verb;
    int rc = -EINVAL;
    if (!field || !(field->allowed & verb))
        return refuse(remote, "a member that %s does not have", remote->name);
    if (json_is_null(value) && (field->nullable & verb))
        return 0;
    if (field->text && json_is_string(value))
        rc = field->text(remote, json_string_value(value));
    else if (field->number && json_is_integer(value))
        rc = field->number(remote, json_integer_value(value));
    if (rc == -ENAMETOOLONG)
        return refuse(remote, "%s: too long", field->name);
    return rc < 0 ? refuse(remote, "%s: not valid", field->name) : 0;
}

static int take_members(struct davy_remote *remote, json_t *root)
{
    const char *key;
    json_t *value;
    json_object_foreach(root, key, value)
    {
        int rc = take_member(remote, key, value);
        if (rc < 0)
            return rc;
    }
    for (size_t i = 0; i < DAVY_LENGTH(fields); i++)
        if ((fields[i].required & (1U << remote->verb)) && !json_object_get(root, fields[i].name))
            return refuse(remote, "%s: missing", fields[i].name);
    return 0;
}

/* A command is flat: a second opening bracket is refused before the parser, which recurses, sees it. */
static bool is_flat(const char *payload, size_t length)
{
    bool in_string = false;
    unsigned opened = 0;
    for (size_t i = 0; i < length; i++) {
        char c = payload[i];
        if (in_string && c == '\\')
            i++;
        else if (c == '"')
            in_string = !in_string;
        else if (!in_string && (c == '{' || c == '['))
            opened++;
    }
    return opened <= 1;
}

/*
 * A whole number beyond 64 bits is an error of the parser, which would hide the nonce with it: then all numbers are
 * read as fractions, which no member takes.
 */
static json_t *load_flat(const char *payload, size_t length)
{
    json_error_t where;
    json_t *root = json_loadb(payload, length, JSON_REJECT_DUPLICATES, &where);
    if (root || json_error_code(&where) != json_error_numeric_overflow)
        return root;
    return json_loadb(payload, length, JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL, &where);
}

static json_t *load(const char *payload, size_t length, struct davy_remote *remote)
{
    if (!payload || length > DAVY_REMOTE_PAYLOAD_MAX) {
        (void)refuse(remote, "longer than %d bytes", DAVY_REMOTE_PAYLOAD_MAX);
        return NULL;
    }
    json_t *root = is_flat(payload, length) ? load_flat(payload, length) : NULL;
    if (json_is_object(root))
        return root;
    json_decref(root);
    (void)refuse(remote, "not one flat JSON object");
    return NULL;
}

/* First of all what the answer, and the audit, need. */
static void take_identity(struct davy_remote *remote, const json_t *root)
{
    const char *nonce = json_string_value(json_object_get(root, "nonce"));
    const char *by = json_string_value(json_object_get(root, "by"));
    if (nonce)
        (void)take_nonce(remote, nonce); /* a wrong one is complained of with the members */
    if (by)
        (void)take_by(remote, by);
}

int davy_remote_parse(const char *payload, size_t length, struct davy_remote *remote)
{
    snprintf(remote->by, sizeof remote->by, "mqtt:?");
    json_t *root = load(payload, length, remote);
    if (!root)
        return -EINVAL;
    take_identity(remote, root);
    int rc = remote->verb == DAVY_REMOTE_COUNT_ ? 0 : take_members(remote, root);
    json_decref(root);
    if (rc == 0 && remote->verb == DAVY_REMOTE_RESEND && remote->to < remote->from)
        return refuse(remote, "to: is below from");
    if (rc == 0 && remote->verb == DAVY_REMOTE_RESEND && remote->to - remote->from >= DAVY_REMOTE_RESEND_MAX)
        return refuse(remote, "more than %d events at a time", DAVY_REMOTE_RESEND_MAX);
    return rc;
}

/* ---- the answer ------------------------------------------------------------------------------------------------ */

static int copy_correlation(const struct davy_remote *remote, struct davy_message *message)
{
    if (remote->correlation_length == 0)
        return 0;
    message->correlation = malloc(remote->correlation_length);
    if (!message->correlation)
        return -ENOMEM;
    memcpy(message->correlation, remote->correlation, remote->correlation_length);
    message->correlation_length = remote->correlation_length;
    return 0;
}

int davy_remote_reply(const struct davy_remote *remote, const char *refusal, struct davy_message *ret_message)
{
    char text[REPLY_SIZE];
    struct davy_buf out;
    struct davy_message message;
    davy_buf_init(&out, text, sizeof text);
    davy_json_open(&out, '{');
    davy_json_text(&out, "schema", "davy.reply/1");
    davy_json_text(&out, "nonce", remote->nonce[0] ? remote->nonce : NULL);
    davy_json_text(&out, "verb", remote->name);
    davy_json_bool(&out, "ok", refusal == NULL);
    davy_json_text(&out, "reason", refusal);
    davy_json_close(&out, '}');
    int rc = davy_message_new(DAVY_MESSAGE_REPLY, 0, remote->reply_topic, text, &message);
    if (rc == 0) {
        message.schema = "davy.reply/1";
        rc = copy_correlation(remote, &message);
        if (rc < 0)
            davy_message_done(&message);
    }
    if (rc == 0)
        *ret_message = message;
    return rc;
}
