#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The whole route with real parts: simulated devices, davyd, mosquitto, davyctl.

usage: pipeline.py [CASE...]       all by default; exit 0 when all pass. Environment: DAVYD, DAVYCTL, DAVYSIM.
"""
import datetime
import os
import pwd
import re
import shutil
import signal
import subprocess
import sys
import time

from plant import BASE, DAVYD, Plant, Program, run_cases, wait_for

SIM = """
lines = ( { name = "plc-1"; type = "tcp"; port = %(port)d; } );
devices = (
  { id = "GT"; copies = 3; line = "plc-1"; unit = 1; points = (
    { name = "gas"; register = 0; type = "float32"; value = 5.0; },
    { name = "aux"; register = 2; type = "float32"; value = 5.0; } ); } );
"""

CONFIG = """
gateway = { id = "edge"; site = "site"; };
mqtt = { url = "mqtt://127.0.0.1:%(broker)d"; telemetry = "changes"; telemetry_interval = "1s"; };
storage = { commit_interval = "1s"; };
buses = ( { name = "plc-1"; type = "tcp"; host = "127.0.0.1"; port = %(port)d; timeout = "1s"; fault_delay = "2s"; }%(buses)s );
zones = ( { id = "A1"; name = "Tank farm"; owner = "zhang.wei"; risk = "orange"; row = 0; column = 0; } );
profiles = ( { name = "gas-two"; points = (
  { name = "gas"; kind = "gas"; quantity = "H2S"; unit = "ppm"; register = 0; type = "float32"; range = [0.0, 100.0]; },
  { name = "aux"; kind = "other"; unit = "ppm"; register = 2; type = "float32"; range = [0.0, 100.0]; } ); } );
devices = (
  { id = "GT-1"; name = "Tank 1"; zone = "A1"; bus = "plc-1"; unit = 1; profile = "gas-two"; interval = "200ms"; settle = 0; },
  { id = "GT-2"; name = "Tank 2"; zone = "A1"; bus = "plc-1"; unit = 2; profile = "gas-two"; interval = "200ms"; settle = 0; },
  { id = "GT-3"; name = "Tank 3"; zone = "A1"; bus = "plc-1"; unit = 3; profile = "gas-two"; interval = "200ms"; settle = 0; }%(devices)s );
rules = (
  { name = "gas"; points = ["GT-*.gas"]; orange = { above = %(orange)s; }; red = { above = 40.0; }; deadband = 1.0; },
  { name = "trip"; points = ["GT-*.aux"]; red = { above = 50.0; latch = true; }; deadband = 1.0; } );
