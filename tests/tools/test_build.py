#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""tools/build removes only what meson made: never a folder that was named by mistake."""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

BUILD = pathlib.Path(__file__).resolve().parents[2] / "tools/build"
MESON = '#!/bin/sh\n[ "$1" = setup ] && mkdir "$2" && mkdir "$2/meson-private"\n'


def main():
    failures = []
    with tempfile.TemporaryDirectory() as name:
        tree = pathlib.Path(name)
        (tree / "tools").mkdir()
        (tree / "bin").mkdir()
        shutil.copy(BUILD, tree / "tools/build")
        for program, text in (("meson", MESON), ("ninja", "#!/bin/sh\n")):
            (tree / "bin" / program).write_text(text, encoding="utf-8")
            (tree / "bin" / program).chmod(0o755)

        def run(status, *arguments):
            done = subprocess.run([tree / "tools/build", *arguments], capture_output=True, text=True, timeout=20, check=False,
                                  env={**os.environ, "PATH": f"{tree}/bin:{os.environ['PATH']}"})
            if done.returncode != status:
                failures.append((arguments, status, done))
            return done.stdout + done.stderr

        def check(truth, what):
            if not truth:
                failures.append(what)

        check("usage: tools/build FOLDER" in run(0, "--help"), "help")
        check("usage: tools/build FOLDER" in run(2), "no folder")
        check("usage: tools/build FOLDER" in run(2, "-Dtests=true"), "an option in place of the folder")
        (tree / "src").mkdir()
        (tree / "src/main.c").write_text("int main(void);\n", encoding="utf-8")
        check("src is no build folder" in run(1, "src"), "sources are named")
        check((tree / "src/main.c").exists(), "sources stay")
        run(0, "build")
        check((tree / "build/davy-options").exists(), "a new folder is configured")
        (tree / "build/old").touch()
        run(0, "build")
        check(not (tree / "build/old").exists(), "a folder that meson made and that is of no use is made anew")
        (tree / "empty").mkdir()
        run(0, "empty")
        check((tree / "empty/davy-options").exists(), "an empty folder is configured")
    for failure in failures:
        print("FAILED:", failure)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
