# SPDX-License-Identifier: Apache-2.0
"""An MQTT 5 and 3.1.1 broker that misbehaves on request, and remembers all that it was told and all that it promised.

Raw sockets, TLS with certificates of our own making. One behaviour at a time: `Broker.use(NAME)`; the names are in
BEHAVIOURS. What the other side does wrong (a packet above the limit that it was told, a QoS that is not offered, more in
flight than allowed) is a line in `Broker.offences`.
"""
import collections
import contextlib
import json
import os
import random
import socket
import ssl
import struct
import subprocess
import threading
import time

CONNECT, CONNACK, PUBLISH, PUBACK, PUBREC, SUBSCRIBE, SUBACK, PINGREQ, PINGRESP, DISCONNECT = 1, 2, 3, 4, 5, 8, 9, 12, 13, 14

Publish = collections.namedtuple("Publish", "topic packet qos retain dup payload size")
Message = collections.namedtuple("Message", "topic retain payload data")  # as audit.py wants them


class Behaviour:
    """What a broker does differently from an honest one."""

    connack_reason = 0
    properties = b""  # of the CONNACK of MQTT 5
    receive_maximum = maximum_packet = None
    maximum_qos = 1
    retain = True
    certificate = "good"
    speed = None  # bytes a second of what it says
    acks = True  # ends with every event acknowledged
    cause = None  # regular expression over what davyctl status says of the broker
    alarm = False  # it raises the alarm `mqtt` at once
    swells = False  # memory is full for a moment, until the connection is dropped

    def __init__(self, rng):
        self.rng = rng

    def accept(self, connection):
        """After the TCP (and TLS) connection: False closes it at once."""
        return True

    def connected(self, connection):
        """After the CONNACK."""

    def published(self, connection, publish):
        connection.acknowledge(publish)

    def connack(self, connection):
        connection.send_connack(self.connack_reason, self.properties)


class Refuses(Behaviour):
    acks = False
    alarm = True

    def __init__(self, rng, reason):
        super().__init__(rng)
        self.reason = reason
        self.cause = f"0x{reason:02x}"

    def published(self, connection, publish):
        if "/alarm/" in publish.topic:
            connection.acknowledge(publish, self.reason)
        else:
            connection.acknowledge(publish)


class RefusesSome(Behaviour):
    """Every third topic is refused, the others must not wait for it."""

    acks = False
    cause = "0x87"

    def published(self, connection, publish):
        refused = "/alarm/" in publish.topic and sum(publish.topic.encode()) % 3 == 0
        connection.acknowledge(publish, 0x87 if refused else 0)


class Nobody(Behaviour):
    """A success, though nobody subscribed. paho 1.3.12 keeps the reason code of a success to itself."""

    def published(self, connection, publish):
        connection.acknowledge(publish, 0x10)


class NeverAcks(Behaviour):
    acks = False
    cause = "acknowledgement is overdue"

    def published(self, connection, publish):
        pass


class WrongIds(NeverAcks):
    def published(self, connection, publish):
        connection.send(PUBACK << 4, struct.pack(">H", (publish.packet + 1000) % 65535 + 1))


class ReceivesTwice(NeverAcks):
    """PUBREC, as if it were QoS 2."""

    def published(self, connection, publish):
        connection.send(PUBREC << 4, struct.pack(">H", publish.packet))


class AnyOfThese(NeverAcks):
    """Silence, an id of nobody, PUBREC: none is an acknowledgement."""

    def published(self, connection, publish):
        self.rng.choice((NeverAcks, WrongIds, ReceivesTwice)).published(self, connection, publish)


class AcksTwice(Behaviour):
    def published(self, connection, publish):
        connection.acknowledge(publish)
        connection.acknowledge(publish)


class OneAtATime(Behaviour):
    receive_maximum = 1
    properties = b"\x21" + struct.pack(">H", 1)
    cause = r"receive maximum 1\b"


