#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""pymodbus serves, davyd reads: every type in every byte order, over TCP, RTU on a pty and RTU over TCP, arrives exactly
in telemetry. Also an exception, and a unit that is not there. Environment: DAVYD, DAVYCTL, DAVY_SEED.
"""
import collections
import logging
import struct
import sys
import threading
import types

try:  # pymodbus 3.0 wants it for its serial server, which is not used here
    import serial_asyncio  # noqa: F401
except ImportError:
    sys.modules["serial_asyncio"] = types.SimpleNamespace(create_serial_connection=None)

import pymodbus_values
from plant import Plant, free_ports, listens, wait_for
from pymodbus.datastore import ModbusSequentialDataBlock, ModbusSlaveContext
from pymodbus.server import StartTcpServer
from pymodbus.transaction import ModbusRtuFramer

CONFIG = """
gateway = { id = "edge"; site = "site"; };
mqtt = { url = "mqtt://127.0.0.1:%d"; telemetry = "all"; telemetry_interval = "1s"; };
buses = (
  { name = "tcp"; type = "tcp"; host = "127.0.0.1"; port = %d; timeout = "1s"; },
  { name = "rtu"; type = "rtu"; device = "%s"; baud = 115200; parity = "none"; timeout = "500ms"; },
  { name = "rtu-over-tcp"; type = "rtu-over-tcp"; host = "127.0.0.1"; port = %s; timeout = "1s"; } );
zones = ( { id = "A1"; name = "Tank farm"; } );
profiles = ( { name = "all"; points = ( %s ); } );
devices = ( %s,
  { id = "absent"; zone = "A1"; bus = "tcp"; unit = 66; interval = "1s"; points = (
    { name = "x"; register = 0; type = "uint16"; } ); },
  { id = "beyond"; zone = "A1"; bus = "tcp"; unit = 8; interval = "1s"; points = (
    { name = "x"; register = 65000; type = "uint16"; } ); } );
rules = ( );
"""
BUSES = ("tcp", "rtu", "rtu-over-tcp")


def config_text(plant, image, tcp_port, pty, rtu_port):
    points = []
    for i, line in enumerate(image.points):
        table, kind, order, register = line.split()
        how = "" if kind == "bool" else f' order = "{order}";'
        points.append(f'{{ name = "p{i}"; table = "{table}"; register = {register}; type = "{kind}";{how} }}')
    devices = [f'{{ id = "dev-{bus}"; zone = "A1"; bus = "{bus}"; unit = {pymodbus_values.UNIT}; profile = "all"; '
               f'interval = "1s"; }}' for bus in BUSES]
    return CONFIG % (plant.broker_port, tcp_port, pty, rtu_port, ",\n".join(points), ",\n".join(devices))


def newest(seen):
    """The newest reading of each point by device."""
    found = collections.defaultdict(dict)
    for message in seen.of("telemetry"):
        for reading in message.data["readings"]:
            found[message.data["device"]][reading["point"]] = reading
    return found


def check(image, readings, device):
    wrong = 0
    for i, expected in enumerate(image.expected):
        reading = readings[f"p{i}"]
        got = None if reading["value"] is None else struct.pack(">d", float(reading["value"])).hex()
        if expected == "not-a-number":  # no sensor sends it
            exact = reading["quality"] == "bad" and reading["reason"] == expected
        else:
            exact = got == expected and reading["quality"] == "good"
        if not exact:
            wrong += 1
            print(f"  {device} {image.points[i]}: expected {expected}, got {reading}")
    print(f"{device}: {len(image.expected) - wrong} of {len(image.expected)} values exact in telemetry")
    return wrong == 0


def main():
    logging.disable(logging.ERROR)  # pymodbus reports each connection that ends
    image, context = pymodbus_values.build()
    context[8] = ModbusSlaveContext(hr=ModbusSequentialDataBlock(0, [1, 2, 3]), zero_mode=True)
    port = free_ports(1)[0]
    threading.Thread(target=StartTcpServer, kwargs={"context": context, "address": ("127.0.0.1", port)}, daemon=True).start()
    wait_for(lambda: listens(port), 20, "pymodbus listens")
    pty = pymodbus_values.start_pty(context)
    rtu_port = pymodbus_values.start_socket(ModbusRtuFramer, context)
    with Plant() as plant:
        plant.broker.start()
        seen = plant.record()
        plant.start_daemon(config_text(plant, image, port, pty, rtu_port))
        wait_for(lambda: all(len(newest(seen)[f"dev-{bus}"]) == len(image.points) for bus in BUSES), 60, "all telemetry")
        results = [check(image, newest(seen)[f"dev-{bus}"], f"dev-{bus}") for bus in BUSES]
        beyond = wait_for(lambda: newest(seen)["beyond"].get("x"), 30, "the reading of a register that is not there")
        results.append((beyond["value"], beyond["quality"], beyond["reason"]) == (None, "bad", "exception"))
        absent = wait_for(lambda: newest(seen)["absent"].get("x"), 30, "the reading of a unit that is not there")
        results.append((absent["value"], absent["quality"]) == (None, "bad"))
        print(f"register beyond: {beyond}\nunit absent: {absent}")
        errors = seen.schema_errors()
        print("\n".join(errors[:5]))
        results.append(not errors)
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
