/* SPDX-License-Identifier: Apache-2.0 */
/* watch: the state and the alarms on the whole screen, once a second, until q or an interrupt. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include "ctl/ctl.h"

#define PERIOD_MS 1000

/* Alternate screen without a cursor, and back. */
#define SCREEN_ON  "\033[?1049h\033[?25l"
#define SCREEN_OFF "\033[?25h\033[?1049l"

struct screen {
    struct termios before;
    sigset_t signals_before;
    int signals; /* signalfd of what ends the watch */
};

static int screen_open(struct screen *screen)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    sigprocmask(SIG_BLOCK, &set, &screen->signals_before);
    screen->signals = signalfd(-1, &set, SFD_CLOEXEC);
    if (screen->signals < 0 || tcgetattr(STDIN_FILENO, &screen->before) < 0)
        return -errno;
    struct termios raw = screen->before;
    raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    tcsetattr(STDIN_FILENO, TCSANOW, &raw);
    fputs(SCREEN_ON, stdout);
    return 0;
}

static void screen_close(struct screen *screen)
{
    fputs(SCREEN_OFF, stdout);
    fflush(stdout);
    tcsetattr(STDIN_FILENO, TCSANOW, &screen->before);
    close(screen->signals);
    sigprocmask(SIG_SETMASK, &screen->signals_before, NULL);
}

/* Wait for the next round. False when it is to end: q, a signal, the end of the input. */
static bool wait_round(const struct screen *screen)
{
    struct pollfd fds[] = {{.fd = STDIN_FILENO, .events = POLLIN}, {.fd = screen->signals, .events = POLLIN}};
    char key;
    if (poll(fds, DAVY_LENGTH(fds), PERIOD_MS) <= 0)
        return true;
    return fds[1].revents == 0 && read(STDIN_FILENO, &key, 1) == 1 && key != 'q';
}

static unsigned short screen_rows(void)
{
    struct winsize size = {.ws_row = 0};
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_row == 0)
        return 24;
    return size.ws_row < 6 ? 6 : size.ws_row;
}

static void add_alarm(struct table *table, const json_t *alarm, const char *level)
{
    static const char *const behind[] = {"alarm", "value", "limit", "unit", "since"};
    davy_table_add(table, davy_ctl_cell(alarm, "level"), level);
    davy_table_add(table, davy_ctl_state_cell(alarm), NULL);
    for (size_t k = 0; k < DAVY_LENGTH(behind); k++)
        davy_table_add(table, davy_ctl_cell(alarm, behind[k]), NULL);
}

/* Worst first, as far as the screen goes; last those that are hidden with nothing below. */
static void draw_alarms(const struct ctl *ctl, const json_t *alarms, size_t rows)
{
    static const char *const levels[] = {"red", "orange", "yellow", "blue", ""};
    static const char *const heads[] = {"LEVEL", "STATE", "ALARM", ">VALUE", ">LIMIT", "UNIT", "SINCE", NULL};
    struct table table;
    size_t left = rows;
    davy_table_init(&table, heads, ctl->colour);
    for (size_t l = 0; l < DAVY_LENGTH(levels); l++) {
        size_t i;
        json_t *alarm;
        json_array_foreach(alarms, i, alarm)
        {
            if (left == 0 || strcmp(davy_ctl_text(alarm, "level"), levels[l]) != 0)
                continue;
            left--;
            add_alarm(&table, alarm, levels[l]);
        }
    }
    davy_table_flush(&table);
    davy_table_done(&table);
    if (json_array_size(alarms) > rows)
        printf("… and %zu more\n", json_array_size(alarms) - rows);
}

static void draw_head(const json_t *reply)
{
    const json_t *status = json_object_get(reply, "status");
    const json_t *counts = json_object_get(status, "alarms");
    char *state = davy_ctl_cell(status, "state"), *red = davy_ctl_cell(counts, "red");
    char *open = davy_ctl_cell(counts, "unacknowledged");
    char *bad = davy_ctl_cell(json_object_get(status, "points"), "bad");
    char *shelved = davy_ctl_cell(counts, "shelved"), *out = davy_ctl_cell(counts, "out_of_service");
    printf("davy %s   %s red   %s unacknowledged   %s shelved   %s out of service   %s points bad   q ends\n\n", state,
           red, open, shelved, out, bad);
    free(shelved);
    free(out);
    free(state);
    free(red);
    free(open);
    free(bad);
}

static int draw(struct ctl *ctl)
{
    json_t *reply = NULL, *alarms = NULL;
    int code = davy_ctl_ask(ctl, json_pack("{s:s}", "verb", "status"), &reply);
    if (code == CTL_DONE)
        code = davy_ctl_pages(ctl, json_pack("{s:s,s:b}", "verb", "alarms", "all", 0), "alarms", "alarm", &alarms);
    if (code == CTL_DONE) {
        fputs("\033[H\033[J", stdout);
        draw_head(reply);
        draw_alarms(ctl, alarms, screen_rows() - 5U);
        fflush(stdout);
    }
    json_decref(reply);
    json_decref(alarms);
    return code;
}

int davy_ctl_watch(struct ctl *ctl)
{
    if (ctl->json || !isatty(STDOUT_FILENO) || !isatty(STDIN_FILENO))
        return davy_ctl_fail(ctl, CTL_USAGE, "watch needs a terminal");
    struct screen screen = {.signals = -1};
    int rc = screen_open(&screen);
    if (rc < 0)
        return davy_ctl_fail(ctl, CTL_REFUSED, "the terminal: %s", strerror(-rc));
    int code;
    do
        code = draw(ctl);
    while (code == CTL_DONE && wait_round(&screen));
    screen_close(&screen);
    return code;
}