class AnyWindow(Behaviour):
    """Another Receive Maximum at each connect, and no connection lasts."""

    def connack(self, connection):
        connection.receive_maximum = self.rng.choice((1, 2, 5, 20, 65535))
        connection.send_connack(0, b"\x21" + struct.pack(">H", connection.receive_maximum))

    def published(self, connection, publish):
        connection.acknowledge(publish)
        if self.rng.random() < 0.02:
            connection.close()


class SmallPackets(Behaviour):
    acks = False
    maximum_packet = 300
    properties = b"\x27" + struct.pack(">I", 300)
    cause = "0x95.*300"


class NoQos(Behaviour):
    """Maximum QoS 0: a will of QoS 1 must be rejected (MQTT 5, 3.2.2.3.4)."""

    acks = False
    maximum_qos = 0
    properties = b"\x24\x00"
    cause = "0x9b"

    def connack(self, connection):
        connection.send_connack(0x9B if connection.will_qos else 0, self.properties)


class NoRetain(Behaviour):
    """Retain Available 0: a retained will must be rejected (3.2.2.3.5)."""

    retain = False
    properties = b"\x25\x00"
    cause = "retained"

    def connack(self, connection):
        connection.send_connack(0x9A if connection.will_retain else 0, self.properties)


class KeepAlive(Behaviour):
    """Server Keep Alive 3 s, enforced as the standard says: one and a half times of it."""

    server_keep_alive = 3
    properties = b"\x13" + struct.pack(">H", 3)
    cause = r"keep alive 3\b"


class NoConnack(Behaviour):
    acks = False
    cause = "connect"

    def connack(self, connection):
        pass


class MalformedConnack(Behaviour):
    acks = False
    cause = "connect|lost"
    samples = (b"\x20\x00", b"\x20\x01\x00", b"\x20\x02\x00\x00", b"\x20\x03\x00\x00\x05", b"\x20\x06\x00\x00\x03\x21\x00",
               b"\x20\x05\x00\x00\x02\xff\xff", b"\x20\x08\x00\x00\x05\x12\xff\xff\x41\x41", b"\x20\xff\xff\xff\xff\x7f",
               b"\x20\x07\x00\x00\x04\x1f\xff\xf0\x41", b"\x2f\x03\x00\x00\x00", b"\x20\x03\x55\x00\x00", b"\x90\x04\x00\x01\x00\x01")

    def connack(self, connection):
        connection.write(self.rng.choice(self.samples))
        connection.close()


class Huge(Behaviour):
    """A message of 256 MB is announced and never comes."""

    acks = False
    cause = "too large|overdue"  # an instrument hides the growth that davyd looks at

    def connected(self, connection):
        connection.write(b"\x30\xff\xff\xff\x7f\x00\x03abc" + os.urandom(64))
        connection.deaf = True


class Flood(Behaviour):
    """A message of 200 MB that does come."""

    acks = False
    swells = True
    cause = "too large"

    def connected(self, connection):
        connection.link.settimeout(30)
        connection.write(b"\x30\x80\x80\x80\x64\x00\x03abc\x00")
        for _ in range(199):
            if not connection.closed:
                connection.write(bytes(1 << 20))
        connection.link.settimeout(0.2)


class Garbage(Behaviour):
    acks = False
    cause = "lost|connect|overdue"

    def connected(self, connection):
        connection.write(self.rng.randbytes(self.rng.randint(1, 400)))

    def published(self, connection, publish):
        connection.write(self.rng.randbytes(self.rng.randint(1, 40)))


class OddPackets(Behaviour):
    """Well-formed packets that a broker never sends, or not to us."""

    acks = False
    cause = "lost|connect|overdue"

    def published(self, connection, publish):
        kind = self.rng.choice((0x10, 0x30, 0x32, 0x34, 0x50, 0x62, 0x70, 0x82, 0x90, 0xA2, 0xB0, 0xC0, 0xD0, 0xF0, 0x00))
        body = self.rng.randbytes(self.rng.randint(0, 30))
        connection.send(kind, body)


class HalfOpen(Behaviour):
    """Reads nothing after the CONNACK, and says nothing."""

    acks = False
    cause = "overdue|lost"

    def connected(self, connection):
        connection.deaf = True


