#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""davysim against foreign peers: mbpoll, pymodbus and bare sockets. Usage: sim_peers.py [DAVYSIM] (or env DAVYSIM)."""

import os
import random
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import tty
import types

try:  # pymodbus 3.0 wants it for its asynchronous serial client, which is not used here
    import serial_asyncio  # noqa: F401
except ImportError:
    sys.modules["serial_asyncio"] = types.SimpleNamespace(create_serial_connection=None)

try:
    from pymodbus.client import ModbusSerialClient, ModbusTcpClient
except ImportError:
    ModbusSerialClient = ModbusTcpClient = None

PLANT = """
lines = (
  { name = "tcp-1"; type = "tcp"; },
  { name = "tcp-2"; type = "tcp"; unknown_unit = "silence"; },
  { name = "over"; type = "rtu-over-tcp"; },
  { name = "rtu-1"; type = "rtu"; link = "${PLANT_DIR}/rtu-1"; },
  { name = "slow"; type = "rtu"; link = "${PLANT_DIR}/slow"; baud = 9600; },
  { name = "slowest"; type = "rtu"; link = "${PLANT_DIR}/slowest"; baud = 300; bits_per_byte = 11; }
);
devices = (
  { id = "T"; line = "tcp-1"; unit = 1; 
    ranges = ( { register = 100; count = 200; }, { table = "coil"; register = 0; count = 64; } );
    points = (%(points)s); },
  { id = "U"; line = "tcp-1"; unit = 2; turnaround = "20ms";
    points = ( { name = "v"; register = 0; type = "uint16"; value = 77; } ); },
  { id = "M"; line = "tcp-1"; unit = 100; copies = 20;
    points = ( { name = "v"; register = 0; type = "float32"; value = 2.5; } ); },
  { id = "W"; line = "tcp-1"; unit = 3; points = (
      { name = "ramp"; register = 0; type = "float32";
        wave = { type = "ramp"; low = 0.0; high = 1000.0; period = "100s"; }; } ); },
  { id = "S"; line = "tcp-2"; unit = 1; points = ( { name = "v"; register = 0; type = "uint16"; value = 5; } ); },
  { id = "O"; line = "over"; unit = 9; points = ( { name = "v"; register = 0; type = "uint16"; value = 99; } ); },
  { id = "R"; line = "rtu-1"; unit = 1; 
    ranges = ( { register = 100; count = 200; }, { table = "coil"; register = 0; count = 64; } );
    points = (%(points)s); },
  { id = "Q"; line = "rtu-1"; unit = 2; points = ( { name = "v"; register = 0; type = "uint16"; value = 22; } ); },
  { id = "B"; line = "slow"; unit = 1; points = ( { name = "v"; register = 0; type = "uint16"; value = 33; } );
    ranges = ( { register = 0; count = 40; } ); },
  { id = "C"; line = "slowest"; unit = 1; points = ( { name = "v"; register = 0; type = "uint16"; value = 33; } ); }
);
incidents = (
  { at = "1h"; do = "set T.f 1"; },
  { at = "0s"; do = [ "set Q.v 23" ]; }
);
"""

POINTS = """
  { name = "f"; register = 0; type = "float32"; value = 12.5; },
  { name = "fswap"; register = 2; type = "float32"; order = "CDAB"; value = -3.25; },
  { name = "i16"; register = 4; type = "int16"; value = -1234; },
  { name = "u16"; register = 5; type = "uint16"; value = 54321; },
  { name = "i32"; register = 6; type = "int32"; value = -123456789; },
  { name = "u32"; register = 8; type = "uint32"; value = 4000000000L; },
  { name = "f64"; register = 10; type = "float64"; value = 3.141592653589793; },
  { name = "scaled"; register = 14; type = "uint16"; scale = 0.1; offset = -40.0; value = 21.7; },
  { name = "badc"; register = 15; type = "uint16"; order = "BADC"; value = 258; },
  { name = "temp"; table = "input"; register = 0; type = "int16"; scale = 0.1; value = -12.3; },
  { name = "fin"; table = "input"; register = 1; type = "float32"; value = 0.5; },
  { name = "run"; table = "discrete"; register = 3; type = "bool"; value = true; },
  { name = "stop"; table = "discrete"; register = 4; type = "bool"; value = false; },
  { name = "coil"; table = "coil"; register = 7; type = "bool"; value = true; }
"""

