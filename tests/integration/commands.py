#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Commands over MQTT against a real broker: what each verb does, who may not, and what is refused.

usage: commands.py [CASE...]       all by default; exit 0 when all pass. Environment: DAVYD, DAVYCTL, DAVYSIM.
"""
import datetime
import json
import signal
import sqlite3
import subprocess
import sys
import time
import uuid

import davy_schema
from pipeline import CONFIG, SIM, calm, event
from plant import BASE, Plant, run_cases, wait_for

ALL = '"confirm", "snapshot", "resend", "ack"'


def config(plant, commands=ALL, version="5"):
    text = CONFIG % {"broker": plant.broker_port, "port": plant.plant_port, "orange": "20.0", "buses": "", "devices": ""}
    return text.replace("telemetry = ", f'commands = [ {commands} ]; version = "{version}"; telemetry = ', 1)


def subscriptions(plant):
    return plant.broker.program.text().count(f"{BASE}/cmd/+")


def listening(plant, before=0):
    wait_for(lambda: subscriptions(plant) > before, 15, "davyd has subscribed")


def started(plant, **options):
    plant.broker.start()
    plant.start_sim(SIM % {"port": plant.plant_port})
    seen = plant.record(as_published=True)
    plant.start_daemon(config(plant, **options))
    wait_for(lambda: seen.of("snapshot"), 20, "a snapshot")
    listening(plant)
    calm(plant)
    return seen


def stamp(offset_s=0):
    now = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=offset_s)
    return now.strftime("%Y-%m-%dT%H:%M:%S.") + f"{now.microsecond // 1000:03d}Z"


def command(**members):
    """A command with a fresh nonce; held against its schema unless it says otherwise."""
    return {"schema": "davy.command/1", "nonce": uuid.uuid4().hex, "issued_at": stamp(), "by": "zhao", **members}


def ack(alarm, **members):
    return command(**{"id": alarm["id"], "level": alarm["level"], "note": None, **members})


def publish(plant, verb, payload, *options, version="5"):
    """payload: a command, or text."""
    text = payload if isinstance(payload, str) else json.dumps(payload, ensure_ascii=False)
    subprocess.run(["mosquitto_pub", "-h", "127.0.0.1", "-p", str(plant.broker_port), "-V", version, "-q", "1",
                    "-t", f"{BASE}/cmd/{verb}", "-s" if text else "-n", *options], input=text.encode(), check=True, timeout=30)


def reply(seen, nonce, count=1):
    def found():
        return [m for m in seen.of("reply") if m.data and m.data["nonce"] == nonce][count - 1:count]
    message = wait_for(found, 15, f"reply {count} to {nonce}: {[m.payload for m in seen.of('reply')][-3:]}")[0]
    assert not message.retain, "a reply must not be retained"
    return message.data


def ask(plant, seen, verb, payload, *options, version="5"):
    """The reply to a command that the schema allows."""
    errors = davy_schema.validate(json.dumps(payload))
    assert not errors, errors
    publish(plant, verb, payload, *options, version=version)
    answer = reply(seen, payload["nonce"])
    assert answer["verb"] == verb, answer
    return answer


def done(answer):
    assert answer["ok"] is True and answer["reason"] is None, answer


def refused(answer, why):
    assert answer["ok"] is False and why in answer["reason"], (why, answer)


def audit(plant, verb, result, **wanted):
    """A row of the operators' actions."""
    def found():
        rows = plant.ledger('SELECT "by", target, note FROM actions WHERE verb = ? AND result LIKE ?', verb, f"%{result}%")
        return [dict(zip(("by", "target", "note"), row)) for row in rows
                if all(row[("by", "target", "note").index(key)] == value for key, value in wanted.items())]
    return wait_for(found, 10, f"audit of {verb} {result} {wanted}: "
                    f"{plant.ledger(chr(34).join(('SELECT ', 'by', ', verb, target, result FROM actions')))}")


def state(plant, key):
    row = plant.alarms().get(key)
    return row and row["state"]


def raised(plant, seen, device="GT-1", value=25, count=1):
    plant.sim.set(f"{device}.gas", value)
    return event(seen, "gas", "raised", count)


