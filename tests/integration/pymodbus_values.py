#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Every value that a pymodbus server encodes is read back bit by bit, over TCP, RTU on a pty and RTU over TCP.

20 float32 in each byte order, then every other type in each order, then bits. pymodbus does the encoding, the data store
and the framing of the replies; only the loop that carries bytes is here.
"""
import os
import random
import socket
import struct
import subprocess
import sys
import threading
import tty

from pymodbus.constants import Endian
from pymodbus.datastore import ModbusSequentialDataBlock, ModbusServerContext, ModbusSlaveContext
from pymodbus.factory import ServerDecoder
from pymodbus.payload import BinaryPayloadBuilder
from pymodbus.transaction import ModbusRtuFramer, ModbusSocketFramer

from plant import seed_of_run

UNIT = 7
READ_EXACT = os.environ.get("READ_EXACT", "build/tests/integration/read_exact")
ORDERS = {
    "ABCD": (Endian.Big, Endian.Big),
    "CDAB": (Endian.Big, Endian.Little),
    "BADC": (Endian.Little, Endian.Big),
    "DCBA": (Endian.Little, Endian.Little),
}
# type: method of the builder, registers, values
INTEGERS = {
    "int16": ("add_16bit_int", [-32768, -1, 0, 1, 32767]),
    "uint16": ("add_16bit_uint", [0, 1, 0x1234, 65535]),
    "int32": ("add_32bit_int", [-(2**31), -123456, 0, 2**31 - 1]),
    "uint32": ("add_32bit_uint", [0, 123456, 0x12345678, 2**32 - 1]),
    "int64": ("add_64bit_int", [-(2**63), -(2**53), -1, 2**53, 0x0102030405060708]),
    "uint64": ("add_64bit_uint", [0, 2**53, 2**63, 0x0102030405060708]),
    "float64": ("add_64bit_float", [3.141592653589793, -1e-300, 5e-324, 1.7976931348623157e308, 0.1]),
}


def float32_values(rng):
    """20 finite ones: edges of the format, then random bits."""
    edges = [0.0, -0.0, 1.0, -1.0, 0.1, 123456.0, 1.17549435e-38, 1e-45, 3.4028234663852886e38, 15.2]
    values = [struct.unpack(">f", struct.pack(">f", v))[0] for v in edges]
    while len(values) < 20:
        value = struct.unpack(">f", struct.pack(">I", rng.getrandbits(32)))[0]
        if value == value and abs(value) != float("inf"):
            values.append(value)
    return values


class Image:
    """Registers that pymodbus encoded, and the points that read them."""

    def __init__(self):
        self.registers = []
        self.points = []
        self.expected = []

    def add(self, kind, method, order, value):
        byteorder, wordorder = ORDERS[order]
        builder = BinaryPayloadBuilder(byteorder=byteorder, wordorder=wordorder)
        getattr(builder, method)(value)
        self.points.append(f"holding {kind} {order} {len(self.registers)}")
        # + 0.0: minus zero is read as zero, which is the same number and what people expect to see. No sensor sends what is
        # smaller than the smallest normal number: that is a wrong order of words.
        smallest = {"float32": 2.0**-126, "float64": 2.0**-1022}.get(kind, 0)
        tiny = 0 < abs(value) < smallest
        self.expected.append("not-a-number" if tiny else struct.pack(">d", float(value) + 0.0).hex())
        self.registers += builder.to_registers() if byteorder == Endian.Big else swapped(builder)


def swapped(builder):
    """to_registers() always unpacks big-endian words; the bytes are as they go on the wire."""
    payload = b"".join(builder.build())
    return list(struct.unpack(f">{len(payload) // 2}H", payload))


def build():
    seed = seed_of_run(1)
    print(f"DAVY_SEED={seed}")
    rng = random.Random(seed)
    image = Image()
    for order in ORDERS:
        for value in float32_values(rng):
            image.add("float32", "add_32bit_float", order, value)
        for kind, (method, values) in INTEGERS.items():
            for value in values:
                image.add(kind, method, order, value)
    bits = [rng.getrandbits(1) for _ in range(37)]
    # Not more points than read_exact has room for.
    for table in ("coil", "discrete"):
        for address in range(0, 37, 4):
            image.points.append(f"{table} bool ABCD {address}")
            image.expected.append(struct.pack(">d", float(bits[address])).hex())
    slave = ModbusSlaveContext(
        hr=ModbusSequentialDataBlock(0, image.registers),
        co=ModbusSequentialDataBlock(0, bits),
        di=ModbusSequentialDataBlock(0, bits),
        zero_mode=True,
    )
    return image, ModbusServerContext(slaves={UNIT: slave}, single=False)


def serve(framer_class, context, receive, send):
    framer = framer_class(ServerDecoder(), client=None)

    def answer(request):
        reply = request.execute(context[request.unit_id])
        reply.transaction_id = request.transaction_id
        reply.unit_id = request.unit_id
        send(framer.buildPacket(reply))

    while True:
        try:
            data = receive()
        except OSError:
            return
        if not data:
            return
        framer.processIncomingPacket(data, answer, unit=[UNIT], single=False)


def start_socket(framer_class, context):
    listener = socket.create_server(("127.0.0.1", 0))

    def run():
        connection, _ = listener.accept()
        serve(framer_class, context, lambda: connection.recv(1024), connection.sendall)

    threading.Thread(target=run, daemon=True).start()
    return str(listener.getsockname()[1])


def start_pty(context):
    master, slave = os.openpty()
    tty.setraw(slave)
    threading.Thread(
        target=serve,
        args=(ModbusRtuFramer, context, lambda: os.read(master, 1024), lambda data: os.write(master, data)),
        daemon=True,
    ).start()
    return os.ttyname(slave)


def check(image, kind, place):
    done = subprocess.run(
        [READ_EXACT, kind, place],
        input="\n".join(image.points) + "\n",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    got = done.stdout.split()
    wrong = [
        f"  {point}: expected {expected}, got {value}"
        for point, expected, value in zip(image.points, image.expected, got)
        if expected != value
    ]
    if done.returncode != 0 or len(got) != len(image.points):
        wrong.append(f"  exit status {done.returncode}, {len(got)} of {len(image.points)} values {done.stderr}")
    print(f"{kind}: {len(got) - len(wrong)} of {len(image.points)} values exact")
    print("\n".join(wrong))
    return not wrong


def main():
    image, context = build()
    results = [
        check(image, "tcp", start_socket(ModbusSocketFramer, context)),
        check(image, "rtu-over-tcp", start_socket(ModbusRtuFramer, context)),
        check(image, "rtu", start_pty(context)),
    ]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