results = {"passed": 0, "failed": 0}


def check(name, ok, detail=""):
    results["passed" if ok else "failed"] += 1
    if not ok:
        print(f"FAILED: {name} {detail}", flush=True)


def equal(name, got, expected):
    check(name, got == expected, f"got {got!r}, expected {expected!r}")


class Sim:
    """A running davysim in a temporary folder."""

    def __init__(self, binary, folder):
        self.binary, self.folder = binary, folder
        self.control = os.path.join(folder, "sim.sock")
        plant = os.path.join(folder, "plant.conf")
        with open(plant, "w", encoding="utf-8") as file:
            file.write(PLANT % {"points": POINTS})
        environment = dict(os.environ, PLANT_DIR=folder)
        self.process = subprocess.Popen([binary, "--plant", plant, "--control", self.control, "--seed", "7"],
                                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment)
        self.ports = {}
        for line in self.process.stdout:
            found = re.match(r"listening tcp \S*:(\d+) as (\S+)", line)
            if found:
                self.ports[found[2]] = int(found[1])
            if line == "ready\n":
                break

    def path(self, name):
        return os.path.join(self.folder, name)

    def send(self, command):
        done = subprocess.run([self.binary, "--control", self.control, "--send", command], capture_output=True,
                              text=True, timeout=10)
        return done.returncode, done.stdout.strip()

    def do(self, command):
        code, reply = self.send(command)
        check(f"control accepts: {command}", code == 0 and reply.startswith("ok"), reply)
        return reply


def crc16(data):
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ 0xA001 if crc & 1 else crc >> 1
    return struct.pack("<H", crc)


def tcp_request(tid, unit, function, address, count):
    return struct.pack(">HHHBBHH", tid, 0, 6, unit, function, address, count)


def rtu_request(unit, function, address, count):
    body = struct.pack(">BBHH", unit, function, address, count)
    return body + crc16(body)


def connect(port):
    peer = socket.create_connection(("127.0.0.1", port), timeout=2)
    peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return peer


def receive(fd, seconds=0.3, want=None):
    """What comes within `seconds`; ends early with `want` bytes, or at the end of the stream (None appended)."""
    data = b""
    end = time.monotonic() + seconds
    while want is None or len(data) < want:
        left = end - time.monotonic()
        if left <= 0 or not select.select([fd], [], [], left)[0]:
            return data
        try:
            piece = os.read(fd if isinstance(fd, int) else fd.fileno(), 4096)
        except OSError:
            return data
        if not piece:
            return data
        data += piece
    return data


def ask(peer, request, seconds=0.25, want=None):
    peer.sendall(request)
    return receive(peer, seconds, want)


def is_closed(peer):
    peer.settimeout(1)
    try:
        return peer.recv(16) == b""
    except ConnectionResetError:
        return True
    except OSError:
        return False


def mbpoll(arguments, target):
    done = subprocess.run(["mbpoll", *arguments, "-0", "-1", "-q", target], capture_output=True, text=True, timeout=20)
    return re.findall(r"^\[\d+\]:\s+(\S+)", done.stdout, re.M), done.stdout + done.stderr


def read_with_mbpoll(how, target, label):
    cases = [
        ("float big-endian", ["-t", "4:float", "-B", "-r", "0"], ["12.5"]),
        ("float words swapped", ["-t", "4:float", "-r", "2"], ["-3.25"]),
        ("int16", ["-t", "4", "-r", "4"], ["64302"]),
        ("uint16", ["-t", "4", "-r", "5"], ["54321"]),
        ("int32", ["-t", "4:int", "-B", "-r", "6"], ["-123456789"]),
        ("scaled", ["-t", "4", "-r", "14"], ["617"]),
        ("bytes swapped", ["-t", "4", "-r", "15"], ["513"]),
        ("input int16", ["-t", "3", "-r", "0"], ["65413"]),
        ("input float", ["-t", "3:float", "-B", "-r", "1"], ["0.5"]),
        ("discretes", ["-t", "1", "-r", "3", "-c", "2"], ["1", "0"]),
        ("coils", ["-t", "0", "-r", "6", "-c", "3"], ["0", "1", "0"]),
        ("unset registers", ["-t", "4", "-r", "100", "-c", "2"], ["0", "0"]),
    ]
    for name, arguments, expected in cases:
        got, text = mbpoll([*how, *arguments], target)
        check(f"mbpoll {label}: {name}", got == expected, f"got {got}, expected {expected}: {text[-200:]}")
    got, text = mbpoll([*how, "-t", "4", "-r", "50"], target)
    check(f"mbpoll {label}: no such register", "Illegal data address" in text, text[-200:])


