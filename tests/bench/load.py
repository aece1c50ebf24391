#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What davyd costs: 100 devices of 20 float32 each at 1 Hz over Modbus TCP, on one bus and on a hundred.

usage: load.py [--seconds N] [--devices N] [VARIANT...]       variants: one-bus, bus-per-device; both by default
"""
import argparse
import json
import os
import pathlib
import sqlite3
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
from plant import BASE, Plant, Program, free_ports, wait_for

POINTS = 20
POINT = ('{ name = "p%d"; register = %d; type = "float32"; wave = { type = "random-walk"; low = 10.0; high = 90.0; '
         'period = "20s"; }; }')
WANTED = '{ name = "p%d"; kind = "gas"; quantity = "H2S"; unit = "ppm"; register = %d; type = "float32"; range = [0.0, 100.0]; }'
CONFIG = """
gateway = { id = "edge"; site = "site"; };
mqtt = { url = "mqtt://127.0.0.1:%d"; telemetry = "changes"; telemetry_interval = "1s"; };
buses = ( %s );
zones = ( { id = "A1"; name = "Tank farm"; } );
profiles = ( { name = "twenty"; points = ( %s ); } );
devices = ( %s );
rules = ( { name = "high"; points = ["*.p*"]; orange = { above = 95.0; }; deadband = 1.0; acknowledge = false; } );
"""
TICK = os.sysconf("SC_CLK_TCK")


def listed(items):
    return ",\n  ".join(items)


def plant_text(ports, devices):
    many = len(ports) > 1
    lines = [f'{{ name = "plc-{i + 1}"; type = "tcp"; port = {port}; }}' for i, port in enumerate(ports)]
    points = listed(POINT % (p, 2 * p) for p in range(POINTS))
    units = [f'{{ id = "D-{i + 1}"; line = "plc-{i + 1 if many else 1}"; unit = {1 if many else i + 1}; points = (\n{points} ); }}'
             for i in range(devices)]
    return f"lines = ( {listed(lines)} );\ndevices = ( {listed(units)} );\n"


def config_text(broker_port, ports, devices):
    many = len(ports) > 1
    buses = [f'{{ name = "plc-{i + 1}"; type = "tcp"; host = "127.0.0.1"; port = {port}; timeout = "1s"; }}'
             for i, port in enumerate(ports)]
    units = [f'{{ id = "D-{i + 1}"; zone = "A1"; bus = "plc-{i + 1 if many else 1}"; unit = {1 if many else i + 1}; '
             f'profile = "twenty"; interval = "1s"; }}' for i in range(devices)]
    return CONFIG % (broker_port, listed(buses), listed(WANTED % (p, 2 * p) for p in range(POINTS)), listed(units))


def sample(pid):
    """CPU seconds, RSS, threads, and context switches of all threads."""
    stat = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    status = dict(line.split(":", 1) for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines())
    switches = [0, 0]
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        for line in (task / "status").read_text().splitlines():
            if line.startswith("voluntary_ctxt_switches"):
                switches[0] += int(line.split()[1])
            elif line.startswith("nonvoluntary_ctxt_switches"):
                switches[1] += int(line.split()[1])
    return {"cpu_s": (int(stat[11]) + int(stat[12])) / TICK, "rss_kib": int(status["VmRSS"].split()[0]),
            "threads": int(status["Threads"]), "voluntary": switches[0], "involuntary": switches[1], "at": time.monotonic()}


class Commits(threading.Thread):
    """Counts commits from outside, by SQLite's data_version; several within 20 ms count once."""

    def __init__(self, path):
        super().__init__(daemon=True)
        self.path, self.count, self.stop = path, 0, threading.Event()

    def run(self):
        link = sqlite3.connect(f"file:{self.path}?mode=ro", uri=True, timeout=10)
        last = None
        while not self.stop.wait(0.02):
            version = link.execute("PRAGMA data_version").fetchone()[0]
            self.count += last is not None and version != last
            last = version
        link.close()


