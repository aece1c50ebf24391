#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The ledger of a running daemon: what a stranger proves of it, a file that vanishes or is replaced, a copy, a downgrade.

usage: ledger.py [CASE...]       all by default; exit 0 when all pass. Environment: DAVYD, DAVYCTL, DAVYSIM.
"""
import json
import os
import pathlib
import shutil
import signal
import sqlite3
import subprocess
import sys

from pipeline import calm, event, started
from plant import Plant, run_cases, wait_for

STRANDS = pathlib.Path(__file__).parent.parent / "record" / "strands.py"


def proof(plant, code=0):
    done = plant.ctl("--json", "verify", "--database", plant.state / "ledger.db")
    assert done.returncode == code, done
    return json.loads(done.stdout)


def stranger(file):
    done = subprocess.run([sys.executable, STRANDS, file], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done
    return json.loads(done.stdout)


def alarm(plant, seen, count):
    """Raised, acknowledged, cleared; the event `raised`."""
    plant.sim.set("GT-1.gas", 25)
    raised = event(seen, "gas", "raised", count)
    assert plant.ctl("ack", "gas:GT-1.gas").returncode == 0
    plant.sim.set("GT-1.gas", 5)
    event(seen, "gas", "cleared", count)
    calm(plant)
    return raised


def a_stranger_proves_what_the_daemon_writes():
    with Plant() as plant:
        seen = started(plant)
        alarm(plant, seen, 1)
        wait_for(lambda: proof(plant)["sum"]["pending"] == 0, 20, "all is delivered")
        beside = proof(plant)
        assert beside["tied"] == beside["actions"]["rows"] >= 2, beside
        assert beside["sum"]["decided"] == beside["sum"]["delivered"] == beside["events"]["last"], beside
        found = stranger(plant.state / "ledger.db")
        assert found["events"]["hash"] == beside["events"]["hash"] and found["actions"]["hash"] == beside["actions"]["hash"]
        text = plant.ctl("verify").stdout
        assert f"{beside['sum']['decided']} events decided = {beside['sum']['decided']} delivered + 0 pending" in text, text
        plant.end_daemon()
        assert proof(plant)["events"]["last"] >= beside["events"]["last"]


def gone(plant, seen, how):
    """Nothing happens meanwhile; the daemon notices all the same, and goes on with all that it knew."""
    plant.sim.set("GT-1.gas", 25)
    before = event(seen, "gas", "raised")
    how(plant.state / "ledger.db")
    first = wait_for(lambda: [e for e in seen.events("storage") if e["event"] == "raised" and e["durable"]], 60,
                     "storage, stored")[0]  # it may have come without a number before
    assert first["seq"] > before["seq"], (before, first)
    assert plant.ctl("ack", "gas:GT-1.gas").returncode == 0
    plant.sim.set("GT-1.gas", 5)
    event(seen, "gas", "cleared")
    wait_for(lambda: proof(plant)["sum"]["pending"] == 0, 20, "all is delivered")
    assert plant.ledger("SELECT count(*) FROM actions WHERE verb = 'renewed'") == [(1,)]
    seqs = sorted({each["seq"] for each in seen.events() if each["durable"]})
    assert seqs == list(range(1, seqs[-1] + 1)), seqs
    plant.end_daemon(signal.SIGKILL)
    plant.start_daemon()
    assert proof(plant)["events"]["last"] >= seqs[-1]


def a_file_that_vanishes_is_noticed():
    with Plant() as plant:
        gone(plant, started(plant), os.unlink)


def a_file_that_is_replaced_is_noticed_and_the_other_one_kept():
    def replace(file):
        older = file.with_name("older")
        sqlite3.connect(older).execute("CREATE TABLE theirs (x)")
        os.rename(older, file)

    with Plant() as plant:
        gone(plant, started(plant), replace)
        assert len([f for f in plant.state.glob("ledger.db.corrupt-*Z")]) == 1


def a_copy_is_whole_while_the_daemon_writes():
    with Plant() as plant:
        seen = started(plant)
        alarm(plant, seen, 1)
        wait_for(lambda: len(plant.ctl_json("history", "GT-1.gas", "--since", "5min")["readings"]) > 1, 20, "readings are stored")
        copy = plant.folder / "copy"
        done = plant.ctl("--json", "backup", copy)
        assert done.returncode == 0, done
        files = json.loads(done.stdout)
        assert files["ledger"]["file"] == str(copy) and files["readings"]["file"] == f"{copy}.readings", files
        assert plant.ctl("verify", "--database", copy).returncode == 0
        assert stranger(copy)["events"]["last"] >= 2
        points = sqlite3.connect(f"{copy}.readings").execute("SELECT count(*) FROM readings WHERE point = 'GT-1.gas'").fetchone()
        assert points[0] > 0, points
        again = plant.ctl("backup", copy)
        assert again.returncode == 1 and "nothing is overwritten" in again.stderr, again
        assert not list(plant.folder.glob("copy*.part*"))
        plant.end_daemon()
        for name in ("ledger.db", "readings.db"):  # and it is what one goes on from
            for old in plant.state.glob(f"{name}*"):
                old.unlink()
        shutil.copy(copy, plant.state / "ledger.db")
        shutil.copy(f"{copy}.readings", plant.state / "readings.db")
        plant.start_daemon()
        assert proof(plant)["events"]["last"] >= 2


def a_newer_schema_is_refused_in_words_and_alarms_go_on():
    with Plant() as plant:
        seen = started(plant)
        plant.end_daemon()
        ledger = plant.state / "ledger.db"
        link = sqlite3.connect(ledger)
        link.execute("PRAGMA user_version = 99")
        link.close()
        whole = ledger.read_bytes()
        plant.start_daemon()
        plant.sim.set("GT-1.gas", 25)
        assert event(seen, "gas", "raised")["durable"] is False
        assert "newer version of davy" in plant.daemon.text(), plant.daemon.text()[-2000:]
        assert ledger.read_bytes() == whole


CASES = [
    a_stranger_proves_what_the_daemon_writes,
    a_file_that_vanishes_is_noticed,
    a_file_that_is_replaced_is_noticed_and_the_other_one_kept,
    a_copy_is_whole_while_the_daemon_writes,
    a_newer_schema_is_refused_in_words_and_alarms_go_on,
]

if __name__ == "__main__":
    sys.exit(run_cases(CASES, sys.argv[1:]))
