#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Commissioning against real parts: davysim over TCP and a pty line, davyd that goes on polling, davyctl.

usage: commissioning.py [CASE...]       all by default; exit 0 when all pass. Environment: DAVYD, DAVYCTL, DAVYSIM.
"""
import json
import os
import signal
import subprocess
import sys

from plant import DAVYCTL, ROOT, Plant, run_cases, wait_for

os.environ["DAVY_DATADIR"] = str(ROOT / "conf")  # the profiles that are shipped

SIM = """
lines = ( { name = "plc-1"; type = "tcp"; port = %(port)d; },
          { name = "rs485-1"; type = "rtu"; link = "%(link)s"; } );
devices = (
  { id = "A"; line = "plc-1"; unit = 1; points = (
    { name = "gas"; register = 0; type = "float32"; value = 20.9; } ); },
  { id = "B"; line = "plc-1"; unit = 9; points = (
    { name = "gas"; register = 0; type = "float32"; order = "CDAB"; value = 20.9; } ); },
  { id = "E"; line = "plc-1"; unit = 10; points = (
    { name = "gas"; register = 101; type = "float32"; value = 7.25; } ); },
  { id = "X"; copies = 2; line = "plc-1"; unit = 11; points = (
    { name = "id"; register = 1; type = "uint16"; value = 9217; },
    { name = "value"; register = 2; type = "float32"; value = 4.5; },
    { name = "event"; register = 4; type = "uint16"; value = 0; },
    { name = "status"; register = 5; type = "uint16"; value = 0; },
    { name = "state"; register = 6; type = "uint16"; value = 1; },
    { name = "heartbeat"; register = 7; type = "uint16"; value = 10; },
    { name = "days"; register = 8; type = "float32"; value = 120.5; },
    { name = "unit"; register = 10; type = "uint16"; value = 4; } ); },
  { id = "Z"; line = "plc-1"; unit = 13; points = (
    { name = "gas"; register = 0; type = "float32"; value = 0; } ); },
  { id = "C"; line = "rs485-1"; unit = 1; points = (
    { name = "gas"; register = 0; type = "float32"; value = 12.5; } ); },
  { id = "D"; line = "rs485-1"; unit = 5; points = (
    { name = "v_rms"; table = "input"; register = 100; type = "uint16"; value = 250; } ); } );
"""

CONFIG = """
gateway = { id = "edge"; site = "site"; };
buses = ( { name = "plc-1"; type = "tcp"; host = "127.0.0.1"; port = %(port)d; timeout = "1s"; %(connections)s },
          { name = "rs485-1"; type = "rtu"; device = "%(link)s"; baud = 115200; timeout = "50ms"; },
          { name = "away"; type = "tcp"; host = "127.0.0.1"; port = %(spare)d; } );
profiles = ( { name = "one"; points = (
  { name = "gas"; kind = "gas"; quantity = "H2S"; unit = "ppm"; register = 0; type = "float32"; range = [0.0, 100.0]; } ); } );
devices = (
  { id = "A"; name = "Tank 1"; bus = "plc-1"; unit = 1; profile = "one"; interval = "200ms"; },
  { id = "GONE"; name = "Tank 2"; bus = "plc-1"; unit = 2; profile = "one"; interval = "1s"; },
  { id = "C"; name = "Pump 3"; bus = "rs485-1"; unit = 1; profile = "one"; interval = "200ms"; },
  { id = "MUTE"; bus = "rs485-1"; unit = 3; profile = "one"; interval = "1s"; max_reply = "100ms"; }%(devices)s );