def read_with_pymodbus(client, unit, label):
    check(f"pymodbus {label}: connects", client.connect())
    words = client.read_holding_registers(0, 16, slave=unit)
    check(f"pymodbus {label}: holding", not words.isError(), str(words))
    raw = struct.pack(">16H", *words.registers)
    equal(f"pymodbus {label}: float32", struct.unpack(">f", raw[0:4])[0], 12.5)
    equal(f"pymodbus {label}: int32", struct.unpack(">i", raw[12:16])[0], -123456789)
    equal(f"pymodbus {label}: uint32", struct.unpack(">I", raw[16:20])[0], 4000000000)
    equal(f"pymodbus {label}: float64", struct.unpack(">d", raw[20:28])[0], 3.141592653589793)
    equal(f"pymodbus {label}: discretes", client.read_discrete_inputs(3, 2, slave=unit).bits[:2], [True, False])
    equal(f"pymodbus {label}: coils", client.read_coils(7, 1, slave=unit).bits[:1], [True])
    equal(f"pymodbus {label}: input", client.read_input_registers(0, 1, slave=unit).registers, [65413])
    equal(f"pymodbus {label}: exception 2", client.read_holding_registers(290, 20, slave=unit).exception_code, 2)
    check(f"pymodbus {label}: writes one", not client.write_register(120, 4711, slave=unit).isError())
    check(f"pymodbus {label}: writes many", not client.write_registers(121, [1, 2, 3], slave=unit).isError())
    equal(f"pymodbus {label}: reads back", client.read_holding_registers(120, 4, slave=unit).registers, [4711, 1, 2, 3])
    check(f"pymodbus {label}: writes a coil", not client.write_coil(20, True, slave=unit).isError())
    check(f"pymodbus {label}: writes coils", not client.write_coils(21, [True, False, True], slave=unit).isError())
    equal(f"pymodbus {label}: coils back", client.read_coils(20, 4, slave=unit).bits[:4], [True, True, False, True])
    check(f"pymodbus {label}: writes into a point", not client.write_register(5, 1, slave=unit).isError())
    equal(f"pymodbus {label}: which stays", client.read_holding_registers(5, 1, slave=unit).registers, [1])
    client.close()


def test_peers(sim):
    read_with_mbpoll(["-m", "tcp", "-a", "1", "-p", str(sim.ports["tcp-1"])], "127.0.0.1", "tcp")
    read_with_mbpoll(["-m", "rtu", "-a", "1", "-b", "19200", "-P", "none"], sim.path("rtu-1"), "rtu")
    if ModbusTcpClient is None:
        print("pymodbus is not installed: its checks are left out")
        return
    read_with_pymodbus(ModbusTcpClient("127.0.0.1", port=sim.ports["tcp-1"], timeout=2), 1, "tcp")
    read_with_pymodbus(ModbusSerialClient(sim.path("rtu-1"), baudrate=19200, timeout=1), 1, "rtu")
    sim.do("release T.u16")
    with connect(sim.ports["tcp-1"]) as peer:
        data = ask(peer, tcp_request(1, 1, 3, 5, 1), 1, 11)
        equal("a released point is itself again", data[9:], struct.pack(">H", 54321))


GOOD = struct.pack(">HHHBBBH", 7, 0, 5, 2, 3, 2, 77)
ASK = tcp_request(7, 2, 3, 0, 1)


