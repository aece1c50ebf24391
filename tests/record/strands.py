#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Both strands of a ledger.db, worked out anew from its public views with nothing but SHA-256.

Usage: strands.py LEDGER.DB. Prints a line of JSON: of each strand where it starts, its last number and its hash, and the first row
that does not fit. Exit 1 where there is one. Where a strand was pruned, its beginning is taken from table `chain`.
"""
import hashlib
import json
import sqlite3
import sys


def walk(rows, after, before, fits):
    """The rows of a strand: (seq, payload, hash). What was walked, and the first seq that does not fit or is missing."""
    last, tip = after, before
    for seq, payload, noted in rows:
        tip = hashlib.sha256((tip + payload).encode()).hexdigest()
        if seq != last + 1 or tip != noted or not fits(seq, payload):
            return {"after": after, "last": last, "bad": last + 1}
        last = seq
    return {"after": after, "last": last, "hash": tip, "bad": None}


def strands(file):
    base = sqlite3.connect(f"file:{file}?mode=ro", uri=True)
    base.execute("BEGIN")
    start = {name: (seq, hash.hex()) for name, seq, hash in base.execute("SELECT name, seq, hash FROM chain")}
    events = base.execute("SELECT seq, payload, hash FROM events ORDER BY seq").fetchall()
    hashes = {start["event"][0]: start["event"][1]} | {seq: noted for seq, _, noted in events}

    def tied(seq, payload):
        payload = json.loads(payload)
        if seq <= start["tied"][0]:
            return "after_seq" not in payload
        event = payload["after_seq"]
        return event < start["event"][0] or hashes.get(event) == payload["after_hash"]

    actions = base.execute("SELECT seq, payload, hash FROM actions ORDER BY seq").fetchall()
    found = {"events": walk(events, *start["event"], lambda seq, payload: json.loads(payload)["seq"] == seq),
             "actions": walk(actions, *start["action"], tied)}
    base.close()
    return found


if __name__ == "__main__":
    answer = strands(sys.argv[1])
    print(json.dumps(answer))
    sys.exit(1 if any(strand["bad"] for strand in answer.values()) else 0)
