# SPDX-License-Identifier: BSD-2-Clause
"""One virtual machine: QEMU with a set of devices, its trace, and calls into the guest.

Only TCG is used: where these tests run, KVM may be missing or unable to run stock kernels.
"""
import ctypes
import json
import mmap
import os
import shlex
import shutil
import signal
import socket
import struct
import subprocess
import time

import matrix

HERE = os.path.dirname(os.path.abspath(__file__))
MEMORY = 1024  # MiB; below 2 GiB guest-physical addresses are offsets into the memory's file
DISK_SECTORS = 131072
PATIENCE = float(os.environ.get("TEST_PATIENCE", "1"))
BOOTS = 3
BOOT_SECONDS, BOOT_CPU = 240 * PATIENCE, 60  # a guest that waits for a CPU is not one that hangs
ANSWER_SECONDS = 600 * PATIENCE  # a guest that is gone is noticed at once; this is for one that hangs
EMULATION = 3  # a guest is patient so many times as long
MAGIC = b"dirtyscope sector"
TRACE = ["address_space_map", "dma_blk_io", "pci_nvme_read", "virtqueue_pop", "virtio_blk_handle_read",
         "e1000e_rx_desc_buff_write", "igb_rx_desc_buff_write", "vtd_dmar_translate"]
# The CPU that is shown never matters; what the kernel would do to look at it closely takes time.
COMMAND_LINE = ("console=ttyS0 quiet panic=-1 mitigations=off tsc=reliable no_timer_check random.trust_cpu=on "
                "nmi_watchdog=0 net.ifnames=0")


LIBC = ctypes.CDLL(None)
PR_SET_PDEATHSIG = 1