def test_protocol(sim):
    with connect(sim.ports["tcp-1"]) as peer:
        equal("a plain reply", ask(peer, ASK, 1, 11), GOOD)
        equal("unknown unit on tcp", ask(peer, tcp_request(1, 99, 3, 0, 1), 1, 9)[7:], b"\x83\x0b")
        equal("unknown function", ask(peer, tcp_request(1, 1, 0x41, 0, 1), 1, 9)[7:], b"\xc1\x01")
        equal("no registers wanted", ask(peer, tcp_request(1, 1, 3, 0, 0), 1, 9)[7:], b"\x83\x03")
        equal("too many wanted", ask(peer, tcp_request(1, 1, 3, 100, 126), 1, 9)[7:], b"\x83\x03")
        equal("125 are allowed", len(ask(peer, tcp_request(1, 1, 3, 100, 125), 1, 259)), 259)
        burst = b"".join(tcp_request(tid, 100 + tid % 20, 3, 0, 2) for tid in range(1000))
        data = ask(peer, burst, 3, 13000)
        tids = [struct.unpack(">H", data[i:i + 2])[0] for i in range(0, len(data), 13)]
        equal("1000 pipelined requests", tids, list(range(1000)))
        equal("their values", {data[i + 9:i + 13] for i in range(0, len(data), 13)}, {struct.pack(">f", 2.5)})
        for byte in ASK:
            peer.sendall(bytes([byte]))
            time.sleep(0.002)
        equal("a request byte by byte", receive(peer, 1, 11), GOOD)
        peer.sendall(b"GET / HTTP/1.0\r\n\r\n")
        check("what is not Modbus is closed", is_closed(peer))
    with connect(sim.ports["tcp-2"]) as peer:
        equal("unknown unit, silence wanted", ask(peer, tcp_request(1, 9, 3, 0, 1), 0.2), b"")
    peers = [connect(sim.ports["tcp-1"]) for _ in range(250)]
    for peer in peers:
        peer.sendall(tcp_request(7, 1, 3, 4, 1))
    equal("250 connections", {receive(peer, 2, 11)[9:] for peer in peers}, {struct.pack(">h", -1234)})
    for peer in peers:
        peer.close()
    with connect(sim.ports["over"]) as peer:
        equal("rtu over tcp", ask(peer, rtu_request(9, 3, 0, 1), 1, 7)[:5], b"\x09\x03\x02\x00\x63")


def open_serial(path):
    fd = os.open(path, os.O_RDWR | os.O_NOCTTY)
    tty.setraw(fd)
    return fd


def ask_serial(fd, request, seconds=0.3, want=None):
    receive(fd, 0)
    os.write(fd, request)
    return receive(fd, seconds, want)


def test_serial(sim):
    good = b"\x02\x03\x02\x00\x17"
    good += crc16(good)
    request = rtu_request(2, 3, 0, 1)
    fd = open_serial(sim.path("rtu-1"))
    equal("serial: a plain reply, set by the script", ask_serial(fd, request, 1, 7), good)
    equal("serial: unknown unit is silent", ask_serial(fd, rtu_request(77, 3, 0, 1), 0.2), b"")
    equal("serial: garbage before a request", ask_serial(fd, b"\xff\x00\x37" + request, 1, 7), good)
    equal("serial: a bad CRC is silent", ask_serial(fd, request[:-1] + b"\x00", 0.2), b"")
    equal("serial: and the next is answered", ask_serial(fd, request, 1, 7), good)
    equal("serial: half a frame is forgotten", ask_serial(fd, request[:5], 0.2), b"")
    equal("serial: and the next is answered too", ask_serial(fd, request, 1, 7), good)
    for half in (request[:3], request[3:]):
        os.write(fd, half)
        time.sleep(0.005)
    equal("serial: two halves", receive(fd, 1, 7), good)
    broadcast = struct.pack(">BBHH", 0, 6, 110, 5)
    equal("serial: a broadcast is silent", ask_serial(fd, broadcast + crc16(broadcast), 0.2), b"")
    equal("serial: but written", ask_serial(fd, rtu_request(1, 3, 110, 1), 1, 7)[3:5], b"\x00\x05")
    os.close(fd)
    time.sleep(0.05)
    fd = open_serial(sim.path("rtu-1"))
    equal("serial: closed and opened again", ask_serial(fd, request, 1, 7), good)
    faults_serial(sim, fd, request, good)
    os.close(fd)
    fd = open_serial(sim.path("slow"))
    start = time.monotonic()
    length = len(ask_serial(fd, rtu_request(1, 3, 0, 40), 1, 85))
    took = time.monotonic() - start
    check("serial: 9600 baud take their time", length == 85 and 0.09 < took < 0.2, f"{length} bytes in {took:.3f} s")
    os.close(fd)
    half_duplex(sim)


