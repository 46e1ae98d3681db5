# SPDX-License-Identifier: BSD-2-Clause
"""Tests of a running agent in the guest: sensors, devices that come and go, VFIO, routes of writing."""
import re

from harness import equal, eventually, true

FILE_MIB = 16  # written to a btrfs
HOT_PAGES = 256  # of one read of 1 MiB
EDU_PAGES = 64
READS = 64
LEDGER_REASONS = {"mappings_full", "contended"}
POOL_PAGES = 16  # of lists that a driver keeps: they grow with use


def only_device(cell, identity):
    """A device as the agent lists it now, or None; one that is gone counts as none."""
    found = [one for one in cell.machine.call("api", "/api/v1/devices")["devices"]
             if one["id"] == identity and not one["gone"]]
    return found[0] if found else None


def await_device(cell, identity, what, condition=lambda device: device):
    return eventually(f"{identity}: {what}", lambda: condition(only_device(cell, identity)) and
                      only_device(cell, identity), pause=0.5)


def series(cell, needle):
    """Lines of /metrics that hold a text."""
    return [line for line in cell.machine.call("metrics") if needle in line]


def add_sensors(suite, cell):
    call = cell.machine.call

    @suite.test("the agent starts")
    def _():
        call("agent_start")

    @suite.test("every sensor is active, or says why not; nothing is unaccounted for")
    def _():
        notes = []
        answer = call("api", "/api/v1/sensors")
        for sensor in answer["sensors"]:
            name = sensor["name"]
            true(sensor["state"] in ("active", "partial", "unavailable"), f"{name} is {sensor['state']}")
            true(sensor["state"] == "active" or sensor["reason"], f"{name} is {sensor['state']} without a reason")
            # Read while it runs: an event in flight is offered, and not yet counted.
            counted = sensor["counted"] + sum(sensor["lost"].values())
            true(0 <= sensor["offered"] - counted <= 2, f"{name}: {sensor}")
            for program in sensor["programs"]:
                true(program["state"] in ("active", "replaced", "unavailable"), f"{name}: {program}")
                true(program["state"] == "active" or program["reason"], f"{name}: no reason in {program}")
            states = [program["state"] for program in sensor["programs"]]
            notes.append(f"{name}: {sensor['state']}, programs {states.count('active')} active, {states.count('replaced')} "
                         f"replaced, {states.count('unavailable')} unavailable {sensor['reason'] or ''}")
        for tier in answer["tiers"]:
            true(tier["available"], f"{tier['name']} is not available: {tier['reason']}")
        cell.results["sensors"] = {one["name"]: [one["state"], one["reason"]] for one in answer["sensors"]}
        return notes

    @suite.test("dirtyscope sensors --json and devices -v work")
    def _():
        for words in (["sensors", "--json"], ["devices", "-v"]):
            status, text = call("client", *words)
            equal(status, 0, f"dirtyscope {' '.join(words)}: {text}")

    @suite.test("every device says which sensors see its writes, or what is not seen")
    def _():
        notes, known = [], call("api", "/api/v1/devices")["devices"]
        for device in cell.disks + cell.nics:
            mine = [one for one in known if one["id"].split("/", 1)[-1] in device.names]
            true(mine, f"{device.row.name} is not listed: {[one['id'] for one in known]}")
            true(mine[0]["coverage"] or mine[0]["not_seen"], f"{device.row.name} says nothing: {mine[0]}")
            true(mine[0]["exposed_pages"] is not None or mine[0]["exposed_reason"],
                 f"{device.row.name}: no exposed pages, and no reason")
            cell.results.setdefault("coverage", {})[device.row.name] = {
                key: mine[0][key] for key in ("coverage", "not_seen", "exposed_pages", "exposed_reason")}
            notes.append(f"{device.row.name}: " + ", ".join(f"{one['sensor']} {one['evidence']}"
                                                            for one in mine[0]["coverage"]))
        return notes


def add_return(suite, cell):
    call = cell.machine.call

    for device in cell.disks:
        @suite.test(f"{device.row.name}: after reads, what it may write is what it was, or is said to be unknown")
        def _(device=device):
            def listed():
                return next(one for one in call("api", "/api/v1/devices")["devices"]
                            if one["id"].split("/", 1)[-1] in device.names)
            before = listed()["exposed_pages"]
            # What is one segment, NVMe unmaps always.
            for size in (4096, 8192):
                call("direct", device.disk, [[(60000 + step * 16) * 512, size, 0] for step in range(READS)])
            call("release")
            call("settle")
            after = eventually("exposure, or a reason", lambda: (lambda now: (
                now if now["exposed_pages"] is None or now["exposed_pages"] <= before + POOL_PAGES else None))(listed()),
                               pause=0.5) if before is not None else listed()
            equal(after["exposed_pages"] is None, device.row.name in cell.never_unmaps,
                  f"unknown: {after['exposed_pages']} {after['exposed_reason']}")
            if after["exposed_pages"] is None:
                true("unmap" in after["exposed_reason"], f"reason: {after['exposed_reason']}")
            return f"{before} before, {after['exposed_pages']} after {after['exposed_reason'] or ''}"


