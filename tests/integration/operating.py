#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The operator's side with real parts: covers, inhibits, explain and diff of davyctl against davyd, and their audit.

usage: operating.py [CASE...]       all by default; exit 0 when all pass. Environment: DAVYD, DAVYCTL, DAVYSIM.
"""
import datetime
import json
import os
import pwd
import sys

from plant import Plant, run_cases, wait_for

SIM = """
lines = ( { name = "plc-1"; type = "tcp"; port = %(port)d; } );
devices = (
  { id = "GT"; copies = 3; line = "plc-1"; unit = 1; points = (
    { name = "gas"; register = 0; type = "float32"; value = 5.0; },
    { name = "run"; register = 2; type = "uint16"; value = 1.0; } ); } );
"""

CONFIG = """
gateway = { id = "edge"; site = "site"; };
storage = { commit_interval = "1s"; };
buses = ( { name = "plc-1"; type = "tcp"; host = "127.0.0.1"; port = %(port)d; timeout = "1s"; fault_delay = "2s"; } );
zones = ( { id = "A1"; name = "Tank farm"; } );
profiles = ( { name = "gas-two"; points = (
  { name = "gas"; kind = "gas"; quantity = "H2S"; unit = "ppm"; register = 0; type = "float32"; range = [0.0, 100.0]; },
  { name = "run"; kind = "state"; register = 2; type = "uint16"; } ); } );
devices = (
  { id = "GT-1"; zone = "A1"; bus = "plc-1"; unit = 1; profile = "gas-two"; interval = "200ms"; settle = 0; },
  { id = "GT-2"; zone = "A1"; bus = "plc-1"; unit = 2; profile = "gas-two"; interval = "200ms"; settle = 0; },
  { id = "GT-3"; zone = "A1"; bus = "plc-1"; unit = 3; profile = "gas-two"; interval = "200ms"; settle = 0; },
  { id = "GT-9"; zone = "A1"; bus = "plc-1"; unit = 9; profile = "gas-two"; enabled = false; } );
rules = (
  { name = "gas"; points = ["GT-*.gas"]; orange = { above = %(orange)s; }; red = { above = 40.0; }; deadband = 1.0; },
  { name = "slow"; points = ["GT-1.gas"]; yellow = { above = 10.0; on_delay = "1h"; }; },
  { name = "pump"; points = ["GT-2.gas"]; yellow = { above = 1.0; };
    when = { point = "run"; equals = 1.0; for = "1s"; }; },
  { name = "two"; points = ["GT-[123].gas"]; vote = 2; orange = { above = 30.0; };
    escalate = ( { after = "1h"; unless = "acknowledged"; owner = "shift-leader"; } ); } );
