# SPDX-License-Identifier: BSD-2-Clause
"""What the cells need of their host; put back as it was at the end of its `with`."""
import ctypes
import glob
import os
import socket
import struct
import subprocess

LIBC = ctypes.CDLL(None, use_errno=True)
SWAP_BYTES = 64 << 20
DISK_BYTES = 64 * 4096
HUGE_PAGES = 8
SETTINGS = {
    "/proc/sys/vm/nr_hugepages": str(HUGE_PAGES),
    "/sys/kernel/mm/ksm/run": "1",
    "/sys/kernel/mm/ksm/sleep_millisecs": "10",
    "/sys/kernel/mm/ksm/pages_to_scan": "2000",
}


def run(*words):
    return subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                          check=False).returncode == 0


def has_xsk_diag():
    """Whether sock_diag(7) tells of AF_XDP sockets: <linux/xdp_diag.h>, struct xdp_diag_req."""
    netlink_sock_diag, by_family, dump, af_xdp, error = 4, 20, 0x301, 44, 2
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, netlink_sock_diag) as asking:
        asking.send(struct.pack("=IHHII BBHIIII", 36, by_family, dump, 1, 0, af_xdp, 0, 0, 0, 0, 0, 0))
        return struct.unpack_from("=IH", asking.recv(8192))[1] != error


class Host:
    def __init__(self, directory):
        self.directory, self.huge = directory, None
        self.disk = os.environ.get("FSCK_DISK") or os.path.join(directory, "disk")
        self.edu = os.environ.get("FSCK_EDU", "")
        self.undo = []
        self.lacks = {}  # why there is no cell of a route
        self.missing = set()  # of what lets the agent see

    def __enter__(self):
        try:
            self._settings()
            self._swap()
            self._huge()
            self._disk()
            self._network()
            self._devices()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        while self.undo:
            self.undo.pop()()

    def _settings(self):
        for path, value in SETTINGS.items():
            if os.access(path, os.W_OK):
                with open(path, encoding="ascii") as file:
                    old = file.read().strip()
                self.undo.append(lambda path=path, old=old: self.write(path, old))
                self.write(path, value)

    def _devices(self):
        for route, there, what in (("rdma-write", glob.glob("/dev/infiniband/uverbs*"), "an RDMA device (rdma_rxe)"),
                                   ("vfio-edu", self.edu, "an edu device behind VFIO"),
                                   ("udmabuf", os.path.exists("/dev/udmabuf"), "/dev/udmabuf")):
            if not there:
                self.lacks[route] = what
        if not has_xsk_diag():
            self.missing.add("xsk_diag")

    @staticmethod
    def write(path, value):
        with open(path, "w", encoding="ascii") as file:
            file.write(value)

    def _swap(self):
        path = os.path.join(self.directory, "swap")
        with open(path, "wb") as file:
            os.posix_fallocate(file.fileno(), 0, SWAP_BYTES)
        os.chmod(path, 0o600)
        if run("/sbin/mkswap", path) and LIBC.swapon(path.encode(), 0) == 0:
            self.undo.append(lambda: LIBC.swapoff(path.encode()))

    def _huge(self):
        path = os.path.join(self.directory, "huge")
        os.mkdir(path)
        if run("mount", "-t", "tmpfs", "-o", "huge=always,size=64M", "fsck", path):
            self.huge = path
            self.undo.append(lambda: run("umount", "-l", path))

    def _disk(self):
        if not os.path.exists(self.disk):
            with open(self.disk, "wb") as file:
                file.write(os.urandom(DISK_BYTES))
                os.fsync(file.fileno())

    def _network(self):
        """A pair of interfaces for AF_XDP, and another one, with an address, that has an RDMA device."""
        # Packets that the kernel sends of its own would take the frames that a test fills.
        if self._pair("fsck0", "fsck1", quiet=True) and self._pair("fsck2", "fsck3"):
            run("ip", "address", "add", "192.0.2.1/24", "dev", "fsck2")
            if run("rdma", "link", "add", "fsck_rxe", "type", "rxe", "netdev", "fsck2"):
                self.undo.append(lambda: run("rdma", "link", "delete", "fsck_rxe"))

    def _pair(self, *names, quiet=False):
        if not run("ip", "link", "add", names[0], "type", "veth", "peer", "name", names[1]):
            return False
        self.undo.append(lambda: run("ip", "link", "delete", names[0]))
        for name in names:
            setting = f"/proc/sys/net/ipv6/conf/{name}/disable_ipv6"
            if quiet and os.path.exists(setting):
                with open(setting, "w", encoding="ascii") as file:
                    file.write("1")
            run("ip", "link", "set", name, "up")
        return True
