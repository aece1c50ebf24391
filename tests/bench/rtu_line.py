#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""How well davyd uses a serial line: 32 devices of 2 registers on ptys at the speed of their line, against the closed formula.

The formula of one transaction (Modbus over Serial Line V1.02, 2.5.1.1): (8 + 5 + 2N) * Tc + max(turn-around, t3.5) + t3.5.
Part 1, back to back: the time of a cycle over all devices. Part 2, at 70 % of the line: what 3 of 32 devices that fall
silent cost the others' intervals, and what a line where nobody answers costs other lines.

A real line does not wait for what else a machine does: where that is allowed, all run at a real-time priority.

usage: rtu_line.py [--seconds N] [--turn-ms N] [--normal] [PART...]      parts: cycle, dead; both by default
exit 1 when a cycle or a living device's interval is beyond its goal; figures of a machine with other work say little.
"""
import argparse
import collections
import json
import os
import pathlib
import sqlite3
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
from plant import Plant, wait_for

DEVICES = 32
DEAD = 3
REGISTERS = 2
TIMEOUT_MS = 100
INTERVAL_S = 1.2

Line = collections.namedtuple("Line", "name baud bits goal")
LINES = (Line("9600-8N1", 9600, 10, 1.05), Line("9600-8E1", 9600, 11, 1.05), Line("115200-8N1", 115200, 10, 1.15))
CONFIG = """
gateway = { id = "edge"; site = "site"; };
mqtt = { url = "mqtt://127.0.0.1:%d"; telemetry = "off"; };
buses = ( %s );
zones = ( { id = "A1"; name = "Tank farm"; } );
profiles = ( { name = "one"; max_reply = "%dms"; points = (
  { name = "gas"; kind = "gas"; quantity = "H2S"; unit = "ppm"; register = 0; type = "float32"; range = [0.0, 100.0]; } ); } );