def check(seen):
    """All that davyd sent is as the schemas say; what a test sent to it need not be."""
    errors = [f"{m.topic}: {error}" for m in seen.messages if m.payload and "/cmd/" not in m.topic
              for error in davy_schema.validate(m.payload)]
    assert not errors, f"{len(errors)} schema errors, first: {errors[0]}"


def an_ack_takes_what_was_seen_and_is_audited():
    with Plant() as plant:
        seen = started(plant)
        alarm = raised(plant, seen)
        done(ask(plant, seen, "ack", ack(alarm, by="zhao 罐\u0007", note="seen from the control room")))
        taken = event(seen, "gas", "acknowledged")
        assert (taken["state"], taken["by"], taken["note"], taken["id"]) == (
            "acknowledged", "mqtt:zhao 罐?", "seen from the control room", alarm["id"]), taken
        audit(plant, "ack", "done", by="mqtt:zhao 罐?", target=alarm["id"], note="seen from the control room")
        refused(ask(plant, seen, "ack", ack(alarm)), "acknowledged already")
        plant.sim.set("GT-1.gas", 45)
        worse = event(seen, "gas", "escalated")
        assert worse["level"] == "red" and worse["state"] == "unacknowledged", worse
        refused(ask(plant, seen, "ack", ack(alarm)), "risen from orange to red")
        assert state(plant, "gas:GT-1.gas") == "unacknowledged"
        done(ask(plant, seen, "ack", ack(worse)))  # also a red one, when red was seen
        event(seen, "gas", "acknowledged", 2)
        refused(ask(plant, seen, "ack", ack(alarm, id=str(uuid.UUID(int=0x0192f3c17b1e7c449d0a3f6f1f0a2b11)))), "no such alarm")
        audit(plant, "ack", "risen from orange to red", by="mqtt:zhao")
        audit(plant, "ack", "no such alarm", by="mqtt:zhao")
        check(seen)


def an_ack_must_be_fresh_and_new():
    with Plant() as plant:
        seen = started(plant)
        alarm = raised(plant, seen)
        refused(ask(plant, seen, "ack", ack(alarm, issued_at=stamp(-75))), "behind the gateway's clock")
        refused(ask(plant, seen, "ack", ack(alarm, issued_at=stamp(75))), "ahead of the gateway's clock")
        refused(ask(plant, seen, "ack", ack(alarm, issued_at=stamp(-50))), "before the gateway started")
        assert state(plant, "gas:GT-1.gas") == "unacknowledged"
        audit(plant, "ack", "behind the gateway", by="mqtt:zhao", target=alarm["id"])
        first = ack(alarm)
        done(ask(plant, seen, "ack", first))
        publish(plant, "ack", first)
        refused(reply(seen, first["nonce"], 2), "used before")
        audit(plant, "ack", "used before")
        plant.sim.set("GT-1.gas", 45)
        event(seen, "gas", "escalated")
        publish(plant, "ack", {**first, "level": "red"})
        refused(reply(seen, first["nonce"], 3), "used before")
        assert state(plant, "gas:GT-1.gas") == "unacknowledged"
        check(seen)


def a_nonce_is_used_once_over_a_restart_too():
    """Of a sender whose clock is ahead: its time alone does not tell what was issued before the start."""
    with Plant() as plant:
        seen = started(plant)
        alarm = raised(plant, seen)
        first = ack(alarm, issued_at=stamp(40))
        done(ask(plant, seen, "ack", first))
        plant.config.write_text(plant.config.read_text(encoding="utf-8") + "# as before\n", encoding="utf-8")
        assert plant.ctl("reload").returncode == 0
        publish(plant, "ack", first)
        refused(reply(seen, first["nonce"], 2), "used before")
        plant.sim.set("GT-1.gas", 45)
        event(seen, "gas", "escalated")
        plant.sim.set("GT-1.gas", 25)
        event(seen, "gas", "lowered")  # unacknowledged, and of the level that was seen
        wait_for(lambda: plant.ledger("SELECT count(*) FROM actions WHERE verb = 'ack'")[0][0] == 2, 10, "both are in the ledger")
        before = subscriptions(plant)
        plant.end_daemon(signal.SIGKILL)
        plant.start_daemon()
        listening(plant, before)
        publish(plant, "ack", first)
        refused(reply(seen, first["nonce"], 3), "before the gateway started")
        assert state(plant, "gas:GT-1.gas") == "unacknowledged"
        done(ask(plant, seen, "ack", ack(alarm, issued_at=stamp(45))))
        check(seen)