class Slow(Behaviour):
    """Whatever it says comes at a byte in a second."""

    acks = False
    speed = 1.0
    cause = "overdue|lost|connect"


class Disconnects(Behaviour):
    """Leaves with a reason, another one at each connection."""

    acks = False
    cause = "0x8b|0x97|0x89|0x98|0x9c|0x9d|0xa1|0x93|0x81"
    reasons = (0x8B, 0x97, 0x89, 0x98, 0x9C, 0x9D, 0xA1, 0x93, 0x81)

    def connected(self, connection):
        connection.send(DISCONNECT << 4, bytes((self.rng.choice(self.reasons), 0)))
        connection.close()


class Twin(Behaviour):
    acks = False
    alarm = True
    cause = "duplicate identity"

    def published(self, connection, publish):
        connection.send(DISCONNECT << 4, b"\x8e\x00")
        connection.close()


class Rejects(Behaviour):
    acks = False
    cause = "0x8[4-9a]|not authorized|password|identifier|version|available|busy|banned"

    def connack(self, connection):
        connection.send_connack(self.rng.choice((0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8A)), b"")
        connection.close()


class Flaps(Behaviour):
    acks = False
    cause = "connect|lost"

    def accept(self, connection):
        return False


class FlapsLate(Behaviour):
    """Takes the session, and closes it at the first message."""

    acks = False
    cause = "lost"

    def published(self, connection, publish):
        connection.close()


class Tls(Behaviour):
    acks = False

    def __init__(self, rng, certificate, cause):
        super().__init__(rng)
        self.certificate, self.cause = certificate, cause


class Mixed(Behaviour):
    """Each message another fate."""

    acks = False
    cause = "."

    def published(self, connection, publish):
        roll = self.rng.random()
        if roll < 0.5:
            connection.acknowledge(publish)
        elif roll < 0.6:
            connection.acknowledge(publish, self.rng.choice((0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99)) if "/alarm/" in publish.topic else 0)
        elif roll < 0.7:
            self.rng.choice((WrongIds, ReceivesTwice, AcksTwice)).published(self, connection, publish)
        elif roll < 0.8:
            connection.close()
        elif roll < 0.9:
            connection.write(self.rng.randbytes(self.rng.randint(1, 20)))


class AnyOfAll(Behaviour):
    """Each connection another one of them."""

    acks = False
    cause = "."

    def accept(self, connection):
        names = [name for name in BEHAVIOURS if not name.startswith("tls_") and name not in ("any_of_all", "no_retain")]
        connection.behaviour = BEHAVIOURS[self.rng.choice(names)](self.rng)
        connection.receive_maximum = connection.behaviour.receive_maximum
        return connection.behaviour.accept(connection)


BEHAVIOURS = {
    "honest": Behaviour, "never_acks": NeverAcks, "wrong_ids": WrongIds, "pubrec": ReceivesTwice,
    "no_acks_mixed": AnyOfThese, "acks_twice": AcksTwice, "nobody": Nobody,
    **{f"refuses_{reason:02x}": lambda rng, reason=reason: Refuses(rng, reason)
       for reason in (0x80, 0x83, 0x87, 0x90, 0x95, 0x97, 0x99)},
    "refuses_some": RefusesSome, "one_at_a_time": OneAtATime, "any_window": AnyWindow, "small_packets": SmallPackets,
    "no_qos": NoQos, "no_retain": NoRetain, "keep_alive": KeepAlive, "no_connack": NoConnack,
    "malformed_connack": MalformedConnack, "huge": Huge, "flood": Flood, "garbage": Garbage, "odd_packets": OddPackets,
    "half_open": HalfOpen, "slow": Slow, "disconnects": Disconnects, "twin": Twin, "rejects": Rejects, "flaps": Flaps,
    "flaps_late": FlapsLate, "mixed": Mixed, "any_of_all": AnyOfAll,
    "tls_wrong_name": lambda rng: Tls(rng, "stranger", "elsewhere.example"),
    "tls_expired": lambda rng: Tls(rng, "expired", "has expired"),
    "tls_not_yet_valid": lambda rng: Tls(rng, "early", "not yet valid|valid only from"),
    "tls_unknown_authority": lambda rng: Tls(rng, "foreign", "unknown authority"),
}


