#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The alarm semantics once more, slow and plain: a second opinion on `davyctl replay`.

naive.py --config PLANT.json --input TRACE.csv [--until TIME] prints one event per line, a subset of the keys of
`davy.alarm/1`.

Nothing here is clever on purpose. Every pending timer is looked for anew at each step, whole histories are kept, windows
are worked out from all readings each time (plain.py), and times are whole milliseconds. Choices where two readings were
possible carry the word CHOICE.
"""
import argparse
import csv
import fnmatch
import json
import sys

from alarms import (CHOICES, Chatter, Fault, Flood, Gate, Inhibit, RuleAlarm, VoteAlarm, VoteFault)
from plain import LEVELS, MEASURES, Bus, Device, Reading, parse_span, parse_time, print_time

__all__ = ["CHOICES", "KEYS", "Engine", "parse_time", "print_time", "replay"]

NO_ANSWER = ("comm", "stale")

KEYS = ("seq", "event", "state", "previous_state", "level", "previous_level", "active", "acknowledged", "latched",
        "uncertain", "time", "raised_at", "count", "rule", "device", "point", "value", "limit", "condition", "quality",
        "reason", "first_out", "step", "members")


class Engine:
    def __init__(self, plant):
        self.events, self.raises = [], []
        self.buses = [Bus(each) for each in plant["buses"]]
        by_name = {bus.name: bus for bus in self.buses}
        self.devices = [Device(by_name[each["bus"]], each) for each in plant["devices"]]
        for device in self.devices:
            device.bus.devices.append(device)
        self.points = [point for device in self.devices for point in device.points]
        self.rule_alarms = self.make_rules(plant)
        self.make_faults()
        self.gather()

    # what there is

    def matching(self, rule):
        """CHOICE: points in the order of the devices in the file, each once, whatever the order of the globs."""
        def matches(glob, point):
            device, _, name = glob.rpartition(".")
            return fnmatch.fnmatchcase(point.device.name, device) and fnmatch.fnmatchcase(point.name, name)
        return [point for point in self.points if any(matches(glob, point) for glob in rule["points"])]

    def named(self, name, beside):
        """The point of that name; one without a dot is of the same device."""
        full = name if "." in name else f"{beside.device.name}.{name}"
        return next(point for point in self.points if point.full == full)

    def make_measure(self, rule, point):
        spec = rule.get("measure", {"type": "value"})
        other = self.named(spec["other"], point) if "other" in spec else None
        key = (spec.get("rule"), point.full)
        times = lambda: [time for time, each in self.raises if each == key]
        return MEASURES[spec["type"]](spec, point, other, times)

    def make_gate(self, rule, point):
        return Gate(rule["when"], self.named(rule["when"]["point"], point)) if "when" in rule else None

    def make_rules(self, plant):
        return [alarm for rule in plant["rules"] for alarm in self.make_rule(rule)]

    def make_rule(self, rule):
        points = self.matching(rule)
        measures = [self.make_measure(rule, point) for point in points]
        if "vote" in rule:
            return [VoteAlarm(rule, measures, self.make_gate(rule, points[0]))]
        return [RuleAlarm(rule, point.device.zone, point.device.name, point.name, [measure],
                          self.make_gate(rule, point)) for point, measure in zip(points, measures)]

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
        self.inhibits = [Inhibit(device, self.newest_of(device.points)) for device in self.devices]
        self.floods = [Flood(self.raises), Chatter(self.raises)]

    def gather(self):
        """The built-in alarms in their order."""
        self.vote_faults = [VoteFault(alarm) for alarm in self.rule_alarms if isinstance(alarm, VoteAlarm)]
        self.built_ins = self.faults + self.vote_faults + self.inhibits + self.floods

    # time

    def dues(self):
        """Everything with a due time."""
        found = [fault.due() for fault in self.built_ins]
        for alarm in self.rule_alarms:
            found += [limit.due() for limit in alarm.limits] + [alarm.step_due(), alarm.gate and alarm.gate.due()]
        found += [alarm.shelved_until for alarm in self.rule_alarms]
        return [due for due in found if due is not None]

    def fire_until(self, end, inclusive_stale):
        """Fire what is due at or before `end`; silence of an instant comes after everything else of it."""
        while True:
            dues = [(due, 0) for due in self.dues()]
            dues += [(point.stale_due(), 1) for point in self.points if point.stale_due() is not None]
            dues = [(due, rank) for due, rank in dues if due < end or (due == end and (rank == 0 or inclusive_stale))]
            if not dues:
                return
            due, rank = min(dues)
            if rank == 0:
                self.cause(due)
            else:
                # CHOICE: the stale readings of one instant are causes of their own, in the file's order of points
                point = next(point for point in self.points if point.stale_due() == due)
                self.take(point, Reading(due, None, "bad", "stale"))

    # causes

    def take(self, point, reading):
        reading.order = sum(len(each.history) for each in self.points)
        point.history.append(reading)
        self.cause(reading.time, point, reading)

    def cause(self, now, point=None, reading=None):
        """The timers of one instant, or one reading."""
        for alarm in self.rule_alarms:
            if alarm.gate and point is None:
                alarm.gate.fire(now)
            elif alarm.gate and alarm.gate.point is point:
                alarm.gate.take(reading)
        self.judge_all(now, lambda alarm: self.evaluate(alarm, now, point, reading))
        self.judge_faults(now, point, reading)
        self.judge_built_ins(now)
        inhibited = {self.point_fault[point] for each in self.inhibits for point in each.source.points
                     if each.inhibited(point)}
        for fault in self.faults:
            fault.remember(now, fault in inhibited)

    def judge_all(self, now, evaluate, evaluate_changed=lambda alarm: None):
        raised_before = len(self.raises)
        for alarm in self.rule_alarms:
            raises = [key for _, key in self.raises[raised_before:]]
            self.judge(alarm, now, evaluate, raises, evaluate_changed)

    def judge_built_ins(self, now):
        for each in self.vote_faults + self.inhibits:
            each.judge()
        for each in self.floods:
            each.judge(now)
        for each in self.built_ins:
            self.settle(each, now)

    def judge_faults(self, now, point, reading):
        if point is None:
            for fault in self.faults:
                fault.fire(now)
            return
        device = point.device
        self.bus_fault[device.bus].take(now, reading.reason in NO_ANSWER, "bus", (device.name, now))
        self.device_fault[device].take(now, reading.bad, point)
        self.point_fault[point].take(now, reading.bad, point)

    def judge(self, alarm, now, evaluate, raises, evaluate_changed):
        """What one cause does to one alarm of a rule, in the order of its events."""
        if alarm.shelved_until is not None and alarm.shelved_until <= now:
            self.act(alarm, now, alarm.unshelve)
        before = self.standing(alarm)  # of `unshelved`, should the limits end the shelf
        if alarm.settle_gate():
            self.flip(alarm, now)
            before = self.standing(alarm)
            if alarm.applies():
                self.count_raises(alarm, now, raises)
                alarm.evaluate_newest(now)
        elif alarm.applies():
            evaluate_changed(alarm)
            for limit in alarm.limits:
                limit.fire(now)  # what is due is due, also where a raise of this instant comes behind it
            self.count_raises(alarm, now, raises)
            evaluate(alarm)
        if alarm.ends_shelf():
            self.end_shelf(alarm, now, before)
        self.settle(alarm, now)
        alarm.last_limit = alarm.shown()
        self.climb(alarm, now)

    def flip(self, alarm, now):
        if alarm.applies():
            self.act(alarm, now, alarm.unsuppress)
        else:
            alarm.last_limit = alarm.shown()
            alarm.untrip()
            self.act(alarm, now, alarm.suppress)

    @staticmethod
    def count_raises(alarm, now, raises):
        """occurrences: what has been raised in this cause already."""
        for point in alarm.points:
            if alarm.measures[0].type == "occurrences" and (alarm.measures[0].spec["rule"], point.full) in raises:
                alarm.evaluate_raise(now, point)

    @staticmethod
    def evaluate(alarm, now, point, reading):
        if point is None:
            for limit in alarm.limits:
                limit.fire(now)
        elif point in alarm.points:
            alarm.evaluate(now, reading)

    @staticmethod
    def standing(alarm):
        """What is so before the limits see the cause."""
        details = alarm.details()
        return alarm.active, alarm.shown(), {key: details[key] for key in ("latched", "uncertain")}

    def end_shelf(self, alarm, now, before):
        """`unshelved` with the condition and level of before, though value and quality are the newest."""
        active, shown, told = before
        alarm.last_limit, details = shown, alarm.details(shown)
        details.update(told)
        now_active, alarm.active = alarm.active, active
        alarm.asking = shown
        self.act(alarm, now, alarm.unshelve, details)
        alarm.asking, alarm.active = None, now_active

    def settle(self, alarm, now):
        self.act(alarm, now, alarm.settle)

    def climb(self, alarm, now):
        """The steps of the ladder that are due, one `overdue` each."""
        while alarm.step_due() is not None and alarm.step_due() <= now:
            step = alarm.steps[alarm.steps_done]
            alarm.steps_done += 1
            if alarm.skips(step):
                continue
            if alarm.raise_floor(step):
                if alarm.ends_shelf():
                    self.act(alarm, now, alarm.unshelve)  # CHOICE: also where it is the ladder that raises the level
                alarm.level = alarm.floor
                self.act(alarm, now, lambda: alarm.ask_again() or "overdue", step=alarm.steps_done)
            else:
                self.act(alarm, now, lambda: "overdue", step=alarm.steps_done)

    # restart and reload

    def restart(self, now):
        """The daemon is killed and started in no time: what is in its memory goes on."""
        for point in self.points:
            point.restart(now)
        for alarm in self.rule_alarms:
            alarm.restart(now)
        for fault in self.faults:
            fault.restart(now)
        for alarm in self.built_ins:
            alarm.lasting = sum(len(point.history) for point in self.points)

    def reload(self, now, plant):
        """Other rules; buses and devices are the same."""
        old, old_faults = self.rule_alarms, self.vote_faults
        key = lambda alarm: (alarm.rule, alarm.full)
        self.rule_alarms = self.make_rules(plant)
        new = {key(alarm): alarm for alarm in self.rule_alarms}
        for alarm in old:
            if key(alarm) not in new:
                self.act(alarm, now, alarm.retire)
            elif new[key(alarm)].loses_all(alarm):
                self.end_occurrence(alarm, now)
        self.gather()
        faults = {alarm.rule: alarm for alarm in self.vote_faults}
        for fault in old_faults:
            if fault.rule in faults:
                faults[fault.rule].adopt(fault, now)
            else:
                self.act(fault, now, fault.retire)
        before = {key(alarm): alarm for alarm in old}
        for alarm in self.rule_alarms:
            if key(alarm) in before:
                alarm.adopt(before[key(alarm)], now)
            else:
                alarm.begin(now)
        self.judge_all(now, lambda alarm: None, lambda alarm: self.evaluate_changed(alarm, now))
        self.judge_built_ins(now)
        for fault in self.faults:
            fault.told = fault.runs(now)  # all that runs is remembered anew

    def end_occurrence(self, alarm, now):
        """All tripped limits go: the occurrence ends, a cover stays."""
        cover = (alarm.shelved_until, alarm.shelved_level, alarm.out_of_service)
        def end():
            event = alarm.retire()
            alarm.shelved_until, alarm.shelved_level, alarm.out_of_service = cover
            return event
        self.act(alarm, now, end)

    @staticmethod
    def evaluate_changed(alarm, now):
        """CHOICE: before a return that is due, because its delay is shorter now: the trip side cancels it."""
        alarm.evaluate_changed(now)
        alarm.hold_level()
        alarm.changed = []

    # commands

    def command(self, now, verb, text):
        """A refused command is no event."""
        rule, full, *words = text.split()
        alarm = next(each for each in self.rule_alarms if (each.rule, each.full) == (rule, full))
        reason = " ".join(words[1:] if verb == "shelve" else words)
        actions = {"ack": alarm.ack, "reset": alarm.reset, "unshelve": alarm.unshelve, "in-service": alarm.put_back,
                   "shelve": lambda: alarm.shelve(now, parse_span(words[0]), reason),
                   "out-of-service": lambda: alarm.take_out(reason)}
        self.act(alarm, now, actions[verb])
        alarm.last_limit = alarm.shown()

    # events

    def first_out(self, alarm, event, was_active):
        """CHOICE: any `raised`, also one again, is first where no alarm of a rule is active in the zone."""
        others = [each for each in self.rule_alarms if each is not alarm and each.zone == alarm.zone and each.active]
        return event == "raised" and not alarm.built_in and not was_active and not others

    @staticmethod
    def told_level(alarm):
        """The occurrence's, and where nothing is tripped any more, or not judged, the one that it had.

        CHOICE: that is the one told last. A reload that takes the limit of a latch lowers the level without an event:
        what people see stands until an event tells them otherwise.
        """
        if alarm.event_level is None:
            return alarm.level
        last = LEVELS.index(alarm.event_level)
        if not alarm.tripped_levels():
            return last
        return max(last, alarm.level) if alarm.state == "suppressed" else alarm.level

    def act(self, alarm, now, action, details=None, step=None):
        """Let an alarm do something, and tell it where it is an event."""
        was_state, was_below, was_active = alarm.shown_state, alarm.state, alarm.active
        event = action()
        if event is None:
            return
        occurrence = was_below != "normal" or alarm.state != "normal"
        if event == "raised" and alarm.count == 1:
            # CHOICE: raised_at is the first raise of the occurrence
            alarm.raised_at, alarm.event_level, alarm.steps_done, alarm.floor = now, None, 0, None
        if event == "raised" and not alarm.built_in:
            self.raises.append((now, (alarm.rule, alarm.full)))
        told = {
            "seq": len(self.events) + 1, "event": event, "state": alarm.shown_state, "previous_state": was_state,
            "level": LEVELS[self.told_level(alarm)] if occurrence else None,
            "previous_level": alarm.event_level if occurrence else None, "active": alarm.active,
            "acknowledged": alarm.acknowledged and occurrence,
            "time": print_time(now), "raised_at": print_time(alarm.raised_at) if occurrence else None,
            "count": alarm.count if occurrence else 0, "rule": alarm.rule, "device": alarm.device,
            "point": alarm.point, **(details or alarm.details()),
            "first_out": self.first_out(alarm, event, was_active), "step": step}
        if not occurrence:
            told.update({"limit": None, "condition": None, "uncertain": False})
        self.events.append({**{key: told[key] for key in KEYS}, "lost": alarm.lost()})
        alarm.event_level = told["level"]
        if alarm.state == "suppressed":
            alarm.level = LEVELS.index(told["level"])  # that is what it keeps
        if event == "shelved":
            alarm.shelved_level = LEVELS.index(told["level"]) if occurrence else None


def read_rows(path):
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    return rows[1:]


def replay(plant, rows, until=None, folder=None):
    """All events of a trace, as a list of dictionaries."""
    engine = Engine(plant)
    points = {point.full: point for point in engine.points}
    time = None
    for row in rows:
        time = parse_time(row[0])
        engine.fire_until(time, inclusive_stale=False)
        if row[1] == "!restart":
            engine.restart(time)
            continue
        if row[1] == "!reload":
            with open((folder / row[2]).with_suffix(".json"), encoding="utf-8") as file:
                engine.reload(time, json.load(file))
            continue
        if row[1].startswith("!"):
            engine.command(time, row[1][1:], row[2])
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
        print(json.dumps({key: event[key] for key in KEYS}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
