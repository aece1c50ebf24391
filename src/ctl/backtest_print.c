/* SPDX-License-Identifier: Apache-2.0 */
/* The outcome of a comparison, as tables or as one JSON object. In both `before` is the current configuration. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/backtest.h"

/* Rows of a table that are held back to line them up. */
#define ROWS_AT_ONCE 500

static const char *const change_names[CHANGE_COUNT_] = {
    [CHANGE_APPEARS] = "appears", [CHANGE_VANISHES] = "vanishes", [CHANGE_MOVES] = "moves", [CHANGE_SAME] = "same"};

/* Lanes as they are told: first what there is, then what there would be. */
static const size_t order[ROSTER_CONFIGS] = {1, 0};
static const char *const lane_names[ROSTER_CONFIGS] = {[0] = "after", [1] = "before"};

/* ---- tables ---- */

/* Two units: "12.5s", "3min 9s", "2h 5min", "3d 4h". */
static char *span_cell(int64_t ns)
{
    static const struct {
        int64_t large, small;
        const char *large_name, *small_name;
    } steps[] = {{86400, 3600, "d", "h"}, {3600, 60, "h", "min"}, {60, 1, "min", "s"}};
    char number[DAVY_NUM_TEXT];
    const int64_t seconds = ns / DAVY_NS_PER_S;
    for (size_t i = 0; i < DAVY_LENGTH(steps); i++)
        if (seconds >= steps[i].large)
            return davy_ctl_format("%" PRId64 "%s %" PRId64 "%s", seconds / steps[i].large, steps[i].large_name,
                                   seconds % steps[i].large / steps[i].small, steps[i].small_name);
    snprintf(number, sizeof number, "%.3g", (double)ns / 1e9);
    return davy_ctl_format("%ss", number);
}

/* "≥ 14" */
static char *limit_cell(const struct episode *episode)
{
    static const char *const signs[DAVY_CONDITION_COUNT_] = {[DAVY_CONDITION_ABOVE] = "≥ ",
                                                             [DAVY_CONDITION_BELOW] = "≤ ",
                                                             [DAVY_CONDITION_EQUALS] = "= ",
                                                             [DAVY_CONDITION_VOTE] = "≥ "};
    char number[DAVY_NUM_TEXT];
    const char *sign = signs[episode->condition];
    return episode->has_limit ? davy_ctl_format("%s%s", sign ? sign : "", davy_ctl_number(episode->limit, number))
                              : davy_ctl_copy("-");
}

static void begin_table(const struct ctl *ctl, struct table *table, const char *const *heads)
{
    putchar('\n');
    davy_table_init(table, heads, ctl->colour);
}

static void end_table(struct table *table)
{
    davy_table_flush(table);
    davy_table_done(table);
}

static void add_episode(const struct backtest *test, struct table *table, const char *what,
                        const struct episode *episode)
{
    char text[DAVY_WALL_TEXT], number[DAVY_NUM_TEXT];
    const char *level = davy_level_name(episode->level);
    char *lasted = span_cell(episode->end.ns - episode->start.ns);
    davy_table_add(table, davy_ctl_copy(what), NULL);
    davy_table_add(table, davy_ctl_escape(test->episodes.alarms[episode->alarm].key), NULL);
    davy_table_add(table, davy_ctl_copy(level ? level : "-"), level);
    davy_table_add(
        table, davy_ctl_format("%s%s", episode->before ? "before " : "", davy_wall_format(episode->start, text)), NULL);
    davy_table_add(table, davy_ctl_format("%s%s", lasted, episode->open ? "+" : ""), NULL);
    davy_table_add(table, davy_ctl_copy(episode->has_value ? davy_ctl_number(episode->value, number) : "-"), NULL);
    davy_table_add(table, limit_cell(episode), NULL);
    free(lasted);
    if (table->count >= ROWS_AT_ONCE * table->columns)
        davy_table_flush(table);
}

/* What was, then what would be. */
static void add_change(const struct backtest *test, struct table *table, const struct change *change)
{
    const char *what = change_names[change->kind];
    for (size_t k = 0; k < ROSTER_CONFIGS; k++) {
        const size_t lane = order[k], first = change->episodes[lane].first;
        if (k == 1 && change->kind == CHANGE_MOVES)
            what = "  to";
        for (size_t i = 0; i < change->episodes[lane].count; i++) {
            add_episode(test, table, what, &test->episodes.lanes[lane].list[first + i]);
            what = "";
        }
    }
}

static void print_changes(const struct ctl *ctl, const struct backtest *test)
{
    static const char *const heads[] = {"CHANGE", "ALARM", "LEVEL", "BEGINS", ">LASTS", ">VALUE", ">LIMIT", NULL};
    struct table table;
    if (test->change_count == 0)
        return;
    begin_table(ctl, &table, heads);
    for (size_t i = 0; i < test->change_count; i++)
        add_change(test, &table, &test->changes[i]);
    end_table(&table);
}

