/* SPDX-License-Identifier: Apache-2.0 */
/* Rows that are commands of an operator: "time,!VERB,RULE DEVICE.POINT …", with an empty column behind or without. */
#include <stdio.h>
#include <string.h>

#include "base/num.h"
#include "ctl/trace_internal.h"

static const struct verb {
    const char *name;
    enum davy_command_verb verb;
    bool takes_duration;
    bool takes_reason;
} verbs[] = {
    {"!ack", DAVY_COMMAND_ACK, false, false},
    {"!reset", DAVY_COMMAND_RESET, false, false},
    {"!shelve", DAVY_COMMAND_SHELVE, true, true},
    {"!unshelve", DAVY_COMMAND_UNSHELVE, false, false},
    {"!out-of-service", DAVY_COMMAND_OUT_OF_SERVICE, false, true},
    {"!in-service", DAVY_COMMAND_IN_SERVICE, false, false},
};

static const struct verb *find_verb(const char *name)
{
    for (size_t i = 0; i < DAVY_LENGTH(verbs); i++)
        if (strcmp(verbs[i].name, name) == 0)
            return &verbs[i];
    return NULL;
}

/* Cut the first word off *rest. NULL where there is none, or one that is empty. */
static char *take_word(char **rest)
{
    char *word = *rest;
    const size_t length = strcspn(word, " ");
    if (length == 0)
        return NULL;
    *rest = word + length + (word[length] == ' ');
    word[length] = '\0';
    return word;
}

static const char *form_of(const struct verb *verb)
{
    if (verb->takes_duration)
        return "'RULE DEVICE.POINT [DURATION] REASON'";
    return verb->takes_reason ? "'RULE DEVICE.POINT REASON'" : "'RULE DEVICE.POINT'";
}

/* "RULE DEVICE.POINT" from the front of *rest into the key of the alarm. */
static int take_alarm(const struct trace *trace, char **rest, struct davy_command *command,
                      char error[TRACE_ERROR_SIZE])
{
    const char *rule = take_word(rest), *subject = rule ? take_word(rest) : NULL;
    if (!subject)
        return davy_trace_complain(error, "a rule and a point are needed");
    if (!davy_roster_is_subject(trace->roster, subject))
        return davy_trace_complain(error, "unknown point '%.200s'", subject);
    const int length = snprintf(command->alarm, sizeof command->alarm, "%s:%s", rule, subject);
    if (length < 0 || (size_t)length >= sizeof command->alarm)
        return davy_trace_complain(error, "the rule's name is too long");
    return 0;
}

/* A duration, where the first word is one; the default stays otherwise. */
static int take_duration(char **rest, davy_span *duration, char error[TRACE_ERROR_SIZE])
{
    char word[DAVY_NUM_TEXT];
    const size_t length = strcspn(*rest, " ");
    *duration = DAVY_SHELVE_DEFAULT;
    if (length >= sizeof word)
        return 0;
    memcpy(word, *rest, length);
    word[length] = '\0';
    if (davy_span_parse(word, duration) < 0)
        return 0;
    if (duration->ns <= 0)
        return davy_trace_complain(error, "a duration of nothing: '%s'", word);
    *rest += length + ((*rest)[length] == ' ');
    return 0;
}

static int take_reason(const char *rest, struct davy_command *command, char error[TRACE_ERROR_SIZE])
{
    if (rest[strspn(rest, " ")] == '\0')
        return davy_trace_complain(error, "a reason is needed");
    const int length = snprintf(command->note, sizeof command->note, "%s", rest);
    if (length < 0 || (size_t)length >= sizeof command->note)
        return davy_trace_complain(error, "the reason is longer than %zu bytes", sizeof command->note - 1);
    return 0;
}

static int take_arguments(const struct trace *trace, const struct verb *verb, char *rest, struct davy_command *command,
                          char error[TRACE_ERROR_SIZE])
{
    int rc = take_alarm(trace, &rest, command, error);
    if (rc == 0 && verb->takes_duration)
        rc = take_duration(&rest, &command->duration, error);
    if (rc == 0 && verb->takes_reason)
        return take_reason(rest, command, error);
    if (rc == 0 && *rest)
        return davy_trace_complain(error, "nothing may follow: '%.200s'", rest);
    return rc;
}

int davy_trace_take_command(const struct trace *trace, const struct field *fields, size_t count,
                            struct davy_command *command, char error[TRACE_ERROR_SIZE])
{
    char what[TRACE_ERROR_SIZE];
    const struct verb *verb = find_verb(fields[1].text);
    if (!verb)
        return davy_trace_complain(error, "unknown command '%.80s'", fields[1].text);
    if (count == 4 && fields[3].length > 0)
        return davy_trace_complain(error, "more columns than time, command and arguments");
    *command = (struct davy_command){.verb = verb->verb, .by = TRACE_BY};
    int rc = take_arguments(trace, verb, fields[2].text, command, what);
    return rc < 0 ? davy_trace_complain(error, "%s: %s; expected %s", verb->name, what, form_of(verb)) : 0;
}
