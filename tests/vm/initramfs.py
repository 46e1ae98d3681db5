# SPDX-License-Identifier: BSD-2-Clause
"""Makes what QEMU boots: an uncompressed kernel, and an initramfs with the modules a guest needs."""
import glob
import hashlib
import json
import os
import re
import shutil
import struct
import subprocess
import tempfile
import time

import fetch
import matrix

HERE = os.path.dirname(os.path.abspath(__file__))
BUSYBOX = "/bin/busybox"
UNPACK = {b"\xfd7zXZ\0": "xz", b"\x28\xb5\x2f\xfd": "zstd", b"\x1f\x8b": "gzip"}


def unpack(data):
    """What a known compressor packed; rest behind its end is left out."""
    for magic, program in UNPACK.items():
        if data.startswith(magic):
            # A kernel's payload ends in its size, which the program takes for garbage.
            done = subprocess.run([program, "-dc"], input=data, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                  check=False)
            return done.stdout
    return data


def vmlinux(bzimage):
    """The ELF file inside: boots seconds faster, since the guest need not unpack it under emulation."""
    setup_sectors = bzimage[0x1f1] or 4
    offset, length = struct.unpack_from("<II", bzimage, 0x248)  # Documentation/arch/x86/boot.rst
    start = (setup_sectors + 1) * 512 + offset
    kernel = unpack(bzimage[start:start + length])
    if kernel[:4] != b"\x7fELF":
        raise fetch.Unavailable("the kernel image has no ELF file inside that we can unpack")
    return kernel


class Modules:
    """The modules of one kernel: by name, with what they depend on."""

    def __init__(self, root):
        self.paths = {}
        for path in glob.glob(os.path.join(root, "**", "kernel", "**", "*.ko*"), recursive=True):
            self.paths[self.plain(os.path.basename(path).split(".ko")[0])] = path
        if not self.paths:
            raise fetch.Unavailable(f"no modules in {root}")
        self.order, self.data = [], {}

    @staticmethod
    def plain(name):
        return name.replace("-", "_")

    def add(self, name):
        """Its dependencies first; what is not there is built in."""
        name = self.plain(name)
        if name in self.data or name not in self.paths:
            return
        with open(self.paths[name], "rb") as file:
            self.data[name] = unpack(file.read())
        depends = re.search(rb"\0depends=([^\0]*)\0", self.data[name])
        for other in depends.group(1).decode("ascii").split(",") if depends else []:
            self.add(other)
        self.order.append(name)


def digest(*parts):
    key = hashlib.sha256()
    for part in parts:
        key.update(part if isinstance(part, bytes) else json.dumps(part).encode())
    return key.hexdigest()[:16]


def read(path):
    with open(path, "rb") as file:
        return file.read()


def write(path, data, mode=0o644):
    with open(path, "wb") as file:
        file.write(data)
    os.chmod(path, mode)


def build(root, target):
    modules = Modules(root)
    for name in matrix.MODULES:
        modules.add(name)
    images = glob.glob(os.path.join(root, "boot", "vmlinuz-*")) + glob.glob(
        os.path.join(root, "usr/lib/modules/*/vmlinuz"))
    if not images:
        raise fetch.Unavailable(f"no kernel image in {root}")
    part = target + ".part"
    shutil.rmtree(part, ignore_errors=True)
    os.makedirs(part)
    write(os.path.join(part, "vmlinux"), vmlinux(read(images[0])))
    with tempfile.TemporaryDirectory() as tree:
        for directory in ("bin", "dev", "proc", "sys", "host", "modules"):
            os.mkdir(os.path.join(tree, directory))
        for number, name in enumerate(modules.order):
            write(os.path.join(tree, "modules", f"{number:02d}-{name}.ko"), modules.data[name])
        write(os.path.join(tree, "bin", "busybox"), read(BUSYBOX), 0o755)
        write(os.path.join(tree, "init"), read(os.path.join(HERE, "init")), 0o755)
        with open(os.path.join(part, "initramfs"), "wb") as archive:
            names = subprocess.run(["find", ".", "-print0"], cwd=tree, stdout=subprocess.PIPE, check=True).stdout
            subprocess.run(["cpio", "--null", "--create", "--format=newc", "--owner=+0:+0", "--quiet"], cwd=tree,
                           input=names, stdout=archive, check=True)
    os.rename(part, target)


def forget(directory):
    """What no tree has booted for a day; trees that differ share the cache, and may be running."""
    for name in os.listdir(directory):
        path = os.path.join(directory, name)
        if time.time() - os.path.getmtime(path) > fetch.FRESH:
            shutil.rmtree(path, ignore_errors=True)


def prepare(root):
    """(kernel, initramfs) made from a fetched kernel; made again only when what goes in has changed."""
    key = digest(read(os.path.join(HERE, "init")), read(BUSYBOX), matrix.MODULES, read(__file__))
    directory = os.path.join(root, "vm")
    target = os.path.join(directory, key)
    with fetch.Lock("initramfs-" + os.path.basename(root)):
        os.makedirs(directory, exist_ok=True)
        if not os.path.isdir(target):
            build(root, target)
        os.utime(target)
        forget(directory)
    return os.path.join(target, "vmlinux"), os.path.join(target, "initramfs")
