# SPDX-License-Identifier: Apache-2.0
"""A TCP door in front of a port, for network trouble without touching either end: shut, jammed (half-open), open."""
import contextlib
import select
import socket
import struct
import threading


def reset(connection):
    """Close with RST, as a router that has forgotten the connection."""
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


class Door:
    """Forwards what comes to `port` on the loopback to `to`, as long as it is open."""

    def __init__(self, to):
        self.to, self.peers, self.jam = to, {}, False
        self.lock = threading.Lock()
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.listener.listen(64)
        self.running = self.accepting = True
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while self.running:
            with self.lock:
                watched = [] if self.jam else list(self.peers) + [self.listener]
            ready = select.select(watched, [], [], 0.02)[0]
            with self.lock:
                for one in ready:
                    self.serve(one)

    def serve(self, one):
        if one is self.listener:
            self.accept()
        elif one in self.peers and not self.jam:
            try:
                data = one.recv(65536)
                if data:
                    self.peers[one].sendall(data)
                    return
            except OSError:
                pass
            self.part(one)

    def accept(self):
        inner, _ = self.listener.accept()
        outer = socket.socket()
        try:
            if not self.accepting:
                raise ConnectionError
            outer.connect(("127.0.0.1", self.to))
        except OSError:
            reset(inner)
            outer.close()
            return
        for one in (inner, outer):
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            one.settimeout(5)
        self.peers[inner], self.peers[outer] = outer, inner

    def part(self, one):
        other = self.peers.pop(one)
        del self.peers[other]
        one.close()
        other.close()

    def shut(self):
        """Connections are reset, and so are new ones."""
        with self.lock:
            self.accepting, self.jam = False, False
            for one in list(self.peers):
                reset(one)
            self.peers.clear()

    def jammed(self):
        """Nothing passes, and nobody is told."""
        with self.lock:
            self.jam = True

    def open(self):
        with self.lock:
            self.accepting, self.jam = True, False

    def end(self):
        self.running = False
        self.thread.join(10)
        self.shut()
        self.listener.close()