def manners(sim):
    """Of the slowest line: requests too early after a frame, and frames that ran into each other."""
    found = re.search(r"slowest requests.*? t35_violations=(\d+) collisions=(\d+)", sim.do("stats"))
    return int(found.group(1)), int(found.group(2))


def half_duplex(sim):
    """Characters of 37 ms: what is early or collides does so by far more than a machine is late."""
    fd = open_serial(sim.path("slowest"))
    request = rtu_request(1, 3, 0, 1)
    start = time.monotonic()
    os.write(fd, request)
    first = receive(fd, 5, 1)
    took = time.monotonic() - start
    check("serial: the first byte after request, silence and itself", took > (8 + 3.5 + 1) * 11 / 300, f"{took:.3f} s")
    reply = first + receive(fd, 5, 7 - len(first))
    took = time.monotonic() - start
    check("serial: the last byte when all are over", len(reply) == 7 and took > (8 + 3.5 + 7) * 11 / 300, f"{took:.3f} s")
    time.sleep(0.2)
    before = manners(sim)
    equal("serial: a request after the silence", len(ask_serial(fd, request, 5, 7)), 7)
    equal("serial: is not counted", manners(sim), before)
    for _ in range(5):  # a machine that stands still for 0.13 s makes one in order
        equal("serial: a request at once behind a reply is answered", len(ask_serial(fd, request, 5, 7)), 7)
        if manners(sim) != before:
            break
    equal("serial: and counted", manners(sim), (before[0] + 1, before[1]))
    before = manners(sim)
    time.sleep(0.2)
    os.write(fd, request)
    receive(fd, 5, 2)
    equal("serial: a request into a reply meets nobody", ask_serial(fd, request, 1.5), b"")
    equal("serial: it collided", manners(sim), (before[0], before[1] + 1))
    equal("serial: the next one is answered", len(ask_serial(fd, request, 5, 7)), 7)
    os.close(fd)


def faults_serial(sim, fd, request, good):
    def hit(fault, seconds=0.3):
        sim.do(f"fault Q {fault}")
        data = ask_serial(fd, request, seconds)
        sim.do("clear Q")
        return data

    data = hit("crc")
    check("serial fault crc", len(data) == 7 and data[:5] == good[:5] and crc16(data[:5]) != data[5:], data.hex())
    data = hit("wrong-unit")
    check("serial fault wrong-unit", data[:1] == b"\x03" and crc16(data[:-2]) == data[-2:], data.hex())
    equal("serial fault truncate", hit("truncate 3"), good[:3])
    equal("serial fault duplicate", hit("duplicate"), good + good)
    equal("serial fault timeout", hit("timeout"), b"")
    equal("serial fault exception", hit("exception 6")[:3], b"\x02\x83\x06")
    sim.do("fault Q disconnect 400ms count 1")
    equal("serial fault disconnect: silence", ask_serial(fd, request, 0.1), b"")
    equal("serial fault disconnect: all are deaf", ask_serial(fd, rtu_request(1, 3, 0, 1), 0.1), b"")
    time.sleep(0.35)
    equal("serial fault disconnect: back", ask_serial(fd, request, 1, 7), good)
    check("a serial line knows no transactions", sim.send("fault Q wrong-transaction")[0] == 1)


