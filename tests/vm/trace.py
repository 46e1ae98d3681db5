# SPDX-License-Identifier: BSD-2-Clause
"""The truth: which page frames a device wrote, from QEMU's own trace.

A line comes before the access that it tells of. Behind an IOMMU the translations of that access
follow it at once, one per page, since QEMU emulates all devices under one lock. Data buffers are
what is traced; descriptor rings, completion queues and used rings, which a device writes as well,
are not.
"""
import re

MAP = re.compile(r"address_space_map as:(\w+) addr 0x(\w+):(\w+) write:(\d)")
TRANSLATE = re.compile(r"vtd_dmar_translate dev 00:(\w\w)\.\w\w iova 0x(\w+) -> gpa 0x(\w+)")
RECEIVE = re.compile(r"(\w+_rx_desc_buff_write) buffer #?\d+, addr: 0x(\w+), offset: (\d+), from: \w+, length: (\d+)")
VIRTIO_READ = re.compile(r"virtio_blk_handle_read vdev (\w+) req \w+ sector (\d+)")


class Access:
    """A write of a device at [address, address + size), as the device addresses memory."""

    def __init__(self, address, size, tag):
        self.address, self.size, self.tag = address, size, tag
        self.translated = {}

    def frames(self):
        pages = range(self.address >> 12, (self.address + self.size - 1 >> 12) + 1)
        if not self.translated:
            return set(pages)
        # What QEMU mapped in several steps is in several lines, each with what it translated.
        return {self.translated[page] for page in pages if page in self.translated}


def accesses(lines, begin):
    """Calls begin(line) for each line; it may give an Access, to which the translations that follow belong."""
    current = None
    for line in lines:
        translate = TRANSLATE.match(line)
        if not translate:
            current = begin(line)
            continue
        page = int(translate[2], 16) >> 12
        if current and current.address >> 12 <= page <= current.address + current.size - 1 >> 12:
            current.translated[page] = int(translate[3], 16) >> 12


def mapped(line, found):
    match = MAP.match(line)
    if not match or match[4] == "0":
        return None
    found.append(Access(int(match[2], 16), int(match[3], 16), match[1]))
    return found[-1]


def frames(all_accesses):
    return set().union(*(access.frames() for access in all_accesses)) if all_accesses else set()


def of_maps(lines):
    """
    Of a disk that QEMU serves by its DMA helpers, while no other such disk is in use: its address
    space is the one that is mapped right after a request began.
    """
    found, spaces = [], set()
    after_request = False

    def begin(line):
        nonlocal after_request
        access = mapped(line, found)
        match = MAP.match(line)
        if match and after_request:
            spaces.add(match[1])
        after_request = line.startswith("dma_blk_io")
        return access

    accesses(lines, begin)
    return frames([access for access in found if access.tag in spaces])


def of_virtio(lines, first_sectors):
    """
    (data, status) of a virtio disk's reads: a request is taken off its queue, which maps its
    buffers, before it is told what it is; the last one is its status, one byte. The disk is the
    one that read most of those sectors.
    """
    pending, popped, reads, hits = [], [], {}, {}

    def begin(line):
        nonlocal pending, popped
        if line.startswith("virtqueue_pop"):
            pending, popped = [], pending
            return None
        match = VIRTIO_READ.match(line)
        if match:
            reads.setdefault(match[1], []).append(popped)
            hits[match[1]] = hits.get(match[1], 0) + (int(match[2]) in first_sectors)
            popped = []
            return None
        return mapped(line, pending)

    accesses(lines, begin)
    if not hits:
        return set(), set()
    requests = reads[max(hits, key=hits.get)]
    return (frames([access for request in requests for access in request if access.size > 1]),
            frames([access for request in requests for access in request if access.size == 1]))


def of_receive(lines, event):
    """Of a network card: the buffers that packets were put into."""
    found = []

    def begin(line):
        match = RECEIVE.match(line)
        if not match or match[1] != event or match[4] == "0":
            return None
        found.append(Access(int(match[2], 16) + int(match[3]), int(match[4]), event))
        return found[-1]

    accesses(lines, begin)
    return frames(found)