def only_what_is_allowed_is_done():
    with Plant() as plant:
        seen = started(plant, commands='"snapshot"')
        alarm = raised(plant, seen)
        for verb, payload in (("ack", ack(alarm)), ("resend", command(**{"from": 1, "to": 1})), ("confirm", command(seq=1))):
            refused(ask(plant, seen, verb, payload), "not allowed")
            audit(plant, verb, "not allowed", by="mqtt:zhao")
        for verb in ("reset", "shelve", "silence", "disable", "reload", "ACK", "limit", "%s%n"):
            payload = command()
            publish(plant, verb, payload)
            answer = reply(seen, payload["nonce"])
            refused(answer, "not a verb")
            audit(plant, verb, "not a verb")
        assert state(plant, "gas:GT-1.gas") == "unacknowledged"
        done(ask(plant, seen, "snapshot", command()))
        nonces = []
        for _ in range(60):
            nonces.append(command()["nonce"])
            publish(plant, "reset", command(nonce=nonces[-1]))
        for nonce in nonces:
            refused(reply(seen, nonce), "not a verb")
        count = plant.ledger("SELECT count(*) FROM actions WHERE verb = 'reset'")[0][0]
        assert 1 <= count < 60, f"{count} of 61 refusals audited"
        check(seen)
        before = subscriptions(plant)
        connected = plant.broker.program.text().count("as davy-site-edge")
        plant.config.write_text(config(plant, commands=""), encoding="utf-8")
        assert plant.ctl("reload").returncode == 0
        wait_for(lambda: plant.broker.program.text().count("as davy-site-edge") > connected, 15, "a new connection")
        publish(plant, "snapshot", command(nonce="unheard"))
        time.sleep(1)
        assert subscriptions(plant) == before, "nothing is subscribed when nothing is allowed"
        assert not [m for m in seen.of("reply") if m.data["nonce"] == "unheard"]


def a_snapshot_is_made_on_request():
    with Plant() as plant:
        seen = started(plant)
        alarm = raised(plant, seen)
        before = len(seen.of("snapshot"))
        done(ask(plant, seen, "snapshot", {"schema": "davy.command/1", "nonce": "n-1"}))
        snapshot = wait_for(lambda: seen.of("snapshot")[before:], 5, "a snapshot before its reply")[-1].data
        assert alarm["id"] in [each["id"] for each in snapshot["alarms"]] and snapshot["last_seq"] >= alarm["seq"], snapshot
        audit(plant, "snapshot", "done", by="mqtt:?")
        replies = len(seen.of("reply"))
        publish(plant, "snapshot", {"schema": "davy.command/1"})  # nobody wants to tell it from others
        wait_for(lambda: len(seen.of("reply")) > replies, 5, "a reply without a nonce")
        assert seen.of("reply")[-1].data == {"schema": "davy.reply/1", "nonce": None, "verb": "snapshot", "ok": True,
                                             "reason": None}
        check(seen)


