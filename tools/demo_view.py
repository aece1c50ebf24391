#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Show what a gateway publishes as lines for people: `topic TAB payload` in, alarms and values out.

usage: mosquitto_sub -t 'davy/v1/#' -F '%t\t%p' | demo_view.py
"""
import collections
import json
import os
import shutil
import sys

COLOURS = {"blue": "34", "yellow": "33", "orange": "38;5;208", "red": "1;31", "green": "32", "dim": "2", "bold": "1"}
EVENTS_SHOWN = ("raised", "escalated", "cleared")


def printable(text):
    """Foreign text without what could steer a terminal."""
    return "".join(c if c.isprintable() else "?" for c in str(text))


def units_of(text):
    """{DEVICE.POINT: unit} from the answer of `davyctl --json points`; empty where it says no such thing."""
    try:
        answer = json.loads(text)
    except ValueError:
        return {}
    rows = answer.get("points", []) if isinstance(answer, dict) else answer
    rows = [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
    return {row.get("point") or row.get("name"): row.get("unit") or "" for row in rows}


class View:
    def __init__(self, out):
        self.out = out
        self.coloured = out.isatty() and not os.environ.get("NO_COLOR")
        self.units = {}
        self.values = {}
        self.zones = {}
        self.counts = collections.Counter()
        self.by_alarm = collections.defaultdict(set)
        self.seen = set()

    def paint(self, text, colour):
        code = COLOURS.get(colour)
        return f"\x1b[{code}m{text}\x1b[0m" if self.coloured and code else text

    def say(self, text=""):
        self.out.write(text + "\n")
        self.out.flush()

    def line(self, raw):
        """One `topic TAB payload`; an empty payload clears a retained message and says nothing new."""
        topic, _, payload = raw.decode("utf-8", "replace").rstrip("\n").partition("\t")
        if not payload:
            return
        try:
            body = json.loads(payload)
            schema = body["schema"].split("/")[0]
            show = {"davy.alarm": self.alarm, "davy.zone": self.zone, "davy.telemetry": self.telemetry}.get(schema)
            if show:
                show(body)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            self.say(f"unreadable message on {printable(topic)}: {error!r}")

    def alarm(self, body):
        # delivery is at least once: (gateway, seq) names an event; without a seq it is a preview of one that follows
        key = (body["gateway"], body["seq"])
        if body["seq"] is None or key in self.seen:
            return
        self.seen.add(key)
        self.counts[body["event"]] += 1
        self.by_alarm[body["id"]].add(body["event"])
        point = f"{body['device'] or '_'}.{body['point'] or '_'}"
        level = self.paint(f"{(body['level'] or '-').upper():7}", body["level"])
        self.say(f"{body['time'][11:23]}  {level} {printable(body['event']):12} {printable(point):18} "
                 f"{printable(body['message'] or body['rule'])}")

    def zone(self, body):
        before, self.zones[body["zone"]] = self.zones.get(body["zone"]), body["colour"]
        if before != body["colour"]:
            colour = self.paint(printable(body["colour"]).upper(), body["colour"])
            self.say(f"{body['since'][11:23] if body['since'] else '':12}  zone {printable(body['zone'])} is {colour}")

    def telemetry(self, body):
        for reading in body["readings"]:
            point = reading["point"]
            if body["device"] and not point.startswith(body["device"] + "."):
                point = f"{body['device']}.{point}"
            self.values[point] = reading

    def cell(self, point):
        reading = self.values[point]
        value = "-" if reading["value"] is None else f"{reading['value']:.4g}"
        text = f"{printable(point):18} {value:>8} {printable(self.units.get(point, '')):6}"
        if reading["quality"] == "good":
            return text + " " * 10, text + " " * 10
        text += f" {reading['quality'][:9]:9}"
        return text, self.paint(text, "dim")

    def table(self):
        """The latest value of each point, in as many columns as the terminal has room for."""
        cells = [self.cell(point) for point in sorted(self.values)]
        if not cells:
            self.say(self.paint("no values yet", "dim"))
            return
        columns = max(1, min(4, shutil.get_terminal_size((120, 24)).columns // (max(len(c[0]) for c in cells) + 2)))
        self.say(self.paint(f"--- {len(cells)} points", "bold"))
        for start in range(0, len(cells), columns):
            self.say("  " + "  ".join(shown for _, shown in cells[start:start + columns]).rstrip())

    def complete(self):
        """True when one and the same alarm was raised, escalated and cleared."""
        return any(events.issuperset(EVENTS_SHOWN) for events in self.by_alarm.values())

    def summary(self):
        return "alarms: " + ", ".join(f"{self.counts[event]} {event}" for event in EVENTS_SHOWN)


def main():
    view = View(sys.stdout)
    for count, raw in enumerate(sys.stdin.buffer, 1):
        view.line(raw)
        if count % 50 == 0:
            view.table()
    view.say(view.summary())


if __name__ == "__main__":
    main()
