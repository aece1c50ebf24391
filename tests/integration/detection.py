#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The detection times that `davyd --check` prints hold: random steps of registers on serial lines with dead devices, none later.

Lines of different speeds and intervals, each with none, one or three devices that fall silent, answer late or garble their replies,
and come back, again and again. On each living device in turn the register steps at a random phase; its alarm must be at an MQTT
subscriber within what the plan says for so many dead devices, and the allowance: ALLOWANCE_S for the way from the evaluator over disk
and broker, and what a thread beside sees the machine itself be late meanwhile. Where the machine stood still for so long that living
devices seem dead, a step does not count.

usage: detection.py [--steps N] [--seed S]      exit 0, 1 (a step was later), 77 (skipped: no broker, or a machine too busy)
"""
import argparse
import bisect
import dataclasses
import json
import random
import re
import shutil
import subprocess
import sys
import threading
import time

from plant import BASE, DAVYD, MOSQUITTO, Plant, free_ports, wait_for

ALLOWANCE_S = 0.25
STALL_S = 0.03  # with that devices of a timeout of 100 ms seem dead that are not
PROBED_S = 8  # and are only probed for up to so long
TIME_LIMIT_S = 420
LIVING = 6
MORTAL = 3
FAULTS = ("timeout", "timeout", "late 150", "garbage", "truncate")


@dataclasses.dataclass
class Line:
    name: str
    baud: int
    parity: str
    interval_ms: int
    turn_ms: int
    dead: int  # at once, at the most
    retries: int = 1
    on_delay: str = "0s"
    type: str = "rtu"
    connections: int = 1


LINES = (
    Line("calm", 9600, "none", 700, 5, 0),
    Line("one", 9600, "even", 800, 5, 1),
    Line("three", 19200, "none", 500, 10, 3),
    Line("quick", 115200, "none", 150, 2, 1),
    Line("retries", 19200, "even", 600, 20, 1, retries=3),
    Line("none", 38400, "none", 400, 0, 3, retries=0),
    Line("delay", 19200, "none", 500, 5, 1, on_delay="2s"),
    Line("full", 9600, "none", 150, 5, 1),  # of more than it can carry
    Line("tcp", 0, "none", 200, 5, 3, type="tcp"),
    Line("two", 0, "none", 100, 10, 1, type="tcp", connections=2),
)

CONFIG = """
gateway = { id = "edge"; site = "site"; };
mqtt = { url = "mqtt://127.0.0.1:%d"; telemetry = "off"; };
buses = ( %s );
zones = ( { id = "A1"; name = "Tank farm"; } );
profiles = ( { name = "one"; max_reply = "200ms"; points = (
  { name = "gas"; kind = "gas"; quantity = "H2S"; unit = "ppm"; register = 0; type = "float32"; range = [0.0, 100.0]; } ); } );