"""

USER = "local:" + pwd.getpwuid(os.getuid()).pw_name


def config(plant, orange="20.0", buses="", devices=""):
    return CONFIG % {"broker": plant.broker_port, "port": plant.plant_port, "orange": orange, "buses": buses,
                     "devices": devices}


def started(plant, recorder=True):
    plant.broker.start()
    plant.start_sim(SIM % {"port": plant.plant_port})
    seen = plant.record() if recorder else None
    plant.start_daemon(config(plant))
    if seen:
        wait_for(lambda: seen.of("snapshot"), 20, "a snapshot")
        calm(plant)
    return seen


def calm(plant):
    """Every point has been read: what follows is caused by the test."""
    wait_for(lambda: plant.status()["status"]["points"]["good"] == 6, 20, "six good points")


def event(seen, rule, name, count=1, timeout=30):
    """The `count`th event of that rule and name, once it has arrived."""
    def found():
        return [e for e in seen.events(rule) if e["event"] == name][count - 1:count]
    return wait_for(found, timeout, f"event {count} {name} of {rule}; seen: {[(e['rule'], e['event']) for e in seen.events()]}")[0]


def requests(plant, line="plc-1"):
    return int(re.search(rf"{line} requests=(\d+)", plant.sim.send("stats")).group(1))


def connections(plant, line="plc-1"):
    return int(re.search(rf"{line} .*?connections=(\d+)", plant.sim.send("stats")).group(1))


def check_all(seen, first_seq=1):
    """What must hold for everything that was published."""
    errors = seen.schema_errors()
    assert not errors, f"{len(errors)} schema errors, first: {errors[0]}"
    by_seq = {}
    for e in seen.events():
        if e["seq"] is None:
            continue
        first = by_seq.setdefault(e["seq"], e)
        assert {**first, "replayed": None} == {**e, "replayed": None}, f"seq {e['seq']} names two events: {first} {e}"
    assert sorted(by_seq) == list(range(first_seq, first_seq + len(by_seq))), f"gap in {sorted(by_seq)}"
    first, newest = {}, {}
    for e in seen.events():  # what is sent again repeats a tail, in order too: first arrivals rise, the last one is the highest
        if e["seq"] is None:
            continue
        key = (e["rule"], e["device"], e["point"])
        if e["seq"] not in first.setdefault(key, []):
            first[key].append(e["seq"])
        newest[key] = e["seq"]
    for key, seqs in first.items():
        assert seqs == sorted(seqs), f"out of order: {key} {seqs}"
        assert newest[key] == max(seqs), f"{key}: retained is {newest[key]}, older than {max(seqs)}"
    return by_seq


def alarm_goes_its_whole_way():
    with Plant() as plant:
        seen = started(plant)
        topic = f"{BASE}/alarm/A1/GT-1/gas/gas"
        plant.sim.set("GT-1.gas", 25)
        raised = event(seen, "gas", "raised")
        assert (raised["level"], raised["state"], raised["value"], raised["limit"], raised["count"], raised["zone"],
                raised["device"], raised["point"], raised["active"], raised["first_out"], raised["previous_state"]) == (
                    "orange", "unacknowledged", 25, 20, 1, "A1", "GT-1", "gas", True, True, "normal"), raised
        assert raised["durable"] and not raised["replayed"] and raised["by"] is None, raised
        plant.sim.set("GT-1.gas", 45)
        escalated = event(seen, "gas", "escalated")
        assert (escalated["level"], escalated["previous_level"], escalated["id"]) == ("red", "orange", raised["id"])
        plant.sim.set("GT-1.gas", 30)
        lowered = event(seen, "gas", "lowered")
        assert (lowered["level"], lowered["state"]) == ("orange", "unacknowledged"), lowered
        plant.sim.set("GT-1.gas", 19.5)  # within the deadband: nothing may happen
        wait_for(lambda: plant.ctl_json("points", "GT-1.gas")["points"][0]["value"] == 19.5, 10, "19.5 has been read")
        assert "gas:GT-1.gas" in plant.alarms()
        plant.sim.set("GT-1.gas", 5)
        cleared = event(seen, "gas", "cleared")
        assert (cleared["state"], cleared["level"], cleared["active"]) == ("returned", "orange", False), cleared
        assert wait_for(lambda: [m for m in seen.of("alarm") if m.topic == topic], 5)[-1].payload, "still retained"
        done = plant.ctl("ack", "gas:GT-1.gas", "--note", "seen it")
        assert done.returncode == 0, done
        taken = event(seen, "gas", "acknowledged")
        assert (taken["state"], taken["by"], taken["note"], taken["id"]) == ("normal", USER, "seen it", raised["id"]), taken
        wait_for(lambda: not [m for m in seen.of("alarm") if m.topic == topic][-1].payload, 10, "retained message cleared")
        again = plant.ctl("ack", "gas:GT-1.gas")
        assert again.returncode == 1, again
        check_all(seen)
        rows = plant.ledger("SELECT seq, event, by FROM events WHERE rule = 'gas' ORDER BY seq")
        assert [r[1] for r in rows] == ["raised", "escalated", "lowered", "cleared", "acknowledged"], rows
        audit = plant.ledger('SELECT "by", verb, target, result, note FROM actions')
        assert any(a[0] == USER and a[1] == "ack" and a[4] == "seen it" for a in audit), audit


def ack_while_active_then_second_ack_is_refused():
    with Plant() as plant:
        seen = started(plant)
        plant.sim.set("GT-1.gas", 25)
        raised = event(seen, "gas", "raised")
        assert plant.ctl("ack", raised["id"]).returncode == 0
        assert event(seen, "gas", "acknowledged")["state"] == "acknowledged"
        second = plant.ctl("ack", raised["id"])
        assert second.returncode == 1 and second.stderr.strip(), second
        wait_for(lambda: [r[0] for r in plant.ledger("SELECT result FROM actions WHERE verb = 'ack' ORDER BY seq")] == [
            "done", "the alarm is acknowledged already"], 10, "the refusal is audited")
        plant.sim.set("GT-1.gas", 45)
        assert event(seen, "gas", "escalated")["state"] == "unacknowledged"
        glob = plant.ctl("ack", "gas:*")
        assert plant.alarms()["gas:GT-1.gas"]["state"] == "unacknowledged", f"a glob must not take a red one: {glob}"
        plant.sim.set("GT-1.gas", 5)
        event(seen, "gas", "cleared")
        check_all(seen)


def latch_holds_until_reset():
    with Plant() as plant:
        seen = started(plant)
        plant.sim.set("GT-2.aux", 60)
        event(seen, "trip", "raised")
        assert plant.ctl("reset", "trip:GT-2.aux").returncode == 1, "reset while the condition is true"
        plant.sim.set("GT-2.aux", 5)
        latched = event(seen, "trip", "latched")
        assert (latched["state"], latched["active"], latched["latched"], latched["level"]) == (
            "latched", False, True, "red"), latched
        plant.sim.set("GT-2.aux", 70)
        raised = event(seen, "trip", "raised", 2)
        assert (raised["id"], raised["count"]) == (latched["id"], 2), raised
        plant.sim.set("GT-2.aux", 5)
        event(seen, "trip", "latched", 2)
        assert plant.ctl("reset", "trip:GT-2.aux").returncode == 0
        reset = event(seen, "trip", "reset")
        assert (reset["state"], reset["by"]) == ("normal", USER), reset
        assert plant.ctl("reset", "trip:GT-2.aux").returncode == 1, "nothing left to release"
        check_all(seen)


def silence_is_a_fault_and_never_clears():
    with Plant() as plant:
        seen = started(plant)
        plant.sim.set("GT-1.gas", 45)
        event(seen, "gas", "raised")
        plant.sim.send("fault GT-1 timeout")
        fault = event(seen, "fault", "raised")
        assert (fault["device"], fault["point"], fault["level"], fault["state"]) == (
            "GT-1", None, "yellow", "acknowledged"), fault
        assert plant.status()["status"]["points"]["bad"] == 2
        row = plant.alarms()["gas:GT-1.gas"]
        assert row["active"] and row["level"] == "red", row
        plant.sim.set("GT-1.gas", 5)
        plant.sim.send("clear GT-1")
        event(seen, "fault", "cleared")
        event(seen, "gas", "cleared")
        order = [e["event"] for e in seen.events("gas")]
        assert order == ["raised", "cleared"], order
        plant.sim.send("unplug plc-1")
        bus = event(seen, "fault", "raised", 2)
        assert (bus["device"], bus["zone"], bus["point"]) == ("plc-1", None, None), bus
        plant.sim.send("plug plc-1")
        event(seen, "fault", "cleared", 2)
        topics = {m.topic for m in seen.of("alarm")}
        assert f"{BASE}/alarm/A1/GT-1/_/fault" in topics and f"{BASE}/alarm/_/plc-1/_/fault" in topics, topics
        check_all(seen)


def late_subscriber_sees_the_present():
    with Plant() as plant:
        seen = started(plant)
        plant.sim.set("GT-1.gas", 45)
        plant.sim.set("GT-2.gas", 25)
        plant.sim.set("GT-3.aux", 60)
        plant.sim.set("GT-3.gas", 22)
        wait_for(lambda: len([e for e in seen.events() if e["event"] == "raised"]) >= 4, 20, "four alarms")
        assert plant.ctl("ack", "gas:GT-2.gas").returncode == 0
        assert plant.ctl("ack", "gas:GT-3.gas").returncode == 0
        plant.sim.set("GT-3.gas", 5)
        event(seen, "gas", "cleared")
        wait_for(lambda: any(m.topic.endswith("GT-3/gas/gas") and not m.payload for m in seen.of("alarm")), 10, "cleared")
        late = plant.record("late", topics=("davy/v1/+/+/alarm/#",))
        newest = {}
        for m in seen.of("alarm"):
            newest[m.topic] = m.payload
        present = {topic: payload for topic, payload in newest.items() if payload}
        wait_for(lambda: len(late.messages) >= len(present), 10, f"{sorted(present)} retained, got {late.messages}")
        shown = {m.topic: m.payload for m in late.messages if m.retain}
        assert shown == present, f"late sees {sorted(shown)}, present is {sorted(present)}"
        states = {a["alarm"]: a["state"] for a in plant.alarms().values()}
        assert {f"{m.data['rule']}:{m.data['device']}.{m.data['point']}": m.data["state"] for m in late.messages
                if m.data["kind"] != "self" and m.data["rule"] in ("gas", "trip")} == {
                    k: v for k, v in states.items() if k.split(":")[0] in ("gas", "trip")}, states
        check_all(seen)


def states_at_connect_and_last_will():
    with Plant() as plant:
        seen = started(plant)
        status = wait_for(lambda: seen.of("status"), 10)[0].data
        assert (status["state"], status["schema"]) == ("online", "davy.status/1"), status
        assert wait_for(lambda: seen.of("config"), 10)[0].data["accepted"] is True
        snapshot = seen.of("snapshot")[0].data
        assert snapshot["part"] == 1 and snapshot["parts"] == 1, snapshot
        plant.sim.set("GT-1.gas", 45)
        event(seen, "gas", "raised")
        first = len(seen.of("status"))
        wait_for(lambda: len(seen.of("status")) >= first + 2, 45, "two more statuses")
        times = [m.arrived for m in seen.of("status")][-2:]
        assert 13 < times[1] - times[0] < 18, f"every 15 s, but {times[1] - times[0]:.1f} s"
        assert seen.of("status")[-1].data["alarms"]["red"] == 1
        plant.end_daemon(signal.SIGKILL)
        wait_for(lambda: seen.of("status")[-1].data["state"] == "offline", 40, "the last will")
        before = len(seen.messages)
        plant.start_daemon()
        wait_for(lambda: any(m.topic.endswith("/snapshot") for m in seen.messages[before:]), 20, "snapshot")
        again = [m.data for m in seen.messages[before:] if m.topic.endswith("/snapshot")][0]
        kept = [a for a in again["alarms"] if a["rule"] == "gas"]
        assert len(kept) == 1 and kept[0]["id"] == seen.events("gas")[0]["id"], again
        wait_for(lambda: seen.of("status")[-1].data["state"] == "online", 20, "online again")
        began = time.monotonic()
        code = plant.end_daemon(signal.SIGTERM)
        assert code == 0 and time.monotonic() - began < 5, (code, time.monotonic() - began)
        wait_for(lambda: seen.of("status")[-1].data["state"] == "offline", 10, "offline at a clean stop")
        assert len([e for e in seen.events("gas") if e["event"] == "raised"]) == 1, "raised again by a restart"
        check_all(seen)


def zone_shows_the_worst_colour():
    with Plant() as plant:
        seen = started(plant)
        wait_for(lambda: seen.of("zone/A1"), 10, "the colour of the zone")
        plant.sim.set("GT-1.gas", 45)
        raised = event(seen, "gas", "raised")
        zone = wait_for(lambda: [m for m in seen.of("zone/A1") if m.data["colour"] == "red"], 10, "the zone turns red")[0]
        assert zone.data["cause"] == [raised["id"]] and zone.data["risk"] == "orange", zone.data
        check_all(seen)


def reload_without_a_change_keeps_the_broker():
    with Plant() as plant:
        seen = started(plant)
        connects = plant.status()["broker"]["connects"]
        before = len(seen.of("snapshot"))
        assert plant.ctl("reload").returncode == 0
        plant.config.write_text(config(plant, orange="22.0"), encoding="utf-8")
        assert plant.ctl("reload").returncode == 0
        plant.sim.set("GT-1.gas", 25)
        event(seen, "gas", "raised")
        shown = len(seen.of("status"))
        wait_for(lambda: len(seen.of("status")) > shown, 30, "the next status")
        assert plant.status()["broker"]["connects"] == connects, "reconnected to the broker"
        assert len(seen.of("snapshot")) == before


def reload_good_and_bad():
    with Plant() as plant:
        seen = started(plant)
        plant.sim.set("GT-1.gas", 15)
        plant.sim.set("GT-2.gas", 45)
        old = event(seen, "gas", "raised")
        wait_for(lambda: plant.ctl_json("points", "GT-1.gas")["points"][0]["value"] == 15, 10, "15 has been read")
        before = connections(plant)
        plant.config.write_text(config(plant, orange="10.0"), encoding="utf-8")
        plant.daemon.process.send_signal(signal.SIGHUP)
        new = event(seen, "gas", "raised", 2)
        assert (new["device"], new["limit"], new["value"]) == ("GT-1", 10, 15), new
        accepted = wait_for(lambda: [m for m in seen.of("config") if m.data["changes"]], 10)[-1].data
        assert accepted["accepted"] and any("above" in c["path"] or "rules" in c["path"] for c in accepted["changes"]), accepted
        assert connections(plant) == before, "the unchanged bus was reconnected"
        row = plant.alarms()["gas:GT-2.gas"]
        assert row["id"] == old["id"] and row["state"] == "unacknowledged", row
        plant.config.write_text(config(plant, orange="10.0").replace("deadband", "deadbnad"), encoding="utf-8")
        refused = plant.ctl("reload")
        assert refused.returncode == 1 and "deadbnad" in refused.stderr + refused.stdout, refused
        alarm = event(seen, "config", "raised")
        assert (alarm["device"], alarm["zone"], alarm["level"]) == ("gateway", None, "yellow"), alarm
        assert "deadbnad" in alarm["note"] and "davy" in alarm["note"], alarm
        assert plant.alarms()["config:gateway"]["note"] == alarm["note"], (plant.alarms()["config:gateway"], alarm)
        bad = wait_for(lambda: [m for m in seen.of("config") if not m.data["accepted"]], 10)[-1].data
        assert any("deadbnad" in e for e in bad["errors"]) and bad["hash"] == new["config"], bad
        plant.config.write_text(config(plant, orange="ten"), encoding="utf-8")
        assert plant.ctl("reload").returncode == 1
        wait_for(lambda: "deadbnad" not in plant.alarms()["config:gateway"]["note"], 10, "the newest error stands there")
        plant.sim.set("GT-3.gas", 12)
        assert event(seen, "gas", "raised", 3)["device"] == "GT-3", "the old configuration runs on"
        plant.config.write_text(config(plant, orange="10.0"), encoding="utf-8")
        assert plant.ctl("reload").returncode == 0
        event(seen, "config", "cleared")
        assert connections(plant) == before
        good = plant.config.read_text(encoding="utf-8")
        for text, expected in ((good.replace("deadband", "deadbnad"), 1), (good, 0)):
            plant.config.write_text(text, encoding="utf-8")
            assert plant.ctl("reload").returncode == expected
        event(seen, "config", "raised", 2)  # however soon it was mended
        event(seen, "config", "cleared", 2)
        without = config(plant, orange="10.0").replace('points = ["GT-*.gas"]', 'points = ["GT-[12].gas"]')
        plant.config.write_text(without, encoding="utf-8")
        done = plant.ctl("reload")
        assert done.returncode == 0 and "reloaded, " in done.stdout and "GT-3.gas has no limit" in done.stderr, done
        assert event(seen, "gas", "retired")["device"] == "GT-3"
        check_all(seen)


def broker_outage_loses_nothing():
    with Plant(persistence=True) as plant:
        plant.broker.start()
        plant.start_sim(SIM % {"port": plant.plant_port})
        seen = plant.record(persistent=True)
        plant.start_daemon(config(plant))
        wait_for(lambda: seen.of("snapshot"), 20, "a snapshot")
        calm(plant)
        plant.sim.set("GT-1.gas", 25)
        event(seen, "gas", "raised")
        known = seen.events()[-1]["seq"]
        plant.broker.stop()
        began, polled, shown = time.monotonic(), requests(plant), len(seen.events())
        for step in range(20):
            plant.sim.set("GT-1.gas", 5 if step % 2 == 0 else 25)
            plant.sim.set("GT-2.gas", 45 if step % 2 == 0 else 5)
            wait_for(lambda s=step: plant.ledger("SELECT count(*) FROM events WHERE rule = 'gas'")[0][0] >= 2 * s + 3, 15,
                     f"step {step} is in the ledger")
        wait_for(lambda: time.monotonic() > began + 10, 30)
        took, count = time.monotonic() - began, requests(plant) - polled
        assert count > 0.7 * took * 15, f"{count} requests in {took:.1f} s without a broker, 15 per second are due"
        assert plant.status()["broker"]["connected"] is False
        assert len(seen.events()) == shown
        plant.broker.start()
        total = plant.ledger("SELECT count(*) FROM events")[0][0]
        wait_for(lambda: len({e["seq"] for e in seen.events()}) >= total, 60, "all events arrive")
        by_seq = check_all(seen)
        first = [e["seq"] for e in seen.events() if not e["replayed"]]
        assert first == sorted(first), f"out of order after the outage: {first}"
        assert set(by_seq) >= set(range(1, total + 1))
        late = [e["seq"] for e in seen.events()[shown:] if e["replayed"]]
        # what was handed to the connection before its loss was noticed counts as sent
        assert not set(late) - set(range(1, known + 4)), f"a first sending is not replayed: {late}"
        wait_for(lambda: plant.status()["status"]["outbox"]["events"] == 0, 20, "the outbox is empty")


def starts_with_everything_away():
    with Plant() as plant:
        serial = ', { name = "rs485"; type = "rtu"; device = "%s/nothing"; baud = 9600; parity = "none"; timeout = "300ms"; }'
        device = ', { id = "GT-9"; zone = "A1"; bus = "rs485"; unit = 9; profile = "gas-two"; interval = "1s"; }'
        plant.start_daemon(config(plant, buses=serial % plant.folder, devices=device))
        status = plant.status()
        assert status["ok"] and not status["broker"]["connected"], status
        wait_for(lambda: len(plant.ledger("SELECT seq FROM events WHERE rule = 'fault' AND event = 'raised'")) >= 1, 30,
                 "a fault of the absent bus")
        plant.broker.start()
        seen = plant.record()
        plant.start_sim(SIM % {"port": plant.plant_port})
        event(seen, "fault", "raised", 1, 60)
        wait_for(lambda: plant.status()["status"]["points"]["good"] == 6, 60, "the devices are found")
        plant.sim.set("GT-1.gas", 25)
        event(seen, "gas", "raised")
        check_all(seen, first_seq=min(e["seq"] for e in seen.events()))


def second_instance_and_bad_files():
    with Plant() as plant:
        started(plant)
        other = Program("second", plant.folder, [DAVYD, "--config", plant.config], env=plant.daemon_env())
        assert other.process.wait(20) == 75, other.text()
        assert plant.status()["ok"], "the first runs on"
        assert plant.end_daemon() == 0
        bad = plant.folder / "bad.conf"
        bad.write_text(config(plant).replace('unit = 1;', 'unit = 999;'), encoding="utf-8")
        for path, code in ((bad, 78), (plant.folder / "missing.conf", 78)):
            done = subprocess.run([DAVYD, "--config", path], env={**os.environ, **plant.daemon_env()},
                                  capture_output=True, text=True, timeout=20, check=False)
            assert done.returncode == code, done
        done = subprocess.run([DAVYD, "--no-such-option"], capture_output=True, text=True, timeout=20, check=False)
        assert done.returncode == 64, done
        done = subprocess.run([DAVYD, "--check", "--config", plant.config], capture_output=True, text=True, timeout=20,
                              check=False)
        assert done.returncode == 0 and "plc-1" in done.stdout, done


def stops_in_time_with_all_in_trouble():
    with Plant() as plant:
        started(plant)
        plant.sim.send("fault plc-1 timeout")
        plant.broker.program.process.send_signal(signal.SIGSTOP)
        try:
            plant.sim.send("stats")
            began = time.monotonic()
            code = plant.end_daemon(signal.SIGTERM, timeout=15)
            took = time.monotonic() - began
        finally:
            plant.broker.program.process.send_signal(signal.SIGCONT)
        assert code == 0 and took < 5.5, (code, took)


def databases_are_readable_while_running():
    with Plant() as plant:
        seen = started(plant)
        plant.sim.set("GT-1.gas", 25)
        event(seen, "gas", "raised")
        plant.sim.set("GT-1.gas", 5)
        event(seen, "gas", "cleared")

        def sqlite(name, query):
            done = subprocess.run(["sqlite3", "-readonly", plant.state / name, query], capture_output=True, text=True,
                                  timeout=20, check=False)
            assert done.returncode == 0, done
            return done.stdout.strip().splitlines()
        wait_for(lambda: len(sqlite("readings.db", "SELECT DISTINCT value FROM readings WHERE point = 'GT-1.gas' "
                                    "AND value = 25.0 AND quality = 'good'")) == 1, 20, "25 in readings.db")
        rows = sqlite("ledger.db", "SELECT seq, event, state, rule, device, point, value, \"limit\" FROM events "
                                   "WHERE rule = 'gas' ORDER BY seq")
        assert [r.split("|", 1)[1] for r in rows] == [
            "raised|unacknowledged|gas|GT-1|gas|25.0|20.0", "cleared|returned|gas|GT-1|gas|5.0|20.0"], rows
        verify = plant.ctl("verify")
        assert verify.returncode == 0, verify
        history = plant.ctl_json("history", "GT-1.gas", "--since", "5min")
        assert "25" in str(history) and history, history
        events = plant.ctl("--json", "events", "--since", "5min", "--level", "orange")
        assert events.returncode == 0 and len(events.stdout.strip().splitlines()) == 2, events
        plant.end_daemon()
        verify = plant.ctl("verify", "--database", plant.state / "ledger.db")
        assert verify.returncode == 0, verify
        check_all(seen)


def fill(path):
    """Every byte that is free."""
    with open(path, "ab", buffering=0) as ballast:
        try:
            while ballast.write(bytes(4096)):
                pass
        except OSError:
            pass


def a_full_disk_hides_no_alarm():
    """Without even the reserve: announced without a number at once, and with it when there is room again."""
    with Plant() as plant:
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=70m", "tmpfs", plant.state], check=False, capture_output=True)
        if done.returncode != 0:
            print("skipped: mount needs root")
            return
        try:
            seen = started(plant)
            fill(plant.state / "ballast")
            os.truncate(plant.state / "reserve", 0)
            fill(plant.state / "ballast")
            for count in range(1, 50):  # files that are written over have room for some
                plant.sim.set("GT-1.gas", 45)
                preview = event(seen, "gas", "raised", count)
                if preview["seq"] is None:
                    break
                plant.sim.set("GT-1.gas", 5)
                event(seen, "gas", "cleared", count)
            assert preview["seq"] is None and preview["durable"] is False, preview
            assert event(seen, "storage", "raised")["device"] == "gateway"
            assert plant.status()["status"]["storage"]["ok"] is False
            plant.sim.set("GT-1.gas", 5)
            event(seen, "gas", "cleared", count)
            os.unlink(plant.state / "ballast")
            stored = event(seen, "gas", "raised", count + 1)
            assert stored["seq"] and stored["durable"] and stored["id"] == preview["id"], stored
            wait_for(lambda: len([e for e in seen.events("gas") if e["seq"]]) == 2 * count, 20, "all stored")
            assert plant.ctl("verify").returncode == 0
            check_all(seen)
        finally:
            if plant.daemon:
                plant.daemon.end()
            subprocess.run(["umount", "-l", plant.state], check=False)


def broker_that_hangs_and_a_kill_meanwhile():
    """Connected, but silent: polling and alarms go on, and a kill loses nothing that was stored."""
    with Plant(persistence=True) as plant:
        plant.broker.start()
        plant.start_sim(SIM % {"port": plant.plant_port})
        seen = plant.record(persistent=True)
        plant.start_daemon(config(plant).replace('telemetry = "changes"', 'keepalive = "5s"; telemetry = "changes"'))
        wait_for(lambda: seen.of("snapshot"), 20, "a snapshot")
        calm(plant)
        broker = plant.broker.program.process
        broker.send_signal(signal.SIGSTOP)
        try:
            began, polled = time.monotonic(), requests(plant)
            plant.sim.set("GT-1.gas", 25)
            wait_for(lambda: plant.ledger("SELECT count(*) FROM events WHERE rule = 'gas'")[0][0] == 1, 10, "it is stored")
            wait_for(lambda: not plant.status()["broker"]["connected"], 30, "the silence is noticed")
            assert requests(plant) - polled > 0.7 * 15 * (time.monotonic() - began)
            plant.end_daemon(signal.SIGKILL)
            plant.sim.set("GT-1.gas", 45)
            plant.start_daemon()
            wait_for(lambda: plant.ledger("SELECT count(*) FROM events WHERE rule = 'gas'")[0][0] == 2, 10, "it is stored")
        finally:
            broker.send_signal(signal.SIGCONT)
        raised, escalated = event(seen, "gas", "raised", 1, 60), event(seen, "gas", "escalated", 1, 60)
        assert (escalated["id"], escalated["level"]) == (raised["id"], "red"), escalated
        wait_for(lambda: plant.status()["status"]["outbox"]["events"] == 0, 60, "the outbox is empty")
        check_all(seen)


def what_was_wrong_with_the_broker_is_not_over_by_a_restart():
    """Without a connection nobody knows: the alarm goes on, and ends when there is one again."""
    def told():
        return [event for (event,) in plant.ledger("SELECT event FROM events WHERE rule = 'mqtt' ORDER BY seq")]

    with Plant() as plant:
        plant.broker.start()
        plant.start_sim(SIM % {"port": plant.plant_port})
        plant.start_daemon(config(plant))
        wait_for(lambda: plant.status()["broker"]["connected"], 20, "connected")
        plant.broker.stop()
        wait_for(lambda: "raised" in told(), 90, "a minute without a broker")
        plant.end_daemon(signal.SIGKILL)
        plant.start_daemon()
        wait_for(plant.answers, 20, "davyd answers")
        time.sleep(4)  # some looks at the state
        assert told() == ["raised"] and plant.alarms()["mqtt:gateway"]["active"], told()
        plant.broker.start()
        plant.record()
        wait_for(lambda: told() == ["raised", "cleared"], 100, "cleared")


def mqtt_3_1_1():
    with Plant() as plant:
        plant.broker.start()
        plant.start_sim(SIM % {"port": plant.plant_port})
        seen = plant.record()
        plant.start_daemon(config(plant).replace('telemetry = "changes"', 'version = "3.1.1"; telemetry = "all"'))
        wait_for(lambda: seen.of("snapshot"), 20, "a snapshot")
        plant.sim.set("GT-1.gas", 25)
        event(seen, "gas", "raised")
        wait_for(lambda: seen.of("telemetry/GT-3"), 20, "telemetry")
        check_all(seen)


def wall(text):
    return datetime.datetime.fromisoformat(text[:-1] + "+00:00").timestamp()


def delays_survive_a_kill():
    """A delay that ends while davyd is down has ended at its time, not at the start."""
    extra = '{ name = "slow"; points = ["GT-1.aux", "GT-2.aux"]; yellow = { above = 20.0; on_delay = "4s"; }; deadband = 1.0; },'
    with Plant(persistence=True) as plant:
        plant.broker.start()
        plant.start_sim(SIM % {"port": plant.plant_port})
        seen = plant.record(persistent=True)
        plant.start_daemon(config(plant).replace("rules = (", "rules = ( " + extra))
        wait_for(lambda: seen.of("snapshot"), 20, "a snapshot")
        calm(plant)
        stepped = time.time()
        plant.sim.set("GT-1.aux", 30)
        wait_for(lambda: plant.ctl_json("points", "GT-1.aux")["points"][0]["value"] == 30, 10, "30 has been read")
        time.sleep(1)  # the state of timers is stored with the next commit
        plant.end_daemon(signal.SIGKILL)
        wait_for(lambda: time.time() > stepped + 5, 20)
        plant.start_daemon()
        raised = event(seen, "slow", "raised")
        assert 3.9 < wall(raised["time"]) - stepped < 4.6, f"due 4 s after {stepped}, raised {raised}"
        check_all(seen)


def ladder_survives_a_kill():
    extra = ('{ name = "late"; points = ["GT-1.aux"]; yellow = { above = 20.0; }; deadband = 1.0; '
             'escalate = ( { after = "4s"; unless = "acknowledged"; level = "orange"; } ); },')
    with Plant(persistence=True) as plant:
        plant.broker.start()
        plant.start_sim(SIM % {"port": plant.plant_port})
        seen = plant.record(persistent=True)
        plant.start_daemon(config(plant).replace("rules = (", "rules = ( " + extra))
        calm(plant)
        plant.sim.set("GT-1.aux", 30)
        raised = event(seen, "late", "raised")
        plant.end_daemon(signal.SIGKILL)
        wait_for(lambda: time.time() > wall(raised["time"]) + 5, 20)
        plant.start_daemon()
        overdue = event(seen, "late", "overdue")
        assert abs(wall(overdue["time"]) - wall(raised["time"]) - 4) < 0.01, (raised, overdue)
        assert (overdue["level"], overdue["step"], overdue["id"]) == ("orange", 1, raised["id"]), overdue
        check_all(seen)


def exposure_goes_on_over_a_kill():
    """What was measured before a kill counts after it: the window of a short-term exposure is filled from readings.db."""
    extra = '{ name = "dose"; points = ["GT-1.gas"]; measure = { type = "stel"; }; orange = { above = 0.05; }; },'
    with Plant(persistence=True) as plant:
        plant.broker.start()
        plant.start_sim(SIM % {"port": plant.plant_port})
        seen = plant.record(persistent=True)
        plant.start_daemon(config(plant).replace("rules = (", "rules = ( " + extra))
        raised = event(seen, "dose", "raised")  # by the upper bound: nobody knows what was before
        assert (raised["level"], raised["uncertain"]) == ("yellow", True), raised
        wait_for(lambda: time.time() > wall(raised["time"]) + 5, 20)  # of 9 s that 5 ppm take to 0.05 ppm in 15 min
        plant.end_daemon(signal.SIGKILL)
        plant.start_daemon()
        escalated = event(seen, "dose", "escalated")
        assert 8.5 < wall(escalated["time"]) - wall(raised["time"]) < 12.5, (raised, escalated)
        assert (escalated["level"], escalated["uncertain"]) == ("orange", False), escalated
        names = {row["rule"] for row in plant.ctl_json("alarms")["alarms"]}
        assert "overload" not in names and "clock" not in names, names
        check_all(seen)


def a_start_takes_a_changed_file_as_a_reload():
    with Plant(persistence=True) as plant:
        plant.broker.start()
        plant.start_sim(SIM % {"port": plant.plant_port})
        seen = plant.record(persistent=True)
        plant.start_daemon(config(plant))
        wait_for(lambda: seen.of("snapshot"), 20, "a snapshot")
        calm(plant)
        plant.sim.set("GT-1.gas", 25)
        plant.sim.set("GT-2.gas", 15)
        first = event(seen, "gas", "raised")
        assert plant.ctl("ack", "gas:GT-1.gas").returncode == 0
        event(seen, "gas", "acknowledged")
        assert plant.end_daemon() == 0
        plant.start_daemon(config(plant, orange="10.0"))
        second = event(seen, "gas", "raised", 2)
        assert (second["device"], second["limit"]) == ("GT-2", 10), second
        row = plant.alarms()["gas:GT-1.gas"]
        assert (row["id"], row["state"]) == (first["id"], "acknowledged"), row
        assert plant.end_daemon() == 0
        plant.start_daemon(config(plant, orange="10.0").replace('points = ["GT-*.gas"]', 'points = ["GT-1.gas"]'))
        retired = event(seen, "gas", "retired")
        assert (retired["device"], retired["id"]) == ("GT-2", second["id"]), retired
        topic = f"{BASE}/alarm/A1/GT-2/gas/gas"
        wait_for(lambda: not [m for m in seen.of("alarm") if m.topic == topic][-1].payload, 10, "retained message cleared")
        check_all(seen)


def reload_adds_and_removes_a_bus():
    with Plant() as plant:
        seen = started(plant)
        before = connections(plant)
        second = SIM.replace("copies = 3; ", "").replace("plc-1", "plc-2") % {"port": plant.spare_port}
        first_sim = plant.sim
        plant.start_sim(second, "second-sim")
        bus = ', { name = "plc-2"; type = "tcp"; host = "127.0.0.1"; port = %d; timeout = "1s"; fault_delay = "2s"; }'
        device = ', { id = "GT-7"; zone = "A1"; bus = "plc-2"; unit = 1; profile = "gas-two"; interval = "200ms"; settle = 0; }'
        plant.config.write_text(config(plant, buses=bus % plant.spare_port, devices=device), encoding="utf-8")
        assert plant.ctl("reload").returncode == 0
        wait_for(lambda: plant.status()["status"]["points"]["good"] == 8, 20, "the new device is read")
        plant.sim.set("GT.gas", 45)
        raised = event(seen, "gas", "raised")
        assert raised["device"] == "GT-7", raised
        polled = requests(plant, "plc-2")
        plant.config.write_text(config(plant), encoding="utf-8")
        assert plant.ctl("reload").returncode == 0
        retired = event(seen, "gas", "retired")
        assert retired["id"] == raised["id"], retired
        wait_for(lambda: plant.status()["status"]["points"]["good"] == 6, 20, "its points are gone")
        polled = requests(plant, "plc-2")
        first_sim.set("GT-1.gas", 25)
        assert event(seen, "gas", "raised", 2)["device"] == "GT-1"
        assert requests(plant, "plc-2") == polled, "a bus that is gone is still read"
        plant.sim = first_sim
        assert connections(plant) == before, "the unchanged bus was reconnected"
        check_all(seen)


def what_a_broker_refuses_comes_later_in_order():
    with Plant() as plant:
        seen = started(plant)
        topic = f"{BASE}/alarm/A1/GT-1/gas/gas"
        plant.broker.deny("alarm/A1/GT-1/gas/gas")
        plant.sim.set("GT-1.gas", 25)
        trouble = event(seen, "mqtt", "raised")
        assert trouble["device"] == "gateway", trouble
        plant.sim.set("GT-1.gas", 5)
        wait_for(lambda: plant.ledger("SELECT count(*) FROM events WHERE rule = 'gas'")[0][0] == 2, 10, "cleared is stored")
        assert plant.ctl("ack", "gas:GT-1.gas").returncode == 0
        wait_for(lambda: plant.ledger("SELECT count(*) FROM events WHERE rule = 'gas'")[0][0] == 3, 10, "ack is stored")
        plant.sim.set("GT-2.gas", 25)
        assert event(seen, "gas", "raised")["device"] == "GT-2", "a refusal holds up another alarm"
        time.sleep(1)
        assert plant.alarms()["mqtt:gateway"]["active"], "the rows are refused still"
        plant.broker.deny()
        plant.sim.set("GT-1.gas", 45)
        wait_for(lambda: [m for m in seen.of("alarm") if m.topic == topic and m.data and m.data["level"] == "red"], 30,
                 "the newest event of the refused topic")
        wait_for(lambda: plant.status()["status"]["outbox"]["events"] == 0, 20, "the outbox is empty")
        came = [m for m in seen.of("alarm") if m.topic == topic]
        told = [m.data["event"] for m in came if m.data]
        assert told == ["raised", "cleared", "acknowledged", "raised"], [(m.data["seq"], m.data["event"], m.data["replayed"]) if m.data else None for m in came]
        assert came[0].data["replayed"] is True, "it was sent before"
        assert came[-1].data and came[-1].data["level"] == "red", "a late clearing hides the newest event"
        late = plant.record("late", topics=(topic,))
        wait_for(lambda: late.messages, 10, "a retained message")
        assert late.messages[-1].data["seq"] == came[-1].data["seq"], late.messages
        check_all(seen)


def refused_telemetry_comes_at_the_next_connect():
    with Plant() as plant:
        seen = started(plant)
        wait_for(lambda: seen.of("telemetry/GT-1"), 20, "telemetry")
        plant.broker.deny("telemetry/GT-1")
        time.sleep(1.5)
        plant.sim.set("GT-1.aux", 33)
        refused = wait_for(lambda: plant.status()["broker"]["refused"], 20, "telemetry is refused")
        plant.sim.set("GT-1.aux", 34)
        wait_for(lambda: plant.status()["broker"]["refused"] > refused, 20, "more is refused")
        plant.broker.deny()
        plant.broker.stop()
        plant.broker.start()
        again = plant.record("again")
        plant.sim.set("GT-1.aux", 35)

        def values():
            return {r["value"]: m.data["replayed"] for m in again.of("telemetry/GT-1") for r in m.data["readings"]
                    if r["point"] == "aux"}
        wait_for(lambda: {33, 34, 35} <= set(values()), 40, "what was refused")
        assert values()[33] is True, "what waited for the connection is backlog"


def telemetry_goes_on_without_its_file():
    with Plant() as plant:
        seen = started(plant)
        wait_for(lambda: seen.of("telemetry/GT-1"), 20, "telemetry")
        for name in plant.state.glob("readings.db*"):
            name.unlink()
        before = len(seen.messages)
        plant.sim.set("GT-1.gas", 11)
        wait_for(lambda: [r for m in seen.messages[before:] if m.topic.endswith("/telemetry/GT-1") for r in m.data["readings"]
                          if r["value"] == 11], 5, "telemetry after the loss of readings.db")
        plant.sim.set("GT-1.gas", 12)
        wait_for(lambda: [r for m in seen.messages[before:] if m.topic.endswith("/telemetry/GT-1") for r in m.data["readings"]
                          if r["value"] == 12], 5, "more telemetry")
        wait_for(lambda: plant.status()["status"]["outbox"]["telemetry"] == 0, 10, "acknowledgements are taken")


def no_preview_after_the_event():
    """A disk about as slow as announce_within: what is stored is not announced as unstored any more."""
    with Plant() as plant:
        seen = started(plant)
        if not shutil.which("strace"):
            print("skipped: no strace")
            return
        slow = plant.keep(Program("strace", plant.folder, [
            "strace", "-f", "-p", str(plant.daemon.pid), "-e", "trace=fdatasync", "-e",
            "inject=fdatasync:delay_enter=300000"]))
        wait_for(lambda: "attached" in slow.text() or not slow.running(), 10, "strace is attached")
        if not slow.running():
            print("skipped: ptrace is not allowed")
            return
        for step in range(12):
            for device in (1, 2, 3):
                plant.sim.set(f"GT-{device}.gas", 45 if step % 2 == 0 else 5)
            time.sleep(0.45)
        slow.end(signal.SIGINT)
        wait_for(lambda: plant.status()["status"]["outbox"]["events"] == 0, 30, "all is sent")
        stored = set()
        for e in seen.events("gas"):
            name = (e["id"], e["event"], e["count"], e["time"])
            assert e["durable"] or name not in stored, f"a preview after its event: {e}"
            if e["durable"]:
                stored.add(name)
        assert len(stored) > 10, stored
        check_all(seen)


def the_longest_texts_jam_nothing():
    """Every text as long as allowed, every byte of it escaped in JSON."""
    text = '\\"' * 255
    with Plant() as plant:
        plant.broker.start()
        plant.start_sim(SIM % {"port": plant.plant_port})
        seen = plant.record()
        long = config(plant).replace('"Tank farm"', f'"{text}"').replace('"zhang.wei"', f'"{text}"')
        long = long.replace('"Tank 1"', f'"{text}"')
        long = long.replace('"GT-*.gas"];', f'"GT-*.gas"]; owner = "{text}"; message = "{text}";')
        plant.start_daemon(long)
        wait_for(lambda: seen.of("snapshot"), 20, "a snapshot")
        calm(plant)
        plant.sim.set("GT-1.gas", 25)
        raised = event(seen, "gas", "raised")
        assert raised["message"] and raised["device_name"] == '"' * 255, raised
        done = plant.ctl("ack", "gas:GT-1.gas", "--note", "\x01" * 255)
        if done.returncode == 0:
            assert event(seen, "gas", "acknowledged")["note"] == "\x01" * 255
        plant.sim.set("GT-2.gas", 45)
        assert event(seen, "gas", "raised", 2)["device"] == "GT-2", "the ledger goes on"
        assert plant.ctl("verify").returncode == 0
        check_all(seen)


def reloads_in_a_hurry_leave_no_bus_blind():
    """Two reloads while one request is on the wire: the newest limit judges the next reading; and a stop is quick."""
    with Plant() as plant:
        plant.broker.start()
        plant.start_sim(SIM % {"port": plant.plant_port})
        seen = plant.record()
        slow = config(plant).replace('timeout = "1s"', 'timeout = "4s"; retries = 2')
        plant.start_daemon(slow)
        calm(plant)
        plant.sim.send("fault plc-1 timeout")
        time.sleep(0.5)
        for orange in ("30.0", "10.0"):
            plant.config.write_text(slow.replace("above = 20.0", f"above = {orange}"), encoding="utf-8")
            began = time.monotonic()
            assert plant.ctl("reload").returncode == 0
            assert plant.ctl("status").returncode == 0 and time.monotonic() - began < 2, "held up by the bus"
        plant.sim.set("GT-1.gas", 15)
        plant.sim.send("clear plc-1")
        raised = event(seen, "gas", "raised")
        assert (raised["value"], raised["limit"]) == (15, 10), raised
        plant.sim.send("fault plc-1 timeout")
        time.sleep(0.5)
        began = time.monotonic()
        assert plant.end_daemon() == 0 and time.monotonic() - began < 5, "a stop waits for the bus"
        check_all(seen)


def a_ledger_that_comes_late_is_recalled():
    with Plant(persistence=True) as plant:
        plant.broker.start()
        plant.start_sim(SIM % {"port": plant.plant_port})
        seen = plant.record(persistent=True)
        plant.start_daemon(config(plant))
        calm(plant)
        plant.sim.set("GT-2.aux", 60)
        first = event(seen, "trip", "raised")
        plant.sim.set("GT-2.aux", 5)
        event(seen, "trip", "latched")
        assert plant.end_daemon() == 0
        away = plant.folder / "away"
        plant.state.rename(away)
        plant.state.write_text("", encoding="utf-8")
        plant.start_daemon()
        assert "trip:GT-2.aux" not in plant.alarms()
        plant.state.unlink()
        away.rename(plant.state)
        row = wait_for(lambda: plant.alarms().get("trip:GT-2.aux"), 20, "the latched alarm is recalled")
        assert (row["state"], row["id"]) == ("latched", first["id"]), row
        other = Program("second", plant.folder, [DAVYD, "--config", plant.config], env=plant.daemon_env())
        assert other.process.wait(20) == 75, "the lock was not taken with the ledger: " + other.text()
        plant.sim.set("GT-2.aux", 70)
        again = event(seen, "trip", "raised", 2)
        assert (again["id"], again["count"]) == (first["id"], 2), again
        assert plant.ctl("verify").returncode == 0
        check_all(seen)


def a_moved_topic_is_cleared():
    with Plant() as plant:
        seen = started(plant)
        old, new = f"{BASE}/alarm/A1/GT-1/gas/gas", f"{BASE}/alarm/B2/GT-1/gas/gas"
        plant.sim.set("GT-1.gas", 25)
        event(seen, "gas", "raised")
        moved = config(plant).replace('column = 0; }', 'column = 0; }, { id = "B2"; name = "Moved"; }')
        moved = moved.replace('name = "Tank 1"; zone = "A1"', 'name = "Tank 1"; zone = "B2"')
        plant.config.write_text(moved, encoding="utf-8")
        assert plant.ctl("reload").returncode == 0
        wait_for(lambda: not [m for m in seen.of("alarm") if m.topic == old][-1].payload, 10, "the old topic is cleared")
        plant.sim.set("GT-1.gas", 45)
        escalated = event(seen, "gas", "escalated")
        assert escalated["zone"] == "B2", escalated
        late = plant.record("late", topics=("davy/v1/+/+/alarm/#",))
        wait_for(lambda: late.messages, 10, "retained messages")
        assert {m.topic for m in late.messages if "gas/gas" in m.topic} == {new}, late.messages
        assert plant.end_daemon() == 0
        plant.start_daemon(config(plant))  # a start with a changed file moves it too
        wait_for(lambda: not [m for m in seen.of("alarm") if m.topic == new][-1].payload, 20, "cleared at the start")
        check_all(seen)


CASES = [alarm_goes_its_whole_way, ack_while_active_then_second_ack_is_refused, latch_holds_until_reset,
         silence_is_a_fault_and_never_clears, late_subscriber_sees_the_present, states_at_connect_and_last_will,
         zone_shows_the_worst_colour, reload_without_a_change_keeps_the_broker, reload_good_and_bad, broker_outage_loses_nothing, starts_with_everything_away, second_instance_and_bad_files,
         stops_in_time_with_all_in_trouble, databases_are_readable_while_running,
         a_full_disk_hides_no_alarm, broker_that_hangs_and_a_kill_meanwhile,
         what_was_wrong_with_the_broker_is_not_over_by_a_restart, mqtt_3_1_1,
         delays_survive_a_kill, exposure_goes_on_over_a_kill, ladder_survives_a_kill,
         a_start_takes_a_changed_file_as_a_reload, reload_adds_and_removes_a_bus, what_a_broker_refuses_comes_later_in_order,
         refused_telemetry_comes_at_the_next_connect, telemetry_goes_on_without_its_file, no_preview_after_the_event,
         the_longest_texts_jam_nothing, reloads_in_a_hurry_leave_no_bus_blind, a_ledger_that_comes_late_is_recalled,
         a_moved_topic_is_cleared]

if __name__ == "__main__":
    sys.exit(run_cases(CASES, sys.argv[1:]))