def a_gap_is_closed_with_exactly_what_was_missed():
    with Plant() as plant:
        first = started(plant)
        for value in (25, 5, 25):
            plant.sim.set("GT-1.gas", value)
            event(first, "gas", "cleared" if value == 5 else "raised", 2 if first.events("gas") and value == 25 else 1)
        known = max(e["seq"] for e in first.events())
        first.end()
        plant.started.remove(first)
        for device in ("GT-2", "GT-3", "GT-2"):
            key = f"gas:{device}.gas"
            plant.sim.set(f"{device}.gas", 25)
            wait_for(lambda: key in plant.alarms() and plant.alarms()[key]["active"], 10, "raised")
            plant.sim.set(f"{device}.gas", 5)
            wait_for(lambda: state(plant, key) == "returned", 10, "returned")
        wait_for(lambda: plant.status()["status"]["outbox"]["events"] == 0, 10, "all is sent")
        last = plant.status()["status"]["last_seq"]
        assert last >= known + 6, (known, last)
        second = plant.record("second", as_published=True)
        wait_for(lambda: second.of("snapshot"), 10)
        start = len(second.messages)
        done(ask(plant, second, "resend", command(**{"from": known + 1, "to": last})))
        again = [m for m in second.messages[start:] if "/alarm/" in m.topic]
        assert [m.data["seq"] for m in again] == list(range(known + 1, last + 1)), [m.data["seq"] for m in again]
        assert all(m.data["replayed"] and not m.retain for m in again), again
        stored = {seq: json.loads(payload) for seq, payload in plant.ledger("SELECT seq, payload FROM events")}
        for m in again:
            assert {**m.data, "replayed": False} == stored[m.data["seq"]], m
        assert [m.topic for m in again] == [f"{BASE}/alarm/A1/{m.data['device']}/gas/gas" for m in again], [m.topic for m in again]
        audit(plant, "resend", "done", target=f"{known + 1}..{last}")
        start = len(second.messages)
        refused(ask(plant, second, "resend", command(**{"from": last, "to": last + 1})), f"the last event is {last}")
        refused(ask(plant, second, "resend", command(**{"from": 1, "to": 10001})), "more than 10000")
        refused(ask(plant, second, "resend", command(**{"from": 2, "to": 1})), "below from")
        assert not [m for m in second.messages[start:] if "/alarm/" in m.topic]
        # A subscriber that comes now still finds the newest state, not what was sent again.
        third = plant.record("third")
        kept = wait_for(lambda: [m for m in third.of("alarm/A1/GT-2") if m.payload], 5)[-1]
        assert kept.retain and kept.data["seq"] == last and not kept.data["replayed"], kept
        check(second)


def stretch(plant, count):
    """Give the ledger of the stopped daemon `count` more events, delivered, copies of its last one."""
    link = sqlite3.connect(plant.state / "ledger.db")
    link.row_factory = sqlite3.Row
    last = link.execute("SELECT * FROM event ORDER BY seq DESC LIMIT 1").fetchone()
    names = ", ".join(f'"{name}"' for name in last.keys())
    for seq in range(last["seq"] + 1, last["seq"] + count + 1):
        row = {**dict(last), "seq": seq, "payload": last["payload"].replace(f'"seq":{last["seq"]},', f'"seq":{seq},', 1)}
        link.execute(f"INSERT INTO event ({names}) VALUES ({', '.join('?' * len(row))})", list(row.values()))
    link.commit()
    link.close()
    return last["seq"] + count


def a_long_range_is_paced_and_holds_up_no_alarm():
    with Plant() as plant:
        seen = started(plant)
        raised(plant, seen)
        wait_for(lambda: plant.status()["status"]["outbox"]["events"] == 0, 10)
        plant.end_daemon()
        last = stretch(plant, 2000)
        before = subscriptions(plant)
        plant.start_daemon()
        listening(plant, before)
        calm(plant)
        start, began = len(seen.messages), time.monotonic()
        payload = command(**{"from": 1, "to": last})
        publish(plant, "resend", payload)
        wait_for(lambda: [e for e in seen.events(start=start) if e["replayed"]], 10, "the first ones")
        refused(ask(plant, seen, "resend", command(**{"from": 1, "to": 2})), "busy")
        set_at = time.monotonic()
        plant.sim.set("GT-3.gas", 25)
        alarm = wait_for(lambda: [m for m in seen.of("alarm/A1/GT-3") if m.data and m.data["event"] == "raised"], 10, "an alarm")[0]
        assert alarm.arrived - set_at < 1.5, f"an alarm waited {alarm.arrived - set_at:.2f} s"
        done(wait_for(lambda: [m.data for m in seen.of("reply") if m.data["nonce"] == payload["nonce"]], 30, "the end")[0])
        took = time.monotonic() - began
        again = [e["seq"] for e in seen.events(start=start) if e["replayed"]]
        assert again == list(range(1, last + 1)), f"{len(again)} of {last}, {again[:5]}"
        assert 3 < took < 20, f"{last} events took {took:.1f} s"


