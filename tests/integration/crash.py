#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""davyd is killed with SIGKILL again and again while alarms come and go; nothing may be lost, doubled or contradicted.

usage: crash.py [--seconds N] [--kills K] [--broker-restarts B] [--seed S]
"""
import argparse
import collections
import hashlib
import json
import os
import random
import signal
import sqlite3
import statistics
import sys
import time

from plant import Plant, wait_for

DEVICES = 10
PLANT_HEAD = 'lines = ( { name = "plc-1"; type = "tcp"; port = %d; } );\ndevices = (\n'
PLANT_DEVICE = """  { id = "GT-%d"; line = "plc-1"; unit = %d; points = (
    { name = "gas"; register = 0; type = "float32"; wave = %s; } ); }"""
CONFIG = """
gateway = { id = "edge"; site = "site"; };
mqtt = { url = "mqtt://127.0.0.1:%d"; telemetry = "off"; };
buses = ( { name = "plc-1"; type = "tcp"; host = "127.0.0.1"; port = %d; timeout = "1s"; } );
zones = ( { id = "A1"; name = "Tank farm"; }, { id = "A2"; name = "Boilers"; } );
profiles = ( { name = "gas-one"; points = (
  { name = "gas"; kind = "gas"; quantity = "H2S"; unit = "ppm"; register = 0; type = "float32"; range = [0.0, 100.0]; } ); } );
devices = (
%s );
rules = (
  { name = "quiet"; points = ["GT-[1-5].gas"]; orange = { above = 20.0; }; red = { above = 40.0; }; deadband = 1.0;
    acknowledge = false; },
  { name = "loud"; points = ["GT-[6-8].gas"]; orange = { above = 20.0; }; red = { above = 40.0; }; deadband = 1.0; },
  { name = "held"; points = ["GT-9.gas", "GT-10.gas"]; red = { above = 40.0; latch = true; }; deadband = 1.0;
    on_delay = "500ms"; } );
