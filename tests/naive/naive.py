#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The alarm semantics once more, slow and plain: a second opinion on `davyctl replay`.

naive.py --config PLANT.json --input TRACE.csv [--until TIME] prints one event per line, a subset of the keys of
`davy.alarm/1`.

In scope: measure `value`; above, below, outside, equals; levels, deadband, delays, latch, acknowledge, on_fault; range
checks, stale; the built-in alarms `fault` and `inhibit`; commands ack and reset. Out of scope: everything else.

Nothing here is clever on purpose. Every pending timer is looked for anew at each step, whole histories are kept,
and times are whole milliseconds. Choices where two readings were possible carry the word CHOICE.
"""
import argparse
import csv
import datetime
import fnmatch
import json
import math
import sys

LEVELS = ["blue", "yellow", "orange", "red"]
EPOCH = datetime.datetime(1970, 1, 1)
HELD = ("warm-up", "calibration")
NO_ANSWER = ("comm", "stale")
IN_A_ROW = 3

# Choices that can be turned over (compare.py --choose NAME); each is the reading taken here.
CHOICES = {
    "bad_trip_is_uncertain": False,  # a limit that on_fault = trip has tripped is not told as uncertain
    "hold_zone_can_be_uncertain": True,  # an uncertain reading in the hold zone makes a standing condition uncertain
    "bad_keeps_inhibit": True,  # a bad reading is missing evidence: the last that was not bad tells of an inhibit
    "group_quality": True,  # a bus or device alarm tells quality and reason of the newest reading on it; else null
}

KEYS = ("seq", "event", "state", "previous_state", "level", "previous_level", "active", "acknowledged", "latched",
        "uncertain", "time", "raised_at", "count", "rule", "device", "point", "value", "limit", "condition", "quality",
        "reason", "first_out")


def parse_time(text):
    if "T" in text:
        moment = datetime.datetime.fromisoformat(text.replace("Z", ""))
        return (moment - EPOCH) // datetime.timedelta(milliseconds=1)
    whole, _, part = text.partition(".")
    return int(whole) * 1000 + int((part + "000")[:3])


def print_time(ms):
    return (EPOCH + datetime.timedelta(milliseconds=ms)).isoformat(timespec="milliseconds") + "Z"


class Reading:
    """What a point said at one time, after the range checks. `value` is what limits are held against."""

    def __init__(self, time, value, quality, reason):
        self.time, self.value, self.quality, self.reason = time, value, quality, reason

    @property
    def bad(self):
        return self.quality == "bad"

    @property
    def evaluated(self):
        return self.quality == "good" or (self.quality == "uncertain" and self.reason not in HELD)


class Point:
    def __init__(self, device, spec):
        self.device, self.name = device, spec["name"]
        self.full = f"{device.name}.{self.name}"
        self.range, self.max_age = spec.get("range"), spec["max_age"]
        self.history = []

    def newest(self):
        return self.history[-1] if self.history else None

    def last_evaluated(self):
        return next((reading.value for reading in reversed(self.history) if reading.evaluated), None)

    def stale_due(self):
        """When silence becomes a reading: max_age after the last one, once."""
        if not self.history or self.newest().reason == "stale":
            return None
        return self.newest().time + self.max_age

    def check_range(self, time, value, quality, reason):
        """Where several apply, the first of the list wins."""
        low, high = self.range or (-math.inf, math.inf)
        before_range = quality == "bad" or reason in HELD or reason == "over-range"
        if not before_range and self.range and low - value > 0.1 * (high - low):
            quality, reason = "bad", "under-range"
        elif not before_range and value > high:
            quality, reason = "uncertain", "over-range"
        if reason == "over-range" and self.range:
            value = high
        return Reading(time, value, quality, reason)


class Device:
    def __init__(self, bus, spec):
        self.bus, self.name, self.zone = bus, spec["id"], spec["zone"]
        self.points = [Point(self, each) for each in spec["points"]]


class Bus:
    def __init__(self, spec):
        self.name, self.fault_delay = spec["name"], spec["fault_delay"]
        self.devices = []


class Limit:
    """One limit of one alarm: its condition, which follows the readings, and its latch."""

    def __init__(self, rule, level):
        spec = rule[level]
        self.level = LEVELS.index(level)
        self.kind = next(kind for kind in ("above", "below", "outside", "equals") if kind in spec)
        self.bounds = spec[self.kind]
        option = lambda name, default: spec.get(name, rule.get(name, default))
        self.deadband = option("deadband", 0.0)
        self.on_delay, self.off_delay = option("on_delay", 0), option("off_delay", 0)
        self.latch, self.acknowledge = option("latch", False), option("acknowledge", True)
        self.trip_on_bad = option("on_fault", "hold") == "trip"
        self.condition = self.latch_holds = self.uncertain = False
        self.on_since = self.off_since = None
        # CHOICE: of `outside`, tripped by a bad reading, the bound crossed last is told, the lower one where none was
        self.crossed = self.bounds[0] if self.kind == "outside" else float(self.bounds)

    @property
    def tripped(self):
        return self.condition or self.latch_holds

    def side(self, value):
        """'trip', 'hold' (within the deadband) or 'return'."""
        if self.kind == "above":
            return "trip" if value >= self.bounds else "return" if value < self.bounds - self.deadband else "hold"
        if self.kind == "below":
            return "trip" if value <= self.bounds else "return" if value > self.bounds + self.deadband else "hold"
        if self.kind == "equals":
            return "trip" if value == float(self.bounds) else "return"
        low, high = self.bounds
        if value <= low or value >= high:
            return "trip"
        return "return" if low + self.deadband < value < high - self.deadband else "hold"

    def take(self, reading):
        """One reading; the condition changes at once only where there is no delay."""
        if reading.evaluated:
            self.take_evaluated(reading)
        elif reading.bad and self.trip_on_bad:
            if CHOICES["bad_trip_is_uncertain"]:
                self.uncertain = True
            elif not self.condition and self.on_since is None:
                self.uncertain = False
            self.on_trip_side(reading.time)
        else:
            self.off_since = None  # held: an on-delay goes on, an off-delay is cancelled

    def take_evaluated(self, reading):
        side, good = self.side(reading.value), reading.quality == "good"
        if side == "trip" or (side == "hold" and self.condition and (good or CHOICES["hold_zone_can_be_uncertain"])):
            self.uncertain = not good
        if side == "trip":
            if self.kind == "outside":
                # CHOICE: `outside` is one limit; its bound is that of the newest reading on the trip side
                self.crossed = self.bounds[0] if reading.value <= self.bounds[0] else self.bounds[1]
            self.on_trip_side(reading.time)
            return
        if good:
            self.on_since = None
        if good and side == "return" and self.condition:
            self.off_since = reading.time if self.off_since is None else self.off_since
            if self.off_delay == 0:
                self.become(False)
        else:
            self.off_since = None

    def on_trip_side(self, time):
        self.off_since = None
        if not self.condition:
            self.on_since = time if self.on_since is None else self.on_since
            if self.on_delay == 0:
                self.become(True)

    def become(self, condition):
        self.condition, self.on_since, self.off_since = condition, None, None
        self.latch_holds = self.latch and not condition

    def due(self):
        if self.on_since is not None:
            return self.on_since + self.on_delay
        if self.off_since is not None:
            return self.off_since + self.off_delay
        return None

    def fire(self, time):
        if self.due() == time:
            self.become(self.on_since is not None)


class Alarm:
    """What all alarms share: state, level, acknowledgement, count."""

    built_in = False

    def __init__(self, rule, zone, device, point):
        self.rule, self.zone, self.device, self.point = rule, zone, device, point
        self.state, self.level, self.acknowledged = "normal", None, False
        self.count, self.raised_at, self.event_level = 0, None, None
        self.active, self.active_level = False, None

    # what the kinds of alarm answer differently
    def conditions(self):
        """Levels whose condition is true."""
        raise NotImplementedError

    def latches(self):
        """Levels that only a latch holds."""
        return []

    def asks(self, level):
        """Whether somebody must acknowledge that level."""
        raise NotImplementedError

    def settle(self):
        """Compare with what stood before the cause; the name of the event, or None."""
        conditions, latches = self.conditions(), self.latches()
        level = max(conditions + latches, default=None)
        active_level = max(conditions, default=None)
        was_active, was_level, was_active_level = self.active, self.level, self.active_level
        self.active, self.active_level = bool(conditions), active_level
        if self.active and not was_active:
            return self.rise("raised", level)
        if self.active and level > was_level:
            return self.rise("escalated", level)
        if self.active and level < was_level:
            self.level = level
            return "lowered"
        if self.active and active_level > was_active_level:
            return self.rise("raised", level)  # below what a latch holds
        if was_active and not self.active:
            if latches:
                self.level, self.state = level, "latched"
                return "latched"
            self.state = "normal" if self.acknowledged else "returned"
            return "cleared"
        return None

    def rise(self, event, level):
        if event == "raised":
            self.count = 1 if self.state == "normal" else self.count + 1
        self.level = level
        self.acknowledged = not self.asks(level)
        self.state = "acknowledged" if self.acknowledged else "unacknowledged"
        return event

    def ack(self):
        if self.state not in ("unacknowledged", "returned", "latched") or self.acknowledged:
            return None
        self.acknowledged = True
        self.state = {"unacknowledged": "acknowledged", "returned": "normal", "latched": "latched"}[self.state]
        return "acknowledged"

    def reset(self):
        return None


class RuleAlarm(Alarm):
    def __init__(self, rule, point):
        super().__init__(rule["name"], point.device.zone, point.device.name, point.name)
        self.source = point
        self.limits = [Limit(rule, level) for level in LEVELS if level in rule]

    def conditions(self):
        return [limit.level for limit in self.limits if limit.condition]

    def latches(self):
        return [limit.level for limit in self.limits if limit.latch_holds]

    def limit_of(self, level):
        return next(limit for limit in self.limits if limit.level == level)

    def asks(self, level):
        return self.limit_of(level).acknowledge

    def reset(self):
        if not self.latches():
            return None
        for limit in self.limits:
            limit.latch_holds = False
        conditions = self.conditions()
        if conditions:
            # literally: reset counts as acknowledgement, yet what remains is unacknowledged
            self.rise("reset", max(conditions))
        else:
            self.state, self.acknowledged = "normal", True
        self.active, self.active_level = bool(conditions), max(conditions, default=None)
        return "reset"

    def details(self):
        limit, newest = self.limit_of(self.level), self.source.newest()
        # CHOICE: where no limit is tripped any more, nothing rests on an uncertain reading
        return {"value": self.source.last_evaluated(), "limit": limit.crossed, "condition": limit.kind,
                "quality": newest.quality, "reason": newest.reason, "uncertain": limit.tripped and limit.uncertain,
                "latched": bool(self.latches())}


class BuiltIn(Alarm):
    """Yellow, never to be acknowledged, on a bus, a device or a point. `readings` is a list that grows."""

    built_in = True

    def __init__(self, rule, zone, device, point, newest, value):
        super().__init__(rule, zone, device, point)
        self.stands, self.newest, self.value = False, newest, value

    def conditions(self):
        return [LEVELS.index("yellow")] if self.stands else []

    def asks(self, level):
        return False

    def details(self):
        newest = self.newest()
        return {"value": self.value(), "limit": None, "condition": self.rule, "quality": newest and newest.quality,
                "reason": newest and newest.reason, "uncertain": False, "latched": False}


class Fault(BuiltIn):
    """Raised `delay` after the later of the first failure and the end of a fault above; cleared by three in a row."""

    def __init__(self, zone, device, point, newest, value, delay, above):
        super().__init__("fault", zone, device, point, newest, value)
        self.delay, self.above = delay, above
        self.first_failure = self.ended = None
        self.streaks, self.counted = {}, set()

    def due(self):
        if self.stands or self.first_failure is None or any(fault.stands for fault in self.above):
            return None
        ends = [fault.ended for fault in self.above if fault.ended is not None]
        return max([self.first_failure, *ends]) + self.delay

    def fire(self, time):
        if self.due() == time:
            self.stands, self.streaks, self.counted = True, {}, set()

    def take(self, time, failed, member, key=None):
        """`member` counts for itself; successes with the same `key` count as one."""
        if failed:
            self.first_failure = time if self.first_failure is None else self.first_failure
            self.streaks[member] = 0
            return
        self.first_failure = None
        if key is not None and key in self.counted:
            return
        self.counted.add(key)
        self.streaks[member] = self.streaks.get(member, 0) + 1
        if self.stands and self.streaks[member] >= IN_A_ROW:
            self.stands, self.ended = False, time


class Inhibit(BuiltIn):
    def __init__(self, device, newest):
        super().__init__("inhibit", device.zone, device.name, None, newest, lambda: None)
        self.source = device

    def judge(self):
        self.stands = any(self.inhibited(point) for point in self.source.points)

    def inhibited(self, point):
        keeps = CHOICES["bad_keeps_inhibit"]
        known = next((reading for reading in reversed(point.history) if not (keeps and reading.bad)), None)
        return known is not None and known.reason in HELD


class Engine:
    def __init__(self, plant):
        self.buses = [Bus(each) for each in plant["buses"]]
        by_name = {bus.name: bus for bus in self.buses}
        self.devices = [Device(by_name[each["bus"]], each) for each in plant["devices"]]
        for device in self.devices:
            device.bus.devices.append(device)
        self.points = [point for device in self.devices for point in device.points]
        self.rule_alarms = [RuleAlarm(rule, point) for rule in plant["rules"] for point in self.matching(rule)]
        self.make_faults()
        self.inhibits = [Inhibit(device, self.newest_of(device.points)) for device in self.devices]
        self.alarms = self.rule_alarms + self.faults + self.inhibits
        self.events = []

    def matching(self, rule):
        """CHOICE: points in the order of the devices in the file, each once, whatever the order of the globs."""
        def matches(glob, point):
            device, _, name = glob.rpartition(".")
            return fnmatch.fnmatchcase(point.device.name, device) and fnmatch.fnmatchcase(point.name, name)
        return [point for point in self.points if any(matches(glob, point) for glob in rule["points"])]

    @staticmethod
    def newest_of(points):
        """The newest reading on a bus or device."""
        def newest():
            if not CHOICES["group_quality"]:
                return None
            readings = [point.newest() for point in points if point.history]
            return max(readings, key=lambda reading: reading.order, default=None)
        return newest

    def make_faults(self):
        none = lambda: None
        self.bus_fault = {
            bus: Fault(None, bus.name, None,
                       self.newest_of([point for device in bus.devices for point in device.points]),
                       none, bus.fault_delay, [])
            for bus in self.buses}
        self.device_fault = {
            device: Fault(device.zone, device.name, None, self.newest_of(device.points), none, device.bus.fault_delay,
                          [self.bus_fault[device.bus]])
            for device in self.devices}
        self.point_fault = {
            point: Fault(point.device.zone, point.device.name, point.name, point.newest, point.last_evaluated,
                         point.device.bus.fault_delay,
                          [self.bus_fault[point.device.bus], self.device_fault[point.device]])
            for point in self.points}
        self.faults = [*self.bus_fault.values(), *self.device_fault.values(), *self.point_fault.values()]

    # time

    def timers(self):
        """Everything with a due time, in the order in which timers of one instant act: buses, devices, points."""
        return [limit for alarm in self.rule_alarms for limit in alarm.limits] + self.faults

    def fire_until(self, end, inclusive_stale):
        """Fire what is due at or before `end`; silence of an instant comes after everything else of it."""
        while True:
            dues = [(timer.due(), 0) for timer in self.timers() if timer.due() is not None]
            dues += [(point.stale_due(), 1) for point in self.points if point.stale_due() is not None]
            dues = [(due, rank) for due, rank in dues if due < end or (due == end and (rank == 0 or inclusive_stale))]
            if not dues:
                return
            due, rank = min(dues)
            if rank == 0:
                for timer in self.timers():
                    timer.fire(due)
                self.settle(due)
            else:
                # CHOICE: the stale readings of one instant are causes of their own, in the file's order of points
                point = next(point for point in self.points if point.stale_due() == due)
                self.take(point, Reading(due, None, "bad", "stale"))

    # causes

    def take(self, point, reading):
        reading.order = sum(len(each.history) for each in self.points)
        point.history.append(reading)
        device, time = point.device, reading.time
        for alarm in self.rule_alarms:
            if alarm.source is point:
                for limit in alarm.limits:
                    limit.take(reading)
        self.bus_fault[device.bus].take(time, reading.reason in NO_ANSWER, "bus", (device.name, time))
        self.device_fault[device].take(time, reading.bad, point)
        self.point_fault[point].take(time, reading.bad, point)
        for inhibit in self.inhibits:
            inhibit.judge()
        self.settle(time)

    def command(self, time, verb, rule, full):
        """A refused command is no event."""
        for alarm in self.rule_alarms:
            if (alarm.rule, f"{alarm.device}.{alarm.point}") == (rule, full):
                before = (alarm.state, alarm.active)
                event = alarm.ack() if verb == "ack" else alarm.reset()
                self.emit(time, alarm, event, *before)

    def settle(self, time):
        for alarm in self.alarms:
            before = (alarm.state, alarm.active)
            event = alarm.settle()
            self.emit(time, alarm, event, *before)

    def first_out(self, alarm, event, was_active):
        """CHOICE: any `raised`, also one again, is first where no alarm of a rule is active in the zone."""
        others = [each for each in self.rule_alarms if each is not alarm and each.zone == alarm.zone and each.active]
        return event == "raised" and not alarm.built_in and not was_active and not others

    def emit(self, time, alarm, event, was_state, was_active):
        if event is None:
            return
        if event == "raised" and alarm.count == 1:
            # CHOICE: raised_at is the first raise of the occurrence
            alarm.raised_at, alarm.event_level = time, None
        level = LEVELS[alarm.level]
        told = {
            "seq": len(self.events) + 1, "event": event, "state": alarm.state, "previous_state": was_state,
            "level": level,
            "previous_level": alarm.event_level, "active": alarm.active, "acknowledged": alarm.acknowledged,
            "time": print_time(time), "raised_at": print_time(alarm.raised_at), "count": alarm.count,
            "rule": alarm.rule,
            "device": alarm.device, "point": alarm.point, **alarm.details(),
            "first_out": self.first_out(alarm, event, was_active)}
        self.events.append({key: told[key] for key in KEYS})
        alarm.event_level = level


def read_rows(path):
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    return rows[1:]


def replay(plant, rows, until=None):
    """All events of a trace, as a list of dictionaries."""
    engine = Engine(plant)
    points = {point.full: point for point in engine.points}
    time = None
    for row in rows:
        time = parse_time(row[0])
        engine.fire_until(time, inclusive_stale=False)
        if row[1].startswith("!"):
            rule, full = row[2].split()
            engine.command(time, row[1][1:], rule, full)
            continue
        quality, _, reason = (row[3] or "good").partition(":")
        value = float(row[2]) if row[2] else None
        point = points[row[1]]
        engine.take(point, point.check_range(time, value, quality, reason or None))
    end = time if until is None else until
    if end is not None:
        engine.fire_until(end, inclusive_stale=True)
    return engine.events


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", required=True)
    parser.add_argument("--input", required=True)
    parser.add_argument("--until")
    options = parser.parse_args()
    with open(options.config, encoding="utf-8") as file:
        plant = json.load(file)
    until = parse_time(options.until) if options.until else None
    for event in replay(plant, read_rows(options.input), until):
        print(json.dumps(event))
    return 0


if __name__ == "__main__":
    sys.exit(main())
