#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A random plant and trace for `davyctl replay` and naive.py.

generate.py --seed N --out DIR writes DIR/davyd.conf and DIR/thresholds.conf, the same plant as DIR/plant.json, and
DIR/trace.csv. Values are drawn to land on limits and on the edges of deadbands, times to land on delays,
on max_age and on fault delays.
"""
import argparse
import datetime
import json
import pathlib
import random
import sys

START_MS = 1700000000000
LEVELS = ["blue", "yellow", "orange", "red"]
RANGES = [[0.0, 100.0], [0.0, 50.0], [-10.0, 60.0], None]
BAD = ["comm", "exception", "not-a-number", "bad-value", "device-fault"]
COMMANDS = ["ack", "reset"]


# the plant

def make_points(random_, first):
    names = ["p1", "p2", "p3"][:random_.choice([1, 1, 2, 2, 3])]
    points = [{"name": name, "range": random_.choice(RANGES), "kind": "other"} for name in names]
    if first or random_.random() < 0.3:
        points.append({"name": "s1", "range": None, "kind": "state"})
    for point in points:
        point["max_age"] = random_.choice([2000, 5000, 8000, 20000, 60000])
    return points


def make_limits(random_, step):
    """One to four limits of one kind, or above and below together; milder ones at lower levels."""
    kind = random_.choice(["above", "above", "below", "outside", "both"])
    count = random_.choice([1, 2, 2, 3, 4])
    levels = sorted(random_.sample(range(4), count))
    unit = lambda n: round(n * step, 6)
    picks = sorted(random_.sample(range(4, 20), count))
    limits = {}
    for index, level in enumerate(levels):
        # steps 4..19 above the middle for `above`, as far below it for `below`
        up, down = unit(20 + picks[index]), unit(20 - picks[index])
        chosen = random_.choice(["above", "below"]) if kind == "both" else kind
        limits[LEVELS[level]] = {chosen: {"above": up, "below": down, "outside": [down, up]}[chosen]}
    return limits


def make_behaviour(random_, step, analogue):
    delays = [0, 0, 500, 1000, 2000, 5000, 12000]
    options = {"on_delay": lambda: random_.choice(delays), "off_delay": lambda: random_.choice(delays),
               "latch": lambda: random_.random() < 0.6, "acknowledge": lambda: random_.random() < 0.5,
               "on_fault": lambda: random_.choice(["hold", "trip"])}
    if analogue:
        options["deadband"] = lambda: round(random_.choice([0, 1, 1, 2, 3]) * step, 6)
    return {name: make() for name, make in options.items() if random_.random() < 0.35}


def make_rule(random_, name, plant):
    state = random_.random() < 0.15
    step = random_.choice([0.5, 0.5, 1.0, 0.1])
    devices = [device["id"] for device in plant["devices"]]
    if state:
        limits = {random_.choice(LEVELS): {"equals": random_.random() < 0.7}}
        globs = random_.choice([["D1.s1"], ["*.s1"], ["*.s?"]])
    else:
        limits = make_limits(random_, step)
        globs = random_.choice([["D1.p1"], ["*.p1"], ["*.p*"], ["D[12].p?"], [f"{random_.choice(devices)}.p*"],
                                ["*.p1", "D1.p*"]])
    rule = {"name": name, "points": globs, **make_behaviour(random_, step, not state), **limits}
    for level in limits:
        if random_.random() < 0.5:
            rule[level] = {**rule[level], **make_behaviour(random_, step, not state)}
    return rule


def make_plant(random_):
    plant = {"buses": [], "devices": [], "rules": [], "until": None}
    for number in range(random_.choice([1, 1, 2])):
        plant["buses"].append({"name": f"bus{number + 1}", "fault_delay": random_.choice([1000, 3000, 10000, 10000])})
    for number in range(random_.choice([1, 2, 2, 3])):
        plant["devices"].append({"id": f"D{number + 1}", "bus": random_.choice(plant["buses"])["name"],
                                 "zone": random_.choice(["Z1", "Z2"]), "points": make_points(random_, number == 0)})
    names = random_.sample(["low", "high", "gas.2", "zeta", "alpha"], random_.choice([1, 2, 2, 3, 4]))
    plant["rules"] = [make_rule(random_, name, plant) for name in names]
    return plant


# its configuration

def span(ms):
    return f'"{ms // 1000}s"' if ms % 1000 == 0 else f'"{ms}ms"'


def setting(name, value):
    if name in ("on_delay", "off_delay", "max_age", "fault_delay"):
        return f"{name} = {span(value)};"
    if isinstance(value, dict):
        return f"{name} = {{ {' '.join(setting(*each) for each in value.items())} }};"
    if isinstance(value, list):
        return f"{name} = [{', '.join(json.dumps(each) for each in value)}];"
    return f"{name} = {json.dumps(value)};"


def point_conf(number, point):
    state = point["kind"] == "state"
    place = f'register = {number * 2}; type = "float32";'
    if state:
        place = f'table = "discrete"; register = {number}; type = "bool";'
    range_ = setting("range", point["range"]) if point["range"] else ""
    return (f'{{ name = "{point["name"]}"; kind = "{point["kind"]}"; {place} {range_} '
            f'{setting("max_age", point["max_age"])} }}')


def device_conf(unit, device):
    points = ",\n      ".join(point_conf(number, point) for number, point in enumerate(device["points"]))
    return (f'  {{ id = "{device["id"]}"; zone = "{device["zone"]}"; bus = "{device["bus"]}"; unit = {unit};\n'
            f'    interval = "500ms"; points = (\n      {points} ); }}')


def write_conf(plant, folder):
    buses = ",\n".join(f'  {{ name = "{bus["name"]}"; type = "tcp"; host = "127.0.0.1"; port = {5020 + number}; '
                       f'{setting("fault_delay", bus["fault_delay"])} }}' for number, bus in enumerate(plant["buses"]))
    zones = ", ".join(f'{{ id = "{zone}"; name = "Zone {zone}"; }}' for zone in ("Z1", "Z2"))
    devices = ",\n".join(device_conf(unit, device) for unit, device in enumerate(plant["devices"], 1))
    rules = ",\n".join("  { " + " ".join(setting(*each) for each in rule.items()) + " }" for rule in plant["rules"])
    (folder / "davyd.conf").write_text(
        f'gateway = {{ id = "model"; site = "test"; timezone = "UTC"; }};\n'
        f'mqtt = {{ url = "mqtt://127.0.0.1:1883"; }};\nbuses = (\n{buses}\n);\nzones = ( {zones} );\n'
        f'devices = (\n{devices}\n);\n@include "thresholds.conf"\n', encoding="utf-8")
    (folder / "thresholds.conf").write_text(f"rules = (\n{rules}\n);\n", encoding="utf-8")
    (folder / "plant.json").write_text(json.dumps(plant, indent=1), encoding="utf-8")


# its trace

def interesting_values(plant, device, point):
    """Limits, edges of deadbands and of the range, and their neighbours."""
    values = [0.0, 20.0]
    for rule in plant["rules"]:
        for level in (each for each in LEVELS if each in rule):
            limit = rule[level]
            deadband = limit.get("deadband", rule.get("deadband", 0.0))
            bounds = next((limit[kind] for kind in ("above", "below", "outside") if kind in limit), [])
            for bound in bounds if isinstance(bounds, list) else [bounds]:
                values += [bound, bound, bound - deadband, bound + deadband, bound - deadband - 0.25,
                           bound + deadband + 0.25, bound - 0.25, bound + 0.25]
    if point["range"]:
        low, high = point["range"]
        tenth = (high - low) / 10
        values += [low, high, high, high + 0.25, high + 9, low - tenth, low - tenth - 0.25]
    return values


class Weather:
    """What is the matter with a bus, a device or a point, for a few polls at a time."""

    def __init__(self, random_, kinds, chance):
        self.random, self.kinds, self.chance = random_, kinds, chance
        self.left, self.kind = 0, None

    def step(self):
        if self.left == 0:
            self.kind = None
            if self.random.random() < self.chance:
                self.kind, self.left = self.random.choice(self.kinds), self.random.choice([1, 2, 3, 6, 12])
        self.left = max(0, self.left - 1)
        return self.kind


UNCERTAIN = ["uncertain:settling", "uncertain:no-status", "uncertain:over-range"]
HELD = ["uncertain:warm-up", "uncertain:calibration"]


class Trace:
    def __init__(self, random_, plant):
        self.random, self.plant, self.time, self.rows = random_, plant, START_MS, []
        bad = [f"bad:{reason}" for reason in BAD]
        self.bus = {bus["name"]: Weather(random_, ["bad:comm"], 0.05) for bus in plant["buses"]}
        self.device = {device["id"]: Weather(random_, ["bad:comm", "bad:exception", "bad:device-fault", *HELD], 0.04)
                       for device in plant["devices"]}
        self.point, self.values = {}, {}
        for device in plant["devices"]:
            for point in device["points"]:
                full = f"{device['id']}.{point['name']}"
                self.point[full] = Weather(random_, bad + UNCERTAIN + HELD + ["good:maintenance"], 0.12)
                self.values[full] = interesting_values(plant, device, point)
        self.steps = self.interesting_steps()

    def interesting_steps(self):
        steps = [0, 0, 250, 500, 500, 500, 1000, 1000, 2000]
        for rule in self.plant["rules"]:
            for group in [rule, *(rule[level] for level in LEVELS if level in rule)]:
                delays = [group[name] for name in ("on_delay", "off_delay") if group.get(name)]
                steps += delays + [delay - 250 for delay in delays]
        steps += [bus["fault_delay"] for bus in self.plant["buses"]]
        ages = [point["max_age"] for device in self.plant["devices"] for point in device["points"]]
        steps += self.random.sample(ages, 1) + [self.random.choice(ages) + 250]
        return steps

    def stamp(self):
        if self.random.random() < 0.5:
            return f"{self.time // 1000}" if self.time % 1000 == 0 else f"{self.time // 1000}.{self.time % 1000:03}"
        moment = datetime.datetime(1970, 1, 1) + datetime.timedelta(milliseconds=self.time)
        return moment.isoformat(timespec="milliseconds") + "Z"

    def read(self, device, point):
        full = f"{device['id']}.{point['name']}"
        quality = self.bus[device["bus"]].kind or self.device[device["id"]].kind or self.point[full].step() or \
            self.random.choice(["good", "good", ""])
        if quality == "uncertain:over-range" and not point["range"]:
            quality = "uncertain:settling"
        if point["kind"] == "state":
            value = self.random.choice(["0", "1"])
        else:
            value = repr(round(self.random.choice(self.values[full]), 6))
        self.rows.append([self.stamp(), full, "" if quality.startswith("bad:") else value, quality])

    def poll(self):
        device = self.random.choice(self.plant["devices"])
        self.bus[device["bus"]].step()
        self.device[device["id"]].step()
        points = device["points"] if self.random.random() < 0.6 else [self.random.choice(device["points"])]
        for point in points:
            self.read(device, point)

    def command(self, alarms):
        rule, full = self.random.choice(alarms)
        row = [self.stamp(), f"!{self.random.choice(COMMANDS)}", f"{rule} {full}"]
        self.rows.append(row + [""] if self.random.random() < 0.5 else row)

    def fill(self, alarms):
        alarms = self.random.sample(alarms, min(3, len(alarms)))
        for _ in range(self.random.randint(20, 90)):
            if self.rows:
                self.time += self.random.choice(self.steps)
            if alarms and self.random.random() < 0.15:
                self.command(alarms)
            else:
                self.poll()
        if self.random.random() < 0.5:
            self.plant["until"] = self.time + self.random.choice([0, 500, 2000, 5000, 10000, 20000, 60000])


def make(seed, folder):
    """Write one case; the plant and the rows, as naive.py wants them."""
    import naive  # only to know which alarms there are
    random_ = random.Random(seed)
    plant = make_plant(random_)
    alarms = [(alarm.rule, f"{alarm.device}.{alarm.point}") for alarm in naive.Engine(plant).rule_alarms]
    trace = Trace(random_, plant)
    trace.fill(alarms)
    folder.mkdir(parents=True, exist_ok=True)
    write_conf(plant, folder)
    lines = [["time", "point", "value", "quality"], *trace.rows]
    (folder / "trace.csv").write_text("".join(",".join(line) + "\n" for line in lines), encoding="utf-8")
    return plant, trace.rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    options = parser.parse_args()
    make(options.seed, options.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