"""


def plant_text(port, rng):
    devices = []
    for i in range(1, DEVICES + 1):
        if i % 3 == 0:
            wave = f'{{ type = "random-walk"; low = 0.0; high = 60.0; period = "{rng.randint(1500, 2500)}ms"; }}'
        else:
            high = rng.choice((30.0, 50.0))
            wave = (f'{{ type = "square"; low = 5.0; high = {high}; period = "{rng.randint(2500, 4500)}ms"; '
                    f'phase = {rng.random():.3f}; }}')
        devices.append(PLANT_DEVICE % (i, i, wave))
    return PLANT_HEAD % port + ",\n".join(devices) + " );\n"


def config_text(plant):
    device = '  { id = "GT-%d"; zone = "%s"; bus = "plc-1"; unit = %d; profile = "gas-one"; interval = "100ms"; settle = 0; }'
    devices = ",\n".join(device % (i, "A1" if i <= 5 else "A2", i) for i in range(1, DEVICES + 1))
    return CONFIG % (plant.broker_port, plant.plant_port, devices)


class Run:
    def __init__(self, plant, arguments):
        self.plant, self.arguments = plant, arguments
        self.rng = random.Random(arguments.seed)
        self.problems = []
        self.starts = []
        self.kills = self.broker_restarts = self.commands = 0
        self.seen = None

    def problem(self, text):
        self.problems.append(text)
        print("PROBLEM:", text, flush=True)

    def start(self):
        self.plant.broker.start()
        self.plant.start_sim(plant_text(self.plant.plant_port, self.rng))
        self.seen = self.plant.record(persistent=True)
        self.start_daemon(config_text(self.plant))

    def start_daemon(self, text=None):
        self.starts.append(time.monotonic())
        self.plant.start_daemon(text, wait=False)

    def kill(self):
        if not self.plant.daemon.running():
            self.problem(f"davyd ended by itself: {self.plant.daemon.process.returncode}")
        self.plant.end_daemon(signal.SIGKILL)
        self.kills += 1
        self.start_daemon()

    def restart_broker(self):
        self.plant.broker.stop()
        self.broker_restarts += 1
        self.plant.broker.start()

    def operate(self):
        """What people do meanwhile; refusals are natural."""
        verb = self.rng.choice((("ack", "loud:*"), ("ack", "quiet:*"), ("reset", "held:GT-9.gas"), ("reset", "held:GT-10.gas")))
        self.plant.ctl(*verb)
        self.commands += 1

    def go(self):
        """Kills and all else at random times of the run; some kills fall into the start before."""
        seconds = self.arguments.seconds
        plan = [(self.rng.uniform(0.1, seconds), self.kill) for _ in range(self.arguments.kills)]
        plan += [(self.rng.uniform(0.1, seconds), self.restart_broker) for _ in range(self.arguments.broker_restarts)]
        plan += [(self.rng.uniform(0.1, seconds), self.operate) for _ in range(int(seconds))]
        began = time.monotonic()
        for at, act in sorted(plan, key=lambda one: one[0]):
            time.sleep(max(0.0, began + at - time.monotonic()))
            act()
        time.sleep(max(0.0, began + seconds - time.monotonic()))

    def drain(self):
        """Calm the plant, wait until nothing is left to send, stop."""
        wait_for(self.plant.answers, 30, "davyd answers at the end")
        for i in range(1, DEVICES + 1):
            self.plant.sim.set(f"GT-{i}.gas", 5)
        wait_for(lambda: self.plant.status()["status"]["points"]["good"] == DEVICES, 30, "all points are read")
        time.sleep(1)
        wait_for(lambda: self.plant.status()["status"]["outbox"]["events"] == 0, 60, "the outbox is empty")
        code = self.plant.end_daemon(signal.SIGTERM)
        if code != 0:
            self.problem(f"davyd stopped with {code}")

    def ledger(self):
        link = sqlite3.connect(f"file:{self.plant.state}/ledger.db?mode=ro", uri=True)
        try:
            return link.execute("SELECT seq, payload, hash, sent_us FROM events ORDER BY seq").fetchall()
        finally:
            link.close()

    def check(self):
        rows = self.ledger()
        total = len(rows)
        wait_for(lambda: len(self.by_seq()) >= total, 60, "all events have arrived") if total else None
        seqs = [row[0] for row in rows]
        if seqs != list(range(1, total + 1)):
            self.problem("the ledger has gaps")
        self.check_arrivals({row[0]: json.loads(row[1]) for row in rows})
        self.check_story([json.loads(row[1]) for row in rows])
        self.check_chain(rows)
        for error in self.seen.schema_errors()[:5]:
            self.problem(error)
        verify = self.plant.ctl("verify", "--database", self.plant.state / "ledger.db")
        if verify.returncode != 0:
            self.problem(f"davyctl verify: {verify.stdout} {verify.stderr}")
        return rows

    def by_seq(self):
        found = collections.defaultdict(list)
        for event in self.seen.events():
            if event["seq"] is not None:
                found[event["seq"]].append(event)
        return found

    def check_arrivals(self, ledger):
        arrived = self.by_seq()
        if sorted(arrived) != sorted(ledger):
            missing, extra = sorted(set(ledger) - set(arrived)), sorted(set(arrived) - set(ledger))
            self.problem(f"missing at the subscriber: {missing[:10]}, not in the ledger: {extra[:10]}")
        for seq, events in arrived.items():
            for event in events:
                if seq in ledger and {**event, "replayed": None} != {**ledger[seq], "replayed": None}:
                    self.problem(f"seq {seq} has another payload than the ledger: {event} / {ledger[seq]}")
        highest = {}
        for event in self.seen.events():  # sent again after a kill: the whole tail, still in order per sending
            key = (event["rule"], event["device"], event["point"])
            if not event["replayed"] and event["seq"] is not None:
                if event["seq"] < highest.get(key, 0):
                    self.problem(f"out of order: {key} {event['seq']} after {highest[key]}")
                highest[key] = max(event["seq"], highest.get(key, 0))

    def check_story(self, events):
        """Each alarm's events, in order, tell one story: no restart may raise anew what goes on."""
        last, ids = {}, set()
        for event in events:
            key = (event["rule"], event["device"], event["point"])
            before = last.get(key)
            state, level = (before["state"], before["level"]) if before else ("normal", None)
            if event["previous_state"] != state:
                self.problem(f"{key} seq {event['seq']}: previous_state {event['previous_state']}, but it was {state}")
            if state == "normal":
                if event["event"] != "raised" or event["count"] != 1 or event["id"] in ids:
                    self.problem(f"{key} seq {event['seq']}: {event['event']} count {event['count']} begins an occurrence")
            elif event["id"] != before["id"] or event["previous_level"] != level:
                self.problem(f"{key} seq {event['seq']}: another occurrence or level than before")
            elif event["count"] != before["count"] + (event["event"] == "raised"):
                self.problem(f"{key} seq {event['seq']}: count {event['count']} after {before['count']}")
            ids.add(event["id"])
            last[key] = event

    def check_chain(self, rows):
        chain = "0" * 64
        for seq, payload, stored, _sent in rows:
            chain = hashlib.sha256(chain.encode() + payload.encode()).hexdigest()
            if chain != stored:
                self.problem(f"the hash chain breaks at seq {seq}")
                return

    def print_figures(self, rows):
        online = [m.arrived for m in self.seen.of("status") if m.data and m.data["state"] == "online"]
        back = [min(found) - start for start in self.starts if (found := [t for t in online if t > start])]
        sent = [m for m in self.seen.of("alarm") if m.payload]
        figures = {
            "seconds": self.arguments.seconds, "kills": self.kills, "broker_restarts": self.broker_restarts,
            "commands": self.commands, "seed": self.arguments.seed, "events": len(rows), "messages": len(sent),
            "sent_twice": len(sent) - len({m.data["seq"] for m in sent}),
            "previews": sum(m.data["seq"] is None for m in sent),
            "start_to_online_ms": {"median": round(1e3 * statistics.median(back)), "max": round(1e3 * max(back))} if back else None,
            "kinds": dict(collections.Counter(json.loads(row[1])["event"] for row in rows)),
            "problems": len(self.problems)}
        print(json.dumps(figures))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--broker-restarts", type=int, default=0)
    parser.add_argument("--seed", type=int, default=int(os.environ.get("DAVY_SEED") or random.randrange(1 << 30)))
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}", flush=True)
    with Plant(persistence=True) as plant:
        run = Run(plant, arguments)
        run.start()
        run.go()
        run.drain()
        rows = run.check()
        run.print_figures(rows)
        if len(rows) < arguments.seconds:
            run.problem(f"only {len(rows)} events: this run proves little")
        if run.problems:
            print("\n".join(plant.daemon.text().splitlines()[-30:]))
    return 1 if run.problems else 0


if __name__ == "__main__":
    sys.exit(main())
