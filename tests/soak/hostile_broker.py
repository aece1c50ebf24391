#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""davyd against a broker that lies, hangs, refuses and babbles, while alarms come and go.

Of each behaviour it is asserted that no row leaves the outbox without an acknowledgement of success, that events of a topic
come in order, that connects are bounded, that memory, threads and descriptors stay, that `davyctl status` names the cause,
and that all drains once the broker is honest again. At the end the broker's record must equal the ledger (audit.py).

usage: hostile_broker.py [--seconds N] [--modes A,B] [--lanes L] [--seed S] [--plain] [--version 3.1.1]
Without --modes: all of tests/soak/lying_broker.py; --short: the most telling ones. Exit status 1 on any problem.
"""
import argparse
import collections
import datetime
import json
import os
import pathlib
import random
import re
import sqlite3
import sys
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "integration")]

import audit  # noqa: E402
import lying_broker  # noqa: E402
from plant import DAVYCTL, PATIENCE, Plant, seed_of_run, wait_for  # noqa: E402

DEVICES = 6
PLANT = """lines = ( { name = "plc-1"; type = "tcp"; port = %d; } );
devices = (
%s );
"""
PLANT_DEVICE = """  { id = "GT-%d"; line = "plc-1"; unit = %d; points = (
    { name = "gas"; register = 0; type = "float32"; wave = { type = "square"; low = 5.0; high = %.1f; period = "%dms"; phase = %.3f; }; } ); }"""
CONFIG = """
gateway = { id = "edge"; site = "site"; };
mqtt = { url = "%s"; version = "%s"; telemetry = "off"; keepalive = "5s"; %s };
buses = ( { name = "plc-1"; type = "tcp"; host = "127.0.0.1"; port = %d; timeout = "1s"; } );
zones = ( { id = "A1"; name = "Tank farm"; } );
profiles = ( { name = "gas-one"; points = (
  { name = "gas"; kind = "gas"; quantity = "H2S"; unit = "ppm"; register = 0; type = "float32"; range = [0.0, 100.0]; } ); } );
devices = (
%s );
rules = ( { name = "gas"; points = ["GT-*.gas"]; orange = { above = 20.0; }; red = { above = 40.0; }; deadband = 1.0;
            acknowledge = false; } );
