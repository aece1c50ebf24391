# SPDX-License-Identifier: Apache-2.0
"""A small MQTT 5 client for tests (OASIS MQTT 5.0), so that they decide themselves when to read, to acknowledge, to vanish."""
import collections
import socket
import threading
import time

Message = collections.namedtuple("Message", "topic retain payload")

CONNACK, PUBLISH, PUBACK, SUBACK = 2, 3, 4, 9


def number(value):
    """A variable byte integer (1.5.5)."""
    out = bytearray()
    while True:
        value, low = divmod(value, 128)
        out.append(low | (128 if value else 0))
        if not value:
            return bytes(out)


def text(value):
    data = value.encode()
    return len(data).to_bytes(2, "big") + data


def packet(first, body):
    return bytes([first]) + number(len(body)) + body


def parse_number(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, at


class Client:
    """One persistent session. `taken(message)` is called on a thread of ours; what it returns from is acknowledged."""

    def __init__(self, port, name, topics, taken, receive_maximum=65535):
        self.port, self.name, self.topics, self.taken = port, name, topics, taken
        self.receive_maximum, self.link, self.thread, self.ids = receive_maximum, None, None, 0
        self.lock = threading.Lock()

    def connect(self, timeout=30):
        end = time.monotonic() + timeout
        while True:
            try:
                self.link = socket.create_connection(("127.0.0.1", self.port), 5)
                self.greet()
                break
            except OSError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.05)
        self.thread = threading.Thread(target=self.read, args=(self.link,), daemon=True)
        self.thread.start()

    def greet(self):
        properties = b"\x11" + (3600).to_bytes(4, "big") + b"\x21" + self.receive_maximum.to_bytes(2, "big")
        self.send(packet(0x10, text("MQTT") + b"\x05\x00\x00\x00" + number(len(properties)) + properties + text(self.name)))
        kind, _flags, body = self.receive(self.link)
        if kind != CONNACK or body[1] != 0:
            raise OSError(f"refused: {body!r}")
        filters = b"".join(text(topic) + b"\x09" for topic in self.topics)  # QoS 1, retain as published
        self.send(packet(0x82, b"\x00\x01\x00" + filters))

    def send(self, data):
        with self.lock:
            if self.link is None:
                raise OSError("not connected")
            self.link.sendall(data)

    @staticmethod
    def receive(link):
        def exactly(count):
            data = b""
            while len(data) < count:
                part = link.recv(count - len(data))
                if not part:
                    raise OSError("closed")
                data += part
            return data
        link.settimeout(None)
        first, length, shift = exactly(1)[0], 0, 0
        while True:
            byte = exactly(1)[0]
            length |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return first >> 4, first & 15, exactly(length)

    def read(self, link):
        try:
            while True:
                kind, flags, body = self.receive(link)
                if kind == PUBLISH:
                    self.take(flags, body)
        except (OSError, IndexError):
            self.drop(link)

    def take(self, flags, body):
        size = int.from_bytes(body[:2], "big")
        topic, at = body[2:2 + size].decode(), 2 + size
        mark, at = (body[at:at + 2], at + 2) if flags & 6 else (None, at)
        length, at = parse_number(body, at)
        self.taken(Message(topic, bool(flags & 1), body[at + length:]))
        if mark:
            self.send(packet(0x40, mark))

    def publish(self, topic, payload):
        """QoS 1; nobody waits for the acknowledgement. OSError where there is no connection."""
        self.ids = self.ids % 65535 + 1
        self.send(packet(0x32, text(topic) + self.ids.to_bytes(2, "big") + b"\x00" + payload))

    def connected(self):
        return self.link is not None

    def drop(self, link=None):
        """Vanish without a word."""
        with self.lock:
            if self.link is None or (link is not None and link is not self.link):
                return
            gone, self.link = self.link, None
        try:
            gone.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        gone.close()
