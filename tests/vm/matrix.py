# SPDX-License-Identifier: BSD-2-Clause
"""The matrix, as tables: kernels, IOMMU modes, disks, network cards. Adding one is adding a row."""
import os
from collections import namedtuple

# series: the newest of it is taken. suites: where Debian has it, the first that does wins.
# packages: regular expressions; the newest match of each is unpacked, all of the first's version.
Kernel = namedtuple("Kernel", "series suites packages")
KERNELS = [
    Kernel("6.1", ["bookworm"], [r"linux-image-(6\.1\.[0-9]+-[0-9]+)-amd64"]),
    Kernel("6.12", ["trixie"], [r"linux-image-(6\.12\.[0-9]+\+deb13(?:\.[0-9]+)?)-amd64"]),
    # The image package is split there: kernel and configuration, modules.
    Kernel("7.2", ["sid", "forky"], [r"linux-binary-(7\.2\.[0-9]+\+deb[0-9]+(?:\.[0-9]+)?)-amd64",
                                     "linux-base-VERSION-amd64", "linux-modules-VERSION-amd64"]),
    # A release candidate, which experimental has, has no third number.
    Kernel("7.3", ["trixie-backports", "sid", "experimental"],
           [r"linux-binary-(7\.3(?:\.[0-9]+)?(?:\+deb[0-9]+(?:\.[0-9]+)?)?)-amd64",
            "linux-base-VERSION-amd64", "linux-modules-VERSION-amd64"]),
]
# The other flavours of one series; see flavours.py.
FLAVOURS = [Kernel(f"6.12-{flavour}", ["trixie"], [rf"linux-image-(6\.12\.[0-9]+\+deb13(?:\.[0-9]+)?)-{flavour}-amd64"])
            for flavour in ("cloud", "rt")]
# Before the helper bpf_loop: it is told what it lacks, and runs nothing.
TOO_OLD = Kernel("5.10", ["bullseye", "bullseye-security"], [r"linux-image-(5\.10\.[0-9]+-[0-9]+)-amd64"])

# igb, and its trace, came with QEMU 8. It is unpacked, not installed; libraries are the machine's.
QEMU_SUITES = ["bookworm-backports"]
QEMU_PACKAGES = ["qemu-system-x86", "qemu-system-common", "qemu-system-data", "seabios"]

IOMMU = ["-device", "intel-iommu,intremap=on,device-iotlb=on"]
Mode = namedtuple("Mode", "name qemu command_line")
MODES = [
    Mode("strict", IOMMU, "intel_iommu=on iommu.strict=1"),
    Mode("lazy", IOMMU, "intel_iommu=on iommu.strict=0"),
    Mode("passthrough", IOMMU, "intel_iommu=on iommu.passthrough=1"),
    Mode("none", [], ""),
    Mode("fsck", IOMMU, "intel_iommu=on iommu.strict=1"),  # tests/fsck alone
]

# slot: of the root bus, where the guest finds it; ID and DRIVE are filled in.
# trace: how QEMU's trace tells this device's writes; see trace.py.
Disk = namedtuple("Disk", "name slot device trace")
DISKS = [
    Disk("nvme", 4, "nvme,serial=DRIVE,drive=DRIVE,addr=04.0", "map"),
    Disk("ahci", 31, "ide-hd,bus=ide.0,drive=DRIVE", "map"),
    Disk("virtio-blk", 6, "virtio-blk-pci,drive=DRIVE,addr=06.0", "virtio"),
    Disk("virtio-blk-iommu", 7, "virtio-blk-pci,drive=DRIVE,addr=07.0,iommu_platform=on,ats=on,disable-legacy=on",
         "virtio"),
]
Nic = namedtuple("Nic", "name slot device event")
NICS = [
    Nic("e1000e", 8, "e1000e,netdev=ID,mac=MAC,addr=08.0,romfile=", "e1000e_rx_desc_buff_write"),
    Nic("igb", 9, "igb,netdev=ID,mac=MAC,addr=09.0,romfile=", "igb_rx_desc_buff_write"),
]
PACKET_SIZES = [64, 1500]

# What the guest loads, with what they depend on; one that a kernel has built in, or lacks, is left out.
MODULES = ["virtio_pci", "9p", "9pnet_virtio", "crc32c_generic", "crc32c_cryptoapi", "ext4", "nvme", "ahci", "sd_mod",
           "virtio_blk", "e1000e", "igb", "vfio-pci", "vfio_iommu_type1", "veth", "crc32_generic", "ib_uverbs", "rdma_rxe",
           "xsk_diag", "loop", "btrfs"]
# Of these the guest can do without none.
NEEDED_MODULES = ["9p", "9pnet_virtio", "ext4", "nvme", "ahci", "sd_mod", "virtio_blk", "e1000e", "igb", "vfio-pci"]


# What a machine does beside the recall of its devices, and the modes in which it can. The N-th kernel does
# it in the N-th of them, beginning again at the end: so each kernel does everything once, each mode is met
# by some kernel, and no machine does it all. With VM=all each does all that it can.
Part = namedtuple("Part", "name modes")
PARTS = [
    Part("compilers", ["lazy", "passthrough"]),
    Part("again", ["lazy", "passthrough", "strict", "none"]),
    Part("tiers", ["passthrough"]),
    Part("agent", ["none", "passthrough", "none", "passthrough", "strict", "lazy"]),  # vfio and hotplug do it as well
    Part("vfio", ["strict", "lazy"]),
    Part("hotplug", ["lazy", "strict"]),
    Part("load", ["none", "lazy", "none", "strict"]),
    Part("routes", ["passthrough", "lazy"]),
    Part("harm", ["none"]),
    Part("tracks", ["strict", "none"]),
    Part("policies", ["none", "strict"]),
]


def parts(series, mode):
    """The names of what the machine of that kernel and mode does beside recall."""
    number = [row.series for row in KERNELS].index(series)
    every = os.environ.get("VM") == "all"
    return {part.name for part in PARTS
            if mode in (part.modes if every else [part.modes[number % len(part.modes)]])}


def chosen(rows, variable, key):
    """All rows, or those that the environment names, separated by blanks or commas."""
    names = os.environ.get(variable, "").replace(",", " ").split()
    unknown = set(names) - {getattr(row, key) for row in rows}
    if unknown:
        raise SystemExit(f"{variable}: there is no {', '.join(sorted(unknown))}")
    return [row for row in rows if not names or getattr(row, key) in names]


def kernels():
    return chosen(KERNELS, "KERNEL", "series")


def modes():
    return chosen(MODES, "IOMMU", "name")


def cells():
    """(kernel's series, mode) of each machine."""
    return [(row.series, mode.name) for row in kernels() for mode in modes()]