def what_goes_on_while_the_broker_is_away_comes_when_it_is_back():
    with Plant() as plant:
        seen = started(plant)
        raised(plant, seen)
        wait_for(lambda: plant.status()["status"]["outbox"]["events"] == 0, 10)
        plant.end_daemon()
        last = stretch(plant, 2000)
        before = subscriptions(plant)
        plant.start_daemon()
        listening(plant, before)
        payload = command(**{"from": 1, "to": last})
        publish(plant, "resend", payload)
        wait_for(lambda: [e for e in seen.events() if e["replayed"]], 10, "the first ones")
        before = subscriptions(plant)
        plant.broker.stop()
        time.sleep(1)
        plant.broker.start()
        wait_for(lambda: subscriptions(plant) > before, 40, "it subscribes at each connect")
        wait_for(lambda: [m for m in seen.of("reply") if m.data["nonce"] == payload["nonce"]], 60, "the end")
        assert {e["seq"] for e in seen.events() if e["replayed"]} >= set(range(last - 500, last + 1))


def what_retention_has_removed_is_told():
    with Plant() as plant:
        seen = started(plant)
        for value in (25, 5, 25, 5):
            plant.sim.set("GT-1.gas", value)
            wait_for(lambda: seen.events("gas") and seen.events("gas")[-1]["active"] == (value == 25), 10)
        wait_for(lambda: plant.status()["status"]["outbox"]["events"] == 0, 10)
        last = plant.status()["status"]["last_seq"]
        plant.end_daemon()
        link = sqlite3.connect(plant.state / "ledger.db")
        link.execute("UPDATE chain SET seq = 2, hash = (SELECT hash FROM event WHERE seq = 2) WHERE name = 'event'")
        link.execute("DELETE FROM event WHERE seq <= 2")
        link.commit()
        link.close()
        before = subscriptions(plant)
        plant.start_daemon()
        listening(plant, before)
        start = len(seen.messages)
        refused(ask(plant, seen, "resend", command(**{"from": 1, "to": last})),
                f"not all are kept any more: sent again are {last - 2} events, 3 to {last}")
        assert [e["seq"] for e in seen.events(start=start) if e["replayed"]] == list(range(3, last + 1))
        refused(ask(plant, seen, "resend", command(**{"from": 1, "to": 2})), "none of these events is kept")
        check(seen)


def a_confirmation_is_kept_and_never_beyond_what_was_sent():
    with Plant() as plant:
        seen = started(plant)
        raised(plant, seen)
        wait_for(lambda: plant.status()["status"]["outbox"]["events"] == 0, 10)
        last = plant.status()["status"]["last_seq"]
        assert plant.status()["status"]["confirmed_seq"] is None
        refused(ask(plant, seen, "confirm", command(seq=last + 1)), f"{last + 1} is beyond what was sent: {last}")
        audit(plant, "confirm", "beyond what was sent", target=str(last + 1))
        assert plant.status()["status"]["confirmed_seq"] is None
        done(ask(plant, seen, "confirm", {"schema": "davy.command/1", "nonce": "c-1", "seq": last}))
        audit(plant, "confirm", "done", target=str(last))
        wait_for(lambda: plant.status()["status"]["confirmed_seq"] == last, 5, "the status has it")
        done(ask(plant, seen, "confirm", command(seq=1)))
        assert plant.status()["status"]["confirmed_seq"] == last
        wait_for(lambda: [m for m in seen.of("status") if m.data and m.data["confirmed_seq"] == last], 20, "P/status has it")
        plant.end_daemon()
        plant.start_daemon()
        wait_for(lambda: plant.status()["status"]["confirmed_seq"] == last, 5, "it survives a restart")
        check(seen)