def add_lists(suite, cell):
    @suite.test("requests of hundreds of segments lose no mapping, and exposure stays known")
    def _():
        call, large = cell.machine.call, 2 << 20
        device = cell.device("virtio-blk-iommu")
        for _ in range(4):
            call("direct", device.disk, [[step * large, large, 0] for step in range(8)])
        call("release")
        call("settle")
        lost = {sensor["name"]: {reason: n for reason, n in sensor["lost"].items() if n and reason in LEDGER_REASONS}
                for sensor in call("api", "/api/v1/sensors")["sensors"]}
        equal({name: reasons for name, reasons in lost.items() if reasons}, {}, "lost")
        listed = next(one for one in call("api", "/api/v1/devices")["devices"]
                      if one["id"].split("/", 1)[-1] in device.names)
        true(listed["exposed_pages"] is not None, f"exposure: {listed['exposed_reason']}")
        return f"{sum(listed['dma']['maps'].values()) if 'dma' in listed else ''} mappings"


def add_end(suite, cell):
    @suite.test("the agent ends as it is told")
    def _():
        status, log = cell.machine.call("agent_stop")
        equal(status, 0, f"exit status; {log[-500:]}")
        return [line for line in log.splitlines() if "level=warn" in line][:5]


def add_hotplug(suite, cell):
    machine, call = cell.machine, cell.machine.call
    nvme, nic = "pci/0000:01:00.0", "pci/0000:02:00.0"
    begin = {}

    def read_hot():
        call("direct", "nvme1n1", [[1 << 20, 1 << 20, 0]])
        call("release")
        call("settle")

    def plug(driver, identity, **arguments):
        machine.qmp("device_add", driver=driver, **arguments)
        return await_device(cell, identity, "is listed with a name", lambda device: device and device["names"])

    def unplug(name, identity):
        machine.qmp("device_del", id=name)
        eventually(f"{identity} is gone", lambda: not only_device(cell, identity), pause=0.5)
        call("settle")
        left = [line for line in series(cell, f'"{identity}"') if line.startswith("dirtyscope_device_info")]
        true(not left, f"/metrics still has it: {left}")

    def plug_nvme():
        device = plug("nvme", nvme, id="hotnvme", bus="port0", serial="hot", drive="hot")
        equal(device["driver"], "nvme", "driver")
        begin["since"] = device["coverage_since"]
        read_hot()
        device = only_device(cell, nvme)
        true(HOT_PAGES <= device["dirty_pages_total"] <= HOT_PAGES + 64,
             f"it wrote {HOT_PAGES} pages, and some for its partitions: {device['dirty_pages_total']}")
        true(any("nvme1" in name for name in device["names"]), f"names {device['names']}")
        return device

    @suite.test("an NVMe disk that is plugged in is listed and counted")
    def _():
        plug_nvme()

    @suite.test("unplugged, its series end")
    def _():
        unplug("hotnvme", nvme)

    @suite.test("plugged in again, it is a new device, counted from nothing")
    def _():
        since = begin["since"]
        device = plug_nvme()
        true(device["coverage_since"] > since, f"{device['coverage_since']} after {since}")
        unplug("hotnvme", nvme)

    @suite.test("page-cache pages of a btrfs belong to the disk that it is on")
    def _():
        disk = next(name for name in plug_nvme()["names"] if name.startswith("nvme1n"))
        node, directory = "/dev/" + disk, "/dev/shm/btrfs"

        def dirtied():
            call("settle")
            found = call("api", "/api/v1/devices")["devices"]
            return {one["id"]: one["pagecache"] for one in found if one["id"] in (nvme, "unattributed")}
        for words in (["mkfs.btrfs", "-q", "-f", "-M", node], ["mkdir", "-p", directory], ["mount", "-t", "btrfs", node, directory]):
            status, text = call("run", *words)
            equal(status, 0, f"{' '.join(words)}: {text}")
        before = dirtied()
        try:
            status, text = call("run", "dd", "if=/dev/zero", f"of={directory}/file", "bs=1M", f"count={FILE_MIB}", "conv=fsync")
            equal(status, 0, text)
            after = dirtied()
        finally:
            call("run", "umount", directory)
        true(dirtied()[nvme] >= after[nvme], f"it has {dirtied()[nvme]} once it is unmounted, and had {after[nvme]}")
        mine, nobodys = after[nvme] - before[nvme], after["unattributed"] - before["unattributed"]
        true(mine >= FILE_MIB * 256, f"{mine} pages of {FILE_MIB * 256}; {nobodys} unattributed")
        true(nobodys < FILE_MIB, f"{nobodys} pages unattributed")
        unplug("hotnvme", nvme)
        return f"{mine} pages, {nobodys} unattributed"

    @suite.test("a network card that is plugged in has its interface's name")
    def _():
        device = plug("e1000e", nic, id="hotnic", bus="port1", netdev="hotnet", mac="52:54:00:12:34:aa", romfile="")
        equal(device["driver"], "e1000e", "driver")
        begin["interface"] = device["names"][0]

    @suite.test("renamed, it has the new name and not the old one")
    def _():
        old = begin["interface"]
        status, text = call("run", "ip", "link", "set", old, "name", "hot0")
        equal(status, 0, text)
        await_device(cell, nic, "has its new name", lambda device: device and device["names"] == ["hot0"])
        call("settle")
        mine = [line for line in series(cell, f'"{nic}"') if line.startswith("dirtyscope_device_info")]
        true(len(mine) == 1 and 'name="hot0"' in mine[0], f"/metrics: {mine}")

    @suite.test("its driver unbound, nothing is exposed and no name is left; bound again, it is back")
    def _():
        address = nic.split("/")[1]
        call("interface_up", "hot0", "10.0.7.1")
        call("settle")
        up = only_device(cell, nic)
        true(up["exposed_pages"], f"exposed while up: {up['exposed_pages']} {up['exposed_reason']}")
        call("write", "/sys/bus/pci/drivers/e1000e/unbind", address)
        eventually("no name, nothing exposed", lambda: (lambda device: not device or (
            not device["names"] and not device["exposed_pages"] and not device["driver"]))(only_device(cell, nic)),
                   pause=0.5)
        call("write", "/sys/bus/pci/drivers/e1000e/bind", address)
        await_device(cell, nic, "is back", lambda device: device and device["names"] and device["driver"] == "e1000e")
        return f"{up['exposed_pages']} pages exposed while up"

    @suite.test("the network card unplugged, its series end")
    def _():
        unplug("hotnic", nic)