/* "3", or "3 → 5" where it changes. */
static char *pair_cell(uint64_t before, uint64_t after)
{
    if (before == after)
        return before ? davy_ctl_format("%" PRIu64, before) : davy_ctl_copy("-");
    return davy_ctl_format("%" PRIu64 " → %" PRIu64, before, after);
}

static char *span_pair_cell(int64_t before, int64_t after)
{
    char *was = span_cell(before), *now = span_cell(after);
    char *text = strcmp(was, now) == 0 ? davy_ctl_copy(before ? was : "-") : davy_ctl_format("%s → %s", was, now);
    free(was);
    free(now);
    return text;
}

static void add_tallies(struct table *table, const char *name, const struct tally tallies[ROSTER_CONFIGS])
{
    const struct tally *was = &tallies[1], *now = &tallies[0];
    davy_table_add(table, davy_ctl_escape(name), NULL);
    for (int level = DAVY_LEVEL_BLUE; level < DAVY_LEVEL_COUNT_; level++)
        davy_table_add(table, pair_cell(was->alarms[level], now->alarms[level]),
                       was->alarms[level] || now->alarms[level] ? davy_level_name((enum davy_level)level) : NULL);
    davy_table_add(table, pair_cell(davy_backtest_alarms(was), davy_backtest_alarms(now)), NULL);
    davy_table_add(table, span_pair_cell(was->in_alarm_ns, now->in_alarm_ns), NULL);
}

static bool is_empty(const struct tally tallies[ROSTER_CONFIGS])
{
    return davy_backtest_alarms(&tallies[0]) + davy_backtest_alarms(&tallies[1]) == 0 && tallies[0].in_alarm_ns == 0 &&
           tallies[1].in_alarm_ns == 0;
}

#define TALLY_HEADS ">BLUE", ">YELLOW", ">ORANGE", ">RED", ">ALARMS", ">IN ALARM", NULL

/* Lines with nothing in them are left out. */
static void print_tallies(const struct ctl *ctl, const struct backtest *test)
{
    static const char *const rule_heads[] = {"RULE", TALLY_HEADS}, *const day_heads[] = {"DAY", TALLY_HEADS};
    struct table table;
    begin_table(ctl, &table, rule_heads);
    for (size_t i = 0; i < test->episodes.rule_count; i++)
        if (!is_empty(test->rules[i]))
            add_tallies(&table, test->episodes.rules[i], test->rules[i]);
    add_tallies(&table, "(all)", test->total);
    end_table(&table);
    begin_table(ctl, &table, day_heads);
    for (size_t i = 0; i < test->day_count; i++)
        if (!is_empty(test->days[i].tallies))
            add_tallies(&table, test->days[i].name, test->days[i].tallies);
    end_table(&table);
}

static uint64_t busiest_day(const struct backtest *test, size_t lane)
{
    uint64_t most = 0;
    for (size_t i = 0; i < test->day_count; i++) {
        const uint64_t alarms = davy_backtest_alarms(&test->days[i].tallies[lane]);
        most = alarms > most ? alarms : most;
    }
    return most;
}

static double daily_rate(const struct backtest *test, size_t lane)
{
    const double days = davy_backtest_days(test);
    return days > 0 ? (double)davy_backtest_alarms(&test->total[lane]) / days : 0;
}

static void add_counts(struct table *table, const char *name, uint64_t before, uint64_t after)
{
    davy_table_add(table, davy_ctl_copy(name), NULL);
    davy_table_add(table, davy_ctl_format("%" PRIu64, before), NULL);
    davy_table_add(table, davy_ctl_format("%" PRIu64, after), NULL);
}

static void print_rates(const struct ctl *ctl, const struct backtest *test)
{
    static const char *const heads[] = {"RATE", ">CURRENT", ">NEW", NULL};
    struct table table;
    begin_table(ctl, &table, heads);
    add_counts(&table, "alarms", davy_backtest_alarms(&test->total[1]), davy_backtest_alarms(&test->total[0]));
    davy_table_add(&table, davy_ctl_copy("alarms a day"), NULL);
    davy_table_add(&table, davy_ctl_format("%.1f", daily_rate(test, 1)), NULL);
    davy_table_add(&table, davy_ctl_format("%.1f", daily_rate(test, 0)), NULL);
    add_counts(&table, "most on one day", busiest_day(test, 1), busiest_day(test, 0));
    add_counts(&table, "most in 10 minutes", test->busiest[1], test->busiest[0]);
    end_table(&table);
}

static void print_head(const struct backtest *test)
{
    char since[DAVY_WALL_TEXT], until[DAVY_WALL_TEXT];
    char *new = davy_ctl_escape(test->replay->lanes[0].config->file);
    char *old = davy_ctl_escape(test->replay->lanes[1].config->file);
    printf("%s to %s, %" PRIu64 " readings\ncurrent: %s\nnew:     %s\n%zu appear, %zu vanish, %zu move, %zu stay\n",
           davy_wall_format(test->since, since), davy_wall_format(test->replay->last, until), test->replay->readings,
           old, new, test->counts[CHANGE_APPEARS], test->counts[CHANGE_VANISHES], test->counts[CHANGE_MOVES],
           test->counts[CHANGE_SAME]);
    free(new);
    free(old);
}