def read_length(data, at):
    """A variable byte integer: (value, next position), or None where it is not complete."""
    value = shift = 0
    while at < len(data) and shift < 28:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
    return None


def text_at(body, at):
    length = struct.unpack_from(">H", body, at)[0]
    return body[at + 2:at + 2 + length], at + 2 + length


class Connection:
    """One client, served on a thread of its own."""

    def __init__(self, broker, link):
        self.broker, self.link, self.behaviour = broker, link, broker.behaviour
        self.number = broker.count()
        self.began = time.monotonic()
        self.version, self.will_qos, self.will_retain = 5, 0, False
        self.keep_alive = 0
        self.receive_maximum = self.behaviour.receive_maximum
        self.in_flight = set()
        self.deaf = self.closed = False
        self.lock = threading.Lock()

    # ---- out

    def write(self, data):
        try:
            if self.behaviour.speed is None:
                self.link.sendall(data)
                return
            for byte in data:
                self.link.sendall(bytes((byte,)))
                time.sleep(1 / self.behaviour.speed)
        except OSError:
            self.closed = True

    def send(self, first, body):
        length, head = len(body), bytearray((first,))
        while True:
            head.append(length & 127 | (128 if length > 127 else 0))
            length >>= 7
            if not length:
                break
        self.write(bytes(head) + body)

    def send_connack(self, reason, properties):
        if self.version == 5:
            self.send(CONNACK << 4, bytes((0, reason, len(properties))) + properties)
        else:
            self.send(CONNACK << 4, bytes((0, {0x84: 1, 0x85: 2, 0x86: 4, 0x87: 5}.get(reason, 3 if reason else 0))))
        if reason:
            self.close()

    def acknowledge(self, publish, reason=0):
        """PUBACK; what it promises is noted before it is said."""
        if reason < 0x80 or self.version != 5:
            self.broker.keep(publish)
        else:
            self.broker.note_refusal(publish)
        if not publish.qos:
            return
        if reason < 0x80 or self.version != 5:
            self.broker.note_promise(publish)
        self.in_flight.discard(publish.packet)
        body = struct.pack(">H", publish.packet)
        self.send(PUBACK << 4, body + bytes((reason, 0)) if reason and self.version == 5 else body)

    def cut(self):
        """Also from another thread. Its own closes the descriptor: else that may be another's while TLS still reads from it."""
        self.closed = True
        with contextlib.suppress(OSError):
            socket.socket.shutdown(self.link, socket.SHUT_RDWR)

    def close(self):
        self.cut()
        with contextlib.suppress(OSError):
            self.link.close()

    # ---- in

    def run(self):
        try:
            self.link.settimeout(0.2)
            if self.behaviour.accept(self):
                self.serve()
        except (OSError, ValueError):
            pass
        finally:
            self.close()
            self.broker.forget(self)

    def serve(self):
        data = bytearray()
        heard = time.monotonic()
        while not self.closed:
            if self.deaf:
                time.sleep(0.1)
                continue
            patience = self.patience()
            if patience and time.monotonic() - heard > patience:
                self.broker.offence(f"silent for more than {patience} s though the keep alive says otherwise")
                return
            try:
                part = self.link.recv(65536)
            except (socket.timeout, ssl.SSLWantReadError):
                continue
            if not part:
                return
            heard = time.monotonic()
            data += part
            while (used := self.take(data)) and not self.closed:
                del data[:used]

    def patience(self):
        """One and a half times the keep alive that is in force (MQTT 5, 3.1.2.10), and a second for the machine."""
        told = getattr(self.behaviour, "server_keep_alive", None)
        return told * 1.5 + 1 if told and self.version == 5 else None

    def take(self, data):
        """Handle the first packet of `data`; how long it was, 0 where it is not complete."""
        if len(data) < 2:
            return 0
        found = read_length(data, 1)
        if found is None:
            return 0
        length, at = found
        if len(data) < at + length:
            return 0
        self.packet(data[0], bytes(data[at:at + length]), at + length)
        return at + length

    def packet(self, first, body, size):
        kind = first >> 4
        limit = self.behaviour.maximum_packet
        if limit and size > limit and kind == PUBLISH:
            self.broker.offence(f"a packet of {size} bytes where at most {limit} are allowed")
        if kind == CONNECT:
            self.take_connect(body)
            self.behaviour.connack(self)
            if not self.closed:
                self.broker.sessions += 1
                self.behaviour.connected(self)
        elif kind == PUBLISH:
            publish = self.take_publish(first, body, size)
            self.behaviour.published(self, publish)
            if publish.packet in self.in_flight:  # it was not answered, but who knows whom it reached
                self.broker.keep(publish)
        elif kind == SUBSCRIBE:
            self.send(SUBACK << 4, body[:2] + (b"\x00" if self.version == 5 else b"") + b"\x01")
        elif kind == PINGREQ:
            self.send(PINGRESP << 4, b"")
        elif kind == DISCONNECT:
            self.close()

    def take_connect(self, body):
        _, at = text_at(body, 0)
        self.version, flags = body[at], body[at + 1]
        self.will_qos, self.will_retain = flags >> 3 & 3, bool(flags & 0x20)
        self.keep_alive = struct.unpack_from(">H", body, at + 2)[0]

    def take_publish(self, first, body, size):
        topic, at = text_at(body, 0)
        qos, packet = first >> 1 & 3, 0
        if qos:
            packet = struct.unpack_from(">H", body, at)[0]
            at += 2
        if self.version == 5:
            length, at = read_length(body, at)
            at += length
        publish = Publish(topic.decode(), packet, qos, bool(first & 1), bool(first & 8), body[at:], size)
        self.check(publish)
        return publish

    def check(self, publish):
        if publish.qos > self.behaviour.maximum_qos:
            self.broker.offence(f"QoS {publish.qos} where at most {self.behaviour.maximum_qos} is offered")
        if publish.retain and not self.behaviour.retain:
            self.broker.offence("retain though it is not available")
        if publish.qos:
            self.in_flight.add(publish.packet)
        if self.receive_maximum and len(self.in_flight) > self.receive_maximum:
            self.broker.offence(f"{len(self.in_flight)} in flight where {self.receive_maximum} are allowed")


