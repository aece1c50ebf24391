#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""`delivery = "platform"` with real parts: what is pending, what goes again, what the alarm `mqtt` says, over reload and restart.

usage: confirming.py [CASE...]       all by default; exit 0 when all pass. Environment: DAVYD, DAVYCTL, DAVYSIM.
"""
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

import commands
from commands import ask, command, done, listening, refused, stretch, subscriptions
from pipeline import SIM, calm, event
from plant import BASE, ROOT, Plant, Program, run_cases, wait_for

WITHIN_S = 2


def config(plant, delivery="platform", within_s=WITHIN_S):
    text = commands.config(plant)
    return text.replace("telemetry = ", f'delivery = "{delivery}"; confirm_within = "{within_s}s"; telemetry = ', 1)


def started(plant, delivery="platform"):
    plant.broker.start()
    plant.start_sim(SIM % {"port": plant.plant_port})
    seen = plant.record(as_published=True)
    plant.start_daemon(config(plant, delivery))
    wait_for(lambda: seen.of("snapshot"), 20, "a snapshot")
    listening(plant)
    calm(plant)
    return seen


def status(plant):
    return plant.status()["status"]


def outbox(plant):
    return status(plant)["outbox"]


def acknowledged(plant, seq):
    """The broker has that event, and its time is in the ledger."""
    rows = plant.ledger("SELECT sent_us FROM events WHERE seq = ?", seq)
    return rows and rows[0][0]


def again(seen, seq):
    return [m for m in seen.of("alarm/") if m.data and m.data["seq"] == seq and m.data["replayed"]]


def confirm(plant, seen, seq):
    done(ask(plant, seen, "confirm", command(seq=seq)))


def alarm_is(plant, active):
    alarm = plant.alarms().get("mqtt:gateway")
    return (alarm is not None and alarm["active"]) == active


def confirmed_all(plant, seen):
    def settled():
        last = status(plant)["last_seq"]
        confirm(plant, seen, last)
        return status(plant)["confirmed_seq"] == status(plant)["last_seq"] and outbox(plant)["events"] == 0
    wait_for(settled, 30, f"all is confirmed: {status(plant)}")


def what_is_not_confirmed_is_pending_and_goes_again_and_is_alarmed():
    with Plant() as plant:
        seen = started(plant)
        plant.sim.set("GT-1.gas", 25)
        raised = event(seen, "gas", "raised")
        seq = raised["seq"]
        wait_for(lambda: acknowledged(plant, seq), 10, "the broker has it")
        now = outbox(plant)
        assert now["events"] >= 1 and now["unconfirmed"] >= 1 and now["oldest"], now
        assert status(plant)["confirmed_seq"] is None
        assert "unconfirmed" in plant.ctl("status").stdout and now["oldest"] in plant.ctl("status").stdout
        first = next(m for m in seen.of("alarm/") if m.data and m.data["seq"] == seq)
        copy = wait_for(lambda: again(seen, seq), 4 * WITHIN_S, "it is sent again")[0]
        assert copy.arrived - first.arrived >= WITHIN_S, copy.arrived - first.arrived
        assert first.retain and not copy.retain and {**copy.data, "replayed": False} == first.data, copy
        told = event(seen, "mqtt", "raised")
        assert told["note"] == "the platform does not confirm" and "does not confirm" in told["message"], told
        assert "the platform does not confirm" in plant.daemon.text()
        confirm(plant, seen, seq)
        assert status(plant)["confirmed_seq"] == seq
        confirmed_all(plant, seen)
        event(seen, "mqtt", "cleared")
        confirmed_all(plant, seen)
        assert plant.ledger("SELECT count(*) FROM pending") == [(0,)]
        assert outbox(plant) == {"events": 0, "telemetry": outbox(plant)["telemetry"], "unconfirmed": 0, "oldest": None}
        before = len(again(seen, seq))
        time.sleep(2 * WITHIN_S)
        assert len(again(seen, seq)) == before, "what is confirmed never goes again"
        assert not seen.schema_errors() or all("/cmd/" in e for e in seen.schema_errors()), seen.schema_errors()[:2]


def another_cause_of_a_standing_alarm_is_shown_and_is_no_event():
    with Plant() as plant:
        seen = started(plant)
        plant.sim.set("GT-1.gas", 25)
        first = event(seen, "mqtt", "raised")
        assert plant.alarms()["mqtt:gateway"]["note"] == first["note"] == "the platform does not confirm", first
        plant.broker.deny("alarm/A1/GT-2/gas/gas")
        plant.sim.set("GT-2.gas", 25)
        wait_for(lambda: "the broker refuses" in plant.alarms()["mqtt:gateway"]["note"], 10, "the cause of now")
        assert "the broker refuses" in plant.ctl("explain", "mqtt").stdout
        assert plant.ledger("SELECT event, note FROM events WHERE rule = 'mqtt'") == [("raised", first["note"])]


def a_reload_changes_to_whom_events_are_delivered():
    with Plant() as plant:
        seen = started(plant, "broker")
        plant.sim.set("GT-1.gas", 25)
        event(seen, "gas", "raised")
        wait_for(lambda: outbox(plant)["events"] == 0, 10, "the broker suffices")
        before = status(plant)["last_seq"]

        def reload(delivery):
            plant.config.write_text(config(plant, delivery), encoding="utf-8")
            count = subscriptions(plant)
            assert plant.ctl("reload").returncode == 0
            wait_for(lambda: plant.ledger("SELECT platform FROM confirmed") == [(int(delivery == "platform"),)], 10)
            wait_for(lambda: subscriptions(plant) > count, 20)

        reload("platform")
        assert outbox(plant)["events"] == 0, "what was delivered before stays delivered"
        plant.sim.set("GT-2.gas", 25)
        second = event(seen, "gas", "raised", 2)
        wait_for(lambda: again(seen, second["seq"]), 4 * WITHIN_S, "it is sent again")
        assert not [m for m in seen.of("alarm/") if m.data and m.data["seq"] <= before and m.data["replayed"]]
        wait_for(lambda: alarm_is(plant, True), 10, "the alarm stands")
        reload("broker")
        wait_for(lambda: outbox(plant)["events"] == 0, 10, "the broker suffices again")
        wait_for(lambda: alarm_is(plant, False), 10, "and nobody is asked")
        reload("platform")
        assert outbox(plant)["unconfirmed"] == 0
        plant.sim.set("GT-3.gas", 25)
        event(seen, "gas", "raised", 3)
        wait_for(lambda: outbox(plant)["unconfirmed"] > 0, 10)
        confirmed_all(plant, seen)


def a_restart_forgets_nothing_and_calms_nothing():
    with Plant() as plant:
        seen = started(plant)
        plant.sim.set("GT-1.gas", 25)
        seq = event(seen, "gas", "raised")["seq"]
        wait_for(lambda: alarm_is(plant, True), 10 + 4 * WITHIN_S, "the alarm stands")
        for how in (signal.SIGTERM, signal.SIGKILL):
            plant.end_daemon(how)
            copies, began = len(again(seen, seq)), time.monotonic()
            plant.start_daemon()
            wait_for(lambda: len(again(seen, seq)) > copies, 10, "it is sent again")
            assert time.monotonic() - began < 10
            assert outbox(plant)["unconfirmed"] >= 1
        time.sleep(2 * WITHIN_S)
        told = [e["event"] for e in seen.events("mqtt")]
        assert "cleared" not in told, told
        assert alarm_is(plant, True)
        confirmed_all(plant, seen)
        wait_for(lambda: alarm_is(plant, False), 10, "the alarm is over")


def what_was_not_on_the_wire_cannot_be_confirmed():
    with Plant() as plant:
        seen = started(plant)
        plant.sim.set("GT-1.gas", 25)
        event(seen, "gas", "raised")
        plant.broker.deny("alarm/#")  # GT-2's is refused, and what follows of it waits behind
        plant.sim.set("GT-2.gas", 25)
        wait_for(lambda: "gas:GT-2.gas" in plant.alarms(), 10)
        wait_for(lambda: plant.ledger("SELECT count(*) FROM outbox WHERE attempts > 0")[0][0] > 0, 10, "it was refused")
        plant.broker.deny()
        last = status(plant)["last_seq"]
        refused(ask(plant, seen, "confirm", command(seq=last + 100)), "beyond what was sent")
        assert status(plant)["confirmed_seq"] is None
        rows = plant.ledger("SELECT target, result FROM actions WHERE verb = 'confirm'")
        assert rows and rows[0][0] == str(last + 100) and "beyond what was sent" in rows[0][1], rows


def rss_kib(plant):
    text = pathlib.Path(f"/proc/{plant.daemon.pid}/status").read_text(encoding="ascii")
    return int(text.split("VmRSS:")[1].split()[0])


def many_unconfirmed_cost_little_and_hold_up_no_alarm(count=20000):
    with Plant() as plant:
        seen = started(plant)
        plant.sim.set("GT-1.gas", 25)
        seq = event(seen, "gas", "raised")["seq"]
        wait_for(lambda: acknowledged(plant, seq), 10)
        wait_for(lambda: plant.ledger("SELECT count(*) FROM outbox") == [(0,)], 10)
        plain = rss_kib(plant)
        plant.end_daemon()
        last = stretch(plant, count)
        before = subscriptions(plant)
        plant.start_daemon()
        listening(plant, before)
        calm(plant)
        assert outbox(plant)["unconfirmed"] >= count, outbox(plant)
        wait_for(lambda: again(seen, seq), 10, "the oldest goes again")
        plant.sim.set("GT-3.gas", 25)
        set_at = time.monotonic()
        alarm = wait_for(lambda: [m for m in seen.of("alarm/A1/GT-3") if m.data and m.data["event"] == "raised"], 10)[0]
        assert alarm.arrived - set_at < 1.5, f"an alarm waited {alarm.arrived - set_at:.2f} s"
        took = {}
        for part in (4, 2, 1):  # it confirms what it has, and is sent the rest meanwhile
            began = time.monotonic()
            confirm(plant, seen, last // part)
            took[last // part] = round(time.monotonic() - began, 3)
        confirmed_all(plant, seen)
        assert rss_kib(plant) < plain + 20000, (plain, rss_kib(plant))
        print(json.dumps({"unconfirmed": count, "rss_kib": rss_kib(plant), "rss_plain_kib": plain, "confirm_s": took}))


def the_example_for_developers_is_as_it_says():
    """The commands of conf/examples/consumer.md, and its program, whose file is the proof."""
    folder = ROOT / "conf/examples"
    blocks = re.findall(r"```sh\n(.*?)```", (folder / "consumer.md").read_text(encoding="utf-8"), re.S)
    listen, *say = blocks[0].strip().split("\n")
    with Plant() as plant:
        seen = started(plant)
        settings = {"HOST": "127.0.0.1", "PORT": str(plant.broker_port), "NAME": "by-hand", "P": BASE}
        for value in (25, 5):
            plant.sim.set("GT-1.gas", value)
            event(seen, "gas", "raised" if value == 25 else "cleared")
        hand = plant.keep(Program("by-hand", plant.folder, ["sh", "-c", "exec stdbuf -oL " + listen], env=settings))
        wait_for(lambda: " by-hand 1 davy/" in plant.broker.program.text(), 10)
        for line in say:
            subprocess.run(["sh", "-c", line], env={**os.environ, **settings}, check=True, timeout=20)
        wait_for(lambda: status(plant)["confirmed_seq"] == 2, 10, "the confirmation by hand")
        wait_for(lambda: hand.text().count('davy.reply/1","nonce":') == 2, 10, f"both are answered: {hand.text()}")
        assert hand.text().count('"replayed":true') >= 2 and '"ok":false' not in hand.text(), hand.text()
        file = plant.folder / "events.jsonl"
        program = blocks[1].strip().replace("consumer.py", str(folder / "consumer.py")).replace("events.jsonl", str(file))
        for turn in range(2):  # it is stopped, and goes on from its file
            consumer = plant.keep(Program("consumer", plant.folder, ["sh", "-c", "exec " + program], env=settings))
            plant.sim.set("GT-2.gas", 25)
            wait_for(lambda: plant.alarms().get("gas:GT-2.gas", {}).get("active"), 10)
            wait_for(lambda: status(plant)["confirmed_seq"] == status(plant)["last_seq"] and outbox(plant)["events"] == 0,
                     40, "the program has confirmed all")
            wait_for(lambda: turn > 0 or f"has all events up to {status(plant)['last_seq']}, the last one" in consumer.text(),
                     40, "it says so with the next status")
            pid = consumer.process.pid
            parts = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="utf-8").split()
            assert parts and consumer.end() == 0, parts
            assert not [part for part in parts if os.path.exists(f"/proc/{part}")], "what is left takes what is for the next one"
            plant.started.remove(consumer)
            plant.sim.set("GT-2.gas", 5)
            wait_for(lambda: not plant.alarms()["gas:GT-2.gas"]["active"], 10)
        seqs = [json.loads(line)["seq"] for line in file.read_text(encoding="utf-8").splitlines()]
        confirmed = status(plant)["confirmed_seq"]
        assert sorted(seqs)[:confirmed] == list(range(1, confirmed + 1)) and len(seqs) == len(set(seqs)), seqs


CASES = [
    what_is_not_confirmed_is_pending_and_goes_again_and_is_alarmed,
    another_cause_of_a_standing_alarm_is_shown_and_is_no_event,
    a_reload_changes_to_whom_events_are_delivered,
    a_restart_forgets_nothing_and_calms_nothing,
    what_was_not_on_the_wire_cannot_be_confirmed,
    many_unconfirmed_cost_little_and_hold_up_no_alarm,
    the_example_for_developers_is_as_it_says,
]

if __name__ == "__main__":
    sys.exit(run_cases(CASES, sys.argv[1:]))
