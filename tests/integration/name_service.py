#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A name service that swallows every question, and one that changes its answer: alarms and operators must not notice.

paho holds its lock while it resolves a name, so whoever calls paho waits as long: only the publisher's thread may.
Needs root and unshare(1): davyd gets an /etc/resolv.conf of its own; else skipped (77).
"""
import os
import socket
import struct
import subprocess
import sys
import threading
import time

import plant as plants
from plant import Plant, run_cases, wait_for

ADDRESS = "127.0.0.77"
NAME = "broker.plant.example"
PLANT = """lines = ( { name = "plc-1"; type = "tcp"; port = %d; } );
devices = ( { id = "GT-1"; line = "plc-1"; unit = 1; points = ( { name = "gas"; register = 0; type = "float32"; value = 5.0; } ); } );
"""
CONFIG = """
gateway = { id = "edge"; site = "site"; };
mqtt = { urls = [ %s ]; telemetry = "off"; keepalive = "5s"; };
buses = ( { name = "plc-1"; type = "tcp"; host = "127.0.0.1"; port = %d; timeout = "1s"; } );
zones = ( { id = "A1"; name = "Tank farm"; } );
devices = ( { id = "GT-1"; zone = "A1"; bus = "plc-1"; unit = 1; interval = "100ms"; settle = 0; points = (
  { name = "gas"; kind = "gas"; quantity = "H2S"; unit = "ppm"; register = 0; type = "float32"; range = [0.0, 100.0]; } ); } );
rules = ( { name = "gas"; points = ["GT-1.gas"]; red = { above = 40.0; }; deadband = 1.0; acknowledge = false; } );
"""


class NameService:
    """Answers every A question with `address`; None: swallows it. AAAA and others have no answer records."""

    def __init__(self):
        self.address, self.asked = None, 0
        self.link = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.link.bind((ADDRESS, 53))
        self.link.settimeout(0.1)
        self.ended = False
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        while not self.ended:
            try:
                question, peer = self.link.recvfrom(512)
            except socket.timeout:
                continue
            self.asked += 1
            if self.address:
                self.link.sendto(self.answer(question), peer)

    def answer(self, question):
        end = question.index(b"\0", 12) + 5
        wants_a = question[end - 4:end - 2] == b"\0\1"
        head = question[:2] + struct.pack(">HHHHH", 0x8180, 1, 1 if wants_a else 0, 0, 0)
        record = b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 0, 4) + socket.inet_aton(self.address)
        return head + question[12:end] + (record if wants_a else b"")

    def end(self):
        self.ended = True
        self.thread.join()
        self.link.close()


def start(plant, urls):
    """davyd with a resolv.conf that names our service."""
    resolv = plant.folder / "resolv.conf"
    resolv.write_text(f"nameserver {ADDRESS}\n", encoding="ascii")
    wrapper = plant.folder / "davyd.sh"
    wrapper.write_text(f'#!/bin/sh\nexec unshare -m sh -c \'mount --bind {resolv} /etc/resolv.conf && exec "$0" "$@"\' '
                       f'{os.environ.get("DAVYD", plants.ROOT / "build/src/daemon/davyd")} "$@"\n', encoding="ascii")
    wrapper.chmod(0o755)
    plants.DAVYD = str(wrapper)
    plant.broker.start()
    plant.start_sim(PLANT % plant.plant_port)
    plant.start_daemon(CONFIG % (", ".join(f'"{url}"' for url in urls), plant.plant_port))


def count_events(plant):
    return plant.ledger("SELECT count(*) FROM events WHERE rule = 'gas'")[0][0]


def alarms_and_operators_do_not_wait_for_names():
    with Plant() as plant:
        service = plant.keep(NameService())
        start(plant, [f"mqtt://{NAME}:{plant.broker_port}"])
        wait_for(lambda: service.asked, 20, "davyd asks for the broker's name")
        slowest = 0
        for turn in range(20):  # through several questions: each is given up after 5 s
            before, began = count_events(plant), time.monotonic()
            plant.sim.set("GT-1.gas", 5 if turn % 2 else 50)
            wait_for(lambda: count_events(plant) > before, 5, "the event is stored")
            slowest = max(slowest, time.monotonic() - began)
            assert plant.ctl("points").returncode == 0
            time.sleep(0.5)
        assert slowest < 2, f"an event took {slowest:.1f} s"
        assert not plant.status()["broker"]["connected"]
        service.address = "127.0.0.1"
        wait_for(lambda: plant.status()["broker"]["connected"], 90, "the name is asked for anew")
        wait_for(lambda: plant.status()["status"]["outbox"]["events"] == 0, 30, "all is delivered")
        service.address = None
        plant.broker.stop()
        wait_for(lambda: not plant.status()["broker"]["connected"], 30, "the broker is gone")
        asked = service.asked
        wait_for(lambda: service.asked > asked, 60, "it is asked for again")
        began = time.monotonic()
        assert plant.end_daemon() == 0
        assert time.monotonic() - began < 6, "stopping waits for a name"


def the_next_broker_is_tried_when_a_name_has_no_answer():
    with Plant() as plant:
        service = plant.keep(NameService())
        start(plant, [f"mqtt://{NAME}:{plant.broker_port}", f"mqtt://127.0.0.1:{plant.broker_port}"])
        wait_for(lambda: plant.status()["broker"]["connected"], 90, "the second broker is connected")
        status = plant.status()["broker"]
        assert status["url"].endswith(f"127.0.0.1:{plant.broker_port}"), status
        assert status["last_error_url"].startswith(f"mqtt://{NAME}"), status
        assert service.asked


def main():
    if os.getuid() != 0 or subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode != 0:
        print("skipped: needs root and a mount namespace")
        return 77
    return run_cases([alarms_and_operators_do_not_wait_for_names, the_next_broker_is_tried_when_a_name_has_no_answer],
                     sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