class Broker:
    """Listens on one port of the loopback; TLS where `folder` holds certificates (make_certificates())."""

    def __init__(self, port, seed, folder=None):
        self.rng, self.folder = random.Random(seed), folder
        self.lock = threading.Lock()
        self.heard = []  # all that a subscriber would get: what was not refused
        self.kept = {}  # retained messages by topic
        self.promised = {}  # events that were acknowledged with success, by seq
        self.refused = set()  # seqs that were refused at least once: a later event may have been quicker
        self.offences, self.accepted, self.sessions, self.numbers = [], [], 0, 0
        self.connections = set()
        self.behaviour = Behaviour(self.rng)
        self.contexts = {}
        self.listener = socket.create_server(("127.0.0.1", port), backlog=64)
        self.listener.settimeout(0.2)
        self.ended = False
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def use(self, name):
        """From now on; what is connected is cut, so that it counts for the next one."""
        behaviour = BEHAVIOURS[name](self.rng)
        with self.lock:
            self.behaviour = behaviour
            self.accepted, self.sessions = [], 0
            if not behaviour.retain:
                self.kept.clear()
            connections = list(self.connections)
        for connection in connections:
            connection.cut()
        return behaviour

    def run(self):
        while not self.ended:
            try:
                link, _ = self.listener.accept()
            except socket.timeout:
                continue
            except OSError:
                return
            threading.Thread(target=self.serve, args=(link,), daemon=True).start()

    def serve(self, link):
        with self.lock:
            self.accepted.append(time.monotonic())
            behaviour = self.behaviour
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.folder:
            link.settimeout(10)
            try:
                link = self.context(behaviour.certificate).wrap_socket(link, server_side=True)
            except (OSError, ValueError):
                link.close()
                return
        connection = Connection(self, link)
        connection.behaviour = behaviour
        connection.receive_maximum = behaviour.receive_maximum
        with self.lock:
            late = self.behaviour is not behaviour  # use() has not seen it, and would leave it as it was
            if not late:
                self.connections.add(connection)
        if late:
            connection.close()
        else:
            connection.run()

    def context(self, certificate):
        if certificate not in self.contexts:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(f"{self.folder}/{certificate}.pem", f"{self.folder}/{certificate}.key")
            self.contexts[certificate] = context
        return self.contexts[certificate]

    def count(self):
        with self.lock:
            self.numbers += 1
            return self.numbers

    def forget(self, connection):
        with self.lock:
            self.connections.discard(connection)

    def offence(self, text):
        with self.lock:
            self.offences.append(text)

    def keep(self, publish):
        """Hand it to the subscribers, and keep it where it is to be retained."""
        if "/alarm/" not in publish.topic:
            return
        message = Message(publish.topic, False, publish.payload, json.loads(publish.payload) if publish.payload else None)
        with self.lock:
            self.heard.append(message)
            if publish.retain and publish.payload:
                self.kept[publish.topic] = message._replace(retain=True)
            elif publish.retain:
                self.kept.pop(publish.topic, None)

    def note_refusal(self, publish):
        if "/alarm/" in publish.topic and publish.payload:
            with self.lock:
                self.refused.add(json.loads(publish.payload)["seq"])

    def note_promise(self, publish):
        if "/alarm/" not in publish.topic or not publish.payload:
            return
        data = json.loads(publish.payload)
        if data["seq"] is not None:
            with self.lock:
                self.promised[data["seq"]] = data

    def end(self):
        self.ended = True
        self.listener.close()
        for connection in list(self.connections):
            connection.cut()
        self.thread.join(2)


