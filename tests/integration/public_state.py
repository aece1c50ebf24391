#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What a subscriber finds who comes late: the retained message of each alarm agrees with `davyctl alarms` and with the ledger.

usage: public_state.py [CASE...]       all by default; exit 0 when all pass. Environment: DAVYD, DAVYCTL, DAVYSIM.
"""
import json
import signal
import subprocess
import sys
import time

import davy_schema
from pipeline import SIM, calm, check_all, config, event
from plant import BASE, Broker, Plant, run_cases, wait_for


def retained(broker, kind="alarm"):
    """Payloads of the alarms, or the zones, by topic, as somebody who subscribes now gets them."""
    done = subprocess.run(["mosquitto_sub", "-h", "127.0.0.1", "-p", str(broker.port), "-V", "5", "-q", "1", "-W", "1",
                           "--retained-only", "-t", "davy/#", "-F", "%t\t%p"], capture_output=True, text=True, timeout=20,
                          check=False)
    pairs = [line.split("\t", 1) for line in done.stdout.splitlines()]
    return {topic: json.loads(payload) for topic, payload in pairs if f"/{kind}/" in topic}


def difference(plant, broker):
    """What a late subscriber is told otherwise than an operator; empty where they agree."""
    told = [(f"{e['rule']}:{e['device']}.{e['point']}", topic, e) for topic, e in retained(broker).items() if e["point"]]
    found = {key: (topic, e) for key, topic, e in told}
    rows = {key: row for key, row in plant.alarms().items() if "." in key}
    wrong = [f"only retained: {key}" for key in found if key not in rows]
    wrong += [f"{key}: also under {topic}" for key, topic, _ in told if found[key][0] != topic]
    wrong += [f"not retained: {key}" for key in rows if key not in found]
    for key, row in rows.items():
        topic, e = found.get(key, (None, None))
        if e and (e["id"], e["state"], e["level"]) != (row["id"], row["state"], row["level"]):
            wrong.append(f"{key}: {e['state']} {e['level']}, not {row['state']} {row['level']}")
        if e and topic.split("/")[5] != row["zone"]:
            wrong.append(f"{key}: under {topic}")
    return wrong


def agree(plant, broker=None, timeout=20):
    last = []

    def look():
        last[:] = difference(plant, broker or plant.broker)
        return not last
    try:
        wait_for(look, timeout, "agreement")
    except AssertionError as error:
        raise AssertionError(f"{error}: {last}") from None


def in_zones(plant, zones, **changes):
    """The configuration with three zones and these for GT-1, GT-2, GT-3."""
    more = 'column = 0; }, { id = "B2"; name = "Moved"; }, { id = "C3"; name = "Again"; }'
    text = config(plant, **changes).replace("column = 0; }", more)
    for number, zone in enumerate(zones, 1):
        text = text.replace(f'name = "Tank {number}"; zone = "A1"', f'name = "Tank {number}"; zone = "{zone}"')
    return text


def reload(plant, text):
    plant.config.write_text(text, encoding="utf-8")
    done = plant.ctl("reload")
    assert done.returncode == 0, done


def started(plant):
    plant.broker.start()
    plant.start_sim(SIM % {"port": plant.plant_port})
    seen = plant.record()
    plant.start_daemon(in_zones(plant, ("A1", "A1", "A1")))
    wait_for(lambda: seen.of("snapshot"), 20, "a snapshot")
    calm(plant)
    for device, value in (("GT-1", 45), ("GT-2", 25)):
        plant.sim.set(f"{device}.gas", value)
        wait_for(lambda d=device: [e for e in seen.events("gas") if e["device"] == d], 20, f"an alarm of {device}")
    agree(plant)
    return seen


def a_moved_alarm_is_told_where_it_is():
    with Plant() as plant:
        seen = started(plant)
        reload(plant, in_zones(plant, ("B2", "A1", "A1")))
        agree(plant)
        reload(plant, in_zones(plant, ("B2", "B2", "A1")))
        agree(plant)
        plant.sim.set("GT-1.gas", 5)
        event(seen, "gas", "cleared")
        agree(plant)
        assert plant.ctl("ack", "gas:GT-1.gas").returncode == 0
        agree(plant)
        plant.sim.set("GT-3.gas", 25)
        wait_for(lambda: "gas:GT-3.gas" in plant.alarms(), 20, "another alarm")
        agree(plant)
        assert plant.end_daemon(signal.SIGKILL) != 0
        plant.start_daemon(in_zones(plant, ("B2", "B2", "B2")))  # a changed file at a start
        agree(plant)
        check_all(seen)


def there_and_back_while_the_broker_is_away():
    with Plant(persistence=True) as plant:
        started(plant)
        plant.broker.stop()
        reload(plant, in_zones(plant, ("B2", "B2", "A1")))
        reload(plant, in_zones(plant, ("A1", "A1", "A1")))
        plant.sim.set("GT-2.gas", 45)
        wait_for(lambda: plant.alarms()["gas:GT-2.gas"]["level"] == "red", 10, "escalated")
        plant.broker.start()
        wait_for(lambda: plant.status()["broker"]["connected"], 60, "connected")
        wait_for(lambda: plant.status()["status"]["outbox"]["events"] == 0, 20, "all is sent")
        time.sleep(1)  # what hides an alarm comes behind its event
        agree(plant)


def a_place_in_between_is_left_too():
    with Plant() as plant:
        started(plant)
        reload(plant, in_zones(plant, ("B2", "B2", "A1")))
        agree(plant)
        assert plant.end_daemon() == 0
        text = in_zones(plant, ("C3", "B2", "A1")).splitlines(keepends=True)
        plant.start_daemon("".join(line for line in text if '"GT-2"' not in line))
        agree(plant)


def what_was_left_while_the_broker_was_away_is_cleared_after_a_restart():
    with Plant(persistence=True) as plant:
        started(plant)
        plant.broker.stop()
        reload(plant, in_zones(plant, ("B2", "B2", "A1")))
        plant.sim.set("GT-2.gas", 45)  # its latest event is of the new place
        wait_for(lambda: plant.alarms()["gas:GT-2.gas"]["level"] == "red", 10, "escalated")
        assert plant.end_daemon(signal.SIGKILL) != 0
        plant.start_daemon()
        plant.broker.start()
        wait_for(lambda: plant.status()["broker"]["connected"], 60, "connected")
        agree(plant)


def a_zone_that_is_gone_has_no_colour():
    with Plant() as plant:
        started(plant)

        def zones():
            return {topic.rsplit("/", 1)[1] for topic in retained(plant.broker, "zone")}
        wait_for(lambda: zones() == {"A1", "B2", "C3"}, 10, "three zones")
        text = plant.config.read_text(encoding="utf-8").replace(', { id = "C3"; name = "Again"; }', "")
        reload(plant, text)
        wait_for(lambda: zones() == {"A1", "B2"}, 10, "without the one that a reload has removed")
        plant.broker.stop()  # keeps nothing: what is published again shows
        plant.broker.start()
        wait_for(lambda: zones() == {"A1", "B2"}, 60, "nor at the next connect")
        assert plant.end_daemon() == 0
        plant.start_daemon(text.replace(', { id = "B2"; name = "Moved"; }', ""))
        wait_for(lambda: zones() == {"A1"}, 10, "without the one that a start has removed")


def another_broker_knows_what_stands_and_the_first_one_what_has_ended():
    with Plant(persistence=True) as plant:
        started(plant)
        other = Broker(plant.folder, plant.spare_port)
        other.start()
        try:
            first = plant.config.read_text(encoding="utf-8")
            reload(plant, first.replace(f":{plant.broker_port}\"", f":{other.port}\""))
            wait_for(lambda: plant.status()["broker"]["url"].endswith(str(other.port)), 20, "at the other broker")
            agree(plant, other)
            plant.sim.set("GT-2.gas", 5)
            wait_for(lambda: plant.alarms()["gas:GT-2.gas"]["state"] == "returned", 20, "gone")
            assert plant.ctl("ack", "gas:GT-2.gas").returncode == 0
            plant.sim.set("GT-3.gas", 25)
            wait_for(lambda: "gas:GT-3.gas" in plant.alarms(), 20, "another one")
            agree(plant, other)
            reload(plant, first)
            wait_for(lambda: plant.status()["broker"]["url"].endswith(str(plant.broker_port)), 20, "back again")
            agree(plant)
            plant.sim.set("GT-2.gas", 25)
            plant.sim.set("GT-3.gas", 5)
            wait_for(lambda: plant.alarms()["gas:GT-3.gas"]["state"] == "returned", 20, "gone")
            assert plant.ctl("ack", "gas:GT-3.gas").returncode == 0
            agree(plant)
            assert plant.end_daemon() == 0
            plant.start_daemon(first.replace(f":{plant.broker_port}\"", f":{other.port}\""))  # a changed file at a start
            agree(plant, other)
        finally:
            other.stop()


def status(broker, prefix="davy/v1"):
    done = subprocess.run(["mosquitto_sub", "-h", "127.0.0.1", "-p", str(broker.port), "-V", "5", "-q", "1", "-W", "1",
                           "--retained-only", "-t", f"{prefix}/site/edge/status"], capture_output=True, text=True, timeout=20,
                          check=False)
    return json.loads(done.stdout) if done.stdout.strip() else {"state": None}


def who_is_left_hears_that_it_is_offline():
    for version in ("5", "3.1.1"):
        with Plant() as plant:
            started(plant)
            other = Broker(plant.folder, plant.spare_port)
            other.start()
            try:
                text = plant.config.read_text(encoding="utf-8").replace("telemetry = ", f'version = "{version}"; telemetry = ', 1)
                reload(plant, text)
                wait_for(lambda: status(plant.broker)["state"] == "online", 20, "online with that version")
                moved = text.replace(f":{plant.broker_port}\"", f":{other.port}\"")
                reload(plant, moved)
                wait_for(lambda: status(other)["state"] == "online", 20, "online at the other broker")
                left = status(plant.broker)
                assert left["state"] == "offline" and left["boot_id"] == status(other)["boot_id"], (version, left)
                assert not davy_schema.validate(json.dumps(left)), left
                reload(plant, moved.replace("telemetry = ", 'prefix = "davy/v2"; telemetry = ', 1))
                wait_for(lambda: status(other, "davy/v2")["state"] == "online", 20, "online under the other prefix")
                assert status(other)["state"] == "offline", (version, status(other))
                wait_for(lambda: {topic.split("/")[1] for topic in retained(other)} == {"v2"}, 20, "alarms only there")
                assert plant.end_daemon(signal.SIGKILL) != 0
                wait_for(lambda: status(other, "davy/v2")["state"] == "offline", 20, "the last will")
            finally:
                other.stop()


CASES = [
    who_is_left_hears_that_it_is_offline,
    a_moved_alarm_is_told_where_it_is,
    there_and_back_while_the_broker_is_away,
    a_place_in_between_is_left_too,
    a_zone_that_is_gone_has_no_colour,
    what_was_left_while_the_broker_was_away_is_cleared_after_a_restart,
    another_broker_knows_what_stands_and_the_first_one_what_has_ended,
]

if __name__ == "__main__":
    sys.exit(run_cases(CASES, sys.argv[1:]))