def die_with_parent():
    """Whatever ends the test, no QEMU stays."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Dead(Exception):
    """The guest or QEMU is gone, or does not answer."""


def sector(disk, number):
    """512 bytes that tell where they come from."""
    return (MAGIC + struct.pack("<BQ", disk, number)).ljust(512, b".")


def make_disk(path, disk):
    with open(path, "wb") as file:
        file.write(b"".join(sector(disk, number) for number in range(DISK_SECTORS)))


def make_work(path, files):
    """An ext4 image with those files {path inside: path here}, and room."""
    tree = path + ".tree"
    for inside, here in files.items():
        os.makedirs(os.path.dirname(os.path.join(tree, inside)), exist_ok=True)
        shutil.copy(here, os.path.join(tree, inside))
    subprocess.run(["/sbin/mkfs.ext4", "-q", "-F", "-d", tree, "-E", "lazy_itable_init=0,nodiscard", path, "256M"],
                   check=True, stdout=subprocess.DEVNULL)
    shutil.rmtree(tree)


class Machine:
    """Used by `with`; nothing of it is left afterwards but its directory, with logs and trace."""

    def __init__(self, qemu, boot, mode, directory, build, extra=()):
        self.qemu, self.environment = qemu
        self.kernel, self.initramfs = boot
        self.mode, self.directory, self.build, self.extra = mode, directory, build, list(extra)
        self.share = os.path.join(directory, "share")
        self.trace_path = os.path.join(directory, "trace")
        self.child = self.channel = self.qmp_channel = None
        self.received = b""
        self.senders = {}
        self.calls = 0

    def path(self, name):
        return os.path.join(self.directory, name)

    def command(self):
        words = [*self.qemu, "-accel", "tcg,thread=multi,tb-size=256", "-nodefaults", "-no-user-config", "-display", "none",
                 "-no-reboot", "-machine", "q35,kernel-irqchip=split,hpet=off,memory-backend=ram", "-cpu", "max",
                 "-smp", "2", "-m", str(MEMORY),
                 "-object", f"memory-backend-memfd,id=ram,size={MEMORY}M,share=on",
                 "-kernel", self.kernel, "-initrd", self.initramfs,
                 "-append", f"{COMMAND_LINE} {self.mode.command_line}", *self.mode.qemu,
                 "-serial", f"file:{self.path('console')}",
                 "-chardev", "socket,id=rpc,path=rpc,server=on,wait=off", "-serial", "chardev:rpc",
                 "-qmp", "unix:qmp,server=on,wait=off",
                 "-fsdev", "local,id=host,path=/,security_model=none,readonly=on,multidevs=remap",
                 "-device", "virtio-9p-pci,fsdev=host,mount_tag=host,addr=02.0",
                 "-fsdev", f"local,id=share,path={self.share},security_model=none",
                 "-device", "virtio-9p-pci,fsdev=share,mount_tag=share,addr=03.0",
                 "-drive", "if=none,id=work,file=work.img,format=raw,cache=unsafe",
                 "-device", "virtio-blk-pci,drive=work,addr=0a.0,serial=work"]
        for event in TRACE:
            words += ["-trace", event]
        words += ["-D", self.trace_path]
        for number, disk in enumerate(matrix.DISKS):
            words += ["-drive", f"if=none,id=disk{number},file=disk{number}.img,format=raw,cache=unsafe",
                      "-device", disk.device.replace("DRIVE", f"disk{number}")]
        for number, nic in enumerate(matrix.NICS):
            words += ["-netdev", f"dgram,id=net{number},local.type=unix,local.path=net{number},"
                                 f"remote.type=unix,remote.path=host{number}",
                      "-device", nic.device.replace("ID", f"net{number}").replace("MAC", self.mac(number))]
        return words + self.extra

    @staticmethod
    def mac(number):
        return f"52:54:00:12:34:{number:02x}"

    def __enter__(self):
        shutil.rmtree(self.directory, ignore_errors=True)
        os.makedirs(self.share)
        for number in range(len(matrix.DISKS)):
            make_disk(self.path(f"disk{number}.img"), number)
        make_disk(self.path("hot.img"), len(matrix.DISKS))
        make_work(self.path("work.img"), {
            "dirtyscope": os.path.join(self.build, "dirtyscope"),
            **{f"tests/{name}": os.path.join(self.build, "tests", name)
               for name in ("live/workload", "live/writer", "live/broken", "live/hostile", "live/inject_phases", "vm/recorder",
                            "vm/edu", "vm/uring", "fsck/fsck")}})
        with open(os.path.join(self.share, "environment"), "w", encoding="utf-8") as file:
            file.write(f"GUEST={shlex.quote(os.path.join(HERE, 'guest.py'))}\nBUILD=/dev/work\n"
                       f"export TEST_PATIENCE={EMULATION * PATIENCE}\n")
        for number in range(len(matrix.NICS)):
            # Not bound to what QEMU sends to: what the guest sends of itself goes nowhere.
            self.senders[number] = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            self.boot()
        except BaseException:
            self.stop()
            raise
        return self

    def boot(self):
        """Under emulation on a busy machine a kernel may lose a timer and hang, before anything of ours runs."""
        for attempt in range(BOOTS):
            try:
                return self.start()
            except Dead:
                if attempt == BOOTS - 1:
                    raise
                self.end_qemu()
                self.received = b""

    def start(self):
        # Sockets have short relative names, since a path of theirs may not be longer than 107 bytes.
        with open(self.path("qemu.log"), "wb") as log:
            self.child = subprocess.Popen(self.command(), cwd=self.directory, stdin=subprocess.DEVNULL, stdout=log,
                                          stderr=log, preexec_fn=die_with_parent,
                                          env={**os.environ, **self.environment})
        self.channel = self.connect("rpc")
        self.qmp_channel = self.connect("qmp").makefile("rw", encoding="utf-8")
        self.qmp_channel.readline()
        self.qmp("qmp_capabilities")
        self.line(BOOT_SECONDS, BOOT_CPU)  # the guest says that it is there

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        for sender in self.senders.values():
            sender.close()
        self.end_qemu()
        for name in [f"disk{number}.img" for number in range(len(matrix.DISKS))] + ["hot.img", "work.img"]:
            if os.path.exists(self.path(name)):
                os.unlink(self.path(name))

    def end_qemu(self):
        if self.child and self.child.poll() is None:
            self.child.send_signal(signal.SIGTERM)
            try:
                self.child.wait(60)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait()
        for name in ("rpc", "qmp"):
            if os.path.exists(self.path(name)):
                os.unlink(self.path(name))

    def connect(self, name):
        end = time.monotonic() + BOOT_SECONDS
        while True:
            try:
                # Through the directory's descriptor the name is short, wherever the tree lies.
                directory = os.open(self.directory, os.O_PATH)
                connection = socket.socket(socket.AF_UNIX)
                connection.connect(f"/proc/self/fd/{directory}/{name}")
                return connection
            except OSError as error:
                connection.close()
                if self.child.poll() is not None or time.monotonic() > end:
                    raise Dead(f"QEMU: {self.tail('qemu.log')}") from error
                time.sleep(0.05)
            finally:
                os.close(directory)

    def tail(self, name, size=1500):
        try:
            with open(self.path(name), "rb") as file:
                return file.read()[-size:].decode("utf-8", "replace")
        except OSError:
            return ""

    def cpu(self):
        """Seconds that QEMU has used."""
        with open(f"/proc/{self.child.pid}/stat", encoding="ascii") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def line(self, seconds, cpu=float("inf")):
        """What the guest says next, within so many seconds, and those of QEMU's CPU."""
        end = time.monotonic() + seconds
        while b"\n" not in self.received:
            self.channel.settimeout(1)
            try:
                data = self.channel.recv(4096)
            except TimeoutError:
                if time.monotonic() < end and self.cpu() < cpu:
                    continue
                data = None
            if not data:
                raise Dead(f"the guest {'does not answer' if data is None else 'is gone'}: "
                           f"{self.tail('console')} {self.tail('share/guest.log')}")
            self.received += data
        line, _, self.received = self.received.partition(b"\n")
        return line.decode("ascii", "replace").strip()

    def call(self, name, *arguments, seconds=0):
        """Calls a function of guest.py; its result, or an AssertionError with what it raised. seconds: for one that takes long."""
        self.calls += 1
        self.channel.sendall((json.dumps([self.calls, name, arguments]) + "\n").encode("ascii"))
        while self.line(max(ANSWER_SECONDS, seconds * PATIENCE)) != f"done {self.calls}":
            pass
        with open(os.path.join(self.share, f"reply-{self.calls}"), encoding="utf-8") as file:
            reply = json.load(file)
        if "error" in reply:
            raise AssertionError(f"in the guest, {name}: {reply['error']}")
        return reply["result"]

    def qmp(self, command, **arguments):
        self.qmp_channel.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
        self.qmp_channel.flush()
        while True:
            line = self.qmp_channel.readline()
            if not line:
                raise Dead("QEMU has closed its monitor")
            reply = json.loads(line)
            if "error" in reply:
                raise AssertionError(f"QEMU, {command}: {reply['error']['desc']}")
            if "return" in reply:
                return reply["return"]

    def throttle(self, disk, reads):
        """So many reads per second at most, the others wait in QEMU; 0: no limit."""
        self.qmp("block_set_io_throttle", device=f"disk{disk}", bps=0, bps_rd=0, bps_wr=0, iops=0, iops_rd=reads, iops_wr=0)

    def send(self, number, frame):
        """Into the guest's network card."""
        directory = os.open(self.directory, os.O_PATH)
        try:
            self.senders[number].sendto(frame, f"/proc/self/fd/{directory}/net{number}")
        finally:
            os.close(directory)

    def mark(self):
        """Where the trace ends now."""
        return os.path.getsize(self.trace_path)

    def trace(self, begin):
        with open(self.trace_path, encoding="ascii", errors="replace") as file:
            file.seek(begin)
            return file.read().splitlines()

    def memory(self):
        """The guest's memory, of which QEMU holds the only descriptor."""
        directory = f"/proc/{self.child.pid}/fd"
        for number in os.listdir(directory):
            if os.readlink(os.path.join(directory, number)).startswith("/memfd:memory-backend-memfd"):
                return os.path.join(directory, number)
        raise Dead("QEMU has no memory of its guest")

    def frames_with(self, disk, first, last):
        """Page frames that hold one of those sectors of a disk: what the device must have written."""
        found = set()
        self.qmp("stop")
        try:
            with open(self.memory(), "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as memory:
                prefix = MAGIC + struct.pack("<B", disk)
                at = memory.find(prefix)
                while at >= 0:
                    number = struct.unpack_from("<Q", memory, at + len(prefix))[0]
                    if at % 512 == 0 and first <= number < last:
                        found.add(at // 4096)
                    at = memory.find(prefix, at + 512 - at % 512)
        finally:
            self.qmp("cont")
        return found
