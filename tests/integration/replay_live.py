#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What a daemon said live is what `davyctl replay --database` says of its readings, while it runs and afterwards.

usage: replay_live.py [CASE...]       all by default; exit 0 when all pass. Environment: DAVYD, DAVYCTL, DAVYSIM.
"""
import datetime
import json
import sys
import time

from plant import Plant, run_cases, wait_for

SIM = """
lines = ( { name = "plc-1"; type = "tcp"; port = %d; } );
devices = ( { id = "GT"; copies = 3; line = "plc-1"; unit = 1; points = (
  { name = "gas"; register = 0; type = "float32"; value = 5.0; } ); } );
"""
CONFIG = """
gateway = { id = "edge"; site = "site"; };
storage = { commit_interval = "1s"; };
buses = ( { name = "plc-1"; type = "tcp"; host = "127.0.0.1"; port = %d; timeout = "500ms"; } );
zones = ( { id = "A1"; name = "Tank farm"; } );
profiles = ( { name = "one"; points = (
  { name = "gas"; kind = "gas"; quantity = "H2S"; unit = "ppm"; register = 0; type = "float32"; range = [0.0, 100.0]; } ); } );
devices = ( { id = "GT-1"; zone = "A1"; bus = "plc-1"; unit = 1; profile = "one"; interval = "200ms"; settle = 2; },
            { id = "GT-2"; zone = "A1"; bus = "plc-1"; unit = 2; profile = "one"; interval = "200ms"; },
            { id = "GT-3"; zone = "A1"; bus = "plc-1"; unit = 3; profile = "one"; interval = "200ms"; } );
rules = (
  { name = "gas"; points = ["*.gas"]; orange = { above = %s; on_delay = "500ms"; }; red = { above = 40.0; latch = true; };
    deadband = 1.0; off_delay = "1s"; },
  { name = "peak"; points = ["*.gas"]; measure = { type = "max"; window = "3s"; }; yellow = { above = 30.0; }; deadband = 1.0; },
  { name = "two"; points = ["*.gas"]; vote = 2; orange = { above = 25.0; }; deadband = 1.0; },
  { name = "pump"; points = ["GT-2.gas"]; blue = { above = 10.0; };  deadband = 1.0;
    when = { point = "GT-3.gas"; above = 20.0; for = "600ms"; }; } );
"""


def ms(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() * 1000


def rules_of(events):
    return [e for e in events if e["rule"] in ("gas", "peak", "two", "two.fault", "pump")]


def live_events(plant):
    return rules_of(json.loads(row[0]) for row in plant.ledger("SELECT payload FROM events ORDER BY seq"))


def same(plant):
    """Replay the database, and compare what the rules said: all but ids and stamps to the millisecond."""
    done = plant.ctl("replay", "--config", str(plant.config), "--database", str(plant.state))
    assert done.returncode == 0, done
    live, again = live_events(plant), rules_of(json.loads(line) for line in done.stdout.splitlines())
    keys = ("event", "rule", "device", "point", "level", "state", "value", "limit", "quality", "count", "first_out")
    told, replayed = [[tuple(e[k] for k in keys) for e in events] for events in (live, again)]
    assert told == replayed, f"live:\n{told}\nreplayed:\n{replayed}"
    late = [(a["time"], b["time"]) for a, b in zip(live, again) if abs(ms(a["time"]) - ms(b["time"])) > 2]
    assert not late, late
    return len(live)


def settle(plant, seconds=2.5):
    """Long enough for delays, and for a commit of the readings that cause them."""
    time.sleep(seconds)
    plant.answers()


def replays_what_was_said():
    with Plant() as plant:
        sim = plant.start_sim(SIM % plant.plant_port)
        plant.start_daemon(CONFIG % (plant.plant_port, "20.0"))
        wait_for(lambda: plant.status()["status"]["points"]["good"] == 3, 20, "good points")
        for point, value in (("GT-1.gas", 22), ("GT-2.gas", 35), ("GT-1.gas", 45), ("GT-3.gas", 50), ("GT-1.gas", 5),
                             ("GT-2.gas", 12), ("GT-3.gas", 5), ("GT-2.gas", 5)):
            sim.set(point, value)
            settle(plant, 2)
        settle(plant)
        count = same(plant)
        assert count >= 12, f"only {count} events"
        sim.set("GT-1.gas", 150)
        sim.set("GT-2.gas", 26)
        settle(plant, 4)
        more = same(plant)
        assert more > count, "nothing happened"
        assert plant.end_daemon() == 0
        assert same(plant) == more
        plant.start_daemon()  # with alarms that stand
        settle(plant, 3)
        sim.set("GT-2.gas", 5)
        settle(plant, 5)
        assert same(plant) > more, "nothing cleared after the restart"
        again = plant.folder / "lower.conf"
        again.write_text(CONFIG % (plant.plant_port, "11.0"), encoding="utf-8")
        done = plant.ctl("--json", "replay", "--config", str(again), "--against", str(plant.config), "--database",
                         str(plant.state), "--since", "1h")
        assert done.returncode == 0, done
        document = json.loads(done.stdout)
        assert document["appear"] + document["move"] >= 1 and document["vanish"] == 0, document


if __name__ == "__main__":
    sys.exit(run_cases([replays_what_was_said], sys.argv[1:]))
