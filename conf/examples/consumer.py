#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A consumer that can prove that it missed no event, with the mosquitto clients and nothing else: see consumer.md.

usage: consumer.py --base davy/v1/SITE/GATEWAY --file EVENTS [--confirm] [--host HOST] [--port PORT] [--from SEQ]

EVENTS gets one event a line, each once, and is all the state there is: after a stop it goes on from there. --confirm tells
the gateway up to where the file is whole, for `delivery = "platform"`; without it the gateway is only asked for what is
missing. An event that the gateway does not keep any more has a line too, with its seq and `gone`. Standard error says when the file has every event up to the `last_seq` of the gateway's status, and what it lacks. Ends
with SIGTERM or Ctrl-C.
"""
import argparse
import json
import os
import pathlib
import selectors
import signal
import subprocess
import sys
import time
import uuid

GRACE = 2.0    # s: what is missing may still be on its way
ANSWER = 10.0  # s: a command, or its answer, may be lost too
PIECE = 20     # events asked for at once: the broker's queue towards us may be short
SAY = 0.2      # s between confirmations
GONE = "none of these events is kept"  # the gateway's answer where `event_retention` has taken them, or its ledger was lost


class Consumer:
    def __init__(self, options):
        self.options, self.whole = options, options.first - 1  # the file has every event up to `whole`
        self.beyond = set()                                     # and these
        self.last = 0                                           # the gateway has decided up to here
        self.target = self.since = 0                            # what there was to be had at that time
        self.asked = self.said_at = None
        self.range = range(0)                                   # asked for last
        self.said = -1                                          # confirmed so far
        self.told = None                                        # the last line that was said
        path = pathlib.Path(options.file)
        for line in path.read_bytes().split(b"\n")[:-1] if path.exists() else []:  # a last line without its end is half
            self.count(json.loads(line)["seq"])
        size = path.read_bytes().rfind(b"\n") + 1 if path.exists() else 0
        self.file = open(path, "r+b" if path.exists() else "w+b")
        self.file.truncate(size)
        self.file.seek(size)

    def count(self, seq):
        self.beyond.add(seq)
        while self.whole + 1 in self.beyond:
            self.whole += 1
            self.beyond.remove(self.whole)

    def command(self, verb, **members):
        options = self.options
        text = json.dumps({"schema": "davy.command/1", "nonce": str(uuid.uuid4()), "by": options.name, **members})
        return subprocess.run(["mosquitto_pub", "-h", options.host, "-p", options.port, "-V", "5", "-q", "1",
                               "-t", f"{options.base}/cmd/{verb}", "-m", text], check=False).returncode == 0

    def take(self, topic, payload):
        if not payload:
            return                      # a retained state that is cleared
        data = json.loads(payload)
        if topic.endswith("/status"):
            self.last = max(self.last, data["last_seq"] or 0)
        elif topic.endswith("/reply"):
            if data["verb"] == "resend":
                self.take_answer(data["ok"], data["reason"])
        elif data["seq"] is not None:   # null: a preview; the same event follows with its seq
            self.take_event(data["seq"], payload)

    def take_answer(self, done, reason):
        """What a `resend` brought is in; what is still missing is asked for, or is known to be gone."""
        if not done:
            print(f"resend: {reason}", file=sys.stderr, flush=True)
        if not done and reason.startswith(GONE):
            for seq in self.range:
                self.take_event(seq, json.dumps({"seq": seq, "gone": reason}).encode())
        if done or "kept" in reason:
            self.asked = None           # else, as refused for the time being, again after ANSWER

    def take_event(self, seq, payload):
        if seq <= self.whole or seq in self.beyond:
            self.said = -1              # sent again: our confirmation has not arrived
            return
        self.file.write(payload + b"\n")
        self.file.flush()
        os.fsync(self.file.fileno())    # first it is safe, then it counts
        self.count(seq)

    def tick(self, now):
        if self.target <= self.whole:
            self.target, self.since = max(self.last, max(self.beyond, default=0)), now
        elif now - self.since > GRACE and (self.asked is None or now - self.asked > ANSWER):
            first = self.whole + 1
            until = min([self.target, first + PIECE - 1] + [seq - 1 for seq in self.beyond])
            self.asked, self.range = now, range(first, until + 1)
            self.tell(f"lacks the events from {first} to {until}: asking for them")
            self.command("resend", **{"from": first, "to": until})
        if self.options.confirm and self.whole >= 1 and self.whole != self.said and (
                self.said_at is None or now - self.said_at > SAY):
            self.said_at = now
            if self.command("confirm", seq=self.whole):
                self.said = self.whole
        if self.whole >= self.last > 0:
            self.tell(f"has all events up to {self.last}, the last one by the gateway's status")

    def tell(self, text):
        if text != self.told:
            print(f"{self.options.file} {text}", file=sys.stderr, flush=True)
        self.told = text

    def run(self):
        options = self.options
        topics = [part for rest in ("alarm/#", "status", "reply") for part in ("-t", f"{options.base}/{rest}")]
        while True:
            # A session that outlives us (-c, -x): the broker keeps what comes meanwhile, as far as its queue goes.
            sub = subprocess.Popen(["mosquitto_sub", "-h", options.host, "-p", options.port, "-V", "5", "-q", "1", "-c",
                                    "-x", "86400", "-i", options.name, "-F", "%t\t%p", *topics], stdout=subprocess.PIPE)
            try:
                self.read(sub.stdout)
            finally:
                sub.kill()
                sub.wait()
            time.sleep(0.2)

    def read(self, pipe):
        rest = b""
        with selectors.DefaultSelector() as selector:
            selector.register(pipe, selectors.EVENT_READ)
            while True:
                if selector.select(0.1):
                    part = os.read(pipe.fileno(), 65536)
                    if not part:
                        return
                    *lines, rest = (rest + part).split(b"\n")
                    for line in lines:
                        topic, payload = line.split(b"\t", 1)
                        self.take(topic.decode(), payload)
                self.tick(time.monotonic())


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--base", required=True, help="davy/v1/SITE/GATEWAY")
    parser.add_argument("--file", required=True)
    parser.add_argument("--confirm", action="store_true")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", default="1883")
    parser.add_argument("--name", default="consumer", help="of the session at the broker; one of its own each")
    parser.add_argument("--from", dest="first", type=int, default=1, metavar="SEQ", help="the first event of interest")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # the subscriber must end too: it would take what is for the next
    try:
        Consumer(parser.parse_args()).run()
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
