/* SPDX-License-Identifier: Apache-2.0 */
/* davyctl: command line and the table of verbs. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "config/nearest.h"
#include "ctl/ctl.h"
#include "davy_build.h"

struct verb {
    const char *name;
    size_t least;
    size_t most;         /* arguments */
    const char *options; /* names, each behind a blank and ended by '=' where it takes a value */
    const char *usage;
    const char *help;
    int (*run)(struct ctl *ctl);
};

static const struct verb verbs[] = {
    {"status", 0, 0, "", "", "state of the daemon, its buses and its storage", davy_ctl_status},
    {"watch", 0, 0, "", "", "state and alarms on the whole screen, live", davy_ctl_watch},
    {"points", 0, 1, "", "[GLOB]", "newest reading of each point", davy_ctl_points},
    {"alarms", 0, 0, " all", "[--all]", "alarms that are not normal, or all", davy_ctl_alarms},
    {"ack", 1, 1, " note=", "ALARM|GLOB [--note TEXT]", "acknowledge; a glob never takes a red alarm", davy_ctl_ack},
    {"reset", 1, 1, " note=", "ALARM|DEVICE.POINT [--note TEXT]", "release a latch", davy_ctl_reset},
    {"shelve", 1, 2, " reason=", "ALARM [DURATION] --reason TEXT", "hide an alarm, for 8h unless said, at most 12h",
     davy_ctl_shelve},
    {"unshelve", 1, 1, " note=", "ALARM [--note TEXT]", "end that", davy_ctl_unshelve},
    {"out-of-service", 1, 1, " reason=", "ALARM --reason TEXT", "hide an alarm until further notice",
     davy_ctl_out_of_service},
    {"in-service", 1, 1, " note=", "ALARM [--note TEXT]", "end that", davy_ctl_in_service},
    {"inhibit", 1, 2, " reason=", "DEVICE [DURATION] --reason TEXT",
     "hold all limits of a device, for 30min unless said, at most 8h", davy_ctl_inhibit},
    {"uninhibit", 1, 1, " note=", "DEVICE [--note TEXT]", "end that", davy_ctl_uninhibit},
    {"explain", 1, 2, "", "RULE [POINT|GLOB] | DEVICE[.POINT]",
     "why it is, or is not, in alarm; of a point, what watches it", davy_ctl_explain},
    {"events", 0, 0, " since= until= zone= level= database= limit=",
     "[--since T] [--until T] [--zone Z] [--level L] [--limit N] [--database FILE]", "what happened", davy_ctl_events},
    {"history", 1, 1, " since= until= every= database=",
     "POINT [--since T] [--until T] [--every SPAN] [--database FILE]", "readings of a point", davy_ctl_history},
    {"check", 0, 1, "", "[FILE]", "check a configuration (default: /etc/davy/davyd.conf)", davy_ctl_check},
    {"presets", 0, 1, "", "[PRESET|FAMILY|GAS]", "limits and gases that rules can refer to, with their sources",
     davy_ctl_presets},
    {"diff", 0, 1, "", "[FILE]", "what a reload of the file would change", davy_ctl_diff},
    {"reload", 0, 0, "", "", "load the configuration again", davy_ctl_reload},
    {"replay", 0, 0, " config= against= input= database= since= until=",
     "--config FILE [--against FILE] --input TRACE.csv|--database DB [--since T] [--until T]",
     "run the alarm engine over a trace or recorded readings, or compare two configurations", davy_ctl_replay},
    {"read", 5, 5, "", "BUS UNIT TABLE REGISTER COUNT", "raw registers, in every type and order", davy_ctl_read},
    {"identify", 1, 2, "", "DEVICE | BUS UNIT", "whether a device is what its profile says, or which profile fits",
     davy_ctl_identify},
    {"scan", 1, 1, " units= table= register=", "BUS [--units 1-32,40] [--table TABLE] [--register REGISTER]",
     "which units answer on a bus, and which of them are configured", davy_ctl_scan},
    {"frames", 0, 1, " errors", "[BUS] [--errors]", "raw frames on the wire, the newest and those around errors",
     davy_ctl_frames},
    {"verify", 0, 0, " database=", "[--database FILE]", "prove the ledger: both strands, and the sum of all events",
     davy_ctl_verify},
    {"backup", 1, 1, " only= database=", "FILE [--only ledger|readings [--database FILE]]",
     "copy the databases into FILE and FILE.readings, checked, while the daemon writes", davy_ctl_backup},
    {"log-level", 1, 1, "", "LEVEL", "error, warning, notice, info or debug", davy_ctl_log_level},
};