def make_certificates(folder):
    """An authority of our own (ca.pem) and servers: good, stranger, expired, early; and foreign, of another authority."""
    def openssl(*arguments):
        subprocess.run(["openssl", *map(str, arguments)], cwd=folder, check=True, capture_output=True)

    for name in ("ca", "other-ca"):
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", 60, "-subj",
                f"/CN=davy test {name}", "-keyout", f"{name}.key", "-out", f"{name}.pem")
    servers = {"good": ("ca", "localhost", None), "stranger": ("ca", "elsewhere.example", None),
               "expired": ("ca", "localhost", ("20200101000000Z", "20200201000000Z")),
               "early": ("ca", "localhost", ("20400101000000Z", "20400201000000Z")),
               "foreign": ("other-ca", "localhost", None)}
    for name, (ca, host, dates) in servers.items():
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={host}", "-keyout",
                f"{name}.key", "-out", f"{name}.csr")
        sign(folder, openssl, name, ca, host, dates)


def sign(folder, openssl, name, ca, host, dates):
    """`openssl x509` knows no dates but from today on, `openssl ca` does, and wants a folder of its own."""
    home = os.path.join(folder, f"{name}.ca")
    os.makedirs(home)
    for file, text in (("index.txt", ""), ("serial", "01\n"), ("conf", f"""[ca]
default_ca = c
[c]
dir = {home}
database = {home}/index.txt
serial = {home}/serial
new_certs_dir = {home}
default_md = sha256
policy = p
x509_extensions = e
[p]
commonName = supplied
[e]
subjectAltName = DNS:{host}
""")):
        with open(os.path.join(home, file), "w", encoding="utf-8") as out:
            out.write(text)
    when = ["-startdate", dates[0], "-enddate", dates[1]] if dates else ["-days", "60"]
    openssl("ca", "-config", f"{home}/conf", "-batch", "-notext", "-in", f"{name}.csr", "-out", f"{name}.pem", "-cert",
            f"{ca}.pem", "-keyfile", f"{ca}.key", *when)