def a_retained_command_is_never_done():
    for version in ("5", "3.1.1"):
        with Plant() as plant:
            seen = started(plant, version=version)
            alarm = raised(plant, seen)
            plant.end_daemon()
            payload = ack(alarm)
            publish(plant, "ack", payload, "-r")
            before = subscriptions(plant)
            plant.start_daemon()
            listening(plant, before)
            wait_for(lambda: "retained" in plant.daemon.text(), 10, "a line in the log")
            done(ask(plant, seen, "snapshot", command()))
            assert state(plant, "gas:GT-1.gas") == "unacknowledged"
            assert not [m for m in seen.of("reply") if m.data and m.data["nonce"] == payload["nonce"]]
            if version == "5":  # already at its first arrival
                live = command(nonce="live")
                publish(plant, "snapshot", live, "-r")
                done(ask(plant, seen, "snapshot", command()))
                assert not [m for m in seen.of("reply") if m.data and m.data["nonce"] == "live"]


def the_response_topic_is_used_unless_it_is_somebodys():
    with Plant() as plant:
        seen = started(plant)
        got = subprocess.run(["mosquitto_rr", "-h", "127.0.0.1", "-p", str(plant.broker_port), "-V", "5", "-q", "1", "-W", "10",
                              "-t", f"{BASE}/cmd/snapshot", "-e", "platform/answers/7", "-D", "publish", "correlation-data",
                              "c-42", "-m", json.dumps(command(nonce="rr")), "-F", "%r %t %D %C %P %p"],
                             capture_output=True, text=True, timeout=20, check=True).stdout.strip()
        assert got.startswith("0 platform/answers/7 c-42 application/json schema:davy.reply/1 {"), got
        data = json.loads(got[got.index("{"):])
        assert not davy_schema.validate(json.dumps(data)) and data["ok"] and data["nonce"] == "rr", got
        assert not [m for m in seen.of("reply") if m.data["nonce"] == "rr"]
        statuses = len(seen.of("status"))
        for topic in (f"{BASE}/status", f"{BASE}/alarm/A1/GT-1/gas/gas", f"{BASE}/cmd/snapshot", BASE, f"{BASE}/replyx",
                      "davy/v1/site/other/cmd/ack", "davy/v1/site/other/status", "$SYS/x"):
            payload = command(**{"from": 1, "to": 1})
            publish(plant, "resend", payload, "-D", "publish", "response-topic", topic)
            refused(reply(seen, payload["nonce"]), "response topic")
            audit(plant, "resend", "response topic")
        for topic in (f"{BASE}/reply/desk-3", "davy/v1/site/other/reply", "davy/v1/platform"):
            before = len(seen.messages)
            payload = command()
            listener = plant.record(topic.replace("/", "-"), topics=(topic,))
            publish(plant, "snapshot", payload, "-D", "publish", "response-topic", topic)
            wait_for(lambda: [m for m in listener.messages if m.data["nonce"] == payload["nonce"] and m.data["ok"]], 10, topic)
        assert len(seen.messages) > before
        assert all(m.data["schema"] == "davy.status/1" for m in seen.of("status")[statuses:])
        check(seen)