/* Known of the operator's manual, not of this version. */
static const char *const later[] = {"risk", "kpi", "export"};

const char *davy_ctl_argument(const struct ctl *ctl, size_t index)
{
    return index < ctl->argument_count ? ctl->arguments[index] : NULL;
}

const char *davy_ctl_option(const struct ctl *ctl, const char *name)
{
    for (size_t i = 0; i < ctl->option_count; i++)
        if (strcmp(ctl->options[i].name, name) == 0)
            return ctl->options[i].value;
    return NULL;
}

int davy_ctl_fail(const struct ctl *ctl, enum ctl_exit code, const char *format, ...)
{
    char reason[1024], json[8 * 1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reason, sizeof reason, format, arguments);
    va_end(arguments);
    char *escaped = davy_ctl_escape(reason);
    fflush(stdout);
    fprintf(stderr, "davyctl: %s\n", escaped);
    free(escaped);
    if (ctl->json) {
        struct davy_buf buf;
        davy_buf_init(&buf, json, sizeof json);
        davy_json_open(&buf, '{');
        davy_json_bool(&buf, "ok", false);
        davy_json_text(&buf, "error", reason);
        davy_json_close(&buf, '}');
        puts(json);
    }
    return code;
}

int davy_ctl_take_number(const struct ctl *ctl, const char *text, int64_t low, int64_t high, int64_t *ret)
{
    int64_t value;
    if (davy_int_parse(text, &value) < 0 || value < low || value > high)
        return davy_ctl_fail(ctl, CTL_USAGE, "'%s' is not a number from %lld to %lld", text, (long long)low,
                             (long long)high);
    *ret = value;
    return CTL_DONE;
}

static int usage_error(const struct ctl *ctl, const struct verb *verb, const char *what, const char *text)
{
    davy_ctl_fail(ctl, CTL_USAGE, "%s%s", what, text);
    if (verb)
        fprintf(stderr, "usage: davyctl %s%s%s\n", verb->name, *verb->usage ? " " : "", verb->usage);
    else
        fputs("usage: davyctl [--socket PATH] [--json] [--help] [--version] VERB …; --help names the verbs\n", stderr);
    return CTL_USAGE;
}

static void print_help(void)
{
    puts("usage: davyctl [--socket PATH] [--json] [--help] [--version] VERB …\n");
    for (size_t i = 0; i < DAVY_LENGTH(verbs); i++)
        printf("  %s%s%s\n        %s\n", verbs[i].name, *verbs[i].usage ? " " : "", verbs[i].usage, verbs[i].help);
    puts("\nALARM is RULE:DEVICE.POINT or the id of an occurrence; T is RFC 3339, seconds since 1970, or a\n"
         "duration back from now (24h, 30d). Exit: 0 done, 1 refused or bad, 2 usage, 3 daemon not reachable.");
}

static const struct verb *find_verb(const char *name)
{
    for (size_t i = 0; i < DAVY_LENGTH(verbs); i++)
        if (strcmp(verbs[i].name, name) == 0)
            return &verbs[i];
    return NULL;
}

static bool is_later(const char *name)
{
    for (size_t i = 0; i < DAVY_LENGTH(later); i++)
        if (strcmp(later[i], name) == 0)
            return true;
    return false;
}

static int unknown_verb(const struct ctl *ctl, const char *word)
{
    const char *names[DAVY_LENGTH(verbs)];
    for (size_t i = 0; i < DAVY_LENGTH(verbs); i++)
        names[i] = verbs[i].name;
    const char *nearest = davy_nearest(word, names, DAVY_LENGTH(names));
    char *text =
        davy_ctl_format("%s%s%s%s", word, nearest ? "; did you mean " : "", nearest ? nearest : "", nearest ? "?" : "");
    int code = usage_error(ctl, NULL, "unknown verb ", text);
    free(text);
    return code;
}

/* The command line while it is taken apart. */
struct cursor {
    char **argv;
    int argc;
    int next;
    bool plain; /* behind "--" */
    const struct verb *verb;
};

/* The value of `option`: behind its '=', else the next word; NULL where there is none. */
static const char *option_value(struct cursor *cursor, char *option)
{
    char *equals = strchr(option, '=');
    if (equals) {
        *equals = '\0';
        return equals + 1;
    }
    return cursor->next < cursor->argc ? cursor->argv[cursor->next++] : NULL;
}

