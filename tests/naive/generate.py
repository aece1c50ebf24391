#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A random plant and trace for `davyctl replay` and naive.py.

generate.py --seed N --out DIR [--mode MODE] [--focus NAME] writes DIR/davyd.conf and DIR/thresholds.conf, the same plant
as DIR/davyd.json, and DIR/trace.csv; in the modes with reloads also DIR/reload1.conf and so on. Values are drawn to land
on limits and on the edges of deadbands, times to land on delays, on max_age and on fault delays. Values are multiples of
0.25 and times of 250 ms, as a rule; limits of averaged measures lie between what such values can give.
"""
import argparse
import copy
import datetime
import fnmatch
import json
import math
import pathlib
import random
import sys

START_MS = 1700000000000
LEVELS = ["blue", "yellow", "orange", "red"]
RANGES = [[0.0, 100.0], [0.0, 50.0], [-10.0, 60.0], None]
BAD = ["comm", "exception", "not-a-number", "bad-value", "device-fault"]
COMMANDS = ["ack", "ack", "reset"]
COVER_COMMANDS = ["shelve", "shelve", "unshelve", "out-of-service", "in-service"]
MODES = ["plain", "restart", "reload", "both"]
KINDS = ("above", "below", "outside", "equals")
BETWEEN = 0.0137  # keeps the limits of averaged measures away from what round values give

# the plant

def make_points(random_, first, ages):
    names = ["p1", "p2", "p3"][:random_.choice([1, 1, 2, 2, 3])]
    points = [{"name": name, "range": random_.choice(RANGES), "kind": "other"} for name in names]
    if first or random_.random() < 0.3:
        points.append({"name": "s1", "range": None, "kind": "state"})
    for point in points:
        point["max_age"] = random_.choice(ages)
    return points


def matching(plant, globs):
    """(device, point) of all that match, in the order of the file."""
    def matches(glob, device, point):
        left, _, right = glob.rpartition(".")
        return fnmatch.fnmatchcase(device["id"], left) and fnmatch.fnmatchcase(point["name"], right)
    return [(device, point) for device in plant["devices"] for point in device["points"]
            if any(matches(glob, device, point) for glob in globs)]


def make_limits(random_, step):
    """One to four limits of one kind, or above and below together; milder ones at lower levels."""
    kind = random_.choice(["above", "above", "below", "outside", "both"])
    count = random_.choice([1, 2, 2, 3, 4])
    levels = sorted(random_.sample(range(4), count))
    unit = lambda n: round(n * step, 6)
    picks = sorted(random_.sample(range(4, 20), count))
    limits = {}
    for index, level in enumerate(levels):
        # steps 4..19 above the middle for `above`, as far below it for `below`
        up, down = unit(20 + picks[index]), unit(20 - picks[index])
        chosen = random_.choice(["above", "below"]) if kind == "both" else kind
        limits[LEVELS[level]] = {chosen: {"above": up, "below": down, "outside": [down, up]}[chosen]}
    return limits


def make_behaviour(random_, step, analogue):
    delays = [0, 0, 500, 1000, 2000, 5000, 12000]
    options = {"on_delay": lambda: random_.choice(delays), "off_delay": lambda: random_.choice(delays),
               "latch": lambda: random_.random() < 0.6, "acknowledge": lambda: random_.random() < 0.5,
               "on_fault": lambda: random_.choice(["hold", "trip"]), "shelvable": lambda: random_.random() < 0.7}
    if analogue:
        options["deadband"] = lambda: round(random_.choice([0, 1, 1, 2, 3]) * step, 6)
    return {name: make() for name, make in options.items() if random_.random() < 0.35}


def dress(random_, rule, limits, step, analogue):
    rule.update(make_behaviour(random_, step, analogue))
    rule.update(limits)
    for level in limits:
        if random_.random() < 0.5:
            rule[level] = {**rule[level], **make_behaviour(random_, step, analogue)}
    return rule


def make_rule(random_, name, plant, state=None):
    state = random_.random() < 0.15 if state is None else state
    step = random_.choice([0.5, 0.5, 1.0, 0.1])
    devices = [device["id"] for device in plant["devices"]]
    if state:
        limits = {random_.choice(LEVELS): {"equals": random_.random() < 0.7}}
        globs = random_.choice([["D1.s1"], ["*.s1"], ["*.s?"]])
    else:
        limits = make_limits(random_, step)
        globs = random_.choice([["D1.p1"], ["*.p1"], ["*.p*"], ["D[12].p?"], [f"{random_.choice(devices)}.p*"],
                                ["*.p1", "D1.p*"]])
    return dress(random_, {"name": name, "points": globs}, limits, step, not state)


# measures

def ascending(random_, low, high, kinds, quantum=0.25, off=BETWEEN):
    """Limits between low and high, of the given kinds."""
    kind = random_.choice(kinds)
    levels = sorted(random_.sample(range(4), random_.choice([1, 1, 2, 2, 3])))
    steps = sorted(random_.sample(range(int(low / quantum), int(high / quantum) + 5), len(levels)))
    bounds = [round(step * quantum + off, 6) for step in steps]
    if kind == "below":
        bounds = bounds[::-1]
    lower = lambda place, bound: round(low - 0.5 * place - off - 1 if low >= 8 else -bound - 1, 6)
    value = lambda place, bound: [lower(place, bound), bound] if kind == "outside" else bound
    return {LEVELS[level]: {kind: value(place, bound)} for place, (level, bound) in enumerate(zip(levels, bounds))}


WINDOWS = [4000, 8000, 10000, 20000, 60000, 120000]
BOTH = ["above", "below", "outside"]


def with_coverage(random_, spec):
    if random_.random() < 0.6:
        spec["coverage"] = random_.choice([0.125, 0.25, 0.5, 0.75, 1.0])
    return spec


def measure_of(random_, type_, rule, plant):
    """The measure and its limits."""
    window = random_.choice(WINDOWS)
    spec = {"type": type_, "window": window}
    if type_ in ("mean", "rms"):
        return with_coverage(random_, spec), ascending(random_, 8, 32, BOTH if type_ == "mean" else BOTH[:2])
    if type_ == "stddev":
        return with_coverage(random_, spec), ascending(random_, 1, 15, ["above", "below"])
    if type_ in ("min", "max"):
        return spec, ascending(random_, 8, 32, BOTH, 0.5, 0.0)
    if type_ == "rate":
        per = random_.choice([1000, 10000, None, 3600000])
        scale = (per or 60000) / 1000
        return {**spec, **({"per": per} if per else {})}, ascending(
            random_, 0.25 * scale, 4 * scale, BOTH, 0.25 * scale)
    if type_ == "forecast":
        return {**spec, "horizon": random_.choice([2000, 10000, 60000])}, ascending(random_, 10, 60, BOTH)
    if type_ in ("stel", "twa"):
        high = 30 if type_ == "stel" else 6
        return {"type": type_}, ascending(random_, 0.5, high, ["above"])
    if type_ == "deviation":
        guard = random_.choice([None, 1000, 2000, window // 2])
        return {**spec, **({"guard": guard} if guard else {})}, ascending(random_, 0.25, 3, BOTH)
    if type_ == "stuck":
        epsilon = random_.choice([None, 0.0, 0.25, 1.0, 8.0])
        return {"type": type_, **({} if epsilon is None else {"epsilon": epsilon})}, ascending(
            random_, 1, 20, ["above"], 0.5, 0.0)
    other = subtrahend(random_, rule, plant)
    kinds = BOTH[:1] if ".s" in other else BOTH
    return {"type": type_, "other": other}, ascending(random_, 2, 15, kinds, 0.5, 0.0)


def other_point(random_, rule, plant, state, dotted=False):
    """The name of a point for `other` or `when`: without a dot where each device of the rule has it."""
    kinds = ("state",) if state else ("other",)
    devices = [device for device, _ in matching(plant, rule["points"])]
    common = [point["name"] for point in devices[0]["points"] if point["kind"] in kinds and
              all(point["name"] in [each["name"] for each in device["points"]] for device in devices)]
    if common and not dotted and random_.random() < 0.5:
        return random_.choice(common)
    return random_.choice([f"{device['id']}.{point['name']}" for device in plant["devices"]
                           for point in device["points"] if point["kind"] in kinds])


def subtrahend(random_, rule, plant):
    """`other` of a difference: no point of the rule itself."""
    own = [f"{device['id']}.{point['name']}" for device, point in matching(plant, rule["points"])]
    others = [f"{device['id']}.{point['name']}" for device in plant["devices"] for point in device["points"]]
    left = [other for other in others if other not in own]
    return random_.choice([other for other in left if ".p" in other] or left)


MEASURES = ["mean", "min", "max", "stddev", "rms", "rate", "forecast", "stel", "twa", "deviation", "stuck", "difference"]


def limits_of(rule):
    return {level: rule[level] for level in LEVELS if level in rule}


def give_measure(random_, rule, plant, type_):
    spec, limits = measure_of(random_, type_, rule, plant)
    for level in limits_of(rule):
        del rule[level]
    rule["measure"] = spec
    dress(random_, rule, limits, 0.5, True)
    narrow = any("outside" in limit for limit in limits.values())
    for group in [rule, *limits_of(rule).values()]:
        if type_ in ("stddev", "deviation", "stel", "twa", "rate", "stuck") or narrow:
            if "deadband" in group:
                group["deadband"] = random_.choice([0.0, 0.125])


def make_occurrences(random_, name, base):
    days = random_.random() < 0.2
    spec = {"type": "occurrences", "rule": base["name"],
            "window": random_.choice([3, 7]) * 86400000 if days else random_.choice([10000, 30000, 60000, 600000])}
    if days:
        spec["days"] = True
    rule = {"name": name, "points": base["points"], "measure": spec}
    levels = sorted(random_.sample(range(4), random_.choice([1, 1, 2])))
    counts = sorted(random_.sample([1.0, 1.5, 2.0, 2.0, 2.5, 3.0, 4.0], len(levels)))
    limits = {LEVELS[level]: {"above": count} for level, count in zip(levels, counts)}
    dress(random_, rule, limits, 0.5, False)
    if random_.random() < 0.3:
        rule["deadband"] = 0.5
    return rule


# what is added to a rule

def give_when(random_, rule, plant):
    dotted = "vote" in rule
    if random_.random() < 0.6:
        when = {"point": other_point(random_, rule, plant, True, dotted), "equals": random_.random() < 0.6}
    else:
        when = {"point": other_point(random_, rule, plant, False, dotted),
                random_.choice(["above", "below"]): random_.choice([14.0, 20.0, 26.0])}
    if random_.random() < 0.6:
        when["for"] = random_.choice([500, 1000, 2000, 5000])
    rule["when"] = when


def give_vote(random_, rule, plant):
    """All analogue points of one zone, or some; False where there is none such."""
    zones = {device["zone"] for device, _ in matching(plant, rule["points"])}
    count = len(matching(plant, rule["points"]))
    if len(zones) != 1 or count < 2 or any("equals" in limit for limit in limits_of(rule).values()):
        return False
    rule["vote"] = min(random_.choice([1, 2, 2, 2, 3]), count)
    if random_.random() < 0.8:
        rule["on_bad"] = random_.choice(["degrade", "trip", "abstain"])
    return True


def give_ladder(random_, rule):
    afters = sorted(random_.sample([500, 1000, 2000, 3000, 5000, 10000, 20000, 60000], random_.choice([1, 2, 2, 3])))
    steps = []
    for after in afters:
        step = {"after": after, "unless": random_.choice(["acknowledged", "cleared"])}
        if random_.random() < 0.6:
            step["level"] = random_.choice(LEVELS[1:])
        if random_.random() < 0.5:
            step["owner"] = "somebody"
        steps.append(step)
    rule["escalate"] = steps


# kinds of seeds

def names_for(random_, counts):
    return random_.sample(["low", "high", "gas.2", "zeta", "alpha", "beta"], random_.choice(counts))


def classic(random_, plant):
    return [make_rule(random_, name, plant) for name in names_for(random_, [1, 2, 2, 3, 4])]


def of_measure(type_):
    def make(random_, plant):
        rules = [make_rule(random_, name, plant, False) for name in names_for(random_, [1, 1, 2])]
        for rule in rules:
            give_measure(random_, rule, plant, type_)
        return rules
    return make


def of_occurrences(random_, plant):
    names = names_for(random_, [2, 2, 3])
    rules = [make_rule(random_, names[0], plant)]
    return rules + [make_occurrences(random_, name, rules[0]) for name in names[1:]]


def of_when(random_, plant):
    rules = [make_rule(random_, name, plant) for name in names_for(random_, [1, 2])]
    for rule in rules:
        give_when(random_, rule, plant)
    return rules


def of_vote(random_, plant):
    rules = [make_rule(random_, name, plant, False) for name in names_for(random_, [1, 1, 2])]
    for rule in rules:
        rule["points"] = random_.choice([["*.p1"], ["*.p*"], ["*.p1"]])
        give_vote(random_, rule, plant)
    return rules


def of_vote_measure(random_, plant):
    rules = of_vote(random_, plant)
    for rule in rules:
        give_measure(random_, rule, plant, random_.choice(MEASURES))
    return rules


def of_ladder(random_, plant):
    rules = [make_rule(random_, name, plant) for name in names_for(random_, [1, 2])]
    for rule in rules:
        give_ladder(random_, rule)
    return rules


def of_mix(random_, plant):
    rules = []
    for name in names_for(random_, [1, 2, 3, 4]):
        bases = [rule for rule in rules if "vote" not in rule]
        if bases and random_.random() < 0.25:
            rule = make_occurrences(random_, name, random_.choice(bases))
        else:
            rule = make_rule(random_, name, plant)
            state = any("equals" in limit for limit in limits_of(rule).values())
            if not state and random_.random() < 0.4:
                give_measure(random_, rule, plant, random_.choice(MEASURES))
        if random_.random() < 0.35:
            give_vote(random_, rule, plant)
        if random_.random() < 0.35:
            give_when(random_, rule, plant)
        if random_.random() < 0.35:
            give_ladder(random_, rule)
        rules.append(rule)
    return rules


FOCUSES = {**{name: of_measure(name) for name in MEASURES}, "classic": classic, "occurrences": of_occurrences,
           "when": of_when, "vote": of_vote, "vote-measure": of_vote_measure, "ladder": of_ladder, "cover": classic,
           "cover-when": of_when, "cover-ladder": of_ladder, "flood": classic, "mix": of_mix}
ONE_ZONE = ("vote", "vote-measure", "mix")
LONG = ("stel", "twa")


def make_plant(random_, focus):
    plant = {"focus": focus, "buses": [], "devices": [], "rules": [], "until": None}
    ages = [20000, 60000, 300000, 900000] if focus in LONG else [2000, 5000, 8000, 20000, 60000]
    for number in range(random_.choice([1, 1, 2])):
        plant["buses"].append({"name": f"bus{number + 1}", "fault_delay": random_.choice([1000, 3000, 10000, 10000])})
    one_zone = focus in ONE_ZONE and (focus != "mix" or random_.random() < 0.6)
    counts = [2, 3, 3] if one_zone else [1, 2, 2, 3] if focus not in MEASURES else [1, 1, 2]
    for number in range(random_.choice(counts)):
        plant["devices"].append({"id": f"D{number + 1}", "bus": random_.choice(plant["buses"])["name"],
                                 "zone": "Z1" if one_zone else random_.choice(["Z1", "Z2"]),
                                 "points": make_points(random_, number == 0, ages)})
    plant["rules"] = FOCUSES[focus](random_, plant)
    return mend_deadbands(plant)


# what the loader refuses

def extent_of_point(point):
    return (0.0, 1.0) if point["kind"] == "state" else point["range"] or (-math.inf, math.inf)


def extent_of(rule, device, point, plant):
    """The lowest and the highest that a measure can be while its points are within their ranges."""
    low, high = extent_of_point(point)
    type_ = rule.get("measure", {}).get("type", "value")
    if type_ in ("value", "mean", "min", "max"):
        return low, high
    if type_ == "difference":
        name = rule["measure"]["other"]
        full = name if "." in name else f"{device['id']}.{name}"
        other = next(extent_of_point(point) for _, point in matching(plant, [full]))
        return low - other[1], high - other[0]
    if type_ in ("rate", "forecast", "deviation"):
        return -math.inf, math.inf
    return 0.0, math.inf  # of the others it is the low end that a deadband can reach


def never_returns(limit, deadband, low, high):
    kind = next(kind for kind in KINDS if kind in limit)
    bound = limit[kind]
    if kind == "above":
        return bound - deadband <= low
    if kind == "below":
        return bound + deadband >= high
    return kind == "outside" and max(bound[0] + deadband, low) >= min(bound[1] - deadband, high)


def mend_deadbands(plant):
    """None where it would keep a limit from ever returning; draws nothing, so that other seeds stay what they are."""
    for rule in plant["rules"]:
        extents = [extent_of(rule, device, point, plant) for device, point in matching(plant, rule["points"])]
        for limit in limits_of(rule).values():
            deadband = limit.get("deadband", rule.get("deadband", 0.0))
            if deadband and any(never_returns(limit, deadband, *extent) for extent in extents):
                limit["deadband"] = 0.0
    return plant


# a reload

def shift(random_, rule):
    """Move the bounds of all limits alike, so that they stay in order."""
    limits = limits_of(rule).values()
    kinds = {kind for limit in limits for kind in KINDS if kind in limit}
    delta = random_.choice([0.25, 0.5, 2.0] + ([-0.25, -0.5, -1.0] if kinds == {"above"} else []))
    if rule.get("measure", {}).get("type") in ("occurrences", "stel", "twa"):
        delta = 0.5
    for limit in limits:
        kind = next(kind for kind in KINDS if kind in limit)
        bound = limit[kind]
        if kind == "equals":
            limit[kind] = not bound
        else:
            limit[kind] = [round(each + delta, 6) for each in bound] if kind == "outside" else round(bound + delta, 6)


def other_limits(random_, rule, plant):
    """Levels come and go, perhaps of another kind."""
    type_ = rule.get("measure", {}).get("type", "value")
    limits = limits_of(rule)
    if "vote" in rule or any("equals" in limit for limit in limits.values()) or type_ == "occurrences":
        return
    if len(limits) > 1 and random_.random() < 0.5:
        del rule[random_.choice(list(limits))]
    elif type_ == "value":
        for level in limits:
            del rule[level]
        rule.update(make_limits(random_, 0.5))
    else:
        give_measure(random_, rule, plant, type_)


def other_behaviour(random_, rule):
    group_ = random_.choice([rule, *limits_of(rule).values()])
    for name in ("on_delay", "off_delay", "latch", "acknowledge", "on_fault"):
        group_.pop(name, None)
    behaviour = make_behaviour(random_, 0.5, False)
    behaviour.pop("shelvable", None)
    group_.update(behaviour)


def other_when(random_, rule, plant):
    if "when" in rule and random_.random() < 0.5:
        del rule["when"]
    else:
        give_when(random_, rule, plant)


def other_vote(random_, rule, plant):
    if "vote" in rule:
        rule["vote"] = random_.randint(1, min(3, len(matching(plant, rule["points"]))))
        rule["on_bad"] = random_.choice(["degrade", "trip", "abstain"])


def other_measure(random_, rule, plant):
    type_ = rule.get("measure", {}).get("type", "value")
    if type_ == "occurrences" or any("equals" in limit for limit in limits_of(rule).values()):
        return
    if type_ == "value":
        give_measure(random_, rule, plant, random_.choice(MEASURES))
    elif random_.random() < 0.5:
        del rule["measure"]
        for level in limits_of(rule):
            del rule[level]
        rule.update(make_limits(random_, 0.5))
    elif "window" in rule["measure"]:
        rule["measure"]["window"] *= 2


def vary(random_, plant):
    """Another configuration of the same plant: the rules differ in a few things."""
    plant = copy.deepcopy(plant)
    rules = plant["rules"]
    used = {rule["measure"]["rule"] for rule in rules if "rule" in rule.get("measure", {})}
    for rule in rules:
        if random_.random() < 0.7:
            change = random_.choice([shift, shift, other_behaviour, other_limits, other_when, other_vote, other_measure])
            change(random_, rule) if change in (shift, other_behaviour) else change(random_, rule, plant)
    if random_.random() < 0.25 and len(rules) > 1:
        rules.remove(random_.choice([rule for rule in rules if rule["name"] not in used] or rules))
    if random_.random() < 0.25:
        rules.append(make_rule(random_, "new", plant)) if "new" not in [rule["name"] for rule in rules] else None
    if random_.random() < 0.25 and not used:
        random_.shuffle(rules)
    return mend_deadbands(plant)


# its configuration

def span(ms):
    return f'"{ms // 1000}s"' if ms % 1000 == 0 else f'"{ms}ms"'


SPANS = ("on_delay", "off_delay", "max_age", "fault_delay", "window", "per", "horizon", "guard", "for", "after")


def group(settings):
    return f"{{ {' '.join(setting(*each) for each in settings.items())} }}"


def setting(name, value):
    if name in SPANS:
        return f"{name} = {span(value)};"
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return f"{name} = ( {', '.join(group(each) for each in value)} );"
    if isinstance(value, dict):
        return f"{name} = {group(value)};"
    if isinstance(value, list):
        return f"{name} = [{', '.join(json.dumps(each) for each in value)}];"
    return f"{name} = {json.dumps(value)};"


def point_conf(number, point):
    state = point["kind"] == "state"
    place = f'register = {number * 2}; type = "float32";'
    if state:
        place = f'table = "discrete"; register = {number}; type = "bool";'
    range_ = setting("range", point["range"]) if point["range"] else ""
    return (f'{{ name = "{point["name"]}"; kind = "{point["kind"]}"; {place} {range_} '
            f'{setting("max_age", point["max_age"])} }}')


def device_conf(unit, device):
    points = ",\n      ".join(point_conf(number, point) for number, point in enumerate(device["points"]))
    return (f'  {{ id = "{device["id"]}"; zone = "{device["zone"]}"; bus = "{device["bus"]}"; unit = {unit};\n'
            f'    interval = "500ms"; points = (\n      {points} ); }}')


def write_conf(plant, folder, name="davyd.conf"):
    """The same plant as NAME.json; thresholds in a file of their own."""
    thresholds = name.replace("davyd", "thresholds") if name.startswith("davyd") else f"thresholds-{name}"
    buses = ",\n".join(f'  {{ name = "{bus["name"]}"; type = "tcp"; host = "127.0.0.1"; port = {5020 + number}; '
                       f'{setting("fault_delay", bus["fault_delay"])} }}' for number, bus in enumerate(plant["buses"]))
    zones = ", ".join(f'{{ id = "{zone}"; name = "Zone {zone}"; }}' for zone in ("Z1", "Z2"))
    devices = ",\n".join(device_conf(unit, device) for unit, device in enumerate(plant["devices"], 1))
    (folder / name).write_text(
        f'gateway = {{ id = "model"; site = "test"; timezone = "UTC"; }};\n'
        f'mqtt = {{ url = "mqtt://127.0.0.1:1883"; }};\nbuses = (\n{buses}\n);\nzones = ( {zones} );\n'
        f'devices = (\n{devices}\n);\n@include "{thresholds}"\n', encoding="utf-8")
    rules = ",\n".join("  " + group(rule) for rule in plant["rules"])
    (folder / thresholds).write_text(f"rules = (\n{rules}\n);\n", encoding="utf-8")
    (folder / name).with_suffix(".json").write_text(json.dumps(plant, indent=1), encoding="utf-8")


# its trace

def interesting_values(plant, device, point):
    """Limits, edges of deadbands and of the range, and their neighbours."""
    values = [0.0, 20.0]
    for rule in plant["rules"]:
        if rule.get("measure", {}).get("type", "value") not in ("value", "occurrences"):
            # multiples of 0.25 over what its limits ask for; some of them twice, for `stuck`
            spread = (-10, 10) if "rate" == rule["measure"]["type"] else (-4, 40)
            values += [20.0 + each for each in spread] + [each * 2.5 for each in range(0, 17)] + [20.0, 20.25, 8.0]
            continue
        if rule.get("measure"):
            continue
        for level in (each for each in LEVELS if each in rule):
            limit = rule[level]
            deadband = limit.get("deadband", rule.get("deadband", 0.0))
            bounds = next((limit[kind] for kind in ("above", "below", "outside") if kind in limit), [])
            for bound in bounds if isinstance(bounds, list) else [bounds]:
                values += [bound, bound, bound - deadband, bound + deadband, bound - deadband - 0.25,
                           bound + deadband + 0.25, bound - 0.25, bound + 0.25]
    if point["range"]:
        low, high = point["range"]
        tenth = (high - low) / 10
        values += [low, high, high, high + 0.25, high + 9, low - tenth, low - tenth - 0.25]
    return values


class Weather:
    """What is the matter with a bus, a device or a point, for a few polls at a time."""

    def __init__(self, random_, kinds, chance):
        self.random, self.kinds, self.chance = random_, kinds, chance
        self.left, self.kind = 0, None

    def step(self):
        if self.left == 0:
            self.kind = None
            if self.random.random() < self.chance:
                self.kind, self.left = self.random.choice(self.kinds), self.random.choice([1, 2, 3, 6, 12])
        self.left = max(0, self.left - 1)
        return self.kind


SHELVES = ["1s", "2s", "5s", "5s", "10s", "30s", "1min", "12h", "13h"]
REASONS = ["works", "pump 3 is out", "为了检修"]
UNCERTAIN = ["uncertain:settling", "uncertain:no-status", "uncertain:over-range"]
HELD = ["uncertain:warm-up", "uncertain:calibration"]


class Trace:
    def __init__(self, random_, plant):
        self.random, self.plant, self.time, self.rows = random_, plant, START_MS, []
        bad = [f"bad:{reason}" for reason in BAD]
        self.bus = {bus["name"]: Weather(random_, ["bad:comm"], 0.05) for bus in plant["buses"]}
        self.device = {device["id"]: Weather(random_, ["bad:comm", "bad:exception", "bad:device-fault", *HELD], 0.04)
                       for device in plant["devices"]}
        self.point, self.values = {}, {}
        for device in plant["devices"]:
            for point in device["points"]:
                full = f"{device['id']}.{point['name']}"
                self.point[full] = Weather(random_, bad + UNCERTAIN + HELD + ["good:maintenance"], 0.12)
                self.values[full] = []
        self.steps, self.alarms = self.interesting_steps(), []

    def interesting_steps(self):
        steps = [0, 0, 250, 500, 500, 500, 1000, 1000, 2000]
        for rule in self.plant["rules"]:
            for group_ in [rule, *limits_of(rule).values(), rule.get("when", {}), rule.get("measure", {}),
                           *rule.get("escalate", [])]:
                spans = [group_[name] for name in SPANS if group_.get(name) and group_[name] <= 60000]
                steps += [each // 250 * 250 for each in spans] + [each // 250 * 250 - 250 for each in spans]
            if rule.get("measure", {}).get("days"):
                steps += [9 * 3600000, 15 * 3600000, 24 * 3600000]
        steps += [bus["fault_delay"] for bus in self.plant["buses"]]
        ages = [point["max_age"] for device in self.plant["devices"] for point in device["points"]]
        steps += self.random.sample(ages, 1) + [self.random.choice(ages) + 250]
        if self.plant["focus"] == "stel":
            steps += [10000, 30000, 60000, 60000, 120000, 300000]
        if self.plant["focus"] == "twa":
            # CHOICE: less than 8 h in all, since longer windows may be kept in buckets whose oldest counts whole
            steps += [30000, 60000, 120000, 300000, 300000]
        if self.plant["focus"] == "flood":
            steps += [30000, 60000]
        return steps

    def stamp(self):
        if self.random.random() < 0.5:
            return f"{self.time // 1000}" if self.time % 1000 == 0 else f"{self.time // 1000}.{self.time % 1000:03}"
        moment = datetime.datetime(1970, 1, 1) + datetime.timedelta(milliseconds=self.time)
        return moment.isoformat(timespec="milliseconds") + "Z"

    def read(self, device, point):
        full = f"{device['id']}.{point['name']}"
        quality = self.bus[device["bus"]].kind or self.device[device["id"]].kind or self.point[full].step() or \
            self.random.choice(["good", "good", ""])
        if quality == "uncertain:over-range" and not point["range"]:
            quality = "uncertain:settling"
        if point["kind"] == "state":
            value = self.random.choice(["0", "1"])
        else:
            value = repr(round(self.random.choice(self.values[full]), 6))
        self.rows.append([self.stamp(), full, "" if quality.startswith("bad:") else value, quality])

    def poll(self):
        device = self.random.choice(self.plant["devices"])
        self.bus[device["bus"]].step()
        self.device[device["id"]].step()
        points = device["points"] if self.random.random() < 0.6 else [self.random.choice(device["points"])]
        for point in points:
            self.read(device, point)

    def command(self, alarms):
        rule, full = self.random.choice(alarms)
        covers = self.plant["focus"] == "mix" or self.plant["focus"].startswith("cover")
        verb = self.random.choice(COMMANDS + (COVER_COMMANDS if covers else []))
        text = f"{rule} {full}"
        if verb == "shelve":
            text += f" {self.random.choice(SHELVES)} {self.random.choice(REASONS)}"
        elif verb == "out-of-service":
            text += f" {self.random.choice(REASONS)}"
        row = [self.stamp(), f"!{verb}", text]
        self.rows.append(row + [""] if self.random.random() < 0.5 else row)

    def watch(self, plant):
        """Values, times and commands are drawn for this configuration (too)."""
        import naive  # only to know which alarms there are
        for device in plant["devices"]:
            for point in device["points"]:
                self.values[f"{device['id']}.{point['name']}"] += interesting_values(plant, device, point)
        alarms = [(alarm.rule, alarm.full) for alarm in naive.Engine(plant).rule_alarms]
        kept = [alarm for alarm in self.alarms if alarm in alarms]
        self.alarms = kept or self.random.sample(alarms, min(3, len(alarms)))

    def fill(self, mode, reload):
        self.watch(self.plant)
        count = self.random.randint(20, 90)
        breaks = {}
        for kind in {"plain": [], "both": ["restart", "reload"]}.get(mode, [mode]):
            for _ in range(self.random.choice([1, 1, 2, 3])):
                breaks[self.random.randrange(count)] = kind
        if mode in ("restart", "both"):
            for device in self.plant["devices"]:  # all points are known before anything is restarted
                for point in device["points"]:
                    self.read(device, point)
        for number in range(count):
            if self.rows:
                self.time += self.random.choice(self.steps)
            alarms = self.alarms
            if number in breaks:
                self.rows.append([self.stamp(), f"!{breaks[number]}", reload(self) if breaks[number] == "reload" else ""])
            elif alarms and self.random.random() < (0.3 if self.plant["focus"].startswith("cover") else 0.15):
                self.command(alarms)
            else:
                self.poll()
        if self.random.random() < 0.5:
            self.plant["until"] = self.time + self.random.choice([0, 500, 2000, 5000, 10000, 20000, 60000, 1200000])


def pick_focus(random_):
    """A third of the seeds mix everything, the others are about one thing."""
    return "mix" if random_.random() < 0.35 else random_.choice(sorted(FOCUSES))


def make(seed, folder, mode="plain", focus=None):
    """Write one case; the plant and the rows, as naive.py wants them."""
    random_ = random.Random(seed)
    picked = pick_focus(random_)
    plant = make_plant(random_, focus or picked)
    folder.mkdir(parents=True, exist_ok=True)
    trace = Trace(random_, plant)
    variants = [plant]

    def reload(trace):
        variants.append(vary(random_, variants[-1]))
        name = f"reload{len(variants) - 1}.conf"
        write_conf(variants[-1], folder, name)
        trace.watch(variants[-1])
        return name

    trace.fill(mode, reload)
    write_conf(plant, folder)
    lines = [["time", "point", "value", "quality"], *trace.rows]
    (folder / "trace.csv").write_text("".join(",".join(line) + "\n" for line in lines), encoding="utf-8")
    return plant, trace.rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--mode", default="plain", choices=MODES)
    parser.add_argument("--focus", choices=sorted(FOCUSES))
    options = parser.parse_args()
    make(options.seed, options.out, options.mode, options.focus)
    return 0


if __name__ == "__main__":
    sys.exit(main())
