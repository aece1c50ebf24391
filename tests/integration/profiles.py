#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Every golden vector of every shipped profile with real parts: davysim serves the image, pymodbus reads the same words at
the same addresses, davyd with the profile makes of it what the vector says.

Registers that are not in the image do not exist in the simulator: a plan that read beyond a device's map would fail.
usage: profiles.py [CASE...]       all by default; exit 0 when all pass. Environment: DAVYD, DAVYCTL, DAVYSIM.
"""
import os
import sys
import types

for module in ("serial", "serial_asyncio"):  # pymodbus 3.0 wants them for its serial client, which is not used here
    try:
        __import__(module)
    except ImportError:
        sys.modules[module] = types.SimpleNamespace(create_serial_connection=None)

from pymodbus.client import ModbusTcpClient

from plant import ROOT, Plant, run_cases, wait_for

VECTORS = ROOT / "tests/data/profiles"
TABLES = ("coil", "discrete", "input", "holding")


def words_of(table, rest):
    """{(table, address): word} of the rest of a line; WORD*N is N of them."""
    address, words = int(rest[0]), {}
    for token in rest[1:]:
        word, _, times = token.partition("*")
        for _ in range(int(times or 1)):
            words[table, address] = int(word, 16)
            address += 1
    return words


class Case:
    def __init__(self, name):
        self.name, self.changes, self.expects, self.rest = name, {}, {}, None

    def read(self, keyword, rest):
        if keyword == "expect":
            value = None if rest[1] == "-" else float(rest[1])
            self.expects[rest[0]] = (value, rest[2], rest[3] if len(rest) > 3 else None)
        elif keyword == "rest":
            self.rest = (rest[0], rest[1] if len(rest) > 1 else None)
        elif keyword == "each":  # the first of them stands for all
            self.changes.update(words_of(rest[0], rest[1:3]))
        else:
            self.changes.update(words_of(keyword, rest))

    def difference(self, point, row):
        """What is not as it should be of a row of `davyctl points`; None: all is."""
        got = (row["quality"], row["reason"])
        if point not in self.expects:
            return None if got == self.rest else f"{point} is {got}, not {self.rest}"
        value, *verdict = self.expects[point]
        same = row["value"] is None if value is None else (
            row["value"] is not None and abs(row["value"] - value) <= 1e-6 * max(1, abs(value)))
        return None if same and got == tuple(verdict) else f"{point} is {row['value']} {got}, not {value} {verdict}"


class Profile:
    def __init__(self, path, unit):
        self.name, self.unit, self.id = path.stem, unit, f"P{unit}"
        self.image, self.cases = {}, []
        for line in path.read_text(encoding="utf-8").splitlines():
            keyword, *rest = line.split("#")[0].split() or [""]
            if keyword == "case":
                self.cases.append(Case(" ".join(rest)))
            elif self.cases and keyword:
                self.cases[-1].read(keyword, rest)
            elif keyword in TABLES:
                self.image.update(words_of(keyword, rest))
        self.places = sorted({place for part in [self.image] + [c.changes for c in self.cases] for place in part})

    def runs(self):
        """(table, first address, count) of what exists."""
        runs = []
        for table, address in self.places:
            if runs and runs[-1][0] == table and runs[-1][1] + runs[-1][2] == address:
                runs[-1][2] += 1
            else:
                runs.append([table, address, 1])
        return runs

    def sim(self):
        ranges = ", ".join(f'{{ table = "{t}"; register = {a}; count = {n}; }}' for t, a, n in self.runs())
        return f'{{ id = "{self.id}"; line = "x"; unit = {self.unit}; ranges = ( {ranges} ); }}'

    def config(self):
        return (f'{{ id = "{self.id}"; bus = "x"; unit = {self.unit}; profile = "{self.name}"; interval = "100ms"; '
                "settle = 0; }")

    def words(self, case):
        return {place: case.changes.get(place, self.image.get(place, 0)) for place in self.places}


def all_profiles():
    return [Profile(path, unit) for unit, path in enumerate(sorted(VECTORS.glob("*.vec")), 1)]


def start_sim(plant, profiles):
    plant.start_sim(f'lines = ( {{ name = "x"; type = "tcp"; port = {plant.plant_port}; }} );\n'
                    "devices = (\n" + ",\n".join(p.sim() for p in profiles) + " );\n")


def serve(plant, profile, case, served):
    """Put an image into the simulator: only the words that are not there yet."""
    for place, word in profile.words(case).items():
        if served.get((profile.id, place), 0) != word:
            plant.sim.send(f"raw {profile.id} {place[0]} {place[1]} {word}")
            served[profile.id, place] = word


def rounds(profiles):
    """The first case of all profiles, then the second of those that have one, and so on."""
    for number in range(max(len(p.cases) for p in profiles)):
        yield [(p, p.cases[number]) for p in profiles if number < len(p.cases)]


def read_run(client, profile, table, first, count):
    if table in ("coil", "discrete"):
        read = client.read_coils if table == "coil" else client.read_discrete_inputs
        reply = read(first, count, slave=profile.unit)
        assert not reply.isError(), f"{profile.name}: {table} {first}: {reply}"
        return [int(bit) for bit in reply.bits[:count]]
    read = client.read_holding_registers if table == "holding" else client.read_input_registers
    reply = read(first, count, slave=profile.unit)
    assert not reply.isError(), f"{profile.name}: {table} {first}: {reply}"
    return reply.registers


def an_independent_reader_finds_each_word_at_its_address():
    profiles, served = all_profiles(), {}
    with Plant() as plant:
        start_sim(plant, profiles)
        client = ModbusTcpClient("127.0.0.1", port=plant.plant_port)
        assert client.connect()
        try:
            for round_ in rounds(profiles):
                for profile, case in round_:
                    serve(plant, profile, case, served)
                    words = profile.words(case)
                    for table, first, count in profile.runs():
                        got = read_run(client, profile, table, first, count)
                        expected = [words[table, first + i] for i in range(count)]
                        assert got == expected, f"{profile.name}: {case.name}: {table} {first}: {got} != {expected}"
        finally:
            client.close()


def the_daemon_makes_of_each_image_what_its_vector_says():
    profiles, served, judged = all_profiles(), {}, 0
    os.environ["DAVY_DATADIR"] = str(ROOT / "conf")
    with Plant() as plant:
        start_sim(plant, profiles)
        for profile, case in next(rounds(profiles)):
            serve(plant, profile, case, served)
        plant.start_daemon('gateway = { id = "edge"; site = "site"; };\n'
                           f'buses = ( {{ name = "x"; type = "tcp"; host = "127.0.0.1"; port = {plant.plant_port}; }} );\n'
                           "devices = (\n" + ",\n".join(p.config() for p in profiles) + " );\n")
        for round_ in rounds(profiles):
            for profile, case in round_:
                serve(plant, profile, case, served)
            wrong = {}

            def settled(todo=round_, wrong=wrong):
                rows = plant.ctl_json("points").get("points", [])
                wrong.clear()
                for profile, case in todo:
                    for row in rows:
                        device, _, point = row["point"].rpartition(".")
                        found = case.difference(point, row) if device == profile.id else None
                        if found:
                            wrong[profile.name, case.name] = found
                return rows and not wrong

            try:
                wait_for(settled, 20, "readings as in the vectors")
            except AssertionError as error:
                raise AssertionError(f"{error}: {wrong}") from None
            judged += len(round_)
    print(f"        {judged} images of {len(profiles)} profiles")


CASES = [an_independent_reader_finds_each_word_at_its_address, the_daemon_makes_of_each_image_what_its_vector_says]

if __name__ == "__main__":
    sys.exit(run_cases(CASES, sys.argv[1:]))