/* Does the verb take it: 0 no, ' ' as a flag, '=' with a value. */
static char option_kind(const struct verb *verb, const char *option)
{
    const size_t length = strcspn(option, "=");
    for (const char *name = verb ? verb->options : ""; *name; name += strcspn(name, " ")) {
        name++;
        if (strncmp(name, option, length) == 0 && strchr(" =", name[length]))
            return name[length] == '=' ? '=' : ' ';
    }
    return '\0';
}

static int take_verb_option(struct ctl *ctl, struct cursor *cursor, char *option)
{
    const char kind = option_kind(cursor->verb, option);
    if (kind == '\0' || (kind == ' ' && strchr(option, '=')))
        return usage_error(ctl, cursor->verb, "unknown option --", option);
    const char *value = kind == '=' ? option_value(cursor, option) : "";
    if (!value)
        return usage_error(ctl, cursor->verb, "a value is missing for --", option);
    if (davy_ctl_option(ctl, option) || ctl->option_count == CTL_OPTIONS)
        return usage_error(ctl, cursor->verb, "given twice: --", option);
    ctl->options[ctl->option_count].name = option;
    ctl->options[ctl->option_count++].value = value;
    return CTL_DONE;
}

/* The verb, or one of its arguments. */
static int take_plain(struct ctl *ctl, struct cursor *cursor, const char *word)
{
    if (cursor->verb) {
        if (ctl->argument_count <= CTL_ARGUMENTS)
            ctl->arguments[ctl->argument_count++] = word;
        return CTL_DONE;
    }
    if (is_later(word))
        return usage_error(ctl, NULL, "not available in this version: ", word);
    cursor->verb = find_verb(word);
    return cursor->verb ? CTL_DONE : unknown_verb(ctl, word);
}

/* One word of the command line; a negative result ends the program with success. */
static int take_word(struct ctl *ctl, struct cursor *cursor, char *word)
{
    if (cursor->plain || word[0] != '-' || word[1] == '\0')
        return take_plain(ctl, cursor, word);
    if (strcmp(word, "--") == 0 || strcmp(word, "--json") == 0) {
        *(word[2] ? &ctl->json : &cursor->plain) = true;
        return CTL_DONE;
    }
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
        print_help();
        return -1;
    }
    if (strcmp(word, "--version") == 0) {
        puts("davyctl " DAVY_VERSION);
        return -1;
    }
    if (strncmp(word, "--socket", 8) == 0 && (word[8] == '\0' || word[8] == '=')) {
        ctl->socket = option_value(cursor, word);
        return ctl->socket ? CTL_DONE : usage_error(ctl, cursor->verb, "a value is missing for ", word);
    }
    if (strncmp(word, "--", 2) != 0)
        return usage_error(ctl, cursor->verb, "unknown option ", word);
    return take_verb_option(ctl, cursor, word + 2);
}

static const char *default_socket(char *path, size_t size)
{
    const char *folder = getenv("RUNTIME_DIRECTORY");
    snprintf(path, size, "%s/davyd.sock", folder && *folder ? folder : "/run/davy");
    return path;
}

static int run(struct ctl *ctl, const struct verb *verb)
{
    if (ctl->argument_count < verb->least)
        return usage_error(ctl, verb, "an argument is missing for ", verb->name);
    if (ctl->argument_count > verb->most)
        return usage_error(ctl, verb, "too many arguments: ", ctl->arguments[verb->most]);
    int code = verb->run(ctl);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        perror("davyctl: standard output");
        return CTL_REFUSED;
    }
    return code;
}

int main(int argc, char **argv)
{
    char path[256];
    const char *no_color = getenv("NO_COLOR");
    struct ctl ctl = {
        .socket = default_socket(path, sizeof path),
        .colour = isatty(STDOUT_FILENO) && !(no_color && *no_color),
        .fd = -1,
        .now = davy_clock_now(&davy_system_clock).wall,
    };
    struct cursor cursor = {.argv = argv, .argc = argc, .next = 1};
    while (cursor.next < cursor.argc) {
        char *word = argv[cursor.next++];
        int code = take_word(&ctl, &cursor, word);
        if (code != CTL_DONE)
            return code < 0 ? CTL_DONE : code;
    }
    if (!cursor.verb)
        return usage_error(&ctl, NULL, "a verb is missing", "");
    int code = run(&ctl, cursor.verb);
    if (ctl.fd >= 0)
        close(ctl.fd);
    return code;
}
