#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""check_layers.py and check_shape.py catch what is planted: each case adds one violation to a small clean tree."""
import pathlib
import subprocess
import sys
import tempfile

TOOLS = pathlib.Path(__file__).resolve().parents[2] / "tools"
SPDX = "/* SPDX-License-Identifier: Apache-2.0 */\n"
LONG = "int davy_long(void)\n{\n" + "    x();\n" * 81 + "}\n"
SHORT = "static int f(void)\n{\n    return 0;\n}\n"
MIDDLE = "".join(f"int davy_f{i}(void)\n{{\n" + "    x();\n" * 20 + "}\n" for i in range(9))

CLEAN = {
    "src/base/clock.c": '#include <time.h>\n#include "base/clock.h"\nvoid f(void) { clock_gettime(0, 0); }\n',
    "src/base/queue.c": "#include <pthread.h>\n" + SHORT + SHORT,
    "src/record/db.c": '#include <sqlite3.h>\n#include "base/clock.h"\n#include "model/point.h"\n#include "internal.h"\n',
    "src/record/internal.h": "#pragma once\n",
    "src/acquire/bus_modbus.c": "#include <modbus.h>\n",
    "src/publish/paho.h": "#include <MQTTAsync.h>\n",
    "src/daemon/main.c": '#include "davy_build.h"\n#include "record/db.h"\n#include "evaluate/evaluator.h"\n',
    "include/base/clock.h": "#pragma once\n/* Now. */\nint davy_clock_now(void);\nint davy_clock_later(int x,\n    int y);\n",
    "include/record/db.h": "#pragma once\nint davy_db_open(void); /* open it */\nstruct davy_x {\n    int (*f)(void);\n};\n",
    "include/model/point.h": "#pragma once\n",
}
# checker, file, text that is added to it, where the message must point to, words of the message
PLANTED = [
    ("layers", "src/base/queue.c", '#include "model/point.h"\n', "base must not include model"),
    ("layers", "src/model/point.c", '#include "record/db.h"\n', "model must not include record"),
    ("layers", "src/record/db.c", '#include "publish/topic.h"\n', "record must not include publish"),
    ("layers", "include/evaluate/x.h", '#include "decode/decode.h"\n', "evaluate must not include decode"),
    ("layers", "src/record/db.c", '#  include   "daemon/daemon.h"\n', "record must not include daemon"),
    ("layers", "src/daemon/main.c", '#include "ctl/table.h"\n', "daemon must not include ctl"),
    ("layers", "src/evaluate/x.c", '#include "src/record/internal.h"\n', "private header of another floor"),
    ("layers", "src/record/db.c", '#include "topic.h"\n', "does not name its floor"),
    ("layers", "src/record/db.c", '#include "../publish/topic.h"\n', "does not name its floor"),
    ("layers", "src/daemon/main.c", "#include <sqlite3.h>\n", "sqlite3.h is fenced"),
    ("layers", "src/daemon/main.c", '#include "sqlite3.h"\n', "sqlite3.h is fenced"),
    ("layers", "src/acquire/poller.c", "#include <modbus.h>\n", "modbus.h is fenced"),
    ("layers", "src/acquire/poller.c", "#include <modbus/modbus.h>\n", "modbus/modbus.h is fenced"),
    ("layers", "src/publish/publisher.c", "#include <MQTTAsync.h>\n", "MQTTAsync.h is fenced"),
    ("layers", "src/record/db.c", "#include <libconfig.h>\n", "libconfig.h is fenced"),
    ("layers", "src/evaluate/x.c", "#include <jansson.h>\n", "jansson.h is fenced"),
    ("layers", "src/daemon/main.c", "#include <pthread.h>\n", "pthread.h is fenced"),
    ("layers", "include/record/db.h", "#include <sqlite3.h>\n", "sqlite3.h is fenced"),
    ("layers", "src/evaluate/x.c", "    int r = clock_gettime(CLOCK_BOOTTIME, &t);\n", "clock_gettime() is called only"),
    ("layers", "src/other/x.c", "\n", "not in the folder of a known floor"),
    ("shape", "src/record/long.c", LONG, "davy_long has 81 lines"),
    ("shape", "src/record/middle.c", MIDDLE, "the median function has 20 lines"),
    ("shape", "include/record/db.h", "\nint davy_db_close(void);\n", "davy_db_close has no comment"),
    ("shape", "include/record/db.h", "\nconst char *davy_db_name(int a,\n    int b);\n", "davy_db_name has no comment"),
    ("shape", "include/record/db.h", "/* kept apart */\n\nint davy_db_far(void);\n", "davy_db_far has no comment"),
]


def run(checker, root):
    done = subprocess.run([sys.executable, TOOLS / f"check_{checker}.py", root], capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def write_tree(root, files):
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(SPDX + text, encoding="utf-8")


def plant(checker, name, text, words):
    """An empty string when the planted violation is the one thing reported, with its file and line, else why not."""
    files = dict(CLEAN)
    line = 1 + (files.get(name, "") + text).count("\n") if checker == "layers" and text != "\n" else None
    files[name] = files.get(name, "") + text
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        write_tree(root, files)
        code, output = run(checker, root)
    messages = [x for x in output.splitlines() if words in x]
    if code != 1 or len(messages) != 1:
        return f"exit {code}, {len(messages)} messages with '{words}':\n{output}"
    where = f"{name}:{line}: " if line else ("src" if "median" in words else name)
    return "" if messages[0].startswith(where) else f"expected to start with {where}: {messages[0]}"


def lacks_licence():
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        write_tree(root, CLEAN)
        (root / "src/base/bare.c").write_text("int davy_x;\n", encoding="utf-8")
        code, output = run("shape", root)
    return "" if code == 1 and "src/base/bare.c:1: the first line lacks" in output else f"exit {code}\n{output}"


def clean_passes(checker):
    with tempfile.TemporaryDirectory() as folder:
        write_tree(pathlib.Path(folder), CLEAN)
        code, output = run(checker, folder)
    return "" if code == 0 else f"exit {code}\n{output}"


def main():
    results = [(f"{c}: a clean tree passes", clean_passes(c)) for c in ("layers", "shape")]
    results += [(f"{c}: {f}: {words}", plant(c, f, text, words)) for c, f, text, words in PLANTED]
    results.append(("shape: a file without a licence line", lacks_licence()))
    with tempfile.TemporaryDirectory() as empty:
        results += [(f"{c}: an empty tree fails", "" if run(c, empty)[0] == 1 else "exit 0") for c in ("layers", "shape")]
    for name, trouble in results:
        print("ok  " if not trouble else "FAIL", name, trouble)
    return 1 if any(trouble for _, trouble in results) else 0


if __name__ == "__main__":
    sys.exit(main())