def readings_between(plant, since, until):
    link = sqlite3.connect(f"file:{plant.state}/readings.db?mode=ro", uri=True, timeout=30)
    try:
        return link.execute("SELECT count(*), sum(quality = 'good') FROM readings WHERE time_us >= ? AND time_us < ?",
                            (int(since * 1e6), int(until * 1e6))).fetchone()
    finally:
        link.close()


def measure(plant, seconds, devices):
    pid = plant.daemon.pid
    wait_for(lambda: plant.status()["status"]["points"]["good"] == devices * POINTS, 60, "all points are good")
    time.sleep(2)
    counters = [Commits(plant.state / name) for name in ("readings.db", "ledger.db")]
    for one in counters:
        one.start()
    began_wall, first, messages = time.time(), sample(pid), lines(plant.folder / "count")
    time.sleep(seconds)
    last, ended_wall, messages = sample(pid), time.time(), lines(plant.folder / "count") - messages
    for one in counters:
        one.stop.set()
        one.join()
    wait_for(lambda: plant.status()["ok"], 30)
    time.sleep(3)  # commits of what was read until then
    rows, good = readings_between(plant, began_wall, ended_wall)
    took = last["at"] - first["at"]
    cpu = last["cpu_s"] - first["cpu_s"]
    return {"seconds": round(took, 1), "readings": rows, "good": good, "readings_per_s": round(rows / took, 1),
            "cpu_percent": round(100 * cpu / took, 2), "cpu_us_per_reading": round(1e6 * cpu / max(rows, 1), 2),
            "rss_mib": round(last["rss_kib"] / 1024, 1), "threads": last["threads"],
            "voluntary_per_s": round((last["voluntary"] - first["voluntary"]) / took),
            "involuntary_per_s": round((last["involuntary"] - first["involuntary"]) / took),
            "readings_commits_per_s": round(counters[0].count / took, 2),
            "ledger_commits_per_s": round(counters[1].count / took, 2),
            "telemetry_per_s": round(messages / took, 1), "lost": plant.status()["lost"],
            "readings_db_mib": round(sum(f.stat().st_size for f in plant.state.glob("readings.db*")) / 2**20, 1)}


def lines(path):
    return path.read_bytes().count(b"\n")


def run(variant, arguments):
    devices = arguments.devices
    with Plant() as plant:
        ports = free_ports(devices if variant == "bus-per-device" else 1)
        plant.broker.start()
        plant.start_sim(plant_text(ports, devices))
        with open(plant.folder / "count", "wb") as out:
            plant.keep(Program("counter", plant.folder, [
                "mosquitto_sub", "-h", "127.0.0.1", "-p", plant.broker_port, "-t", f"{BASE}/telemetry/#", "-F", "%l"],
                stdout=out))
        plant.start_daemon(config_text(plant.broker_port, ports, devices))
        return measure(plant, arguments.seconds, devices)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=55)
    parser.add_argument("--devices", type=int, default=100)
    parser.add_argument("variants", nargs="*", metavar="VARIANT", default=["one-bus", "bus-per-device"])
    arguments = parser.parse_args()
    results = {variant: run(variant, arguments) for variant in arguments.variants}
    print(f"{arguments.devices} devices of {POINTS} points at 1 Hz".ljust(36) + "".join(f"{name:>20}" for name in results))
    for key in next(iter(results.values())):
        print(f"{key:<36}" + "".join(f"{str(result[key]) if key != 'lost' else sum(result[key].values()):>20}"
                                     for result in results.values()))
    print(json.dumps({"bench": "load", "devices": arguments.devices, "points": POINTS, **results}))
    # half of what is due is the least that a machine with other work must reach
    expected = arguments.devices * POINTS
    return 0 if all(r["readings_per_s"] > expected / 2 and not any(r["lost"].values()) for r in results.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