def test_faults(sim):
    peer = connect(sim.ports["tcp-1"])

    def hit(fault, seconds=0.25, want=None):
        sim.do(f"fault U {fault}")
        data = ask(peer, ASK, seconds, want)
        sim.do("clear U")
        return data

    equal("fault timeout", hit("timeout"), b"")
    equal("fault exception", hit("exception 4"), struct.pack(">HHHBBB", 7, 0, 3, 2, 0x83, 4))
    data = hit("garbage")
    check("fault garbage", len(data) == 11 and data != GOOD, data.hex())
    equal("fault garbage of a length", len(hit("garbage 40")), 40)
    equal("fault wrong-unit", hit("wrong-unit"), GOOD[:6] + b"\x03" + GOOD[7:])
    equal("fault wrong-function", hit("wrong-function"), GOOD[:7] + b"\x04" + GOOD[8:])
    equal("fault wrong-transaction", hit("wrong-transaction"), b"\x00\x08" + GOOD[2:])
    equal("fault truncate", hit("truncate"), GOOD[:5])
    equal("fault duplicate", hit("duplicate"), GOOD + GOOD)
    start = time.monotonic()
    data = hit("drip 20ms", 1, 11)
    check("fault drip", data == GOOD and time.monotonic() - start > 0.18, data.hex())
    sim.do("fault U wrong-unit")
    equal("two faults at once", hit("wrong-transaction")[:7], b"\x00\x08\0\0\0\x05\x03")
    test_late(sim, peer)
    test_limits(sim, peer)
    sim.do("fault U disconnect")
    peer.sendall(ASK)
    check("fault disconnect", is_closed(peer))
    sim.do("clear U")
    sim.do("fault tcp-1 refuse count 1")
    with connect(sim.ports["tcp-1"]) as refused:
        check("fault refuse", is_closed(refused))
    with connect(sim.ports["tcp-1"]) as accepted:
        equal("fault refuse is over", ask(accepted, ASK, 1, 11), GOOD)
    test_freeze(sim)


def test_late(sim, peer):
    sim.do("fault U late 300 count 1")
    peer.sendall(ASK)
    time.sleep(0.05)
    peer.sendall(tcp_request(8, 2, 3, 0, 1))
    data = receive(peer, 1, 22)
    equal("fault late: the next reply overtakes", [data[0:2], data[11:13]], [b"\x00\x08", b"\x00\x07"])


def test_limits(sim, peer):
    sim.do("fault U timeout count 2")
    equal("count: two are lost", [ask(peer, ASK, 0.1), ask(peer, ASK, 0.1)], [b"", b""])
    equal("count: the third is not", ask(peer, ASK, 1, 11), GOOD)
    sim.do("fault U timeout for 300ms")
    equal("for: lost at first", ask(peer, ASK, 0.1), b"")
    time.sleep(0.3)
    equal("for: and then not", ask(peer, ASK, 1, 11), GOOD)
    sim.do("fault M-1 exception 4 probability 0.3")
    peer.sendall(b"".join(tcp_request(tid, 100, 3, 0, 1) for tid in range(1000)))
    data = receive(peer, 1)
    hits = data.count(b"\x64\x83\x04")
    check("probability 0.3 of 1000", 200 < hits < 400, str(hits))
    sim.do("clear M-1")


def test_freeze(sim):
    def value(peer):
        return struct.unpack(">f", ask(peer, tcp_request(1, 3, 3, 0, 2), 1, 13)[9:])[0]

    with connect(sim.ports["tcp-1"]) as peer:
        first = value(peer)
        time.sleep(0.2)
        check("a waveform moves", value(peer) > first)
        sim.do("fault W freeze")
        first = value(peer)
        time.sleep(0.2)
        equal("fault freeze", value(peer), first)
        sim.do("clear W")
        check("thawed", value(peer) > first)


def test_unplug(sim):
    fd = open_serial(sim.path("rtu-1"))
    peer = connect(sim.ports["tcp-2"])
    sim.do("unplug rtu-1 for 300ms")
    sim.do("unplug tcp-2")
    check("unplugged: the connection is closed", is_closed(peer))
    check("unplugged: the link is gone", not os.path.lexists(sim.path("rtu-1")))
    try:
        check("unplugged: the pty is dead", os.read(fd, 1) == b"")
    except OSError:
        pass
    os.close(fd)
    try:
        connect(sim.ports["tcp-2"]).close()
        check("unplugged: nobody listens", False)
    except ConnectionRefusedError:
        pass
    sim.do("plug tcp-2")
    with connect(sim.ports["tcp-2"]) as again:
        equal("plugged: the same port", ask(again, tcp_request(1, 1, 3, 0, 1), 1, 11)[9:], b"\0\5")
    time.sleep(0.4)
    fd = open_serial(sim.path("rtu-1"))
    equal("plugged: the same link", ask_serial(fd, rtu_request(2, 3, 0, 1), 1, 7)[3:5], b"\0\x17")
    os.close(fd)


