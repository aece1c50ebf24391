#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Every patch of tests/mutants fits the sources of today, changes only them, and names a harness that is there.

"""
import importlib.machinery
import importlib.util
import pathlib
import re
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]


def load(path):
    loader = importlib.machinery.SourceFileLoader("mutants", str(path))
    sys.dont_write_bytecode = True
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("mutants", loader))
    loader.exec_module(module)
    return module


mutants = load(ROOT / "tools" / "mutants")


def faults(patch):
    head = mutants.header(patch)
    found = [f"no line `# {word}:`" for word in ("harness", "what") if not head.get(word)]
    program = head.get("harness", "").split()[:1]
    if program and "/" in program[0] and not program[0].startswith("build/") and not (ROOT / program[0]).is_file():
        found.append(f"there is no {program[0]}")
    touched = re.findall(r"^\+\+\+ (?:b/)?(\S+)", patch.read_text(encoding="utf-8"), flags=re.M)
    found += [f"changes {name}, which is not a source" for name in touched if not name.startswith(("src/", "include/"))]
    if not touched:
        found.append("changes nothing")
    refused = mutants.apply(patch, dry=True, tree=ROOT)
    return found + ([f"does not fit any more:\n{refused}"] if refused else [])


def wrong_ones_are_found():
    """This test can fail."""
    wrong = {
        "no-harness": "# what: x\n--- a/src/base/num.c\n+++ b/src/base/num.c\n@@ -1 +1 @@\n-gone\n+here\n",
        "no-source": "# what: x\n# harness: tests/soak/none.py\n--- a/tests/x.c\n+++ b/tests/x.c\n@@ -1 +1 @@\n-gone\n+here\n",
        "nothing": "# what: x\n# harness: tools/mutants\n",
    }
    with tempfile.TemporaryDirectory() as folder:
        for name, text in wrong.items():
            path = pathlib.Path(folder) / f"{name}.patch"
            path.write_text(text, encoding="utf-8")
            assert faults(path), name
            assert name == "nothing" or "does not fit" in faults(path)[-1], faults(path)


def main():
    wrong_ones_are_found()
    patches = sorted(mutants.PATCHES.glob("*.patch"))
    problems = [f"{path.name}: {fault}" for path in patches for fault in faults(path)]
    print("\n".join(problems) or f"{len(patches)} patches fit")
    return 1 if problems or not patches else 0


if __name__ == "__main__":
    sys.exit(main())
