#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The objects of several compilers on the kernel that runs here, in TAP: test_instructions.py BUILD"""
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "live"))

import harness
import instructions

suite = harness.Suite()
KERNEL = ".".join(os.uname().release.split("-")[0].split(".")[:2])
OBJECTS = instructions.objects(harness.BUILD)


@suite.test("objects of the oldest, the default and the newest compiler are there")
def _():
    want = instructions.wanted()
    harness.true(set(want) <= set(OBJECTS), f"built with clang {', '.join(OBJECTS)}, wanted {', '.join(want)}: make compilers")


for compiler, path in OBJECTS.items():
    @suite.test(f"clang {compiler}: every program verifies on {KERNEL}, within its record")
    def _(compiler=compiler, path=path):
        done = subprocess.run([os.path.join(harness.BUILD, "tests/bpf/verify"), path], stdout=subprocess.PIPE,
                              check=False, text=True)
        return instructions.check(KERNEL, compiler, done.stdout)

suite.run()