void davy_backtest_print(const struct ctl *ctl, const struct backtest *test)
{
    print_head(test);
    print_changes(ctl, test);
    print_tallies(ctl, test);
    print_rates(ctl, test);
}

/* ---- JSON ---- */

static json_t *time_json(davy_wall t)
{
    char text[DAVY_WALL_TEXT];
    return json_string(davy_wall_format(t, text));
}

static json_t *episode_json(const struct episode *episode)
{
    return json_pack("{s:s?,s:o,s:b,s:o,s:b,s:f,s:o,s:o,s:s}", "level", davy_level_name(episode->level), "begin",
                     time_json(episode->start), "begun_before", episode->before, "end", time_json(episode->end), "open",
                     episode->open, "seconds", (double)(episode->end.ns - episode->start.ns) / 1e9, "value",
                     episode->has_value ? json_real(episode->value) : json_null(), "limit",
                     episode->has_limit ? json_real(episode->limit) : json_null(), "condition",
                     davy_condition_name(episode->condition));
}

static json_t *change_json(const struct backtest *test, const struct change *change)
{
    const struct episode_alarm *alarm = &test->episodes.alarms[change->alarm];
    json_t *object = json_pack("{s:s,s:s,s:s}", "change", change_names[change->kind], "alarm", alarm->key, "rule",
                               test->episodes.rules[alarm->rule]);
    for (size_t k = 0; k < ROSTER_CONFIGS; k++) {
        const size_t lane = order[k];
        json_t *list = json_array();
        for (size_t i = 0; i < change->episodes[lane].count; i++)
            json_array_append_new(list,
                                  episode_json(&test->episodes.lanes[lane].list[change->episodes[lane].first + i]));
        json_object_set_new(object, lane_names[lane], list);
    }
    return object;
}

static json_t *tally_json(const struct tally *tally)
{
    json_t *object = json_object();
    for (int level = DAVY_LEVEL_BLUE; level < DAVY_LEVEL_COUNT_; level++)
        json_object_set_new(object, davy_level_name((enum davy_level)level),
                            json_integer((json_int_t)tally->alarms[level]));
    json_object_set_new(object, "alarms", json_integer((json_int_t)davy_backtest_alarms(tally)));
    json_object_set_new(object, "seconds", json_real((double)tally->in_alarm_ns / 1e9));
    return object;
}

static json_t *tallies_json(const char *key, const char *name, const struct tally tallies[ROSTER_CONFIGS])
{
    return json_pack("{s:s,s:o,s:o}", key, name, "before", tally_json(&tallies[1]), "after", tally_json(&tallies[0]));
}

/* The tally of all, and how often. */
static json_t *total_json(const struct backtest *test, size_t lane)
{
    json_t *object = tally_json(&test->total[lane]);
    json_object_set_new(object, "alarms_per_day", json_real(daily_rate(test, lane)));
    json_object_set_new(object, "most_on_one_day", json_integer((json_int_t)busiest_day(test, lane)));
    json_object_set_new(object, "most_in_10_minutes", json_integer((json_int_t)test->busiest[lane]));
    return object;
}

void davy_backtest_print_json(const struct backtest *test)
{
    const struct replay *replay = test->replay;
    json_t *changes = json_array(), *rules = json_array(), *days = json_array();
    for (size_t i = 0; i < test->change_count; i++)
        json_array_append_new(changes, change_json(test, &test->changes[i]));
    for (size_t i = 0; i < test->episodes.rule_count; i++)
        if (!is_empty(test->rules[i]))
            json_array_append_new(rules, tallies_json("rule", test->episodes.rules[i], test->rules[i]));
    for (size_t i = 0; i < test->day_count; i++)
        json_array_append_new(days, tallies_json("day", test->days[i].name, test->days[i].tallies));
    json_t *object =
        json_pack("{s:b,s:s,s:s,s:o,s:o,s:I,s:I,s:I,s:I,s:I}", "ok", 1, "config", replay->lanes[0].config->file,
                  "against", replay->lanes[1].config->file, "since", time_json(test->since), "until",
                  time_json(replay->last), "readings", (json_int_t)replay->readings, "appear",
                  (json_int_t)test->counts[CHANGE_APPEARS], "vanish", (json_int_t)test->counts[CHANGE_VANISHES], "move",
                  (json_int_t)test->counts[CHANGE_MOVES], "stay", (json_int_t)test->counts[CHANGE_SAME]);
    json_object_set_new(object, "changes", changes);
    json_object_set_new(object, "rules", rules);
    json_object_set_new(object, "days", days);
    json_object_set_new(object, "before", total_json(test, 1));
    json_object_set_new(object, "after", total_json(test, 0));
    davy_ctl_print_json(object, true);
    json_decref(object);
}
