#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""naive.py against histories worked out by hand from the alarm semantics. Each case: rule, rows, events expected.

A row is `second value [quality]` of point D.p (`Q value` of D.q, `T value` of D.t, `S value` of the state point D.s), or
`second !verb [words]`. An event is `second event state level [count]`, of the rule `r`; alarms of other names are written
`second RULE:WHERE event`. `max_age` of a case is that of its points; `rules` are further ones, after `r`.
"""
import itertools
import json
import pathlib
import sys
import tempfile

import naive

RED = {"red": {"above": 10.0}}
TWO = {"orange": {"above": 5.0}, "red": {"above": 10.0}}
LATCHED_RED = {"orange": {"above": 5.0}, "red": {"above": 10.0, "latch": True}}
CALM = {"red": {"above": 99.0}}

CASES = {
    "trips at the limit and returns only below limit minus deadband": (
        {**RED, "deadband": 1.0}, ["0 9.9", "1 10", "2 9", "3 8.9"],
        ["1 raised unacknowledged red", "3 cleared returned red"]),
    "a deadband never widens the trip side": ({**RED, "deadband": 1.0}, ["0 9.5"], []),
    "below trips at the limit and returns above limit plus deadband": (
        {"red": {"below": 10.0}, "deadband": 1.0}, ["0 10", "1 11", "2 11.1"],
        ["0 raised unacknowledged red", "2 cleared returned red"]),
    "outside is one limit of two bounds": (
        {"red": {"outside": [2.0, 8.0]}, "deadband": 1.0}, ["0 2", "1 3", "2 8", "3 7", "4 6.9"],
        ["0 raised unacknowledged red", "4 cleared returned red"]),
    "an on-delay fires at its due time, not at the next reading": (
        {**RED, "on_delay": 3000}, ["0 10", "9 10"], ["3 raised unacknowledged red"]),
    "a timer due at the time of a reading fires before it": (
        {**RED, "on_delay": 3000}, ["0 10", "3 0"], ["3 raised unacknowledged red", "3 cleared returned red"]),
    "a reading off the trip side cancels an on-delay, also one in the deadband": (
        {**RED, "on_delay": 3000, "deadband": 1.0}, ["0 10", "2 9.5", "2.5 10", "5 10"], []),
    "an on-delay goes on through bad and calibrating readings": (
        {**RED, "on_delay": 3000}, ["0 10", "1 - bad:exception", "2 1 uncertain:calibration", "4 10"],
        ["2 inhibit:D raised", "3 raised unacknowledged red", "4 inhibit:D cleared"]),
    "an uncertain reading does not cancel an on-delay": (
        {**RED, "on_delay": 3000}, ["0 10", "1 0 uncertain:settling", "4 10"], ["3 raised unacknowledged red"]),
    "an uncertain reading can trip": ({**RED}, ["0 10 uncertain:no-status"], ["0 raised unacknowledged red"]),
    "an uncertain reading does not clear": (
        {**RED}, ["0 10", "1 0 uncertain:settling", "2 0"], ["0 raised unacknowledged red", "2 cleared returned red"]),
    "an uncertain or bad reading cancels an off-delay": (
        {**RED, "off_delay": 3000},
        ["0 10", "1 0", "2 0 uncertain:settling", "3 0", "5 - bad:exception", "6 0", "10 0"],
        ["0 raised unacknowledged red", "9 cleared returned red"]),
    "a bad reading never clears": ({**RED}, ["0 10", "1 - bad:exception"], ["0 raised unacknowledged red"]),
    "a bad reading trips where on_fault says so, and a good one returns": (
        {**RED, "on_fault": "trip"}, ["0 1", "1 - bad:exception", "2 1"],
        ["1 raised unacknowledged red", "2 cleared returned red"]),
    "over range is evaluated at the high end, under range is bad": (
        {"red": {"above": 100.0}}, ["0 101", "1 -10", "2 -10.1", "3 100 bad:bad-value"],
        ["0 raised unacknowledged red", "1 cleared returned red"]),
    "escalates, lowers and clears": (
        {**TWO}, ["0 5", "1 10", "1.5 !ack", "2 6", "3 0"],
        ["0 raised unacknowledged orange", "1 escalated unacknowledged red", "1.5 acknowledged acknowledged red",
         "2 lowered acknowledged orange", "3 cleared normal orange"]),
    "escalation asks for acknowledgement again": (
        {**TWO}, ["0 5", "1 !ack", "2 10"],
        ["0 raised unacknowledged orange", "1 acknowledged acknowledged orange", "2 escalated unacknowledged red"]),
    "raised again out of returned counts and keeps the occurrence": (
        {**RED}, ["0 10", "1 0", "2 10", "3 !ack", "4 0"],
        ["0 raised unacknowledged red 1", "1 cleared returned red 1", "2 raised unacknowledged red 2",
         "3 acknowledged acknowledged red 2", "4 cleared normal red 2"]),
    "acknowledging what has returned ends it; a second time is refused": (
        {**RED}, ["0 10", "1 0", "2 !ack", "3 !ack"],
        ["0 raised unacknowledged red", "1 cleared returned red", "2 acknowledged normal red"]),
    "a latch holds until reset, which also acknowledges": (
        {**LATCHED_RED}, ["0 10", "1 0", "2 !ack", "3 !ack", "4 !reset", "5 !reset"],
        ["0 raised unacknowledged red", "1 latched latched red", "2 acknowledged latched red", "4 reset normal red"]),
    "a reset is refused while there is nothing to release": ({**LATCHED_RED}, ["0 10", "1 !reset"],
                                                             ["0 raised unacknowledged red"]),
    "a reset leaves the level whose condition is true": (
        {**LATCHED_RED}, ["0 10", "1 6", "2 !reset"], ["0 raised unacknowledged red", "2 reset unacknowledged orange"]),
    "raised again below a level that a latch holds": (
        {**LATCHED_RED, "yellow": {"above": 2.0}}, ["0 10", "1 3", "2 !ack", "3 6", "4 0"],
        ["0 raised unacknowledged red 1", "2 acknowledged acknowledged red 1", "3 raised unacknowledged red 2",
         "4 latched latched red 2"]),
    "raised again out of latched, at the level that the latch holds": (
        {**LATCHED_RED}, ["0 10", "1 0", "2 6"],
        ["0 raised unacknowledged red 1", "1 latched latched red 1", "2 raised unacknowledged red 2"]),
    "the level that latches may be lower than the one that returns": (
        {"orange": {"above": 5.0, "latch": True}, "red": {"above": 10.0}}, ["0 10", "1 0"],
        ["0 raised unacknowledged red", "1 latched latched orange"]),
    "acknowledge = false needs nobody": (
        {**RED, "acknowledge": False}, ["0 10", "1 !ack", "2 0"],
        ["0 raised acknowledged red", "2 cleared normal red"]),
    "two limits on one instant give one event": (
        {"orange": {"above": 5.0}, "red": {"above": 10.0}, "on_delay": 2000}, ["0 10", "3 10"],
        ["2 raised unacknowledged red"]),
    "each limit has its own delay": (
        {"orange": {"above": 5.0}, "red": {"above": 10.0, "on_delay": 2000}}, ["0 10", "3 10"],
        ["0 raised unacknowledged orange", "2 escalated unacknowledged red"]),
    "silence becomes one stale reading, which is a failure of bus, device and point": (
        {**CALM}, ["0 1", "40 !ack"], ["30 fault:B raised"]),
    "a reading at exactly max_age is in time": ({**CALM}, ["0 1", "20 1", "40 1", "49.9 !ack"], []),
    "the fault of a bus is raised before that of its device; three answers clear it": (
        {**CALM}, ["0 1", "1 - bad:comm", "2 - bad:comm", "12 1", "13 1", "14 1"],
        ["11 fault:B raised", "14 fault:B cleared"]),
    "readings of one device and time are one answer": (
        {**CALM}, ["0 - bad:comm", "12 1", "12 Q 1", "12 1", "13 1", "14 1"],
        ["10 fault:B raised", "14 fault:B cleared"]),
    "answers that are bad clear the bus, and the device follows a full delay later": (
        {**CALM}, ["0 - bad:comm", "11 - bad:exception", "12 - bad:exception", "13 - bad:exception",
                   "24 - bad:exception"],
        ["10 fault:B raised", "13 fault:B cleared", "23 fault:D raised"]),
    "a device is in fault only when all its points are": (
        {**CALM}, ["0 1", "0 Q 1", "1 - bad:exception", "5 Q 1", "12 Q 1", "13 1", "14 - bad:exception", "15 1", "16 1",
                   "17 1"],
        ["11 fault:D.p raised", "17 fault:D.p cleared"]),
    "the fault of a device clears by three of one point, and then its other point is due": (
        {**CALM}, ["0 - bad:exception", "0 Q - bad:exception", "11 1", "12 Q - bad:exception", "13 1", "14 1", "25 1"],
        ["10 fault:D raised", "14 fault:D cleared", "24 fault:D.q raised"]),
    "an inhibit stands while a point is in calibration": (
        {**CALM}, ["0 1 uncertain:calibration", "1 Q 1 uncertain:warm-up", "2 1", "3 Q 1"],
        ["0 inhibit:D raised", "3 inhibit:D cleared"]),
}


WHEN = {"point": "s", "equals": True}
MEAN = {"measure": {"type": "mean", "window": 10000, "coverage": 0.5}}
STEL = {"measure": {"type": "stel"}, "red": {"above": 10.0}, "max_age": 60000}
TWA = {"measure": {"type": "twa"}, "red": {"above": 10.0}, "max_age": 3600000}
SHELF = {**TWO, "shelvable": True}
LADDER = {"escalate": [{"after": 5000, "unless": "acknowledged"}, {"after": 9000, "unless": "cleared", "level": "red"}]}


def minutes(value, first, last, step=1):
    return [f"{minute * 60} {value}" for minute in range(first, last, step)]


CASES.update({
    # measures
    "a mean waits for its coverage, and is of the covered part": (
        {**MEAN, **RED}, ["0 20", "4 20", "5 20", "12 0", "18 0"],
        ["5 raised unacknowledged red", "18 cleared returned red"]),
    "a mean does not count bad time": (
        {**MEAN, **RED}, ["0 12", "6 - bad:exception", "10 0"], ["10 raised unacknowledged red"]),
    "max forgets a reading exactly as old as its window": (
        {"measure": {"type": "max", "window": 10000}, **RED}, ["0 11", "9 0", "10 0"],
        ["0 raised unacknowledged red", "10 cleared returned red"]),
    "rate needs three readings over half of its window": (
        {"measure": {"type": "rate", "window": 10000, "per": 1000}, "red": {"above": 2.0}},
        ["0 0", "2 4", "4.5 9", "5 10"], ["5 raised unacknowledged red"]),
    "forecast is the line at the horizon": (
        {"measure": {"type": "forecast", "window": 10000, "horizon": 5000}, "red": {"above": 20.0}},
        ["0 0", "4 8", "5 10", "6 0"], ["5 raised unacknowledged red", "6 cleared returned red"]),
    "deviation leaves the newest tenth out": (
        {"measure": {"type": "deviation", "window": 10000}, "red": {"above": 3.0}},
        ["0 1", "3 2", "6 1", "8 9"], ["8 raised unacknowledged red"]),
    "stuck counts from where the value last moved": (
        {"measure": {"type": "stuck", "epsilon": 1.0}, "red": {"above": 5.0}}, ["0 7", "3 8", "5 7", "6 9.5"],
        ["5 raised unacknowledged red", "6 cleared returned red"]),
    "a difference holds without the other point": (
        {"measure": {"type": "difference", "other": "q"}, **RED},
        ["0 50", "1 Q 40", "2 50", "3 Q 0 bad:exception", "4 0", "5 Q 10", "5 15"],
        ["2 raised unacknowledged red", "5 cleared returned red"]),
    "over-range can raise a mean but not clear it": (
        {**MEAN, "red": {"below": 90.0}, "max_age": 5000},
        ["0 50", "5 200 uncertain:over-range", "9 - bad:exception", "14 200"], ["5 raised unacknowledged red"]),
    "settling holds a mean": (
        {**MEAN, **RED}, ["0 20", "6 20 uncertain:settling", "6.5 20"], ["6.5 raised unacknowledged red"]),
    "stel: a pulse of 15 minutes at the limit inside zeros exactly reaches": (
        {**STEL, "red": {"above": 10.0, "deadband": 5.0}},
        minutes(0, 0, 20) + minutes(10, 20, 35) + minutes(0, 35, 36),
        ["2100 raised unacknowledged red"]),
    "stel: a fresh start with a high value is high at once by its upper bound": (
        STEL, ["0 10", "60 9", "120 0"], ["0 raised unacknowledged orange", "120 cleared returned orange"]),
    "stel: calibration gas under inhibit changes nothing": (
        {**STEL, "red": {"above": 5.0}}, minutes(0, 0, 20) + minutes("25 uncertain:calibration", 20, 30) + minutes(0, 30, 50),
        ["1200 inhibit:D raised", "1800 inhibit:D cleared"]),
    "stel: negative readings count as 0": (
        {**STEL, "red": {"above": 4.0}}, minutes(0, 0, 20) + minutes(-5, 20, 25) + minutes(8.5, 25, 34),
        ["1980 raised unacknowledged red"]),
    "stel: half a gap with the rest at twice the limit is certain": (
        {**STEL, "red": {"above": 9.9}, "max_age": 450000}, ["0 0", "450 0", "900 20", "1350 - bad:exception", "1800 20"],
        ["1350 raised unacknowledged orange", "1360 fault:D raised", "1800 escalated unacknowledged red"]),
    "twa: a constant for 8 hours is its own mean": (
        {**TWA, "red": {"above": 10.0, "acknowledge": False}, "blue": {"above": 99.0}},
        minutes(0, 0, 480, 30) + minutes(10, 480, 961, 30), ["57600 raised acknowledged red"]),
    "twa: twice the limit for 4 hours, then nothing, is the limit": (
        TWA, minutes(0, 0, 480, 30) + minutes(20, 480, 720, 30) + minutes(0, 720, 722),
        ["43200 raised unacknowledged red"]),
    "occurrences count each raise of the other rule": (
        {**RED, "rules": [{"name": "again", "measure": {"type": "occurrences", "rule": "r", "window": 10000},
                           "yellow": {"above": 2.0}}]},
        ["0 10", "1 0", "2 10", "3 0", "11.5 0"],
        ["0 raised unacknowledged red", "1 cleared returned red", "2 raised unacknowledged red 2", "2 again:D.p raised",
         "3 cleared returned red 2", "11.5 again:D.p cleared"]),
    "occurrences count days in a row up to the latest": (
        {**RED, "rules": [{"name": "again", "measure": {"type": "occurrences", "rule": "r", "window": 7 * 86400000,
                                                        "days": True}, "yellow": {"above": 2.0}}]},
        ["0 10", "1 0", "200000 10", "200001 0", "260000 10"],
        ["0 raised unacknowledged red", "1 cleared returned red", "31 fault:B raised", "200000 raised unacknowledged red 2",
         "200001 cleared returned red", "260000 raised unacknowledged red 3", "260000 again:D.p raised"]),
    # when
    "when: false suppresses, true again returns and evaluates": (
        {**RED, "when": WHEN}, ["0 10", "1 S 0", "2 0", "3 12", "4 S 1"],
        ["0 raised unacknowledged red", "1 suppressed suppressed red", "4 unsuppressed returned red",
         "4 raised unacknowledged red 2"]),
    "when: an acknowledged occurrence ends when it is true again": (
        {**RED, "when": WHEN}, ["0 10", "1 S 0", "2 !ack", "3 0", "4 S 1"],
        ["0 raised unacknowledged red", "1 suppressed suppressed red", "2 acknowledged suppressed red",
         "4 unsuppressed normal red"]),
    "when: a latch holds through it": (
        {**LATCHED_RED, "when": WHEN}, ["0 10", "1 S 0", "1.5 !reset", "2 0", "4 S 1", "5 !reset"],
        ["0 raised unacknowledged red", "1 suppressed suppressed red", "4 unsuppressed latched red", "5 reset normal red"]),
    "when: a reading of it that is not good counts as true": (
        {**RED, "when": WHEN}, ["0 S 0", "1 10", "2 S - bad:exception"], ["2 raised unacknowledged red"]),
    "when: no event where there was no occurrence, and delays are dropped": (
        {**RED, "on_delay": 3000, "when": WHEN}, ["0 10", "1 S 0", "2 S 1", "5 10"],
        ["5 raised unacknowledged red"]),
    "when: its answer holds for a time first; one the other way cancels": (
        {**RED, "when": {**WHEN, "for": 2000}}, ["0 10", "1 S 0", "2 S 1", "3 S 0", "4 S 0", "6 12"],
        ["0 raised unacknowledged red", "5 suppressed suppressed red"]),
    "when: a newest reading older than max_age is not evaluated": (
        {**RED, "when": WHEN, "max_age": 2000}, ["0 S 0", "0 10", "1 S 0", "2.5 S 0", "4.5 S 1"], []),
    # covers
    "a shelf hides and ends by time with the condition true as unacknowledged": (
        SHELF, ["0 5", "1 !ack", "2 !shelve 5s works", "3 !shelve 5s works", "9 5"],
        ["0 raised unacknowledged orange", "1 acknowledged acknowledged orange", "2 shelved shelved orange",
         "7 unshelved unacknowledged orange"]),
    "a shelf ends by a higher level": (
        SHELF, ["0 5", "1 !shelve 1h works", "2 4", "3 10"],
        ["0 raised unacknowledged orange", "1 shelved shelved orange", "2 cleared shelved orange",
         "3 unshelved returned orange", "3 raised unacknowledged red 2"]),
    "a shelf over nothing takes the level of its first raise": (
        SHELF, ["0 0", "1 !shelve 1h works", "2 6", "3 10"],
        ["1 shelved shelved None", "2 raised shelved orange", "3 unshelved unacknowledged orange",
         "3 escalated unacknowledged red"]),
    "a limit that is not shelvable ends a shelf and refuses one": (
        TWO, ["0 0", "1 !shelve 1h works", "2 11", "3 !shelve 1h works"],
        ["1 shelved shelved None", "2 unshelved normal None", "2 raised unacknowledged red"]),
    "twelve hours and a reason are the limits of a shelf": (
        SHELF, ["0 5", "1 !shelve 13h works", "2 !shelve 5s", "3 !shelve 12h works"],
        ["0 raised unacknowledged orange", "3 shelved shelved orange"]),
    "out of service has no end and shows before shelved": (
        SHELF, ["0 5", "1 !shelve 5s works", "2 !out-of-service works", "8 0", "9 !in-service"],
        ["0 raised unacknowledged orange", "1 shelved shelved orange", "2 out-of-service out-of-service orange",
         "6 unshelved out-of-service orange", "8 cleared out-of-service orange", "9 in-service returned orange"]),
    # ladder
    "a ladder is judged at exactly its time, inclusive": (
        {**TWO, **LADDER}, ["0 5", "4 5", "5 !ack", "8 0", "10 0"],
        ["0 raised unacknowledged orange", "5 overdue unacknowledged orange", "5 acknowledged acknowledged orange",
         "8 cleared normal orange"]),
    "a step lifts the level and asks again": (
        {**TWO, **LADDER}, ["0 5", "4 !ack", "9.5 4", "10 0"],
        ["0 raised unacknowledged orange", "4 acknowledged acknowledged orange", "9 overdue unacknowledged red",
         "9.5 cleared returned red"]),
    "below what a ladder holds it is raised again": (
        {**TWO, "red": {"above": 20.0}, "yellow": {"above": 2.0}, **LADDER},
        ["0 3", "9.5 !ack", "10 6", "11 3", "12 0"],
        ["0 raised unacknowledged yellow", "5 overdue unacknowledged yellow", "9 overdue unacknowledged red",
         "9.5 acknowledged acknowledged red", "10 raised unacknowledged red 2", "12 cleared returned red 2"]),
    # flood, chatter
    "chatter: three raises in a minute": (
        RED, ["0 10", "1 0", "30 10", "31 0", "59 10", "60 0", "700 !ack"],
        ["0 raised unacknowledged red", "1 cleared returned red", "30 raised unacknowledged red 2", "31 cleared returned red",
         "59 raised unacknowledged red 3", "59 chatter:gateway raised", "60 cleared returned red", "90 fault:B raised",
         "659 chatter:gateway cleared", "700 acknowledged normal red"]),
    "flood: ten raises in ten minutes, until fewer than five are in them": (
        {**RED, "rules": [{"name": name, "red": {"above": 10.0}} for name in ("a", "b", "c", "d")]},
        ["0 10", "1 0", "300 10"],
        ["0 raised unacknowledged red", *(f"0 {name}:D.p raised" for name in "abcd"),
         "1 cleared returned red", *(f"1 {name}:D.p cleared" for name in "abcd"), "31 fault:B raised",
         "300 raised unacknowledged red", *(f"300 {name}:D.p raised" for name in "abcd"), "300 flood:gateway raised"]),
    # restart
    "restart: an on-delay and an occurrence go on": (
        {**TWO, "red": {"above": 10.0, "on_delay": 5000}}, ["0 11", "2 !restart", "7 11"],
        ["0 raised unacknowledged orange", "5 escalated unacknowledged red"]),
    "restart: an off-delay stands still until the next good reading": (
        {**RED, "off_delay": 5000}, ["0 11", "1 0", "4 !restart", "8 0", "11 0"],
        ["0 raised unacknowledged red", "10 cleared returned red"]),
    "restart: twice without a reading in between, an off-delay begins anew": (
        {**RED, "off_delay": 5000}, ["0 11", "1 0", "4 !restart", "5 !restart", "8 0", "13 0"],
        ["0 raised unacknowledged red", "13 cleared returned red"]),
    "restart: when going false stands still until its next good reading": (
        {**RED, "when": {**WHEN, "for": 5000}}, ["0 11", "1 S 0", "4 !restart", "8 S 0", "11 11"],
        ["0 raised unacknowledged red", "10 suppressed suppressed red"]),
    "restart: nothing is stale by it": (
        {**RED, "on_fault": "trip"}, ["0 1", "15 !restart", "36 1"], ["35 raised unacknowledged red", "36 cleared"]),
    "restart: latches, shelves and ladders go on": (
        {**LATCHED_RED, "shelvable": True, "escalate": [{"after": 9000, "unless": "cleared"}]},
        ["0 11", "1 0", "2 !shelve 5s works", "3 !restart", "10 0"],
        ["0 raised unacknowledged red", "1 latched latched red", "2 shelved shelved red", "7 unshelved latched red",
         "9 overdue latched red"]),
    "restart: a dose is refilled, another window is empty": (
        {"measure": {"type": "max", "window": 10000}, **RED}, ["0 11", "1 !restart", "2 0"],
        ["0 raised unacknowledged red", "2 cleared returned red"]),
    # reload
    "reload: a limit that moves below the newest reading trips at once": (
        {**RED, "then": {"red": {"above": 8.0}}}, ["0 9", "1 !reload", "2 9"], ["1 raised unacknowledged red"]),
    "reload: a limit that moves above it returns only by a reading": (
        {**RED, "then": {"red": {"above": 20.0}}}, ["0 11", "1 !reload", "2 11"],
        ["0 raised unacknowledged red", "2 cleared returned red"]),
    "reload: limits of another level are the same in order": (
        {**RED, "then": {"orange": {"above": 8.0}}}, ["0 11", "1 !reload", "2 7"],
        ["0 raised unacknowledged red", "1 lowered unacknowledged orange", "2 cleared returned orange"]),
    "reload: without its tripped limit the occurrence is retired": (
        {**TWO, "orange": {"above": 5.0, "on_delay": 9000}, "then": {"orange": {"above": 5.0, "on_delay": 9000}}},
        ["0 11", "1 !reload", "10 11"],
        ["0 raised unacknowledged red", "1 retired normal red", "9 raised unacknowledged orange 1"]),
    "reload: a running on-delay keeps its start": (
        {**RED, "on_delay": 9000, "then": {**RED, "on_delay": 4000}}, ["0 11", "2 !reload", "5 11"],
        ["4 raised unacknowledged red"]),
    "reload: without `when` what it suppressed is judged": (
        {**RED, "when": WHEN, "then": RED}, ["0 11", "1 S 0", "2 !reload", "3 11"],
        ["0 raised unacknowledged red", "1 suppressed suppressed red", "2 unsuppressed returned red",
         "2 raised unacknowledged red 2"]),
    "reload: the newest reading settles a new `when`": (
        {**RED, "then": {**RED, "when": WHEN}}, ["0 S 0", "1 11", "2 !reload", "3 11"],
        ["1 raised unacknowledged red", "2 suppressed suppressed red"]),
    "reload: a latch holds until reset though the limit latches no longer": (
        {**LATCHED_RED, "then": TWO}, ["0 11", "1 0", "2 !reload", "3 0", "4 !reset"],
        ["0 raised unacknowledged red", "1 latched latched red", "4 reset normal red"]),
    "reload: fewer votes needed trip at once": (
        {**RED, "points": ["D.[pq]"], "vote": 2, "then": {**RED, "points": ["D.[pq]"], "vote": 1}},
        ["0 11", "0 Q 0", "1 !reload"], ["1 raised unacknowledged red"]),
})


def votes(states, kept=()):
    """2oo3: each member says `calm`, `votes` or is `bad`; those of `kept` vote before they go bad."""
    names = ["", "Q ", "T "]
    before = [f"0 {name}{20 if place in kept else 0}" for place, name in enumerate(names)]
    words = {"calm": "0", "votes": "20", "bad": "- bad:exception"}
    return before + [f"1 {name}{words[state]}" for name, state in zip(names, states) if state != "calm"]


def vote_problems():
    """All 27 of 2oo3 for each `on_bad`, against the sentence of the contract, also where bad ones had voted."""
    for on_bad, states in itertools.product(("degrade", "trip", "abstain"), itertools.product(("calm", "votes", "bad"),
                                                                                              repeat=3)):
        for keeps in (False, True):
            kept = [place for place, state in enumerate(states) if state == "bad"][:1] if keeps else []
            rule = {"points": ["D.[pqt]"], "vote": 2, "on_bad": on_bad, **RED}
            events = naive.replay(plant(rule), [row(each) for each in votes(states, kept)])
            bad = states.count("bad") - len(kept)
            voting = states.count("votes") + len(kept)
            needed = {"degrade": max(1, 2 - bad)}.get(on_bad, 2)
            raised = voting + (bad if on_bad == "trip" else 0) >= needed
            fault = 3 - states.count("bad") < 2
            found = [event["rule"] for event in events if event["event"] == "raised"]
            if ("r" in found, "r.fault" in found) != (raised, fault):
                yield f"2oo3 {on_bad} {states} kept {kept}: {found}"


def two_of_two_problems():
    """2oo2 with one bad member is never silent about danger at the other."""
    for on_bad, expected in (("degrade", "r"), ("trip", "r"), ("abstain", "r.fault")):
        rule = {"points": ["D.[pq]"], "vote": 2, "on_bad": on_bad, **RED}
        events = naive.replay(plant(rule), [row(each) for each in ("0 0", "0 Q 0", "1 - bad:comm", "2 Q 20")])
        if expected not in [event["rule"] for event in events if event["event"] == "raised"]:
            yield f"2oo2 {on_bad} is silent"


def no_evidence_problems():
    """The exposure of members that have only been inhibited is unknown, not 0; of the others the lower bound is told."""
    rule = {"points": ["D.[pq]"], "vote": 1, "shelvable": True, **STEL}
    rows = ["0 5 uncertain:calibration", "0 Q 5", "30 Q 5"]
    events = naive.replay(plant(rule), [row(each) for each in rows] + [["30", "!shelve", "r _ 1h works"]])
    values = [member["value"] for member in events[-1]["members"]]
    if events[-1]["event"] != "shelved" or values != [None, 5.0 * 30 / 900]:
        yield f"without evidence: {events[-1]}"


def plant(rule):
    rule = {key: value for key, value in rule.items() if key != "then"}
    age, further = rule.pop("max_age", 20000), rule.pop("rules", [])
    points = [{"name": name, "range": [0.0, 100.0], "kind": "other", "max_age": age} for name in "pqt"]
    points.append({"name": "s", "range": None, "kind": "state", "max_age": 86400000})
    return {"buses": [{"name": "B", "fault_delay": 10000}],
            "devices": [{"id": "D", "bus": "B", "zone": "Z", "points": points}],
            "rules": [{"name": "r", "points": ["D.p"], **rule}] + [{"points": ["D.p"], **each} for each in further]}


def row(text):
    time, *words = text.split()
    if words[0] in ("!restart", "!reload"):
        return [time, words[0], "then.conf" if words[0] == "!reload" else ""]
    if words[0].startswith("!"):
        return [time, words[0], " ".join(["r", "D.p", *words[1:]])]
    point = {"Q": "D.q", "T": "D.t", "S": "D.s"}.get(words[0], "D.p")
    value, quality = ([word for word in words if word not in "QTS"] + [""])[:2]
    return [time, point, "" if value == "-" else value, quality]


def shown(event):
    second = f"{naive.parse_time(event['time']) / 1000:g}"
    if event["rule"] == "r":
        return f"{second} {event['event']} {event['state']} {event['level']} {event['count']}"
    where = f"{event['device']}.{event['point']}" if event["point"] else event["device"]
    return f"{second} {event['rule']}:{where} {event['event']}"


def run(rule, rows):
    with tempfile.TemporaryDirectory(prefix="davy-model-") as folder:
        folder = pathlib.Path(folder)
        (folder / "then.json").write_text(json.dumps(plant(rule.get("then", rule))), encoding="utf-8")
        return naive.replay(plant(rule), [row(each) for each in rows], None, folder)


def main():
    failed = 0
    for name, (rule, rows, expected) in CASES.items():
        found = [shown(event) for event in run(rule, rows)]
        alike = [(have + " ").startswith(want + " ") for have, want in zip(found, expected)]
        right = len(found) == len(expected) and all(alike)
        failed += not right
        if not right:
            print(f"{name}:\n  expected {expected}\n  found    {found}")
    problems = [*vote_problems(), *two_of_two_problems(), *no_evidence_problems()]
    for problem in problems:
        print(problem)
    print(f"{len(CASES) - failed} passed, {failed + len(problems)} failed")
    return 1 if failed or problems else 0


if __name__ == "__main__":
    sys.exit(main())
