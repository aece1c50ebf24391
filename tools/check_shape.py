#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Shape of the sources: short functions, documented headers, a licence line in every file.

usage: check_shape.py [ROOT]       exit 0, or 1 with one `file:line: message` per violation

A function is what stands between `{` and `}` at column 0 in src/. Median below 20 lines, none above 80; those above
60 are listed. Each external function declared in include/ needs a comment right above it or above its group of
declarations (no blank line between), or behind it on its line.
"""
import pathlib
import re
import statistics
import sys

MEDIAN_BELOW, LONG, LIMIT = 20, 60, 80
SPDX = "SPDX-License-Identifier: Apache-2.0"
CALL = re.compile(r"\b([a-z_][a-z0-9_]*)\s*\(")
NOT_NAMES = {"attribute", "__attribute__", "nonstring", "format", "sizeof"}


def functions(lines):
    """(name, first line, body lines) of each function definition."""
    start = None
    for number, line in enumerate(lines, 1):
        if line.startswith("{"):
            start = number
        elif line.startswith("}") and start is not None:
            yield name_above(lines, start - 2), start, number - start - 1
            start = None


def name_above(lines, index):
    """The name in the definition that ends at lines[index]: its first line stands at column 0 and has a `(`."""
    for back in range(index, max(-1, index - 8), -1):
        found = CALL.search(lines[back])
        if found and not lines[back][:1].isspace():
            return found.group(1)
    return "?"


def declarations(lines):
    """(name, line, documented) of each external function declared in a header."""
    covered = False  # the statement above was a comment, or a declaration that a comment covers
    in_comment, pending, first, depth = False, "", 0, 0
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if in_comment or text.startswith(("/*", "//")):
            in_comment = (in_comment or text.startswith("/*")) and "*/" not in text
            if not pending:
                covered = True
            continue
        if not text or text.startswith("#"):
            covered = covered and bool(pending)
            continue
        if depth == 0 and not pending:
            first = number
        pending += " " + text
        depth += text.count("{") - text.count("}")
        code = re.sub(r"/\*.*?\*/|//.*", "", pending).strip()
        if depth == 0 and code.endswith((";", "}")):
            is_function = "{" not in code and not code.startswith(("static", "typedef", "_Static_assert", "extern \"C"))
            names = [n for n in CALL.findall(code) if n not in NOT_NAMES]
            if is_function and names:
                yield names[0], first, covered or "/*" in pending
            else:
                covered = False
            pending = ""


def check_lengths(root, problems):
    all_lengths, long = [], []
    for file in sorted((root / "src").rglob("*.c")):
        for name, line, length in functions(file.read_text(encoding="utf-8").splitlines()):
            all_lengths.append(length)
            where = f"{file.relative_to(root)}:{line}: {name} has {length} lines"
            if length > LIMIT:
                problems.append(f"{where}, more than {LIMIT}")
            elif length > LONG:
                long.append(where)
    if not all_lengths:
        problems.append(f"{root}/src: no function found")
        return
    median = statistics.median(all_lengths)
    print(f"{len(all_lengths)} functions, median {median:g} lines, longest {max(all_lengths)}")
    print("".join(f"long: {where}\n" for where in long), end="")
    if median >= MEDIAN_BELOW:
        problems.append(f"src:1: the median function has {median:g} lines, not below {MEDIAN_BELOW}")


def check_headers(root, problems):
    count = 0
    for file in sorted((root / "include").rglob("*.h")):
        for name, line, documented in declarations(file.read_text(encoding="utf-8").splitlines()):
            count += 1
            if not documented:
                problems.append(f"{file.relative_to(root)}:{line}: {name} has no comment")
    print(f"{count} external functions declared")


def check_licence(root, problems):
    for top in ("src", "include", "tests"):
        for file in sorted((root / top).rglob("*.[ch]")):
            if SPDX not in file.read_text(encoding="utf-8", errors="replace").split("\n", 1)[0]:
                problems.append(f"{file.relative_to(root)}:1: the first line lacks {SPDX}")


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent.parent).resolve()
    problems = []
    for check in (check_lengths, check_headers, check_licence):
        check(root, problems)
    print("".join(problem + "\n" for problem in problems), end="")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