def test_noise(sim):
    """Random bytes harm nobody: afterwards all is as before."""
    noise = random.Random(11)
    for _ in range(30):
        with connect(sim.ports["tcp-1"]) as peer:
            peer.sendall(noise.randbytes(noise.randrange(1, 6000)))
    with connect(sim.ports["over"]) as peer:
        peer.sendall(noise.randbytes(20000))
        time.sleep(0.2)
        receive(peer, 0.2)
        equal("rtu over tcp after noise", ask(peer, rtu_request(9, 3, 0, 1), 1, 7)[:5], b"\x09\x03\x02\x00\x63")
    fd = open_serial(sim.path("rtu-1"))
    for _ in range(20):
        os.write(fd, noise.randbytes(noise.randrange(1, 300)))
        time.sleep(0.01)
    time.sleep(0.2)
    equal("serial after noise", ask_serial(fd, rtu_request(2, 3, 0, 1), 1, 7)[3:5], b"\0\x17")
    os.close(fd)
    with connect(sim.ports["tcp-1"]) as peer:
        equal("tcp after noise", ask(peer, ASK, 1, 11), GOOD)


def test_control(sim):
    sim.do("set T.f 99.25")
    equal("get what was set", sim.send("get T.f"), (0, "ok 99.25"))
    with connect(sim.ports["tcp-1"]) as peer:
        equal("set is on the wire", ask(peer, tcp_request(1, 1, 3, 0, 2), 1, 13)[9:], struct.pack(">f", 99.25))
        sim.do("set T.f nan")
        word = ask(peer, tcp_request(1, 1, 3, 0, 2), 1, 13)[9:]
        check("nan is on the wire", word[:2] in (b"\x7f\xc0", b"\xff\xc0"), word.hex())
        sim.do("raw T holding 4 0x7fff")
        equal("raw is on the wire", ask(peer, tcp_request(1, 1, 3, 4, 1), 1, 11)[9:], b"\x7f\xff")
        sim.do("raw T discrete 4 1")
        equal("a raw bit too", ask(peer, tcp_request(1, 1, 2, 3, 2), 1, 10)[9:], b"\x03")
    sim.do("release T.f")
    equal("released", sim.send("get T.f"), (0, "ok 12.5"))
    sim.do("ramp T.f 112.5 500ms")
    time.sleep(0.25)
    half = float(sim.do("get T.f").split()[1])
    check("a ramp is under way", 12.5 < half < 112.5, str(half))
    time.sleep(0.4)
    equal("and ends", sim.send("get T.f"), (0, "ok 112.5"))
    for bad in ("", "jump T.f", "set T.f", "set T.f x", "set X.f 1", "set T.x 1", "ramp T.f 1 soon",
                "raw T holding 9999 1",
                "fault T hiccup", "fault T late", "fault T exception 0", "fault T timeout for",
                "fault T timeout often 1",
                "fault T refuse", "fault T timeout probability 2", "clear X", "set T.f 1 2 3", "x" * 600):
        code, reply = sim.send(bad)
        check(f"control refuses: {bad[:40]}", code == 1 and (reply.startswith("error ") or bad == "x" * 600), reply)
    check("stats", re.search(r"tcp-1 requests=\d+ replies=\d+ exceptions=\d+ faults=\d+ bad_frames=\d+ connections=\d+",
                             sim.do("stats")) is not None)
    check("lines", f"tcp-1 tcp 127.0.0.1:{sim.ports['tcp-1']}" in sim.do("lines"))


def test_second(sim):
    before = os.readlink(sim.path("rtu-1"))
    code, text = run(sim.binary, "--plant", sim.path("plant.conf"), "--control", sim.control,
                     environment={"PLANT_DIR": sim.folder})
    check("a second one is refused", code == 71 and "in use" in text, f"{code} {text}")
    equal("and leaves the links alone", os.readlink(sim.path("rtu-1")), before)


def test_end(sim):
    start = time.monotonic()
    sim.process.send_signal(signal.SIGTERM)
    equal("ends with 0", sim.process.wait(timeout=5), 0)
    check("within a second", time.monotonic() - start < 1)
    left = sorted(os.listdir(sim.folder))
    equal("links and socket are gone", left, ["plant.conf"])


