#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The publisher and its paho client against a real mosquitto: versions, order, outages, TLS, refusals, will, exit.

Environment: DAVY_PUBLISH_PEER, the program of publish_peer.c. Exit status 0 when all cases pass.
Arguments: names of cases, all by default.
"""
import json
import os
import queue
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

import davy_schema
from plant import free_ports

PEER = os.environ.get("DAVY_PUBLISH_PEER", "build/tests/integration/publish_peer")
MOSQUITTO = shutil.which("mosquitto", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
BASE = "davy/v1/site/edge"


def until(condition, seconds, what):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return
        time.sleep(0.02)
    raise AssertionError(f"not within {seconds} s: {what}")


class Process:
    """A program whose standard output is collected by lines."""

    def __init__(self, arguments, stdin=None):
        self.lines = []
        self.errors = []
        self.process = subprocess.Popen(arguments, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        text=True, bufsize=1)
        self.readers = [threading.Thread(target=self.collect, args=pair, daemon=True)
                        for pair in ((self.process.stdout, self.lines), (self.process.stderr, self.errors))]
        for reader in self.readers:
            reader.start()

    @staticmethod
    def collect(stream, lines):
        for line in stream:
            lines.append(line.rstrip("\n"))

    def end(self, how=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(how)
        self.process.wait(10)
        for reader in self.readers:
            reader.join(5)


class Broker:
    def __init__(self, folder, *settings):
        self.port = free_ports(1)[0]
        self.file = os.path.join(folder, f"mosquitto-{self.port}.conf")
        self.process = None
        with open(self.file, "w", encoding="utf-8") as out:
            print(f"per_listener_settings false\nuser root\nlistener {self.port} 127.0.0.1", file=out)
            print("\n".join(settings) if settings else "allow_anonymous true", file=out)
        self.start()

    def start(self):
        self.process = Process([MOSQUITTO, "-c", self.file])
        until(self.listens, 10, "broker listens: " + "; ".join(self.process.errors))

    def listens(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def end(self, how=signal.SIGTERM):
        self.process.end(how)


class Peer(Process):
    def __init__(self, url, *options):
        super().__init__([PEER, url, *options], stdin=subprocess.PIPE)

    def say(self, *lines):
        self.process.stdin.write("".join(line + "\n" for line in lines))
        self.process.stdin.flush()

    def event(self, row, topic="alarm/a", **more):
        payload = json.dumps({"n": row, "replayed": False, **more}, separators=(",", ":"))
        self.say(f"event {row} {BASE}/{topic} {payload}")

    def wait(self, line, seconds=10):
        until(lambda: line in self.lines, seconds, f"{line!r} of {self.lines[-5:]} {self.errors[-5:]}")

    def error(self, text, seconds=15):
        until(lambda: any(text in line for line in self.errors), seconds, f"{text!r} in {self.errors}")

    def quit(self):
        started = time.monotonic()
        self.say("quit")
        self.process.wait(15)
        for reader in self.readers:
            reader.join(5)
        assert self.process.returncode == 0, self.process.returncode
        return time.monotonic() - started


class Receiver(Process):
    """mosquitto_sub; messages as (retained, topic, content type, user properties, payload)."""

    def __init__(self, port, *options):
        super().__init__(["stdbuf", "-oL", "mosquitto_sub", "-h", "127.0.0.1", "-p", str(port), "-t", "#", "-q", "1", "-d",
                          "-F", "MSG%r|%t|%C|%P|%E|%p", *options])
        until(lambda: any("SUBACK" in line for line in self.lines), 10, "subscribed")

    def messages(self):
        return [line[3:].split("|", 5) for line in self.lines if line.startswith("MSG")]

    def payloads(self, topic):
        return [json.loads(item[5]) for item in self.messages() if item[1] == f"{BASE}/{topic}" and item[5]]

    def wait_for(self, count, seconds=15):
        until(lambda: len(self.messages()) >= count, seconds, f"{count} messages, got {len(self.messages())}")


def cleanly(case):
    """Give a case its folder and end what it started."""
    def run():
        started = []
        with tempfile.TemporaryDirectory(prefix="davy-mqtt-") as folder:
            try:
                case(folder, lambda thing: started.append(thing) or thing)
            finally:
                for thing in reversed(started):
                    thing.end(signal.SIGKILL)
    run.__name__ = case.__name__
    return run


def deliver(folder, keep, version):
    broker = keep(Broker(folder))
    receiver = keep(Receiver(broker.port, "-V", "mqttv5"))
    peer = keep(Peer(f"mqtt://127.0.0.1:{broker.port}", f"version={version}"))
    peer.say(f'state {BASE}/zone/A1 {{"colour":"red"}}')
    for row in range(1, 301):
        peer.event(row, f"alarm/{row % 3}")
    peer.say(f'telemetry 7 {BASE}/telemetry/d {{"t":1}}')
    receiver.wait_for(302)
    peer.wait("done 300 0")
    assert peer.lines[0] == "connected", peer.lines[:3]
    for topic in range(3):
        rows = [item["n"] for item in receiver.payloads(f"alarm/{topic}")]
        assert rows == [row for row in range(1, 301) if row % 3 == topic], rows
    late = keep(Receiver(broker.port, "-V", "mqttv5"))
    late.wait_for(4)
    assert sorted(item[1] for item in late.messages()) == [f"{BASE}/alarm/{i}" for i in range(3)] + [f"{BASE}/zone/A1"]
    telemetry = [item for item in receiver.messages() if item[1].endswith("telemetry/d")][0]
    event = [item for item in receiver.messages() if "/alarm/" in item[1]][0]
    if version == 5:
        assert event[2:5] == ["application/json", "schema:davy.alarm/1", ""], event
        assert telemetry[3] == "schema:davy.telemetry/1" and 590 <= int(telemetry[4]) <= 600, telemetry
    assert peer.quit() < 3
    late.wait_for(5)
    assert receiver.payloads("status")[-1] == {"state": "offline", "clean": True}


@cleanly
def delivers_in_order_with_version_5(folder, keep):
    deliver(folder, keep, 5)


@cleanly
def delivers_in_order_with_version_3(folder, keep):
    deliver(folder, keep, 3)


@cleanly
def loses_nothing_when_the_broker_restarts(folder, keep):
    broker = keep(Broker(folder, "allow_anonymous true", "persistence true", f"persistence_location {folder}/",
                         "max_queued_messages 0"))
    receiver = keep(Receiver(broker.port, "-i", "receiver", "-c"))
    peer = keep(Peer(f"mqtt://127.0.0.1:{broker.port}"))
    peer.wait("connected")
    total = 6000

    def feed():
        for row in range(1, total + 1):
            peer.event(row, f"alarm/{row % 5}")
    feeder = threading.Thread(target=feed)
    feeder.start()
    for _ in range(2):
        seen = len(receiver.messages())
        until(lambda: len(receiver.messages()) > seen + 200, 20, "messages flow")
        broker.end()
        time.sleep(0.3)
        broker.start()
    feeder.join(60)
    peer.wait(f"done {total} 0", 40)
    until(lambda: sum(line.startswith("done") for line in peer.lines) == total, 20, "every row is done once")
    # every row may have been done before the broker went the second time: the session after it is then still to come
    until(lambda: peer.lines.count("connected") >= 3, 20, "the session after the second restart")
    connected, lost = peer.lines.count("connected"), peer.lines.count("lost")
    assert (connected, lost) == (3, 2), f"{connected} sessions, {lost} lost"
    until(lambda: len({item["n"] for i in range(5) for item in receiver.payloads(f"alarm/{i}")}) == total, 20, "all here")
    for topic in range(5):
        first = list(dict.fromkeys(item["n"] for item in receiver.payloads(f"alarm/{topic}")))
        assert first == sorted(first), f"order of alarm/{topic}"
    peer.quit()


@cleanly
def every_row_is_done_though_the_broker_is_killed(folder, keep):
    broker = keep(Broker(folder))
    peer = keep(Peer(f"mqtt://127.0.0.1:{broker.port}"))
    peer.wait("connected")
    for row in range(1, 201):
        peer.event(row)
    peer.wait("done 20 0")
    broker.end(signal.SIGKILL)
    for row in range(201, 301):
        peer.event(row)
    time.sleep(1)
    broker.start()
    peer.wait("done 300 0", 30)
    rows = [line for line in peer.lines if line.startswith("done")]
    assert rows == [f"done {row} 0" for row in range(1, 301)], rows
    peer.quit()


def make_certificates(folder):
    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)
    for name in ("ca", "other-ca"):
        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}",
                "-keyout", f"{name}.key", "-out", f"{name}.pem")
    for name, extra in (("server", "subjectAltName=DNS:localhost"), ("stranger", "subjectAltName=DNS:elsewhere.example"),
                        ("client", "extendedKeyUsage=clientAuth")):
        with open(os.path.join(folder, f"{name}.ext"), "w", encoding="utf-8") as out:
            out.write(extra + "\n")
        openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-keyout", f"{name}.key",
                "-out", f"{name}.csr")
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
                "-days", "2", "-extfile", f"{name}.ext", "-out", f"{name}.pem")


def tls_settings(folder, server, *more):
    return ("allow_anonymous true", f"cafile {folder}/ca.pem", f"certfile {folder}/{server}.pem",
            f"keyfile {folder}/{server}.key", *more)


@cleanly
def tls_verifies_chain_and_host_name(folder, keep):
    make_certificates(folder)
    good = keep(Broker(folder, *tls_settings(folder, "server")))
    stranger = keep(Broker(folder, *tls_settings(folder, "stranger")))
    for version in (5, 3):
        peer = keep(Peer(f"mqtts://localhost:{good.port}", f"ca={folder}/ca.pem", f"version={version}"))
        peer.wait("connected")
        peer.event(1)
        peer.wait("done 1 0")
        peer.quit()
    cases = {
        "its certificate is for elsewhere.example, not for localhost": (f"mqtts://localhost:{stranger.port}", "ca.pem"),
        "its certificate is for localhost, not for 127.0.0.1": (f"mqtts://127.0.0.1:{good.port}", "ca.pem"),
        "its certificate is of an unknown authority, ca": (f"mqtts://localhost:{good.port}", "other-ca.pem"),
    }
    for what, (url, ca) in cases.items():
        peer = keep(Peer(url, f"ca={folder}/{ca}"))
        peer.error("cannot connect")
        assert "connected" not in peer.lines, what
        assert what in peer.errors[0], (what, peer.errors)
        peer.quit()
    peer = keep(Peer(f"mqtts://localhost:{good.port}"))  # the system's store does not know our authority
    peer.error("cannot connect")
    assert "connected" not in peer.lines
    peer.quit()
    peer = keep(Peer(f"mqtts://localhost:{good.port}", f"ca={folder}/missing.pem"))
    peer.error("missing.pem: No such file")
    peer.quit()


@cleanly
def a_client_certificate_is_shown_and_its_key_guarded(folder, keep):
    make_certificates(folder)
    broker = keep(Broker(folder, *tls_settings(folder, "server", "require_certificate true",
                                               "use_identity_as_username true")))
    url = f"mqtts://localhost:{broker.port}"
    peer = keep(Peer(url, f"ca={folder}/ca.pem"))
    peer.error("cannot connect")
    assert "connected" not in peer.lines
    peer.quit()
    files = [f"ca={folder}/ca.pem", f"cert={folder}/client.pem", f"key={folder}/client.key"]
    os.chmod(f"{folder}/client.key", 0o644)
    peer = keep(Peer(url, *files))
    peer.error("client.key: others can read it, wants mode 0600")
    os.chmod(f"{folder}/client.key", 0o600)
    peer.wait("connected", 15)  # files are read again at each connect
    peer.quit()


@cleanly
def a_certificate_that_is_rotated_on_disk_is_used_without_a_restart(folder, keep):
    make_certificates(folder)
    for name in ("second", ):
        subprocess.run(["openssl", "req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-keyout",
                        f"{name}.key", "-out", f"{name}.csr"], cwd=folder, check=True, capture_output=True)
        subprocess.run(["openssl", "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
                        "-CAcreateserial", "-days", "2", "-extfile", "client.ext", "-out", f"{name}.pem"], cwd=folder,
                       check=True, capture_output=True)
    for kind in ("pem", "key"):
        shutil.copy(f"{folder}/client.{kind}", f"{folder}/ours.{kind}")
    os.chmod(f"{folder}/ours.key", 0o600)
    broker = keep(Broker(folder, *tls_settings(folder, "server", "require_certificate true",
                                               "use_identity_as_username true")))
    peer = keep(Peer(f"mqtts://localhost:{broker.port}", f"ca={folder}/ca.pem", f"cert={folder}/ours.pem",
                     f"key={folder}/ours.key"))
    peer.wait("connected")
    peer.event(1)
    peer.wait("done 1 0")
    until(lambda: any("u'client'" in line for line in broker.process.errors), 10, f"the first name: {broker.process.errors}")
    os.chmod(f"{folder}/second.key", 0o600)
    os.replace(f"{folder}/second.pem", f"{folder}/ours.pem")
    os.replace(f"{folder}/second.key", f"{folder}/ours.key")
    until(lambda: peer.lines.count("connected") == 2, 40, f"connected again: {peer.errors}")
    peer.event(2)
    peer.wait("done 2 0")
    until(lambda: any("u'second'" in line for line in broker.process.errors), 10, f"the second name: {broker.process.errors}")
    peer.quit()


@cleanly
def a_password_comes_from_its_file(folder, keep):
    subprocess.run(["mosquitto_passwd", "-c", "-b", f"{folder}/users", "edge", "s3cret"], check=True, capture_output=True)
    broker = keep(Broker(folder, "allow_anonymous false", f"password_file {folder}/users"))
    secret = f"{folder}/secret"
    for version in (5, 3):
        with open(secret, "w", encoding="utf-8") as out:
            out.write("wrong\n")
        os.chmod(secret, 0o600)
        peer = keep(Peer(f"mqtt://127.0.0.1:{broker.port}", "user=edge", f"password_file={secret}", f"version={version}"))
        peer.error("uthori")
        assert "connected" not in peer.lines
        with open(secret, "w", encoding="utf-8") as out:
            out.write("s3cret\nsecond line\n")
        peer.wait("connected", 20)
        peer.quit()


@cleanly
def a_refusal_is_told_by_its_reason_and_blocks_nothing(folder, keep):
    with open(f"{folder}/acl", "w", encoding="utf-8") as out:
        out.write(f"topic read #\ntopic write {BASE}/status\ntopic write {BASE}/alarm/allowed\n")
    broker = keep(Broker(folder, "allow_anonymous true", f"acl_file {folder}/acl", "max_packet_size 4000"))
    peer = keep(Peer(f"mqtt://127.0.0.1:{broker.port}"))
    peer.wait("connected")
    peer.event(1, "alarm/allowed")
    peer.event(2, "alarm/denied")
    peer.event(3, "alarm/allowed", filling="x" * 5000)
    peer.event(4, "alarm/allowed")
    peer.wait("done 4 0")
    peer.wait("refused 2 135")
    peer.wait("refused 3 149")
    assert peer.lines.count("lost") == 0 and "done 1 0" in peer.lines
    peer.quit()


@cleanly
def the_will_comes_when_the_gateway_is_killed(folder, keep):
    broker = keep(Broker(folder))
    for version in (5, 3):
        receiver = keep(Receiver(broker.port))
        peer = keep(Peer(f"mqtt://127.0.0.1:{broker.port}", f"version={version}"))
        peer.wait("connected")
        peer.say(f'state {BASE}/status {{"state":"online"}}')
        until(lambda: receiver.payloads("status")[-1:] == [{"state": "online"}], 10, "online")
        peer.end(signal.SIGKILL)
        until(lambda: receiver.payloads("status")[-1]["state"] == "offline", 10, "will")
        will = receiver.payloads("status")[-1]
        assert davy_schema.validate(json.dumps(will)) == [], davy_schema.validate(json.dumps(will))
        late = keep(Receiver(broker.port))
        late.wait_for(1)
        assert late.payloads("status")[-1] == will


class MuteBroker:
    """Accepts, answers CONNECT when told to, and nothing else."""

    def __init__(self, answers):
        self.listener = socket.socket()
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen()
        self.port = self.listener.getsockname()[1]
        self.received = queue.Queue()
        self.answers = answers
        self.connections = []
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        try:
            while True:
                connection, _ = self.listener.accept()
                self.connections.append(connection)
                threading.Thread(target=self.serve, args=(connection,), daemon=True).start()
        except OSError:
            pass

    def serve(self, connection):
        try:
            while data := connection.recv(65536):
                if data[0] == 0x10 and self.answers:
                    connection.sendall(b"\x20\x03\x00\x00\x00")
                self.received.put(data)
        except OSError:
            pass

    def end(self, how=None):
        del how
        self.listener.close()
        for connection in self.connections:
            connection.close()


@cleanly
def leaves_within_three_seconds_whatever_the_broker_does(folder, keep):
    del folder
    mute, hole = keep(MuteBroker(True)), keep(MuteBroker(False))
    peer = keep(Peer(f"mqtt://127.0.0.1:{mute.port}"))
    peer.wait("connected")
    for row in range(1, 31):
        peer.event(row)
    time.sleep(0.3)
    took = peer.quit()
    assert took < 3.3, took
    peer = keep(Peer(f"mqtt://127.0.0.1:{hole.port}"))
    hole.received.get(timeout=10)
    took = peer.quit()
    assert took < 3.3, took
    peer = keep(Peer(f"mqtt://127.0.0.1:{free_ports(1)[0]}"))
    took = peer.quit()
    assert took < 3.3, took


@cleanly
def takes_the_second_url_when_the_first_is_down(folder, keep):
    broker = keep(Broker(folder))
    peer = keep(Peer(f"mqtt://127.0.0.1:{free_ports(1)[0]},mqtt://localhost:{broker.port}"))
    peer.wait("connected")
    assert len([line for line in peer.errors if "cannot connect" in line]) == 1, peer.errors
    peer.quit()


@cleanly
def plain_and_tls_urls_may_be_mixed(folder, keep):
    make_certificates(folder)
    plain, secure = keep(Broker(folder)), keep(Broker(folder, *tls_settings(folder, "server")))
    ca = f"ca={folder}/ca.pem"
    peer = keep(Peer(f"mqtts://localhost:{secure.port},mqtt://localhost:{plain.port}", ca))
    peer.wait("connected")
    for end, back in ((secure, plain), (plain, secure)):  # over to plain, and back to TLS
        sessions = peer.lines.count("connected")
        end.end(signal.SIGKILL)
        until(lambda: peer.lines.count("connected") > sessions, 30, f"over to {back.port}: {peer.errors[-3:]}")
        end.start()
    peer.event(1)
    peer.wait("done 1 0")
    peer.quit()


@cleanly
def a_small_receive_maximum_does_not_stall(folder, keep):
    broker = keep(Broker(folder, "allow_anonymous true", "max_inflight_messages 2"))
    peer = keep(Peer(f"mqtt://127.0.0.1:{broker.port}"))
    peer.wait("connected")
    started = time.monotonic()
    for row in range(1, 501):
        peer.event(row)
    peer.wait("done 500 0", 20)
    assert time.monotonic() - started < 5, "stalls"
    peer.quit()


@cleanly
def two_with_one_client_id_back_off(folder, keep):
    broker = keep(Broker(folder))
    twins = [keep(Peer(f"mqtt://127.0.0.1:{broker.port}")) for _ in range(2)]
    time.sleep(8)
    connects = sum(peer.lines.count("connected") for peer in twins)
    assert 3 <= connects <= 20, connects
    for peer in twins:
        peer.quit()


@cleanly
def a_switch_moves_topics_and_brokers(folder, keep):
    first, second, hole = keep(Broker(folder)), keep(Broker(folder)), keep(MuteBroker(False))
    receiver = keep(Receiver(second.port))
    peer = keep(Peer(f"mqtt://127.0.0.1:{first.port}"))
    peer.wait("connected")
    peer.say(f"state {BASE}/zone/A1 red")
    peer.say(f"switch moved mqtt://127.0.0.1:{hole.port}")
    hole.received.get(timeout=10)
    peer.event(1)
    peer.say("state davy/v1/moved/edge/zone/A1 blue")
    peer.say(f"switch moved mqtt://127.0.0.1:{second.port}")  # while it connects to one that does not answer
    peer.wait("done 1 0")
    receiver.wait_for(2)
    assert [item[1] for item in receiver.messages()] == [f"{BASE}/alarm/a", "davy/v1/moved/edge/zone/A1"]
    peer.quit()


CASES = [delivers_in_order_with_version_5, delivers_in_order_with_version_3, loses_nothing_when_the_broker_restarts,
         every_row_is_done_though_the_broker_is_killed, tls_verifies_chain_and_host_name,
         a_client_certificate_is_shown_and_its_key_guarded,
         a_certificate_that_is_rotated_on_disk_is_used_without_a_restart, a_password_comes_from_its_file,
         a_refusal_is_told_by_its_reason_and_blocks_nothing, the_will_comes_when_the_gateway_is_killed,
         leaves_within_three_seconds_whatever_the_broker_does, takes_the_second_url_when_the_first_is_down,
         plain_and_tls_urls_may_be_mixed, a_small_receive_maximum_does_not_stall, two_with_one_client_id_back_off,
         a_switch_moves_topics_and_brokers]


def main():
    failed = 0
    for case in CASES:
        if len(sys.argv) > 1 and case.__name__ not in sys.argv[1:]:
            continue
        started = time.monotonic()
        try:
            case()
            verdict = "ok"
        except Exception as problem:  # every case is to run, whatever one of them does
            verdict = f"FAILED: {type(problem).__name__}: {problem}"
            failed += 1
        print(f"{case.__name__} ({time.monotonic() - started:.1f} s): {verdict}", flush=True)
    return 1 if failed else 0


sys.exit(main())