"""
CONFIG_DEVICE = '  { id = "GT-%d"; zone = "A1"; bus = "plc-1"; unit = %d; profile = "gas-one"; interval = "200ms"; settle = 0; }'

# Names and least seconds. An acknowledgement is overdue after 30 s, so those that only withhold it need longer.
LONGER = {"never_acks": 45, "wrong_ids": 45, "pubrec": 45, "no_acks_mixed": 34, "huge": 45, "half_open": 45, "slow": 50,
          "no_connack": 60, "keep_alive": 20, "twin": 20, "any_of_all": 60}
# What MQTT 3.1.1 has no words for.
ONLY_5 = {"nobody", "refuses_some", "one_at_a_time", "any_window", "small_packets", "no_qos", "no_retain", "keep_alive",
          "disconnects", "twin", "mixed", "any_of_all"} | {name for name in lying_broker.BEHAVIOURS if name.startswith("refuses_")}
SHORT = (("no_acks_mixed",), ("twin", "small_packets"), ("tls_expired", "tls_wrong_name"), ("no_qos", "garbage"),
         ("refuses_some", "tls_unknown_authority"), ("mixed", "malformed_connack"))


class Figures:
    """What a process holds."""

    def __init__(self, pid):
        text = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
        self.rss_kib = int(re.search(r"VmRSS:\s+(\d+)", text).group(1))
        self.threads = int(re.search(r"Threads:\s+(\d+)", text).group(1))
        self.descriptors = len(os.listdir(f"/proc/{pid}/fd"))


class Lane:
    """One plant with its liar, through a list of behaviours one after the other."""

    def __init__(self, number, arguments, modes):
        self.number, self.arguments, self.modes = number, arguments, modes
        self.rng = random.Random(arguments.seed * 1000 + number)
        self.problems, self.rows = [], []
        self.plant = self.liar = None
        self.alarms_due = self.rss_kib = self.threads = self.tries = 0

    def problem(self, text):
        self.problems.append(text)
        print(f"PROBLEM: lane {self.number}: {text}", flush=True)

    def run(self):
        try:
            while not self.live():
                pass
        except Exception as error:  # the other lanes go on
            trace = error.__traceback__
            while trace.tb_next and trace.tb_next.tb_frame.f_code.co_filename == __file__:
                trace = trace.tb_next
            self.problem(f"line {trace.tb_lineno}: {type(error).__name__}: {error}")

    def live(self):
        """False: somebody has taken a port meanwhile, another try with others."""
        with Plant() as self.plant:
            try:
                try:
                    self.start()
                except (AssertionError, OSError) as error:
                    if "Address already in use" in str(error) and self.tries < 5:
                        self.tries += 1
                        return False
                    raise
                for mode in self.modes:
                    self.pass_through(mode)
                self.finish()
            finally:
                if self.liar:
                    self.liar.end()
                    if self.problems and self.plant.daemon:
                        print("\n".join(self.plant.daemon.text().splitlines()[-25:]), flush=True)
        return True

    # ---- the plant

    def start(self):
        secure = None if self.arguments.plain else self.plant.folder
        if secure:
            lying_broker.make_certificates(secure)
        self.liar = lying_broker.Broker(self.plant.broker_port, self.rng.random(), secure)
        waves = ",\n".join(PLANT_DEVICE % (i, i, self.rng.choice((30.0, 50.0)), self.rng.randint(2000, 5000), self.rng.random())
                           for i in range(1, DEVICES + 1))
        self.plant.start_sim(PLANT % (self.plant.plant_port, waves))
        url = f"{'mqtts' if secure else 'mqtt'}://localhost:{self.plant.broker_port}"
        files = f'ca_file = "{secure}/ca.pem";' if secure else ""
        devices = ",\n".join(CONFIG_DEVICE % (i, i) for i in range(1, DEVICES + 1))
        self.plant.start_daemon(CONFIG % (url, self.arguments.version, files, self.plant.plant_port, devices))
        wait_for(lambda: self.broker_status().get("connected"), 30, "the first connection")
        wait_for(lambda: len(self.liar.promised) > 5, 30, "the first events")
        self.threads = self.figures().threads

    def broker_status(self):
        return self.plant.status().get("broker") or {}

    def figures(self):
        return Figures(self.pid())

    def pid(self):
        """Of davyd itself, also where it runs below something else."""
        for line in pathlib.Path("/proc").glob("[0-9]*/environ"):
            try:
                if f"STATE_DIRECTORY={self.plant.state}".encode() in line.read_bytes() and \
                        (line.parent / "comm").read_text(encoding="ascii").strip() in ("davyd", "memcheck-amd64-"):
                    return int(line.parent.name)
            except OSError:
                continue
        raise AssertionError("davyd is gone")

    def alarm_stands(self):
        return self.plant.alarms().get("mqtt:gateway", {}).get("active", False)

    # ---- one behaviour

    def pass_through(self, mode):
        behaviour = self.liar.use(mode)
        seconds = max(self.arguments.seconds, 0 if self.arguments.seconds == 0 else LONGER.get(mode, 0))
        began, since = time.monotonic(), datetime.datetime.utcnow().isoformat(timespec="milliseconds") + "Z"
        alarmed = not behaviour.alarm
        quarter, named, statuses = None, behaviour.cause is None, collections.Counter()
        while time.monotonic() - began < seconds or (
                not (named and alarmed and self.liar.accepted) and time.monotonic() - began < seconds + 75):
            time.sleep(0.5)
            self.check_running()
            if quarter is None and time.monotonic() - began >= seconds / 4:
                quarter = self.figures()
            status = self.broker_status()
            said = told(status, since)
            statuses[said] += 1
            named = named or bool(re.search(behaviour.cause, said, re.IGNORECASE))
            self.check_outbox(mode)
            alarmed = alarmed or self.alarm_stands()
        self.alarms_due += behaviour.alarm
        if not self.liar.accepted:
            self.problem(f"{mode}: nobody connected")
        if not alarmed:
            self.problem(f"{mode}: the alarm `mqtt` does not stand")
        if not named:
            self.problem(f"{mode}: no status names the cause (/{behaviour.cause}/): {statuses.most_common(4)}")
        took = time.monotonic() - began
        end = self.figures()
        connects = len(self.liar.accepted)
        self.check_connects(mode, list(self.liar.accepted), took)
        self.check_figures(mode, quarter or end, end, behaviour.swells)
        self.heal(mode)
        self.rows.append({"mode": mode, "seconds": round(took, 1), "connects": connects, "rss_kib": end.rss_kib,
                          "threads": end.threads, "descriptors": end.descriptors, "events": self.ledger_count()})
        print(f"lane {self.number}: {json.dumps(self.rows[-1])}", flush=True)

    def check_running(self):
        if not self.plant.daemon.running():
            raise AssertionError(f"davyd ended with {self.plant.daemon.process.returncode}: {self.plant.daemon.text()[-1500:]}")

    def check_connects(self, mode, times, took):
        """Full jitter from 0.5 s on: two in a row may be near each other, many may not."""
        if len(times) > 8 + took / 2:
            self.problem(f"{mode}: {len(times)} connects in {took:.0f} s")
        for offence in sorted(set(self.liar.offences)):
            self.problem(f"{mode}: {offence}")
        self.liar.offences.clear()

    def check_figures(self, mode, quarter, end, swells):
        if not self.arguments.unmeasured and not swells and end.rss_kib > quarter.rss_kib + 4096:
            self.problem(f"{mode}: {quarter.rss_kib} KiB after a quarter, {end.rss_kib} KiB at the end")
        if end.threads > self.threads:  # fewer while the client library is put away
            self.problem(f"{mode}: {self.threads} threads at first, {end.threads} at the end")
        if end.descriptors > quarter.descriptors + 2:
            self.problem(f"{mode}: {quarter.descriptors} descriptors after a quarter, {end.descriptors} at the end")

    def ledger(self, query):
        for _ in range(20):
            try:
                return self.plant.ledger(query)
            except sqlite3.OperationalError:
                time.sleep(0.1)
        raise AssertionError("the ledger cannot be read")

    def ledger_count(self):
        return self.ledger("SELECT count(*) FROM events")[0][0]

    def check_outbox(self, mode):
        """What is not in the outbox any more must have been acknowledged with success; both are read in one moment."""
        gone = self.ledger("SELECT seq FROM events WHERE seq * 2 NOT IN (SELECT row FROM outbox)")
        lost = [seq for seq, in gone if seq not in self.liar.promised]
        if lost:
            self.problem(f"{mode}: left the outbox without an acknowledgement: seq {lost[:10]}")
            self.liar.promised.update(dict.fromkeys(lost))

    def heal(self, mode):
        self.liar.use("honest")
        wait_for(lambda: self.broker_status().get("connected"), 75, f"connected after {mode}")
        wait_for(lambda: self.plant.status()["status"]["outbox"]["events"] < 10, 75, f"the outbox drains after {mode}")
        self.check_outbox(mode)
        rss_kib = self.figures().rss_kib
        self.rss_kib = self.rss_kib or rss_kib
        if not self.arguments.unmeasured and rss_kib > self.rss_kib + 6144:
            self.problem(f"{mode}: {rss_kib} KiB afterwards, {self.rss_kib} KiB after the first behaviour")

    # ---- the end

    def finish(self):
        for i in range(1, DEVICES + 1):
            self.plant.sim.set(f"GT-{i}.gas", 5)
        time.sleep(2)
        wait_for(lambda: self.plant.status()["status"]["outbox"]["events"] == 0, 90, "the outbox is empty at the end")
        code = self.plant.end_daemon()
        if code != 0:
            self.problem(f"davyd stopped with {code}")
        ledger = audit.read(self.plant.state / "ledger.db")
        wrong = audit.everything(ledger, self.liar.heard, DAVYCTL, asked=self.liar.refused)
        wrong += [line for line in audit.retained(ledger, list(self.liar.kept.values()))
                  if not ("is seq None" in line and "no_retain" in self.modes)]  # there the broker forgot
        wrong += audit.whole(self.plant.state)
        seqs = {row.seq for row in ledger.rows}
        if seqs != set(self.liar.promised):
            wrong.append(f"acknowledged and ledger differ: {sorted(seqs ^ set(self.liar.promised))[:10]}")
        if self.alarms_due and not any(row.event["rule"] == "mqtt" and row.event["note"] for row in ledger.rows):
            wrong.append("the alarm `mqtt` never said why")
        for line in wrong:
            self.problem(line)

def told(status, since):
    """What the status says of the broker's trouble that is newer than `since`, in RFC 3339."""
    refusal = status.get("last_refusal") or {"at": ""}
    return json.dumps({"last_error": status.get("last_error") if (status.get("last_error_at") or "") >= since else None,
                       "last_refusal": refusal if refusal["at"] >= since else None, "limits": status.get("limits")})