def nonsense_is_survived_and_answered_where_it_can_be():
    with Plant() as plant:
        seen = started(plant)
        wrong = (("[]", None), ("", None), ("{", None), ('{"schema":"davy.command/1","nonce":{"a":1}}', None),
                 ("[" * 15000, None), ("\\u0000", None), ('{"nonce":"m-1"}', "schema: missing"),
                 ('{"schema":"davy.command/2","nonce":"m-2"}', "schema: not valid"),
                 ('{"schema":"davy.command/1","nonce":"m-3","limit":3}', "a member that"),
                 ('{"schema":"davy.command/1","nonce":"m-4","nonce":"m-4"}', None),
                 ('{"schema":"davy.command/1","nonce":"m-5","by":7}', "by: not valid"),
                 ('{"schema":"davy.command/1","nonce":"m-6","by":1e400}', None),
                 ('{"schema":"davy.command/1","nonce":"m-7","by":9223372036854775808}', "by: not valid"),
                 ("x" * 20000, None))
        for text, why in wrong:
            before = len(seen.of("reply"))
            publish(plant, "snapshot", text)
            if why:
                refused(reply(seen, json.loads(text)["nonce"]), why)
            else:  # also who cannot be told by a nonce is told
                refused(wait_for(lambda b=before: seen.of("reply")[b:], 10, f"a reply to {text[:40]}")[0].data, "")
                assert seen.of("reply")[before].data["nonce"] is None
        rows = plant.ledger("SELECT result FROM actions WHERE verb = 'snapshot' AND \"by\" = 'mqtt:?'")
        assert len(rows) == len(wrong), rows
        payload = json.dumps(command(nonce="long", by="x" * 20000))
        publish(plant, "snapshot", payload, "-D", "publish", "response-topic", f"{BASE}/reply")
        answer = wait_for(lambda: [m.data for m in seen.of("reply") if m.data["reason"] and "longer than" in m.data["reason"]], 10)
        assert answer[0]["nonce"] is None, answer
        alarm = raised(plant, seen)
        for key in ("nonce", "issued_at", "by", "id", "level"):
            payload = ack(alarm)
            del payload[key]
            publish(plant, "ack", payload)
            if key != "nonce":
                refused(reply(seen, payload["nonce"]), f"{key}: missing")
        refused_long = ack(alarm, note="y" * 300)
        publish(plant, "ack", refused_long)
        refused(reply(seen, refused_long["nonce"]), "note: too long")
        assert state(plant, "gas:GT-1.gas") == "unacknowledged"
        assert [m.data["reason"] for m in seen.of("reply")].count("nonce: missing") == 1
        # A burst: nobody falls over, an alarm goes on, and every answer is one of the two.
        nonces = [f"burst-{i}" for i in range(1500)]
        lines = "\n".join(json.dumps(command(nonce=nonce)) for nonce in nonces)
        subprocess.run(["mosquitto_pub", "-h", "127.0.0.1", "-p", str(plant.broker_port), "-V", "5", "-q", "1",
                        "-t", f"{BASE}/cmd/snapshot", "-l"], input=lines.encode(), check=True, timeout=60)
        raised(plant, seen, "GT-2", 25, 2)
        time.sleep(2)
        answers = [m.data for m in seen.of("reply") if m.data["nonce"] and m.data["nonce"].startswith("burst")]
        assert answers and all(a["ok"] or a["reason"].startswith("busy") for a in answers), answers[:3]
        assert len([a for a in answers if a["ok"]]) >= 1 and plant.daemon.running()
        done(wait_for(lambda: (a := ask(plant, seen, "snapshot", command())) and a["ok"] and a, 30, "it takes commands again"))
        check(seen)


def an_older_protocol_does_the_same():
    with Plant() as plant:
        seen = started(plant, version="3.1.1")
        alarm = raised(plant, seen)
        done(ask(plant, seen, "ack", ack(alarm), version="311"))
        assert event(seen, "gas", "acknowledged")["by"] == "mqtt:zhao"
        done(ask(plant, seen, "snapshot", command(), version="311"))
        done(ask(plant, seen, "resend", command(**{"from": 1, "to": 1}), version="311"))
        done(ask(plant, seen, "confirm", command(seq=1), version="311"))
        before = subscriptions(plant)
        plant.broker.stop()
        plant.broker.start()
        wait_for(lambda: subscriptions(plant) > before, 40, "it subscribes at each connect")
        check(seen)


CASES = [
    an_ack_takes_what_was_seen_and_is_audited,
    an_ack_must_be_fresh_and_new,
    a_nonce_is_used_once_over_a_restart_too,
    only_what_is_allowed_is_done,
    a_snapshot_is_made_on_request,
    a_gap_is_closed_with_exactly_what_was_missed,
    a_long_range_is_paced_and_holds_up_no_alarm,
    what_goes_on_while_the_broker_is_away_comes_when_it_is_back,
    what_retention_has_removed_is_told,
    a_confirmation_is_kept_and_never_beyond_what_was_sent,
    a_retained_command_is_never_done,
    the_response_topic_is_used_unless_it_is_somebodys,
    nonsense_is_survived_and_answered_where_it_can_be,
    an_older_protocol_does_the_same,
]

if __name__ == "__main__":
    sys.exit(run_cases(CASES, sys.argv[1:]))
