#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Days without a broker at 1,000 points a second; then it comes back.

usage: outage.py [--days N | --hours N] [--max-size SIZE] [--events-every SECONDS] [--goals] [--state DIR | --from DIR]

First the recorder and the publisher of davyd run by a clock of their own, as fast as they can (tests/soak/outage.c): memory
must stay flat, readings.db with its -wal within max_size. Then the databases are counted, as a stranger can: readings,
telemetry and events that were made are those that are stored and those that the ledger declares lost. Then davyd itself
takes over what is left, with a broker that is down and simulated devices, the broker comes, and a device goes into alarm:
how long that takes to the subscriber, and how fast the backlog goes. With --goals 1 s and 5,000 messages/s must be reached.
--state keeps the databases between the two in DIR, --from takes them from there. Prints figures as one JSON line; exit 1 on any problem.

Environment: OUTAGE, DAVYD, DAVYCTL, DAVYSIM.
"""
import argparse
import datetime
import json
import os
import pathlib
import shutil
import sqlite3
import subprocess
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/integration"))

import audit  # noqa: E402
from plant import BASE, Plant, wait_for  # noqa: E402

DRIVER = os.environ.get("OUTAGE", str(ROOT / "build/tests/soak/outage"))
DEVICES, POINTS = 50, 20
SHELL = """
gateway = { id = "edge"; site = "site"; };
mqtt = { url = "mqtt://127.0.0.1:%(broker)d"; telemetry = "changes"; telemetry_interval = "1s"; };
storage = { max_size = "%(size)s"; };
buses = ( { name = "plc-1"; type = "tcp"; host = "127.0.0.1"; port = %(port)d; timeout = "1s"; } );
zones = ( { id = "A1"; name = "Tank farm"; } );
profiles = ( { name = "twenty"; points = ( %(points)s ); } );
devices = ( %(devices)s );
rules = ( { name = "high"; points = ["*.p*"]; orange = { above = 95.0; }; deadband = 1.0; acknowledge = false; } );
"""
POINT = '{ name = "p%d"; kind = "gas"; quantity = "H2S"; unit = "ppm"; register = %d; type = "float32"; range = [0.0, 100.0]; }'
DEVICE = '{ id = "D-%d"; zone = "A1"; bus = "plc-1"; unit = %d; profile = "twenty"; interval = "1s"; }'
SIM = """
lines = ( { name = "plc-1"; type = "tcp"; port = %d; } );
devices = ( { id = "D"; copies = %d; line = "plc-1"; unit = 1; points = ( %s ); } );
"""
SIM_POINT = '{ name = "p%d"; register = %d; type = "float32"; value = 5.0; }'


def config_text(plant, size):
    return SHELL % {"broker": plant.broker_port, "port": plant.plant_port, "size": size,
                    "points": ", ".join(POINT % (p, 2 * p) for p in range(POINTS)),
                    "devices": ",\n  ".join(DEVICE % (d, d) for d in range(1, DEVICES + 1))}


def rows(path, query):
    link = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=20)
    try:
        return link.execute(query).fetchall()
    finally:
        link.close()


def number(path, query):
    return rows(path, query)[0][0] or 0


# ---- what came of it ----

def declared(ledger, untold, what):
    """Lost as the ledger says in all, and what readings.db has not told it yet; problems where its rows say otherwise."""
    total, waiting = rows(ledger, f"SELECT total, count FROM loss WHERE what = '{what}'")[0]
    told = sum(json.loads(payload)["detail"]["count"] for payload, in rows(
        ledger, "SELECT payload FROM actions WHERE json_extract(payload, '$.verb') = 'loss'"
                f" AND json_extract(payload, '$.target') = '{what}'"))
    wrong = [] if told + waiting == total else [f"{what}: actions declare {told}, {waiting} wait, in all it is {total}"]
    return total + untold.get(what, 0), wrong


def equal(what, made, **parts):
    total = sum(parts.values())
    return [] if total == made else [f"{what}: {made} made, but {total} are accounted for: {parts}"]


def count(state, made):
    """Problems, and figures."""
    readings, ledger = state / "readings.db", state / "ledger.db"
    untold = {("readings", "telemetry")[kind]: many for kind, many in rows(readings, "SELECT kind, count FROM loss")}
    lost, problems = declared(ledger, untold, "readings")
    gone, more = declared(ledger, untold, "telemetry")
    stored = number(readings, "SELECT count(*) FROM readings")
    waiting, dropped = rows(readings, "SELECT count, dropped FROM outbox_total")[0]
    problems += more + equal("readings", made["readings"], stored=stored, declared=lost)
    problems += equal("telemetry", number(readings, "SELECT max(row) FROM outbox"), waiting=waiting, declared=gone)
    problems += equal("telemetry that waits", waiting, rows=number(readings, "SELECT count(*) FROM outbox"))
    problems += equal("telemetry that is gone", gone, dropped=dropped)
    problems += equal("readings of which hours tell", made["readings"], hours=number(readings, "SELECT sum(readings) FROM readings_1h"),
                      since=number(readings, f"SELECT count(*) FROM readings WHERE time_us >= {last_minute(readings)}"))
    problems += equal("events", made["events"], stored=number(ledger, "SELECT count(*) FROM events"))
    book = audit.read(ledger)
    problems += audit.gapless(book) + audit.chained(book)
    return problems, {"stored": stored, "lost": lost, "telemetry": waiting, "telemetry_lost": gone,
                      "events_waiting": number(ledger, "SELECT count(*) FROM outbox")}


def last_minute(readings):
    """Readings from here on are in no roll-up yet: the clock went on evenly."""
    return (number(readings, "SELECT max(time_us) FROM readings_1min") or 0) + 60000000


def drive(plant, options):
    """The figures of the driver; its problems are printed by itself."""
    plant.config.write_text(config_text(plant, options.max_size), encoding="utf-8")
    seconds = int(options.hours * 3600)
    done = subprocess.run([DRIVER, plant.config, plant.state, str(seconds), str(round(1000 / options.events_every))], check=False,
                          stdout=subprocess.PIPE, text=True, env={**os.environ, "DAVY_DATADIR": str(ROOT / "conf")})
    lines = done.stdout.splitlines()
    print("\n".join(lines[:-1]), end="\n" if len(lines) > 1 else "", flush=True)
    if done.returncode not in (0, 1) or not lines:
        raise AssertionError(f"{DRIVER} ended with {done.returncode}")
    return json.loads(lines[-1])


# ---- the broker is back ----

def waiting(plant):
    return (number(plant.state / "readings.db", "SELECT count FROM outbox_total"),
            number(plant.state / "ledger.db", "SELECT count(*) FROM outbox"))


class Drain(threading.Thread):
    """What waits, looked at often: (monotonic time, telemetry, events)."""

    def __init__(self, plant):
        super().__init__(daemon=True)
        self.plant, self.looks, self.over = plant, [], threading.Event()
        self.first = waiting(plant)

    def run(self):
        while not self.over.wait(0.05):
            self.looks.append((time.monotonic(), *waiting(self.plant)))

    def begun(self):
        return next((at for at, telemetry, events in self.looks if telemetry < self.first[0] or events < self.first[1]), None)

    def rest(self, which):
        """So few that they are those of the present."""
        return max(self.first[which] // 20, 2 * DEVICES)

    def gone(self, which):
        return next((look for look in self.looks if look[1 + which] <= self.rest(which)), None)

    def rate(self, which):
        """Messages and how many a second, from the first that went (of telemetry when the events, which go before, are gone)."""
        begun = next((look for look in self.looks if look[1 + which] < self.first[which] and
                      (which == 1 or look[2] <= self.rest(1))), None)
        end = self.gone(which)
        if not begun or begun[0] >= end[0]:
            return 0, 0
        went = begun[1 + which] - end[1 + which]
        return went, round(went / (end[0] - begun[0]))


def raise_one(plant, recorder):
    """The first new alarm after the connect; from the time of its reading to its arrival, in s of the wall clock."""
    offset = time.time() - time.monotonic()
    plant.sim.set("D-7.p3", 99.0)

    def new():
        return next((m for m in recorder.of("alarm/A1/D-7/p3/") if m.data and m.data["event"] == "raised"), None)

    message = wait_for(new, 300, "the new alarm")
    read = datetime.datetime.fromisoformat(message.data["time"].replace("Z", "+00:00")).timestamp()
    return round(message.arrived + offset - read, 3)


def return_of_the_broker(plant, options):
    """Problems, and figures."""
    plant.start_sim(SIM % (plant.plant_port, DEVICES, ", ".join(SIM_POINT % (p, 2 * p) for p in range(POINTS))))
    plant.start_daemon(config_text(plant, options.max_size))
    wait_for(lambda: plant.status()["status"]["points"]["good"] == DEVICES * POINTS, 60, "all points are good")
    drain = Drain(plant)
    figures = {"backlog": dict(zip(("telemetry", "events"), drain.first))}
    drain.start()
    plant.broker.start()
    recorder = plant.record(topics=(f"{BASE}/alarm/#",))
    wait_for(drain.begun, 90, "davyd is connected")
    figures["alarm_s"] = raise_one(plant, recorder)
    wait_for(lambda: drain.gone(0) and drain.gone(1), 900, "the backlog is gone")
    drain.over.set()
    problems = []
    if options.goals and figures["alarm_s"] > 1:
        problems.append(f"the first new alarm took {figures['alarm_s']} s")
    for which, name in enumerate(("telemetry", "events")):
        went, figures[f"{name}_per_s"] = drain.rate(which)
        if options.goals and went > 10000 and figures[f"{name}_per_s"] < 5000:
            problems.append(f"the backlog of {name} drains at {figures[f'{name}_per_s']} messages/s")
    return problems, figures


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hours", type=float, default=1)
    parser.add_argument("--days", type=float, default=0)
    parser.add_argument("--max-size", default="2GiB")
    parser.add_argument("--events-every", type=float, default=20)
    parser.add_argument("--goals", action="store_true")
    parser.add_argument("--state", type=pathlib.Path)
    parser.add_argument("--from", type=pathlib.Path, dest="prepared")
    options = parser.parse_args()
    options.hours = options.days * 24 or options.hours
    with Plant() as plant:
        made, counted, problems = {"harness": "outage", "problems": 0}, {}, []
        if options.prepared:
            shutil.copytree(options.prepared, plant.state, dirs_exist_ok=True)
        else:
            made = drive(plant, options)
            problems, counted = count(plant.state, made)
        if options.state:
            shutil.copytree(plant.state, options.state, dirs_exist_ok=True)
        more, returned = return_of_the_broker(plant, options)
    problems += more
    for problem in problems:
        print("PROBLEM:", problem)
    total = len(problems) + made.pop("problems")
    print(json.dumps({**made, **counted, **returned, "problems": total}))
    return 1 if total else 0


if __name__ == "__main__":
    sys.exit(main())