def add_vfio(suite, cell):
    call = cell.machine.call
    edu, address = "pci/0000:00:0c.0", "0000:00:0c.0"
    owner = {}

    @suite.test("VFIO: what a device may write is exposed, by device and owner")
    def _():
        directory = f"/sys/bus/pci/devices/{address}"
        call("write", directory + "/driver_override", "vfio-pci")
        call("write", "/sys/bus/pci/drivers_probe", address)
        group = call("link", directory + "/iommu_group").rsplit("/", 1)[1]
        equal(call("hold", "edu", "/dev/work/tests/vm/edu", address, group, str(EDU_PAGES)), "mapped", "edu")
        owner["pid"] = call("pid", "edu")
        device = await_device(cell, edu, f"{EDU_PAGES} pages exposed",
                              lambda device: device and device["exposed_pages"] == EDU_PAGES)
        equal([[one["pid"], one["comm"], one["pages"]] for one in device["exposures"]],
              [[owner["pid"], "edu", EDU_PAGES]], "exposures")

    @suite.test("VFIO: the device's own DMA is not seen, and coverage says so")
    def _():
        before = only_device(cell, edu)
        equal(call("tell", "edu", ""), "written", "edu")
        call("settle")
        device = only_device(cell, edu)
        equal(device["dirty_pages_total"], before["dirty_pages_total"], "pages seen")
        said = " ".join(device["not_seen"])
        true(re.search("VFIO|owner", said), f"not_seen: {said}")
        status, text = call("client", "devices", "-v")
        equal(status, 0, text)
        true(any(text_part in text for text_part in device["not_seen"]) or "VFIO" in text, f"devices -v: {text[-800:]}")
        return device["not_seen"]

    @suite.test("VFIO: nothing is exposed after it unmapped")
    def _():
        equal(call("tell", "edu", ""), "unmapped", "edu")
        await_device(cell, edu, "0 pages exposed", lambda device: device and device["exposed_pages"] == 0)
        equal(call("let_go", "edu"), 0, "edu's status")


def add_routes(suite, cell):
    @suite.test("routes of writing, with the functions of the kernel traced")
    def _():
        status, text = cell.machine.call("live", "routes")
        wrong = [line for line in text.splitlines() if line.startswith("not ok")]
        plan = re.search(r"^1\.\.(\d+)$", text, re.M)
        passed = len(re.findall(r"^ok ", text, re.M))
        cell.results["routes"] = text
        true(status == 0 and not wrong and plan and int(plan[1]) == passed, text[-6000:])
        skipped = [line for line in text.splitlines() if "# SKIP" in line]
        return [f"{passed} routes", *skipped]


EXTRA_DEVICES = ["-device", "edu,addr=0c.0",
                 "-device", "pcie-root-port,id=port0,chassis=1,addr=10.0",
                 "-device", "pcie-root-port,id=port1,chassis=2,addr=11.0",
                 "-drive", "if=none,id=hot,file=hot.img,format=raw,cache=unsafe",
                 "-netdev", "dgram,id=hotnet,local.type=unix,local.path=hotnet,remote.type=unix,remote.path=hotnothing"]


def add(suite, cell):
    """The parts of the cell; routes bring an agent of their own."""
    if cell.parts & {"agent", "vfio", "hotplug"}:
        add_sensors(suite, cell)
        add_return(suite, cell)
        add_lists(suite, cell)
        if "vfio" in cell.parts:
            add_vfio(suite, cell)
        if "hotplug" in cell.parts:
            add_hotplug(suite, cell)
        add_end(suite, cell)
    if "routes" in cell.parts:
        add_routes(suite, cell)
