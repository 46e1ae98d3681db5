# SPDX-License-Identifier: BSD-2-Clause
"""A machine that is not in the matrix, for a suite of its own: KIND, a Machine, with that kernel, mode and name."""
import os
import sys

import fetch
import harness
import initramfs
import matrix


def newest(series):
    return next(row for row in matrix.KERNELS if row.series == series)


def run(kind, kernel, mode, name, *adds):
    """Runs what adds(suite, guest) define, in TAP; a kernel that cannot be fetched is a skip. The exit status."""
    build = os.path.abspath(sys.argv[1])
    suite = harness.Suite()
    try:
        guest = kind(fetch.qemu(), initramfs.prepare(fetch.kernel(kernel)), next(row for row in matrix.MODES if row.name == mode),
                     os.path.join(build, "vm", name), build)
    except fetch.Unavailable as error:
        print(f"1..1\nok 1 - all # SKIP kernel {kernel.series}: {' '.join(str(error).split())}")
        return 0
    for add in adds:
        add(suite, guest)
    with guest:
        suite.run()
    return 0