def deal(modes, lanes):
    """The modes over the lanes, the longest first, so that all end at about the same time."""
    hands, loads = [[] for _ in range(lanes)], [0] * lanes
    for mode in sorted(modes, key=lambda mode: -LONGER.get(mode, 10)):
        lane = loads.index(min(loads))
        hands[lane].append(mode)
        loads[lane] += LONGER.get(mode, 10) + 15
    return [hand for hand in hands if hand]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=10, help="of each behaviour, at least")
    parser.add_argument("--modes", default="")
    parser.add_argument("--lanes", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--plain", action="store_true", help="no TLS")
    parser.add_argument("--unmeasured", action="store_true", default=PATIENCE != 1,
                        help="memory is not judged: davyd runs under an instrument, as where DAVY_PATIENCE says so")
    parser.add_argument("--version", default="5", choices=("5", "3.1.1"))
    parser.add_argument("--seed", type=int, default=seed_of_run())
    arguments = parser.parse_args()
    print(f"DAVY_SEED={arguments.seed}", flush=True)
    modes = arguments.modes.split(",") if arguments.modes else [
        mode for mode in lying_broker.BEHAVIOURS if not (arguments.plain and mode.startswith("tls_"))
        and not (arguments.unmeasured and mode == "flood")  # an instrument hides the growth that davyd looks at
        and not (arguments.version != "5" and mode in ONLY_5)]
    random.Random(arguments.seed).shuffle(modes)
    hands = [list(hand) for hand in SHORT] if arguments.short else deal(modes * arguments.rounds, arguments.lanes)
    lanes = [Lane(number, arguments, hand) for number, hand in enumerate(hands)]
    threads = [threading.Thread(target=lane.run) for lane in lanes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rows = [row for lane in lanes for row in lane.rows]
    problems = sum(len(lane.problems) for lane in lanes)
    print(json.dumps({"seed": arguments.seed, "behaviours": len(rows), "events": sum(lane.rows[-1]["events"] for lane in lanes if lane.rows),
                      "arrivals": sum(len(lane.liar.heard) for lane in lanes if lane.liar),
                      "connects": sum(row["connects"] for row in rows),
                      "rss_kib": {"first": min((row["rss_kib"] for row in rows), default=None),
                                  "last": max((row["rss_kib"] for row in rows), default=None)},
                      "problems": problems}))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