devices = ( %s );
rules = ( %s );
"""


def listed(items):
    return ",\n  ".join(items)


def ids(line, kind, count):
    return [f"{line.name}-{kind}{i}" for i in range(1, count + 1)]


def devices_of(line):
    return ids(line, "L", LIVING) + ids(line, "M", MORTAL)


def sim_text(folder, ports):
    lines = listed(
        f'{{ name = "{line.name}"; type = "tcp"; port = {ports[line.name]}; }}' if line.type == "tcp" else
        f'{{ name = "{line.name}"; type = "rtu"; link = "{folder}/{line.name}"; baud = {line.baud}; '
        f'bits_per_byte = {11 if line.parity == "even" else 10}; }}' for line in LINES)
    units = listed(f'{{ id = "{name}"; line = "{line.name}"; unit = {unit}; turnaround = "{line.turn_ms}ms"; points = ( '
                   '{ name = "gas"; register = 0; type = "float32"; value = 5.0; } ); }'
                   for line in LINES for unit, name in enumerate(devices_of(line), 1))
    return f"lines = ( {lines} );\ndevices = ( {units} );\n"


def bus_text(plant, line, ports):
    where = (f'host = "127.0.0.1"; port = {ports[line.name]}; connections = {line.connections};' if line.type == "tcp" else
             f'device = "{plant.folder}/{line.name}"; baud = {line.baud}; parity = "{line.parity}";')
    return f'{{ name = "{line.name}"; type = "{line.type}"; {where} timeout = "100ms"; retries = {line.retries}; }}'


def config_text(plant, ports):
    units = listed(f'{{ id = "{name}"; zone = "A1"; bus = "{line.name}"; unit = {unit}; profile = "one"; '
                   f'interval = "{line.interval_ms}ms"; }}' for line in LINES for unit, name in enumerate(devices_of(line), 1))
    rules = listed(f'{{ name = "{line.name}"; points = ["{line.name}-*.gas"]; red = {{ above = 20.0; on_delay = "{line.on_delay}"; }}; '
                   'deadband = 1.0; acknowledge = false; }' for line in LINES)
    return CONFIG % (plant.broker_port, listed(bus_text(plant, line, ports) for line in LINES), units, rules)


def printed_times(plant):
    """Of `davyd --check`: seconds by line, for its number of dead devices."""
    done = subprocess.run([DAVYD, "--check", "--config", plant.config], capture_output=True, text=True, timeout=30,
                          env=plant.daemon_env(), check=True)
    found = {}
    for line in LINES:
        text = re.search(rf"rule {line.name}, red .*: \d+ points, in alarm within ([\d.]+) s, ([\d.]+) s beside a dead device, "
                         r"([\d.]+) s beside 3", done.stdout)
        if not text:
            raise AssertionError(f"no detection time of {line.name} in:\n{done.stdout}")
        found[line.name] = {0: float(text[1]), 1: float(text[2]), 3: float(text[3])}[line.dead]
    return found


class Busy(Exception):
    """The machine stands still too often to say anything."""


class Lateness(threading.Thread):
    """How late the machine lets a thread be that wants to run each 5 ms: what a busy machine adds to every wait."""

    def __init__(self):
        super().__init__(daemon=True)
        self.at, self.sums, self.stalls = [time.monotonic()], [0.0], []

    def run(self):
        while True:
            began = time.monotonic()
            time.sleep(0.005)
            late = time.monotonic() - began - 0.005
            if late > 0.001:
                self.sums.append(self.sums[-1] + late)
                self.at.append(time.monotonic())
            if late > STALL_S:
                self.stalls.append(time.monotonic())

    def stalled(self, since, until):
        return any(since <= one <= until for one in list(self.stalls))

    def between(self, since, until):
        sums, count = self.sums, len(self.sums)
        return (sums[min(bisect.bisect_left(self.at, until) + 1, count) - 1] -
                sums[max(min(bisect.bisect_left(self.at, since), count) - 1, 0)])


class Alarms:
    """Arrivals by (point's device, event), from the recorder's growing list."""

    def __init__(self, recorder):
        self.recorder, self.read, self.last = recorder, 0, {}

    def update(self):
        messages = self.recorder.messages
        for message in messages[self.read:]:
            if message.data and "/alarm/" in message.topic and not message.retain:
                self.last[message.data["device"], message.data["rule"], message.data["event"]] = message.arrived
        self.read = len(messages)

    def since(self, device, rule, event, moment):
        arrived = self.last.get((device, rule, event), 0)
        return arrived if arrived > moment else None


class Stepper:
    """One living device: waits a random phase, steps up, waits for its alarm, steps down, and again."""

    def __init__(self, device, line, rng):
        self.device, self.line, self.rng = device, line, rng
        self.next, self.stepped, self.high = time.monotonic() + rng.uniform(0, 1), None, False

    def turn(self, now, sim, alarms):
        """What a step up took, when one is over."""
        if self.stepped is None:
            if now >= self.next:
                self.high = not self.high
                self.stepped = time.monotonic()
                sim.set(f"{self.device}.gas", 30 if self.high else 5)
            return None
        arrived = alarms.since(self.device, self.line.name, "raised" if self.high else "cleared", self.stepped)
        if arrived is None:
            return None
        stepped, self.stepped = self.stepped, None
        self.next = now + self.rng.uniform(0, 1.5)
        return (stepped, arrived) if self.high else None


class Mortals:
    """The devices of a line that fall ill, all within one interval, and recover; next no sooner than the plan's window later."""

    def __init__(self, line, window_s, steppers, rng):
        self.devices, self.line, self.window_s = ids(line, "M", line.dead), line, window_s
        self.steppers, self.rng = steppers, rng
        self.ill, self.next, self.due, self.deaths = False, time.monotonic() + rng.uniform(0, 3), [], 0

    def fall_ill(self, now):
        """Steps of the line's other devices come in the middle of it: that is the worst moment."""
        interval = self.line.interval_ms / 1e3
        self.due = [(now + self.rng.uniform(0, interval), f"fault {one} {self.rng.choice(FAULTS)}") for one in self.devices]
        self.next, self.deaths = now + interval + self.rng.uniform(1, 10), self.deaths + 1
        for stepper in self.steppers:
            if stepper.stepped is None and not stepper.high and self.rng.random() < 0.7:
                stepper.next = now + self.rng.uniform(0, 2 * interval)

    def turn(self, now, sim):
        for when, command in [one for one in self.due if one[0] <= now]:
            sim.send(command)
        self.due = [one for one in self.due if one[0] > now]
        if now < self.next or not self.devices:
            return
        self.ill = not self.ill
        if self.ill:
            self.fall_ill(now)
        else:
            for one in self.devices:
                sim.send(f"clear {one}")
            self.next = now + self.window_s + self.rng.uniform(0, 2)


def patience(expected):
    return 3 * expected + 20


def run(plant, recorder, expected, steps, seed):
    alarms, lateness = Alarms(recorder), Lateness()
    lateness.start()
    rng = random.Random(seed)
    steppers = {line.name: [Stepper(name, line, random.Random(rng.random())) for name in ids(line, "L", LIVING)] for line in LINES}
    mortals = [Mortals(line, expected[line.name] + 1, steppers[line.name], random.Random(rng.random())) for line in LINES]
    results = {line.name: [] for line in LINES}
    wanted, void, end = -(-steps // len(LINES)), 0, time.monotonic() + TIME_LIMIT_S + steps
    while min(len(rows) for rows in results.values()) < wanted or min(one.deaths for one in mortals if one.devices) < 2:
        alarms.update()
        now = time.monotonic()
        for one in mortals:
            one.turn(now, plant.sim)
        for stepper in (one for of_line in steppers.values() for one in of_line):
            name = stepper.line.name
            over = stepper.turn(now, plant.sim, alarms)
            if over:
                if lateness.stalled(over[0] - PROBED_S, over[1]):
                    void += 1
                else:
                    results[name].append((over[1] - over[0], lateness.between(*over)))
            elif stepper.stepped and now - stepper.stepped > patience(expected[name]):
                raise AssertionError(f"{stepper.device}: no {'alarm' if stepper.high else 'return'} after {now - stepper.stepped:.1f} s")
        if now > end:
            raise Busy(f"{void} of {void + sum(len(rows) for rows in results.values())} steps were void")
        time.sleep(0.002)
    return results, sum(one.deaths for one in mortals), void


def report(results, expected):
    """Print a row for each line; the steps that were too late."""
    late = []
    print(f"{'line':<10}{'dead':>5}{'steps':>7}{'printed s':>11}{'p50 s':>8}{'p99 s':>8}{'worst s':>9}{'machine s':>11}")
    for line in LINES:
        rows = sorted(results.get(line.name, []))
        if not rows:
            continue
        took = [row[0] for row in rows]
        print(f"{line.name:<10}{line.dead:>5}{len(rows):>7}{expected[line.name]:>11.2f}{took[len(took) // 2]:>8.2f}"
              f"{took[min(len(took) - 1, int(0.99 * len(took)))]:>8.2f}{took[-1]:>9.2f}{rows[-1][1]:>11.3f}")
        late += [f"{line.name}: {one:.3f} s, printed {expected[line.name]:.2f} s, the machine {machine:.3f} s late" for one, machine in rows
                 if one > expected[line.name] + ALLOWANCE_S + machine]
    return late


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=64, help="at least so many, on each line as many")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    if not shutil.which("mosquitto_sub") or not shutil.which(MOSQUITTO):
        print("mosquitto is missing")
        return 77
    with Plant() as plant:
        names = [line.name for line in LINES if line.type == "tcp"]
        ports = dict(zip(names, free_ports(len(names))))
        plant.broker.start()
        plant.start_sim(sim_text(plant.folder, ports))
        recorder = plant.record(topics=(f"{BASE}/alarm/#",))
        plant.start_daemon(config_text(plant, ports))
        expected = printed_times(plant)
        good = len(LINES) * (LIVING + MORTAL)
        wait_for(lambda: plant.status()["status"]["points"]["good"] == good, 60, "all points are good")
        began = time.monotonic()
        try:
            results, deaths, void = run(plant, recorder, expected, arguments.steps, arguments.seed)
        except Busy as busy:
            print(f"skipped: {busy}")
            return 77
        took = time.monotonic() - began
        stats = plant.sim.send("stats")
    late = report(results, expected)
    total = sum(len(rows) for rows in results.values())
    print(f"{total} steps in {took:.0f} s, seed {arguments.seed}: {deaths} times that devices fell silent, {len(late)} later than printed; {void} more do not count, the "
          "machine stood still")
    print("\n".join(late))
    manners = re.findall(r"(\S+) requests=[^;]*t35_violations=(\d+) collisions=(\d+)", stats)
    print("requests too early, and collisions: " + ", ".join(" ".join(one) for one in manners))
    print(json.dumps({"detection": {name: {"steps": len(rows), "printed_s": expected[name], "worst_s": round(max(rows)[0], 3)}
                                    for name, rows in results.items()}, "late": len(late), "seed": arguments.seed}))
    return 1 if late else 0


if __name__ == "__main__":
    sys.exit(main())
