#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Holds one payload of each kind against the JSON Schemas. Environment: DAVY_PUBLISH_PAYLOADS, the program that prints them."""
import os
import subprocess
import sys

import davy_schema

PROGRAM = os.environ.get("DAVY_PUBLISH_PAYLOADS", "build/tests/integration/publish_payloads")


def main():
    lines = subprocess.run([PROGRAM], check=True, capture_output=True).stdout.splitlines()
    failed = 0
    for line in lines:
        for error in davy_schema.validate(line):
            print(f"{error}\n    in {line.decode()}")
            failed += 1
    print(f"{len(lines)} payloads, {failed} errors")
    return 1 if failed or len(lines) < 15 else 0


sys.exit(main())