devices = ( %s );
rules = ( { name = "high"; points = ["*.gas"]; orange = { above = 95.0; }; deadband = 1.0; acknowledge = false; } );
"""


def hurry():
    """Before the children start. False where that is not allowed."""
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(2))
    except OSError:
        return False
    return True


def listed(items):
    return ",\n  ".join(items)


def formula_s(line, turn_s):
    character = line.bits / line.baud
    silence = 3.5 * character if line.baud <= 19200 else 1.75e-3
    return (8 + 5 + 2 * REGISTERS) * character + max(turn_s, silence) + silence


def sim_text(folder, lines, turn_ms):
    text = listed(f'{{ name = "{line.name}"; type = "rtu"; link = "{folder}/{line.name}"; baud = {line.baud}; '
                  f'bits_per_byte = {line.bits}; }}' for line in lines)
    units = listed(f'{{ id = "D{line.name}"; line = "{line.name}"; unit = 1; copies = {DEVICES}; turnaround = "{turn_ms}ms"; '
                   'points = ( { name = "gas"; register = 0; type = "float32"; wave = { type = "random-walk"; low = 1.0; '
                   'high = 90.0; period = "20s"; }; } ); }' for line in lines)
    return f"lines = ( {text} );\ndevices = ( {units} );\n"


def config_text(plant, lines, interval):
    buses = listed(f'{{ name = "{line.name}"; type = "rtu"; device = "{plant.folder}/{line.name}"; baud = {line.baud}; parity = '
                   f'"{"even" if line.bits == 11 else "none"}"; timeout = "{TIMEOUT_MS}ms"; }}' for line in lines)
    units = listed(f'{{ id = "D{line.name}-{unit}"; zone = "A1"; bus = "{line.name}"; unit = {unit}; profile = "one"; '
                   f'interval = "{interval}"; }}' for line in lines for unit in range(1, DEVICES + 1))
    return CONFIG % (plant.broker_port, buses, TIMEOUT_MS, units)


def start(plant, lines, interval, turn_ms, good):
    plant.broker.start()
    plant.start_sim(sim_text(plant.folder, lines, turn_ms))
    plant.start_daemon(config_text(plant, lines, interval))
    wait_for(lambda: plant.status()["status"]["points"]["good"] >= good, 60, "the points are good")
    time.sleep(1)


def answers(plant, line, since, until):
    """Wall times of the good readings of each device of the line."""
    link = sqlite3.connect(f"file:{plant.state}/readings.db?mode=ro", uri=True, timeout=30)
    try:
        rows = link.execute("SELECT point, time_us FROM readings WHERE quality = 'good' AND point LIKE ? AND time_us >= ? AND "
                            "time_us < ? ORDER BY time_us", (f"D{line.name}-%", int(since * 1e6), int(until * 1e6))).fetchall()
    finally:
        link.close()
    times = collections.defaultdict(list)
    for point, at in rows:
        times[point].append(at / 1e6)
    return times


def gaps(times):
    return sorted(b - a for of_one in times.values() for a, b in zip(of_one, of_one[1:]))


def percentile(values, share):
    return values[min(len(values) - 1, int(share * len(values)))] if values else float("nan")


def line_stats(plant, line):
    text = next(part for part in plant.sim.send("stats").split(";") if f" {line.name} " in part)
    return {key: int(value) for key, value in (word.split("=") for word in text.split() if "=" in word)}


def measure_cycle(arguments):
    """Cycles of each line, all lines at once: from one reading of a device to its next."""
    results = {}
    with Plant() as plant:
        start(plant, LINES, "10ms", arguments.turn_ms, len(LINES) * DEVICES)
        began = time.time()
        time.sleep(arguments.seconds)
        ended = time.time()
        time.sleep(4)  # until what was read is committed
        for line in LINES:
            cycles = gaps(answers(plant, line, began, ended))
            expected = DEVICES * formula_s(line, arguments.turn_ms / 1e3)
            stats = line_stats(plant, line)
            results[line.name] = {
                "formula_ms": round(1e3 * expected, 2), "p50_ms": round(1e3 * percentile(cycles, 0.5), 2),
                "best_ms": round(1e3 * cycles[0], 2), "p99_ms": round(1e3 * percentile(cycles, 0.99), 2),
                "ratio": round(percentile(cycles, 0.5) / expected, 4), "goal": line.goal,
                "requests": stats["requests"], "t35_violations": stats["t35_violations"], "collisions": stats["collisions"]}
    return results


def deviations(plant, line, living, since, until):
    """Of the intervals of the living devices, in percent of what is configured; polls left out count as what they are."""
    times = {point: at for point, at in answers(plant, line, since, until).items() if point.split(".")[0] in living}
    away = sorted(100 * abs(gap - INTERVAL_S) / INTERVAL_S for gap in gaps(times))
    means = [(at[-1] - at[0]) / (len(at) - 1) for at in times.values() if len(at) > 1]
    within = sum(one <= 10 for one in away)
    return {"within_10": round(100 * within / max(len(away), 1), 1), "p50": round(percentile(away, 0.5), 2), "p99": round(percentile(away, 0.99), 2),
            "worst": round(away[-1], 2) if away else None,
            "mean": round(max(100 * abs(mean - INTERVAL_S) / INTERVAL_S for mean in means), 2) if means else None,
            "devices": len(times), "readings": sum(len(at) for at in times.values())}


def measure_dead(arguments):
    """Three phases: all answer; then 3 of 32 of one line, and all of another, do not; then that is known."""
    lines = tuple(Line(name, 9600, 10, 0) for name in ("some", "beside", "silent"))
    all_ids = [f"-{unit}" for unit in range(1, DEVICES + 1)]
    phases = {}
    with Plant() as plant:
        start(plant, lines, f"{1000 * INTERVAL_S:.0f}ms", 0, len(lines) * DEVICES)
        marks = [time.time()]
        for name in ("before", "transient", "after"):
            if name == "transient":
                for unit in (5, 16, 27)[:DEAD]:
                    plant.sim.send(f"fault Dsome-{unit} timeout")
                plant.sim.send("fault silent timeout")
            time.sleep(arguments.seconds)
            marks.append(time.time())
            phases[name] = {}
        time.sleep(4)
        for (name, phase), since, until in zip(phases.items(), marks, marks[1:]):
            for line in lines[:2]:
                dead = {"-5", "-16", "-27"} if line.name == "some" else set()
                living = {f"D{line.name}{one}" for one in all_ids if one not in dead}
                phase[line.name] = deviations(plant, line, living, since, until)
        phases["planned_percent"] = round(100 * DEVICES * formula_s(lines[0], 0) / INTERVAL_S, 1)
        phases["errors"] = {bus["name"]: bus["errors"] for bus in plant.status()["status"]["buses"]}
        phases["line"] = {line.name: line_stats(plant, line) for line in lines}
    return phases


def report_cycle(results):
    print(f"{'back to back':<14}{'formula ms':>12}{'p50 ms':>10}{'best ms':>10}{'p99 ms':>10}{'p50/formula':>13}{'goal':>7}{'early':>7}{'collided':>10}")
    for name, r in results.items():
        print(f"{name:<14}{r['formula_ms']:>12}{r['p50_ms']:>10}{r['best_ms']:>10}{r['p99_ms']:>10}{r['ratio']:>13}{r['goal']:>7}"
              f"{r['t35_violations']:>7}{r['collisions']:>10}")
    return all(r["ratio"] <= r["goal"] and r["t35_violations"] == r["collisions"] == 0 for r in results.values())


def report_dead(results):
    print(f"intervals of the living, deviation in % of {INTERVAL_S} s (line at {results['planned_percent']} %)")
    print(f"{'phase':<12}{'line':<10}{'within 10 %':>12}{'p50':>8}{'p99':>8}{'worst':>8}{'of mean':>9}{'devices':>9}{'readings':>10}")
    for name in ("before", "transient", "after"):
        for line, r in results[name].items():
            print(f"{name:<12}{line:<10}{r['within_10']:>12}{r['p50']:>8}{r['p99']:>8}{str(r['worst']):>8}{str(r['mean']):>9}{r['devices']:>9}{r['readings']:>10}")
    goal = [results[name]["some"]["mean"] for name in ("before", "after")] + [results[name]["beside"]["mean"] for name in
                                                                             ("before", "transient", "after")]
    return all(mean is not None and mean <= 10 for mean in goal) and results["after"]["some"]["devices"] == DEVICES - DEAD


PARTS = {"cycle": (measure_cycle, report_cycle), "dead": (measure_dead, report_dead)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--turn-ms", type=int, default=0, help="turn-around of the devices in part 1; 0: t3.5")
    parser.add_argument("--normal", action="store_true", help="at the priority of everything else")
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    arguments = parser.parse_args()
    if not set(arguments.parts) <= set(PARTS):
        parser.error(f"there are {', '.join(PARTS)}")
    realtime = not arguments.normal and hurry()
    results, reached = {}, True
    for part in arguments.parts or PARTS:
        measure, report = PARTS[part]
        results[part] = measure(arguments)
        reached = report(results[part]) and reached
    print(json.dumps({"bench": "rtu_line", "devices": DEVICES, "registers": REGISTERS, "load_average": os.getloadavg()[0], "realtime": realtime,
                      "reached": reached, **results}))
    return 0 if reached else 1


if __name__ == "__main__":
    sys.exit(main())