def run(binary, *arguments, environment=None):
    done = subprocess.run([binary, *arguments], capture_output=True, text=True, timeout=10,
                          env=dict(os.environ, **(environment or {})))
    return done.returncode, done.stdout + done.stderr


def test_command_line(binary, folder):
    equal("usage is 64", run(binary, "--nonsense")[0], 64)
    equal("an argument too many is named", "unexpected argument 'plant.conf'" in run(binary, "plant.conf")[1], True)
    equal("what --send lacks is named", "--send needs --control" in run(binary, "--send", "stats")[1], True)
    equal("speed 0 is 64", run(binary, "--speed", "0")[0], 64)
    equal("help is 0", run(binary, "--help")[0], 0)
    check("version", run(binary, "--version")[1].startswith("davysim "))
    code, text = run(binary, "--seconds", "0.2")
    check("the small plant", code == 0 and text.startswith("listening tcp 127.0.0.1:") and "ready" in text, text)
    equal("a missing file is 78", run(binary, "--plant", "/nowhere/x.conf")[0], 78)
    bad = os.path.join(folder, "bad.conf")
    cases = [
        ('lines = ( { name = "a"; type = "tpc"; } );', r'bad.conf:1: lines\[0\].type: "tpc"'),
        ('lines = ( { name = "a"; type = "tcp"; } );\ndevices = ( { id = "D"; line = "b"; unit = 1; } );',
         r"bad.conf:2: .*no line \"b\""),
        ('lines = ( { name = "a"; type = "tcp"; colour = 1; } );', r"lines\[0\].colour: there is no such key"),
        ('lines = (\n  { name = "${NO_SUCH_VARIABLE}"; type = "tcp"; } );', r"bad.conf:2: \$\{NO_SUCH_VARIABLE\}"),
        ("lines = (", r"bad.conf:\d+: syntax error"),
        ('@include "x"', "include"),
        ('lines = ( { name = "a"; type = "tcp"; } );\nincidents = ( { at = "1s"; do = "set X.y 1"; } );',
         r"bad.conf:2: incidents\[0\].do"),
    ]
    for text, expected in cases:
        with open(bad, "w", encoding="utf-8") as file:
            file.write(text)
        code, output = run(binary, "--plant", bad)
        check(f"bad plant: {text[:60]!r}", code == 78 and re.search(expected, output) is not None, f"{code} {output}")
    os.unlink(bad)
    test_example(binary, folder)
    test_link(binary, folder)


def test_example(binary, folder):
    example = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../conf/examples/plant-demo.sim.conf")
    code, text = run(binary, "--plant", example, "--check", environment={"PLANT_DIR": folder})
    check("the example plant is good", code == 0 and text == "", text)


def test_link(binary, folder):
    plant, link = os.path.join(folder, "p.conf"), os.path.join(folder, "link")
    with open(plant, "w", encoding="utf-8") as file:
        file.write(f'lines = ( {{ name = "a"; type = "rtu"; link = "{link}"; }} );')
    with open(link, "w", encoding="utf-8") as file:
        file.write("mine")
    code, text = run(binary, "--plant", plant, "--seconds", "0.1")
    check("a file is not replaced by a link", code == 71 and os.path.isfile(link) and not os.path.islink(link), text)
    os.unlink(link)
    os.symlink("/dev/pts/999999", link)
    code, text = run(binary, "--plant", plant, "--seconds", "0.1")
    check("a stale link is", code == 0 and not os.path.lexists(link), text)
    os.unlink(plant)


def main():
    binary = sys.argv[1] if len(sys.argv) > 1 else os.environ["DAVYSIM"]
    with tempfile.TemporaryDirectory(prefix="davysim-") as folder:
        test_command_line(binary, folder)
        sim = Sim(binary, folder)
        try:
            test_peers(sim)
            test_protocol(sim)
            test_serial(sim)
            test_faults(sim)
            test_unplug(sim)
            test_noise(sim)
            test_control(sim)
            test_second(sim)
            test_end(sim)
        finally:
            if sim.process.poll() is None:
                sim.process.kill()
            sim.process.wait()
    print(f"{results['passed']} passed, {results['failed']} failed")
    return 1 if results["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
