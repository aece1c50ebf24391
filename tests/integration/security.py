#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What somebody without rights may try: modes of files, links, a core, escapes, hostile clients, a device that floods.

usage: security.py [CASE...]       all by default; exit 0 when all pass. Environment: DAVYD, DAVYCTL, DAVYSIM.
"""
import json
import os
import pathlib
import random
import re
import resource
import signal
import socket
import subprocess
import sys
import threading
import time

from plant import BASE, DAVYCTL, DAVYD, Plant, Program, run_cases, wait_for

SIM = """
lines = ( { name = "plc-1"; type = "tcp"; port = %(port)d; } );
devices = ( { id = "GT"; copies = 3; line = "plc-1"; unit = 1; points = (
  { name = "gas"; register = 0; type = "float32"; value = 5.0; } ); } );
"""
CONFIG = """
gateway = { id = "edge"; site = "site"; };
mqtt = { url = "mqtt://127.0.0.1:%(broker)d"; commands = ["ack", "snapshot"]; %(mqtt)s };
storage = { commit_interval = "1s"; };
buses = ( { name = "plc-1"; type = "tcp"; host = "127.0.0.1"; port = %(port)d; timeout = "500ms"; } );
zones = ( { id = "A1"; name = "%(name)s"; } );
devices = (
%(devices)s );
rules = ( { name = "gas"; points = ["GT-*.gas"]; orange = { above = 20.0; }; deadband = 1.0; message = "%(name)s"; } );
"""
DEVICE = """  { id = "GT-%d"; name = "%s"; zone = "A1"; bus = "plc-1"; unit = %d; interval = "%s"; settle = 0; points = (
    { name = "gas"; kind = "gas"; quantity = "H2S"; unit = "ppm"; register = 0; type = "float32"; range = [0.0, 100.0]; } ); }"""

CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def config(plant, name="Tank farm", mqtt="", fast=None):
    devices = ",\n".join(DEVICE % (i, name, i, fast if fast and i == 1 else "200ms") for i in range(1, 4))
    return CONFIG % {"broker": plant.broker_port, "port": plant.plant_port, "mqtt": mqtt, "devices": devices, "name": name}


def started(plant, **options):
    plant.broker.start()
    plant.start_sim(SIM % {"port": plant.plant_port})
    seen = plant.record(persistent=True)
    plant.start_daemon(config(plant, **options))
    wait_for(lambda: plant.status()["status"]["points"]["good"] == 3, 20, "three good points")
    return seen


def raised(plant, seen, device="GT-2", value=25):
    start = len(seen.messages)
    plant.sim.set(f"{device}.gas", value)
    return wait_for(lambda: [e for e in seen.events("gas", start) if e["device"] == device], 15, f"the alarm of {device}")[0]


def check(plant, text):
    plant.config.write_text(text, encoding="utf-8")
    return subprocess.run([DAVYD, "--config", plant.config, "--check"], capture_output=True, check=False, timeout=30)


def clean(text, where):
    """Nothing that a terminal obeys, and all of it UTF-8."""
    found = CONTROLS.search(text if isinstance(text, str) else text.decode("utf-8"))
    assert not found, f"{where}: {found.group()!r} in {text[max(0, found.start() - 60):found.end() + 20]!r}"


# ---- files ----

def secrets_that_others_can_read_are_refused():
    with Plant() as plant:
        secret = plant.folder / "password"
        secret.write_text("canary\n", encoding="utf-8")
        for mode, code in ((0o600, 0), (0o400, 0), (0o640, 78), (0o604, 78), (0o644, 78), (0o660, 78)):
            secret.chmod(mode)
            done = check(plant, config(plant, mqtt=f'username = "edge"; password_file = "{secret}";'))
            assert done.returncode == code, (oct(mode), done.returncode, done.stdout[-300:])
            assert code == 0 or b"can be read by others" in done.stdout, done.stdout[-300:]
            assert b"canary" not in done.stdout + done.stderr
        secret.chmod(0o600)
        done = check(plant, config(plant, mqtt=f'username = "edge"; password_file = "{plant.folder}";'))
        assert done.returncode == 78 and b"not a regular file" in done.stdout


def a_configuration_that_everybody_can_write_is_said():
    with Plant() as plant:
        plant.config.write_text(config(plant), encoding="utf-8")
        plant.config.chmod(0o666)
        done = check(plant, config(plant))
        assert done.returncode == 0 and b"everybody can write this file (mode 0666)" in done.stdout, done.stdout[-500:]
        plant.broker.start()
        plant.start_sim(SIM % {"port": plant.plant_port})
        plant.start_daemon()
        assert "everybody can write this file" in plant.daemon.text()


def links_in_the_state_directory_lead_nowhere():
    for name in ("ledger.db", "readings.db", "ledger.db-wal", "readings.db-wal"):
        with Plant() as plant:
            victim = plant.folder / "victim"
            victim.write_text("precious", encoding="utf-8")
            (plant.state / name).symlink_to(victim)
            plant.broker.start()
            plant.start_sim(SIM % {"port": plant.plant_port})
            seen = plant.record()
            plant.start_daemon(config(plant))
            raised(plant, seen)
            time.sleep(1.5)
            assert plant.end_daemon() == 0
            assert victim.read_text(encoding="utf-8") == "precious", f"{name} was followed"


def what_it_makes_is_not_for_others():
    with Plant() as plant:
        seen = started(plant)
        raised(plant, seen)
        wait_for(lambda: (plant.state / "readings.db").exists(), 10, "readings.db")
        for file in plant.state.iterdir():
            assert file.stat().st_mode & 0o027 == 0, (file.name, oct(file.stat().st_mode))
        assert plant.socket.stat().st_mode & 0o777 == 0o660, oct(plant.socket.stat().st_mode)


# ---- secrets ----

def as_ever():
    """Environment in which SIGSEGV ends a program by the signal, also one that was built with a sanitizer."""
    return {name: os.environ.get(name, "") + ":handle_segv=0" for name in ("ASAN_OPTIONS", "TSAN_OPTIONS")}


def the_password_is_nowhere_but_with_the_broker():
    canary = "CANARY-4711-geheim"
    with Plant() as plant:
        secret = plant.folder / "password"
        secret.write_text(canary + "\n", encoding="utf-8")
        secret.chmod(0o600)
        plant.broker.rights.write_text("topic readwrite #\nuser edge\ntopic readwrite #\n", encoding="utf-8")
        plant.broker.start()
        plant.start_sim(SIM % {"port": plant.plant_port})
        seen = plant.record()
        plant.config.write_text(config(plant, mqtt=f'username = "edge"; password_file = "{secret}";'), encoding="utf-8")
        cores = plant.folder / "cores"
        cores.mkdir()
        log = open(plant.folder / "davyd.log", "ab")
        process = subprocess.Popen([DAVYD, "--config", plant.config, "--log-level", "debug"], stdin=subprocess.DEVNULL,
                                   stdout=log, stderr=log, cwd=cores, env={**os.environ, **plant.daemon_env(), **as_ever()},
                                   preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY,) * 2))
        try:
            wait_for(lambda: plant.socket.exists() and plant.ctl("status").returncode == 0, 20, "it starts")
            raised(plant, seen)
            plant.broker.stop()  # and once more, with the password
            plant.broker.start()
            wait_for(lambda: plant.status()["broker"]["connects"] >= 2 or None, 40, "connected again")
            told = [plant.ctl("--json", *verb).stdout for verb in (("status",), ("diff",), ("points",), ("alarms", "--all"))]
            proc = pathlib.Path(f"/proc/{process.pid}")
            told += [(proc / part).read_bytes().decode("utf-8", "replace") for part in ("cmdline", "environ", "status")]
            assert "broker" in told[0] and not [one for one in told if canary in one]
            os.kill(process.pid, signal.SIGSEGV)
            _, status = os.waitpid(process.pid, 0)
            assert os.WIFSIGNALED(status) and not os.WCOREDUMP(status), "it left a core"
            assert not list(cores.iterdir())
        finally:
            process.kill()
            log.close()
        files = [file for folder in (plant.state, plant.run) for file in folder.rglob("*") if file.is_file()]
        for file in [plant.folder / "davyd.log", *files]:
            assert canary.encode() not in file.read_bytes(), file


# ---- texts ----

def names_cannot_move_a_cursor_nor_forge_a_line():
    evil = "A\u009b2J\u202egnp\u2028<3>kernel: B"
    with Plant() as plant:
        plant.config.write_text(config(plant, mqtt='version = "5\u009b2J\u202e\u2028";'), encoding="utf-8")
        done = subprocess.run([DAVYD, "--config", plant.config, "--check"], capture_output=True, check=False, timeout=30)
        assert done.returncode == 78
        clean(done.stdout, "davyd --check of a bad value")
        done = subprocess.run([DAVYD, "--config", plant.config], capture_output=True, check=False, timeout=30)
        assert done.returncode == 78
        clean(done.stderr, "the log of a bad value")
        clean(check(plant, config(plant, name=evil)).stdout, "the plan")
        for escape in ("\\x1b[2J", "\\n<3>kernel: panic", "\\x07"):
            done = check(plant, config(plant, name=f"A{escape}"))
            assert done.returncode == 78, escape
            clean(done.stdout, "davyd --check")
        seen = started(plant, name=evil)
        event = raised(plant, seen)
        assert event["device_name"] == evil
        user = "mqtt:\u001b[31mX"
        command = {"schema": "davy.command/1", "nonce": "n-\u001b[2J", "by": "\u001b]0;owned\u0007", "id": event["id"], "level": "orange",
                   "issued_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "note": "\u009b5m\nnext \u202e line"}
        subprocess.run(["mosquitto_pub", "-h", "127.0.0.1", "-p", str(plant.broker_port), "-V", "5", "-q", "1", "-t",
                        f"{BASE}/cmd/ack", "-s"], input=json.dumps(command).encode(), check=True, timeout=20)
        plant.ctl("ack", "gas:GT-2.gas", "--note", "\u001b[2J\u202e" + user)
        raised(plant, seen, "GT-3")
        plant.ctl("shelve", "gas:GT-3.gas", "1h", "--reason", "\u009b2J\u001b[2J")
        time.sleep(1.5)
        for verb in (("status",), ("points",), ("alarms", "--all"), ("explain", "gas", "GT-2.gas"), ("--json", "alarms", "--all"),
                     ("events", "--database", plant.state / "ledger.db"), ("ack", "\u001b[2J"), ("shelve", "no\u009b:x", "--reason", "y"),
                     ("history", "\u001b[2J", "--database", plant.state / "readings.db")):
            done = plant.ctl(*verb)
            clean(done.stdout + done.stderr, f"davyctl {verb}")
        wait_for(lambda: plant.status()["status"]["outbox"]["events"] == 0, 10, "all sent")
        assert plant.end_daemon() == 0
        clean(plant.daemon.text(), "the log")
        assert not [line for line in plant.daemon.text().splitlines() if line.startswith("<3>kernel")]


def a_hostile_daemon_does_not_own_the_operators_terminal():
    replies = (b'{"ok":false,"error":"\\u001b[2J\\u009b5m owned"}\n', b'{"ok":true,"alarms":[{"alarm":"\\u001b]0;x\\u0007"}]}\n',
               b"\x1b[2J\n", b'{"ok":true,"alarms":' + b"[" * 5000 + b"\n", b'{"ok":true,"status":{"state":"\\u001bc"}}\n', b"")
    with Plant() as plant:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(plant.socket))
        listener.listen(5)
        state = {"reply": b""}

        def serve():
            while True:
                link, _ = listener.accept()
                link.recv(65536)
                link.sendall(state["reply"])
                link.close()
        threading.Thread(target=serve, daemon=True).start()
        for reply in replies:
            state["reply"] = reply
            for verb in ("alarms", "status", "points"):
                done = subprocess.run([DAVYCTL, "--socket", plant.socket, verb], capture_output=True, timeout=30, check=False)
                assert 0 <= done.returncode <= 3, (reply[:60], verb, done.returncode)
                clean(done.stdout + done.stderr, f"davyctl {verb} of {reply[:40]!r}")


# ---- clients ----

def hostile_clients_hold_up_nobody():
    with Plant() as plant:
        seen = started(plant)
        rng = random.Random(4)
        held = []

        def send(data):
            link = socket.socket(socket.AF_UNIX)
            link.settimeout(5)
            wait_for(lambda: link.connect_ex(str(plant.socket)) == 0, 10, "the socket is taken")
            try:
                link.sendall(data)
            except OSError:
                pass
            return link

        def answer(link):
            try:
                return link.recv(65536)
            except OSError:
                return b""
        for data in (b"x" * 70000, b'{"verb":"status"\0}\n', b"\xff\xfe\n", b"[" * 60000 + b"\n", b'{"verb":"status","verb":"points"}\n',
                     b'{"verb":"ack","alarm":"' + b"a" * 60000 + b'"}\n', b'{"verb":1e999}\n', b"{}\n", b"\n" * 1000):
            link = send(data)
            reply = answer(link)
            assert b'"ok":true' not in reply, (data[:40], reply[:200])
            link.close()
        for _ in range(300):
            link = send(bytes(rng.randrange(256) for _ in range(rng.randrange(1, 400))) + b"\n" * rng.randrange(2))
            link.close()
        for _ in range(10):  # never send a whole request, never take a reply
            held.append(send(b'{"verb":'))
        for _ in range(4):
            held.append(send(b'{"verb":"points"}\n' * 3000))
        began = time.monotonic()
        raised(plant, seen)
        wait_for(lambda: plant.ctl("status").returncode == 0, 30, "a client of good will is answered")
        print(f"        answered after {time.monotonic() - began:.1f} s")
        for link in held:
            link.close()
        assert plant.daemon.running()
        raised(plant, seen, "GT-3")


def strangers_do_not_get_at_the_socket():
    with Plant() as plant:
        started(plant)
        if os.getuid() != 0:
            return
        plant.folder.chmod(0o755)
        plant.run.chmod(0o755)
        code = f"import socket; socket.socket(socket.AF_UNIX).connect({str(plant.socket)!r})"
        done = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", sys.executable, "-c", code],
                              capture_output=True, check=False, timeout=20)
        assert done.returncode != 0 and b"PermissionError" in done.stderr, done.stderr[-300:]


# ---- a device that floods ----

def a_device_that_chatters_evicts_nobody():
    """X18: a device that changes with each poll, as fast as it can be polled, while nothing can be sent."""
    with Plant() as plant:
        seen = started(plant, fast="10ms")
        plant.broker.stop()
        ends = threading.Event()

        def chatter():
            with socket.socket(socket.AF_UNIX) as link:
                link.connect(plant.sim.socket_path)
                file = link.makefile("rb")
                high = False
                while not ends.is_set():
                    high = not high
                    link.sendall(f"set GT-1.gas {25 if high else 5}\n".encode())
                    file.readline()
                    time.sleep(0.001)
        thread = threading.Thread(target=chatter, daemon=True)
        thread.start()
        time.sleep(2)
        plant.sim.set("GT-2.gas", 25)
        time.sleep(2)
        plant.sim.set("GT-2.gas", 5)
        plant.sim.set("GT-3.gas", 25)
        time.sleep(2)
        ends.set()
        thread.join()
        plant.broker.start()
        wait_for(lambda: plant.status()["status"]["outbox"]["events"] == 0, 60, "the outbox is empty")
        status = plant.status()
        assert status["lost"]["records"] == 0, status["lost"]
        rows = plant.ledger("SELECT seq, device, event FROM events WHERE rule = 'gas' ORDER BY seq")
        assert [row[2] for row in rows if row[1] == "GT-2"] == ["raised", "cleared"], "of GT-2"
        assert [row[2] for row in rows if row[1] == "GT-3"] == ["raised"], "of GT-3"
        seqs = [row[0] for row in plant.ledger("SELECT seq FROM events ORDER BY seq")]
        assert seqs == list(range(1, len(seqs) + 1))
        wait_for(lambda: {e["seq"] for e in seen.events() if e["seq"]} >= set(seqs), 30, "all have arrived")
        print(f"        {len([row for row in rows if row[1] == 'GT-1'])} events of the one that chatters")


CASES = (secrets_that_others_can_read_are_refused, a_configuration_that_everybody_can_write_is_said,
         links_in_the_state_directory_lead_nowhere, what_it_makes_is_not_for_others, the_password_is_nowhere_but_with_the_broker,
         names_cannot_move_a_cursor_nor_forge_a_line, a_hostile_daemon_does_not_own_the_operators_terminal,
         hostile_clients_hold_up_nobody, strangers_do_not_get_at_the_socket, a_device_that_chatters_evicts_nobody)

if __name__ == "__main__":
    sys.exit(run_cases(CASES, sys.argv[1:]))
