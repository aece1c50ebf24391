#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""naive.py against histories worked out by hand from the alarm semantics. Each case: rule, rows, events expected.

A row is `second value [quality]` of point D.p (`Q value` of the second point D.q), or `second !verb`. An event is
`second event state level`, of the rule; built-in alarms are written `second RULE:WHERE event`.
"""
import sys

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


def plant(rule):
    points = [{"name": name, "range": [0.0, 100.0], "kind": "other", "max_age": 20000} for name in "pq"]
    return {"buses": [{"name": "B", "fault_delay": 10000}],
            "devices": [{"id": "D", "bus": "B", "zone": "Z", "points": points}],
            "rules": [{"name": "r", "points": ["D.p"], **rule}]}


def row(text):
    time, *words = text.split()
    if words[0].startswith("!"):
        return [time, words[0], "r D.p"]
    point = "D.q" if words[0] == "Q" else "D.p"
    value, quality = ([word for word in words if word != "Q"] + [""])[:2]
    return [time, point, value.replace("-", "") if value == "-" else value, quality]


def shown(event):
    second = f"{naive.parse_time(event['time']) / 1000:g}"
    if event["rule"] == "r":
        return f"{second} {event['event']} {event['state']} {event['level']} {event['count']}"
    where = f"{event['device']}.{event['point']}" if event["point"] else event["device"]
    return f"{second} {event['rule']}:{where} {event['event']}"


def main():
    failed = 0
    for name, (rule, rows, expected) in CASES.items():
        found = [shown(event) for event in naive.replay(plant(rule), [row(each) for each in rows])]
        alike = [(have + " ").startswith(want + " ") for have, want in zip(found, expected)]
        right = len(found) == len(expected) and all(alike)
        failed += not right
        if not right:
            print(f"{name}:\n  expected {expected}\n  found    {found}")
    print(f"{len(CASES) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