"""


def started(plant, sim=SIM, devices="", connections=""):
    names = {"port": plant.plant_port, "spare": plant.spare_port, "link": plant.folder / "line", "devices": devices,
             "connections": connections}
    plant.start_sim(sim % names)
    plant.start_daemon(CONFIG % names)
    wait_for(lambda: plant.status()["status"]["points"]["good"] >= 2, 20, "two good points")


def requests(plant, bus):
    return next(b["requests"] for b in plant.status()["status"]["buses"] if b["name"] == bus)


def units(document):
    return {row["unit"]: row for row in document["units"]}


def a_scan_finds_what_is_there_while_polling_goes_on():
    with Plant() as plant:
        started(plant)
        before = requests(plant, "rs485-1")
        line = plant.ctl_json("scan", "rs485-1", "--units", "1-12")
        assert line["ok"] and line["asked"] == line["of"] == 12 and not line["stopped"], line
        found = units(line)
        assert sorted(found) == [1, 3, 5], found
        assert found[1]["there"] and found[1]["answer"] == "yes" and found[1]["devices"] == ["C"], found
        assert not found[3]["there"] and found[3]["answer"] == "no" and found[3]["devices"] == ["MUTE"], found
        assert found[5]["there"] and found[5]["answer"] == "exception 2" and found[5]["devices"] == [], found
        assert requests(plant, "rs485-1") > before + 14, "polls between the steps"
        assert plant.status()["status"]["points"]["good"] == 2
        gateway = plant.ctl("scan", "plc-1", "--units", "0-9,250,251")
        assert gateway.returncode == 0, gateway
        assert "12 units" in gateway.stderr and "about" in gateway.stderr, gateway.stderr
        assert "2 answer, 1 of them not configured; 1 configured silent" in gateway.stdout, gateway.stdout
        lines = [row.split() for row in gateway.stdout.splitlines()]
        assert ["1", "yes", "A", "Tank", "1", "one"] in lines, gateway.stdout
        assert any(row[:2] == ["9", "yes"] and row[-2:] == ["not", "configured"] for row in lines), gateway.stdout
        assert any(row[:4] == ["2", "exception", "11", "GONE"] and row[-1] == "silent" for row in lines), gateway.stdout
        plant.sim.send("fault D garbage")
        garbled = plant.ctl("scan", "rs485-1", "--units", "4,5")
        assert "garbled: two devices with this number, or noise" in garbled.stdout, garbled
        plant.sim.send("clear D")
        assert plant.ctl_json("scan", "rs485-1", "--units", "5", "--table", "input", "--register", "100")["units"][0]["answer"] == "yes"


def refused(plant, *arguments, code=1):
    done = plant.ctl(*arguments)
    assert done.returncode == code, done
    return done.stderr


def what_cannot_be_scanned_is_refused_in_words():
    with Plant() as plant:
        started(plant)
        assert "did you mean plc-1?" in refused(plant, "scan", "plc1")
        assert "there is no bus nothing" in refused(plant, "scan", "nothing")
        assert "did you mean rs485-1?" in refused(plant, "read", "rs485-2", "1", "holding", "0", "1")
        wait_for(lambda: "the bus away is closed: Connection refused" in plant.ctl("scan", "away").stderr, 10, "its reason")
        assert "Connection refused" in refused(plant, "read", "away", "1", "holding", "0", "1")
        for text in ("0", "0-3", "248", "1-255", "3-1", "1,,2", "x", "", "1-", "9999"):
            assert "units from 1 to 247" in refused(plant, "scan", "rs485-1", "--units", text, code=2), text
        assert "units from 0 to 255" in refused(plant, "scan", "plc-1", "--units", "256", code=2)
        assert "not coil" in refused(plant, "scan", "plc-1", "--table", "coils", code=2)
        assert "unit 0 is the broadcast" in refused(plant, "read", "rs485-1", "0", "holding", "0", "1")
        assert "exception 11" in refused(plant, "read", "plc-1", "77", "holding", "0", "1")
        failed = plant.ctl_json("read", "plc-1", "1", "holding", "500", "1")
        assert not failed["ok"] and "exception 2: it does not have these registers" in failed["error"], failed


def one_scan_at_a_time_and_it_ends_cleanly():
    with Plant() as plant:
        started(plant)
        first = subprocess.Popen([DAVYCTL, "--socket", plant.socket, "--json", "scan", "rs485-1"], stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE, text=True)
        try:
            wait_for(lambda: "scans the bus rs485-1" in plant.daemon.text(), 10, "it has begun")
            wait_for(lambda: "scans rs485-1: one at a time" in plant.ctl("scan", "rs485-1", "--units", "1").stderr, 10, "refused")
            assert plant.ctl_json("scan", "plc-1", "--units", "1")["asked"] == 1, "another bus is free"
            first.send_signal(signal.SIGINT)
            out, _ = first.communicate(timeout=20)
        finally:
            if first.poll() is None:
                first.kill()
        document = json.loads(out)
        assert first.returncode == -signal.SIGINT and document["stopped"] and document["asked"] < 247, document
        assert plant.ctl_json("scan", "rs485-1", "--units", "1")["asked"] == 1, "the bus is free again at once"
        assert "scans the bus rs485-1" in plant.daemon.text()


OTHERS = """,
  { id = "SWAPPED"; bus = "plc-1"; unit = 9; profile = "one"; },
  { id = "SHIFTED"; bus = "plc-1"; unit = 10; points = (
    { name = "gas"; kind = "gas"; unit = "ppm"; register = 102; type = "float32"; range = [0.0, 100.0]; } ); },
  { id = "OTHER"; bus = "plc-1"; unit = 11; profile = "generic-gas-uint16"; },
  { id = "XNX"; bus = "plc-1"; unit = 12; profile = "honeywell-xnx"; },
  { id = "ZERO"; bus = "plc-1"; unit = 13; profile = "one"; },
  { id = "OFF"; bus = "plc-1"; unit = 14; profile = "one"; enabled = false; }"""


def identified(plant, *arguments, code):
    done = plant.ctl("--json", "identify", *arguments)
    assert done.returncode == code, done
    document = json.loads(done.stdout)
    assert document["ok"] == (code == 0), document
    return document


def a_device_that_is_what_it_should_be_looks_right():
    with Plant() as plant:
        started(plant, devices=OTHERS)
        right = identified(plant, "A", code=0)
        assert right["verdict"] == "looks right" and not right["reasons"] and not right["candidates"], right
        point = right["points"][0]
        assert point["words"] == [0x41A7, 0x3333] and abs(point["value"] - 20.9) < 1e-5, point
        assert point["quality"] == "good" and point["verdict"] == "looks right" and point["reason"] is None, point
        assert identified(plant, "XNX", code=0)["points"][0]["value"] == 4.5
        assert identified(plant, "C", code=0)["bus"] == "rs485-1"
        text = plant.ctl("identify", "XNX").stdout
        assert "holding 2-3" in text and "4090 0000" in text and "\nlooks right\n" in text, text
        assert "fault" in text and "0040" in text and "SET" not in text, text
        assert "MASK  VALUE  MEANS" in text, text
        plant.sim.set("X-2.status", 0x0050)
        sick = identified(plant, "XNX", code=1)
        assert sick["verdict"] == "suspicious" and sick["points"][0]["reason"] == "device-fault", sick
        assert sick["reasons"] == ["the device says maintenance: holding 5 is 0x0050, mask 0x0010",
                                   "the device says fault: holding 5 is 0x0050, mask 0x0040"], sick


def a_device_that_is_something_else_says_what_would_look_right():
    with Plant() as plant:
        started(plant, devices=OTHERS)
        swapped = identified(plant, "SWAPPED", code=1)
        assert swapped["verdict"] == "suspicious" and len(swapped["reasons"]) == 1, swapped
        assert 'order = "CDAB" gives 20.9 ppm' in swapped["reasons"][0], swapped
        shifted = identified(plant, "SHIFTED", code=1)
        assert shifted["points"][0]["verdict"] == "refused" and "exception 2 for holding 103" in shifted["reasons"][0], shifted
        assert "register = 101 gives 7.25 ppm" in shifted["points"][0]["hint"], shifted
        other = identified(plant, "OTHER", code=1)
        assert other["candidates"][0]["profile"] == "honeywell-xnx", other
        zero = identified(plant, "ZERO", code=1)
        assert zero["points"][0]["verdict"] == "zero" and "all its registers are zero" in zero["reasons"][0], zero
        silent = identified(plant, "MUTE", code=1)
        assert silent["verdict"] == "silent" and "no reply in time" in silent["reasons"][0], silent
        assert "no answer: unit 2" in plant.ctl("identify", "GONE").stdout
        assert "did you mean SWAPPED?" in refused(plant, "identify", "SWAPED")
        assert "not enabled" in refused(plant, "identify", "OFF")


def a_unit_that_nobody_knows_is_tried_with_every_profile():
    with Plant() as plant:
        started(plant)
        unknown = identified(plant, "plc-1", "11", code=0)
        assert unknown["device"] is None and unknown["candidates"][0]["profile"] == "honeywell-xnx", unknown
        text = plant.ctl("identify", "plc-1", "11").stdout
        assert 'profile = "honeywell-xnx"' in text and "A fit is no proof" in text, text
        assert identified(plant, "plc-1", "77", code=1)["candidates"] == []
        assert "no answer: unit 3" in plant.ctl("identify", "rs485-1", "3").stdout
        assert "did you mean plc-1?" in refused(plant, "identify", "plc1", "3")
        refused(plant, "identify", "plc-1", "x", code=2)
        good = plant.status()["status"]["points"]["good"]
        assert good == 2, good
        plant.config.write_text(plant.config.read_text() + "# changed\n")
        assert "has changed since the daemon read it" in plant.ctl("identify", "A").stderr
        plant.config.write_text("nonsense")
        refused(plant, "identify", "A")


def frames(plant, *arguments):
    document = plant.ctl_json("frames", *arguments)
    assert document["ok"], document
    return {bus["bus"]: bus["frames"] for bus in document["buses"]}


def each_connection_has_frames_of_its_own():
    with Plant() as plant:
        started(plant, devices=OTHERS, connections="connections = 2;")
        def recorded():
            recorders = plant.ctl_json("frames", "plc-1")["buses"]
            assert [(r["connection"], r["connections"]) for r in recorders] == [(0, 2), (1, 2)], recorders
            return all(r["frames"] for r in recorders) and recorders
        first, second = ({f["bytes"][12:14] for f in r["frames"]} for r in wait_for(recorded, 10, "frames of both"))
        assert first and second and not first & second, (first, second)
        text = plant.ctl("frames", "plc-1").stdout
        assert "plc-1, connection 1" in text and "plc-1, connection 2" in text, text
        assert plant.ctl_json("scan", "plc-1", "--units", "1")["units"][0]["there"]


def the_frames_around_an_error_are_kept():
    with Plant() as plant:
        started(plant)
        every = frames(plant)
        assert sorted(every) == ["away", "plc-1", "rs485-1"] and every["away"] == [], every.keys()
        sent, heard = [f for f in every["rs485-1"] if f["verdict"] == "ok"][:2]
        assert (sent["kind"], sent["bytes"], sent["decoded"]) == (
            "sent", "010300000002c40b", "unit 1: read 2 of holding from 0"), sent
        assert heard["kind"] == "heard" and heard["decoded"] == "unit 1: holding 4148 0000" and not heard["bad"], heard
        assert heard["number"] == sent["number"] + 1 and heard["exchange"] == sent["exchange"], heard
        bus = plant.ctl_json("frames", "rs485-1")["buses"][0]
        characters = (sent["length"] + heard["length"]) * bus["character_us"] / 1e3
        assert characters > 0 and abs(heard["turn_around_ms"] - max(0, heard["gap_ms"] - characters)) < 1e-6, heard
        wait_for(lambda: [f for f in frames(plant, "plc-1")["plc-1"] if f["bad"] and
                          f["decoded"].endswith("unit 2: exception 11 to function 3")], 10, "the answer of the gateway")
        plant.sim.send("fault C crc count 1")
        wrong = wait_for(lambda: [f for f in frames(plant, "rs485-1", "--errors")["rs485-1"] if f["verdict"] == "invalid"],
                         10, "a wrong checksum")
        assert wrong[0]["kind"] == "sent" and wrong[0]["decoded"].startswith("unit 1: read"), wrong
        assert all(f["bad"] and f["kept"] for f in wrong), wrong
        heard = [f for f in wrong if f["kind"] == "heard"]
        assert heard and all(f["decoded"].startswith("crc is") for f in heard), wrong
        before = requests(plant, "rs485-1")
        wait_for(lambda: requests(plant, "rs485-1") > before + 20, 20, "polling goes on")
        errors = frames(plant, "rs485-1", "--errors")["rs485-1"]
        assert wrong[0]["number"] in [f["number"] for f in errors] and all(f["kept"] for f in errors), errors
        text = plant.ctl("frames", "rs485-1").stdout
        assert "01 03 00 00 00 02 c4 0b" in text and "GAP MS" in text, text
        assert "did you mean plc-1?" in refused(plant, "frames", "plc1")


CASES = [
    each_connection_has_frames_of_its_own,
    the_frames_around_an_error_are_kept,
    a_device_that_is_what_it_should_be_looks_right,
    a_device_that_is_something_else_says_what_would_look_right,
    a_unit_that_nobody_knows_is_tried_with_every_profile,
    a_scan_finds_what_is_there_while_polling_goes_on,
    what_cannot_be_scanned_is_refused_in_words,
    one_scan_at_a_time_and_it_ends_cleanly,
]

if __name__ == "__main__":
    sys.exit(run_cases(CASES, sys.argv[1:]))