"""

USER = "local:" + pwd.getpwuid(os.getuid()).pw_name


def config(plant, orange="20.0"):
    return CONFIG % {"port": plant.plant_port, "orange": orange}


def started(plant):
    plant.start_sim(SIM % {"port": plant.plant_port})
    plant.start_daemon(config(plant))
    wait_for(lambda: plant.status()["status"]["points"]["good"] == 6, 20, "six good points")


def ctl(plant, code, *arguments):
    """The JSON answer, whose exit code must be `code`."""
    done = plant.ctl("--json", *arguments)
    assert done.returncode == code, f"exit {done.returncode} of {arguments}: {done.stdout} {done.stderr}"
    return json.loads(done.stdout) if done.stdout.strip() else {}


def refused(plant, *arguments):
    answer = ctl(plant, 1, *arguments)
    assert answer["ok"] is False and answer["error"], answer
    return answer["error"]


def audit(plant, *rows):
    """The actions recorded so far: (verb, target, note, result), each by us."""
    def found():
        have = plant.ledger('SELECT "by", verb, target, note, result FROM actions WHERE verb != \'load\' '
                            "ORDER BY seq")
        return have == [(USER, *row) for row in rows] and have
    try:
        wait_for(found, 10, "the audit")
    except AssertionError:
        raise AssertionError(f"audit: {plant.ledger('SELECT * FROM actions ORDER BY seq')}") from None


def seconds_until(text):
    return (datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
            - datetime.datetime.now(datetime.timezone.utc)).total_seconds()


def state_is(plant, alarm, state):
    return wait_for(lambda: (row := plant.alarms("--all").get(alarm)) and row["state"] == state and row, 20,
                    f"{alarm} is {state}")


def shelves_for_a_time_and_unshelves():
    with Plant() as plant:
        started(plant)
        plant.sim.set("GT-1.gas", 25)
        state_is(plant, "gas:GT-1.gas", "unacknowledged")
        answer = ctl(plant, 0, "shelve", "gas:GT-1.gas", "2h", "--reason", "pump test")
        assert (answer["alarm"], answer["state"]) == ("gas:GT-1.gas", "shelved"), answer
        assert 7190 < seconds_until(answer["until"]) <= 7200, answer
        row = plant.alarms()["gas:GT-1.gas"]
        assert (row["state"], row["below"], row["by"], row["note"], row["level"], row["out_of_service"]) == (
            "shelved", "unacknowledged", USER, "pump test", "orange", False), row
        assert row["shelved_until"] == answer["until"] and row["since"] and row["value"] == 25 and row["limit"] == 20, row
        twice = refused(plant, "shelve", "gas:GT-1.gas", "--reason", "again")
        assert ctl(plant, 0, "unshelve", "gas:GT-1.gas", "--note", "over")["state"] == "unacknowledged"
        long = refused(plant, "shelve", "gas:GT-1.gas", "13h", "--reason", "long")
        none = refused(plant, "shelve", "gas:GT-7.gas", "--reason", "who")
        assert none.endswith("did you mean gas:GT-1.gas?"), none
        again = refused(plant, "unshelve", "gas:GT-1.gas")
        plant.sim.set("GT-1.gas", 50)
        state_is(plant, "gas:GT-1.gas", "unacknowledged")
        wait_for(lambda: plant.alarms()["gas:GT-1.gas"]["level"] == "red", 10, "red")
        red = refused(plant, "shelve", "gas:GT-1.gas", "--reason", "red")
        assert red == "red is tripped and may not be shelved (shelvable)", red
        wait_for(lambda: len(plant.ledger("SELECT seq FROM actions WHERE verb LIKE '%shelve'")) == 7, 10, "seven rows")
        rows = plant.ledger("SELECT result, detail, \"by\" FROM actions WHERE verb = 'shelve' ORDER BY seq")
        assert [r[0] for r in rows] == ["done", twice, long, none, red], rows
        assert json.loads(rows[0][1])["duration_s"] == 7200 and json.loads(rows[2][1])["duration_s"] == 13 * 3600, rows
        assert json.loads(rows[1][1])["duration_s"] == 8 * 3600 and {r[2] for r in rows} == {USER}, rows
        rows = plant.ledger("SELECT result, note FROM actions WHERE verb = 'unshelve' ORDER BY seq")
        assert rows == [("done", "over"), (again, None)], rows


def ends_with_no_shelf(plant):
    """A shelf below what is out of service has an end; out of service has none, and nothing may read as if it had."""
    ctl(plant, 0, "out-of-service", "slow:GT-1.gas", "--reason", "r")
    said = plant.ctl("shelve", "slow:GT-1.gas", "1h", "--reason", "below").stdout
    until = plant.alarms()["slow:GT-1.gas"]["shelved_until"]
    assert said == f"slow:GT-1.gas out-of-service, below that shelved until {until}\n", said
    told = plant.ctl("explain", "slow:GT-1.gas").stdout
    assert f"out-of-service over normal, below that shelved until {until}\n" in told, told
    row = [line for line in plant.ctl("alarms").stdout.splitlines() if line.startswith("slow:GT-1.gas")]
    assert "out-of-service" in row[0] and until not in row[0], row
    assert plant.ctl("in-service", "slow:GT-1.gas").stdout == "slow:GT-1.gas shelved\n"
    ctl(plant, 0, "unshelve", "slow:GT-1.gas")


def takes_out_of_service_and_puts_back():
    with Plant() as plant:
        started(plant)
        assert ctl(plant, 0, "out-of-service", "gas:GT-2.gas", "--reason", "sensor broken")["state"] == "out-of-service"
        row = plant.alarms()["gas:GT-2.gas"]
        assert (row["state"], row["below"], row["out_of_service"], row["by"], row["note"], row["id"]) == (
            "out-of-service", "normal", True, USER, "sensor broken", None), row
        twice = refused(plant, "out-of-service", "gas:GT-2.gas", "--reason", "again")
        plant.sim.set("GT-2.gas", 25)
        wait_for(lambda: plant.alarms()["gas:GT-2.gas"]["active"], 10, "it lives on below")
        assert ctl(plant, 0, "in-service", "gas:GT-2.gas")["state"] == "unacknowledged"
        again = refused(plant, "in-service", "gas:GT-2.gas")
        ends_with_no_shelf(plant)
        audit(plant, ("out-of-service", "gas:GT-2.gas", "sensor broken", "done"),
              ("out-of-service", "gas:GT-2.gas", "again", twice), ("in-service", "gas:GT-2.gas", None, "done"),
              ("in-service", "gas:GT-2.gas", None, again),
              *((verb, "slow:GT-1.gas", note, "done") for verb, note in (
                  ("out-of-service", "r"), ("shelve", "below"), ("in-service", None), ("unshelve", None))))


def inhibits_a_device_for_a_time():
    with Plant() as plant:
        started(plant)
        answer = ctl(plant, 0, "inhibit", "GT-1", "--reason", "bump test")
        assert answer["device"] == "GT-1" and 1790 < seconds_until(answer["until"]) <= 1800, answer

        def quality():
            return {(p["quality"], p["reason"]) for p in plant.ctl_json("points", "GT-1.*")["points"]}
        wait_for(lambda: quality() == {("uncertain", "calibration")}, 10, "readings are held")
        plant.sim.set("GT-1.gas", 90)
        wait_for(lambda: plant.ctl_json("points", "GT-1.gas")["points"][0]["value"] == 90, 10, "the gas has come")
        assert "gas:GT-1.gas" not in plant.alarms(), plant.alarms()
        why = ctl(plant, 0, "explain", "gas", "GT-1.gas")["alarms"][0]
        assert why["why"] == "calibration" and f"by {USER}: bump test" in why["sentence"], why
        row = state_is(plant, "inhibit:GT-1", "acknowledged")
        assert (row["by"], row["note"], row["inhibited_until"]) == (USER, "bump test", answer["until"]), row
        assert ctl(plant, 0, "uninhibit", "GT-1", "--note", "done early") == {"ok": True, "device": "GT-1", "until": None}
        state_is(plant, "gas:GT-1.gas", "unacknowledged")
        ctl(plant, 0, "inhibit", "GT-1", "--reason", "again")
        wait_for(lambda: "; the device is inhibited until" in plant.ctl("explain", "gas", "GT-1.gas").stdout, 10, "said so")
        ctl(plant, 0, "uninhibit", "GT-1")
        results = [refused(plant, "uninhibit", "GT-1"), refused(plant, "inhibit", "GT-1", "9h", "--reason", "long"),
                   refused(plant, "inhibit", "GT-4", "--reason", "who"), refused(plant, "inhibit", "GT-9", "--reason", "off")]
        assert "8h" in results[1] and "did you mean GT-" in results[2] and "not enabled" in results[3], results
        audit(plant, ("inhibit", "GT-1", "bump test", "done"), ("uninhibit", "GT-1", "done early", "done"),
              ("inhibit", "GT-1", "again", "done"), ("uninhibit", "GT-1", None, "done"),
              ("uninhibit", "GT-1", None, results[0]), ("inhibit", "GT-1", "long", results[1]),
              ("inhibit", "GT-4", "who", results[2]), ("inhibit", "GT-9", "off", results[3]))


def an_inhibit_outlives_a_restart():
    with Plant() as plant:
        started(plant)
        until = ctl(plant, 0, "inhibit", "GT-1", "1h", "--reason", "work")["until"]
        assert plant.end_daemon() == 0
        plant.start_daemon()
        wait_for(lambda: [p["reason"] for p in plant.ctl_json("points", "GT-1.gas")["points"]] == ["calibration"], 20,
                 f"inhibited until {until}")
        ctl(plant, 0, "uninhibit", "GT-1")


def explains_why():
    with Plant() as plant:
        started(plant)

        def why(*arguments):
            alarms = ctl(plant, 0, "explain", *arguments)["alarms"]
            assert len(alarms) == 1 and alarms[0]["sentence"], alarms
            return alarms[0]
        calm = why("gas", "GT-1.gas")
        assert calm["why"] == "not-reached" and "5 ppm" in calm["sentence"] and "orange ≥ 20 ppm" in calm["sentence"], calm
        assert [(l["level"], l["bound"], l["tripped"]) for l in calm["limits"]] == [("orange", 20, False), ("red", 40, False)]
        assert calm["reading"]["value"] == 5 and calm["reading"]["quality"] == "good" and calm["reading"]["age_s"] < 5, calm
        plant.sim.set("GT-1.gas", 25)
        wait_for(lambda: why("gas:GT-1.gas")["why"] == "active", 10, "active")
        slow = why("slow")
        assert slow["why"] == "on-delay" and 3580 < slow["limits"][0]["left_s"] <= 3600, slow
        assert slow["limits"][0]["timer"] == "on" and "yellow" in slow["sentence"], slow
        plant.sim.set("GT-2.run", 0)
        wait_for(lambda: why("pump")["why"] == "when", 10, "when is false")
        assert "GT-2.run = 1, it is 0" in why("pump")["sentence"] and why("pump")["when"]["answer"] is False, why("pump")
        plant.sim.set("GT-1.gas", 35)
        vote = wait_for(lambda: (row := why("two"))["vote"]["votes"] == 1 and row, 10, "a vote")
        assert (vote["why"], vote["vote"]["needed"], vote["vote"]["count"], vote["vote"]["healthy"]) == ("votes", 2, 3, 3), vote
        assert [m["vote"] for m in vote["vote"]["members"]] == [True, False, False], vote
        assert [(l["condition"], l["bound"], l["needed"]) for l in vote["limits"]] == [("above", 30, 2)], vote
        plant.sim.set("GT-3.gas", 35)
        wait_for(lambda: why("two", "_")["why"] == "active", 10, "two votes")
        ladder = why("two")["ladder"]
        assert len(ladder) == 1 and 3580 < ladder[0]["left_s"] <= 3600 and not ladder[0]["done"], ladder
        plant.sim.set("GT-1.gas", 5)
        wait_for(lambda: why("gas", "GT-1.gas")["why"] == "returned", 10, "returned")
        many = ctl(plant, 0, "explain", "gas")["alarms"]
        assert [a["alarm"] for a in many] == [f"gas:GT-{n}.gas" for n in (1, 2, 3, 9)] and many[3]["why"] == "not-enabled", many
        assert len(ctl(plant, 0, "explain", "gas", "GT-[12].*")["alarms"]) == 2
        text = plant.ctl("explain", "gas", "GT-3.gas").stdout
        assert text.startswith("gas:GT-3.gas: in alarm at orange: 35 ppm, limit ≥ 20 ppm\n") and "DEADBAND" in text, text
        assert "did you mean gas?" in refused(plant, "explain", "gass")
        assert "does not watch" in refused(plant, "explain", "gas", "GT-1.run")
        assert "no such point: GT-7.gas; did you mean GT-" in refused(plant, "explain", "gas", "GT-7.gas")
        assert "not enabled" in refused(plant, "explain", "gas", "GT-9.gas")
        assert {a["alarm"] for a in ctl(plant, 0, "explain", "GT-1")["alarms"]} >= {"gas:GT-1.gas", "two:_"}, "all of a device"
        assert "no rule watches GT-1.run" in plant.ctl("explain", "GT-1").stdout
        assert {p["point"] for p in ctl(plant, 0, "points", "GT-1")["points"]} == {"GT-1.gas", "GT-1.run"}


def explains_built_in_alarms():
    with Plant() as plant:
        started(plant)

        def why(*arguments):
            alarms = ctl(plant, 0, "explain", *arguments)["alarms"]
            assert len(alarms) == 1 and alarms[0]["builtin"]["cleared"] and not alarms[0]["limits"], alarms
            return alarms[0]
        calm = why("config")
        assert (calm["alarm"], calm["why"], calm["sentence"], calm["state"], calm["since"]) == (
            "config:gateway", "not-reached", "not in alarm", "normal", None), calm
        assert why("fault", "GT-1")["sentence"] == why("two.fault")["sentence"] == "not in alarm"
        assert ctl(plant, 0, "explain", "fault")["alarms"] == [], "without a name those that stand"
        assert plant.ctl("explain", "fault").stdout == "none of these alarms stands\n"
        assert refused(plant, "explain", "fault", "GT-7") == "no such alarm: fault:GT-7"
        assert refused(plant, "explain", "mqtt:GT-1") == "no such alarm: mqtt:GT-1"
        plant.config.write_text(config(plant, '"much"'), encoding="utf-8")
        assert plant.ctl("reload").returncode == 1
        row = state_is(plant, "config:gateway", "acknowledged")
        bad = why("config:gateway")
        assert bad["why"] == "active" and bad["sentence"] == f"in alarm since {row['since']}: {row['note']}", (bad, row)
        text = plant.ctl("explain", "config").stdout
        assert "orange" in text and "cleared by    a reload is accepted\n" in text and "davyctl check" in text, text
        ctl(plant, 0, "inhibit", "GT-1", "--reason", "bump test")
        state_is(plant, "inhibit:GT-1", "acknowledged")
        assert f"by {USER}: bump test" in why("inhibit")["sentence"], why("inhibit")
        plant.sim.send("fault GT-2 timeout")
        state_is(plant, "fault:GT-2", "acknowledged")
        assert why("fault")["sentence"].endswith(": no good reading (comm)"), why("fault")
        assert all(a["builtin"] is None for a in ctl(plant, 0, "explain", "GT-2")["alarms"]), "rules that watch it"


def tells_what_a_reload_would_change():
    with Plant() as plant:
        started(plant)
        assert plant.ctl("diff").stdout == "no difference\n"
        plant.config.write_text(config(plant, "21.0").replace('timeout = "1s"', 'timeout = "2s"'), encoding="utf-8")
        changes = ctl(plant, 0, "diff")["changes"]
        assert [(c["path"], c["running"], c["file"], c["effect"]) for c in changes] == [
            ("buses.plc-1.timeout", '"1s"', '"2s"', "bus"), ("rules.gas.orange.above", "20", "21", "reload")], changes
        other = plant.folder / "other.conf"
        other.write_text(config(plant).replace('"edge"', '"other"'), encoding="utf-8")
        changes = ctl(plant, 0, "diff", str(other))["changes"]
        assert [(c["path"], c["effect"]) for c in changes] == [("gateway.id", "restart")], changes
        assert plant.ctl("reload").returncode == 0
        wait_for(lambda: plant.ctl("diff").stdout == "no difference\n", 10, "the reload has done it")
        plant.config.write_text(config(plant, '"much"'), encoding="utf-8")
        done = plant.ctl("diff")
        assert done.returncode == 1 and "rules" in done.stderr and not done.stdout, done
        problems = ctl(plant, 1, "diff")["problems"]
        assert [p["path"] for p in problems if p["severity"] == "error"] == ["rules[0].orange.above"], problems


if __name__ == "__main__":
    sys.exit(run_cases([shelves_for_a_time_and_unshelves, takes_out_of_service_and_puts_back, inhibits_a_device_for_a_time,
                        an_inhibit_outlives_a_restart, explains_why, explains_built_in_alarms,
                        tells_what_a_reload_would_change], sys.argv[1:]))
