# SPDX-License-Identifier: BSD-2-Clause
"""Tests in the guest of what policies do to a host: limits of I/O hold and go, memory that nobody writes leaves."""
import contextlib

from harness import eventually, equal, true

PAGES = 1000  # per second, of the limit
THRESHOLD, CLEAR = 1500, 100  # pages per second; what is limited must go on firing, where emulation stutters, too
MEASURED = 3  # seconds
BEFORE = "rbps=50000000 wbps=9000000 riops=max wiops=max"
LIMITED = f"rbps={PAGES * 4096} wbps={{}} riops=max wiops=max"
FIRST, SECOND = "policy-first", "policy-second"

COLD, HOT = 8192, 2048  # pages
EVERY, EPOCHS = 0.5, 4
MIB = 256  # pages


def limit_rule():
    return f"""policies:
  - name: rule
    for_each: flow
    where: ["cgroup ^= /policy-"]
    when: {{rate: pages, over: 2s, threshold: {THRESHOLD}, clear: {CLEAR}}}
    cooldown: 0s
    then: [{{limit: {{pages: {PAGES}}}}}]
"""


def reclaim_rule(pid, more):
    return f"""policies:
  - name: rule
    for_each: process
    where: ["pid = {pid}"]
    when: {{metric: written.cpu, threshold: 1}}
    then: [{{reclaim: {{every: {EVERY * 1000:.0f}ms, epochs: {EPOCHS}, {more}}}}}]
"""


class Guest:
    """Its disk that is read, its agent, and the readers in cgroups."""

    def __init__(self, cell):
        self.call, self.cell = cell.machine.call, cell
        self.disk = self.number = None

    def begin(self):
        self.disk = self.cell.device("nvme").disk
        self.number = self.call("disk_number", self.disk)

    def reader(self, name):
        self.call("cgroup_make", name)
        equal(self.call("hold", name, *self.call("reader", name, self.disk)), "ready", name)

    def reads(self, name, going):
        equal(self.call("tell", name, "1" if going else "0"), "done", name)

    @contextlib.contextmanager
    def reading(self, name):
        self.reads(name, True)
        try:
            yield
        finally:
            self.reads(name, False)

    def io_max(self, name):
        return self.call("io_max", name)

    def becomes(self, name, text):
        """io.max, whole: this of the disk, or nothing."""
        text = f"{self.number} {text}\n" if text else ""
        try:
            eventually("io.max", lambda: self.io_max(name) == text, pause=0.1)
        except AssertionError:
            equal(self.io_max(name), text, f"io.max of {name}")

    def set(self, name, text):
        self.call("write", f"/sys/fs/cgroup/{name}/io.max", f"{self.number} {text}")

    def events(self, *parts):
        return [message for _, message in self.call("ruled_events", "action") if all(part in message for part in parts)]


def limit_both(guest):
    """Both at the same moment: where emulation stands still for seconds, one may be resolved in between."""
    wanted = [f"{guest.number} {LIMITED.format(wbps)}\n" for wbps in (9000000, "max")]
    for name in (FIRST, SECOND):
        guest.reads(name, True)
    eventually("both are limited", lambda: [guest.io_max(name) for name in (FIRST, SECOND)] == wanted, pause=0.1)


def add_limits(suite, guest):
    call = guest.call

    @suite.test("policies: an agent with a rule that limits flows")
    def _():
        guest.begin()
        guest.reader(FIRST)
        # Tracepoints are enough to see these, and load faster.
        call("ruled_start", limit_rule(), "--sensors.tier", "base", "--policies.allow", "limit", "--policies.allow", "reclaim")

    @suite.test("policies: a limit of pages holds, by the kernel's count, and goes when the reader calms down")
    def _():
        with guest.reading(FIRST):
            guest.becomes(FIRST, LIMITED.format("max"))
            call("read_rate", guest.disk, FIRST, 1)  # what was on its way
            rates = call("read_rate", guest.disk, FIRST, MEASURED)
            equal(call("ruled_state"), {"firing": 1}, "while it is limited")
        for rate, where in zip(rates, ("the disk's stat", "io.stat")):
            true(0.5 * PAGES <= rate <= 1.1 * PAGES, f"{where}: {rate:.0f} pages per second, limited to {PAGES}")
        guest.becomes(FIRST, "")
        for _ in range(5):  # where a CPU is emulated, and others want it, a reader is slow at times
            with guest.reading(FIRST):
                free = call("read_rate", guest.disk, FIRST, 0.4)[0]  # before it fires again
                guest.becomes(FIRST, LIMITED.format("max"))
            guest.becomes(FIRST, "")
            if free > 1.5 * PAGES:
                break
        true(free > 1.5 * PAGES, f"{free:.0f} pages per second without a limit: the test shows nothing")
        guest.cell.results["limit"] = {"limit": PAGES, "disk": round(rates[0]), "cgroup": round(rates[1])}
        return f"pages per second, limited to {PAGES}: {rates[0]:.0f} by the stat, {rates[1]:.0f} by io.stat; free: {free:.0f}"

    @suite.test("policies: a limit that was there before is back when the rule is resolved")
    def _():
        guest.set(FIRST, BEFORE)
        with guest.reading(FIRST):
            guest.becomes(FIRST, LIMITED.format(9000000))
        guest.becomes(FIRST, BEFORE)

    @suite.test("policies: what somebody else has set meanwhile is left alone")
    def _():
        other = LIMITED.format(7000000)
        with guest.reading(FIRST):
            guest.becomes(FIRST, LIMITED.format(9000000))
            guest.set(FIRST, other)
        said = eventually("it is said", lambda: guest.events("somebody else"))
        guest.becomes(FIRST, other)
        guest.set(FIRST, BEFORE)
        return said

    @suite.test("policies: a limit outlives a killed agent, and goes when the next one starts")
    def _():
        other = LIMITED.format(7000000)
        guest.reader(SECOND)
        limit_both(guest)
        call("ruled_end", True)
        for name in (FIRST, SECOND):
            guest.reads(name, False)
        equal([guest.io_max(FIRST), guest.io_max(SECOND)],
              [f"{guest.number} {LIMITED.format(wbps)}\n" for wbps in (9000000, "max")], "io.max of both")
        guest.set(SECOND, other)
        call("ruled_again")
        guest.becomes(FIRST, BEFORE)
        guest.becomes(SECOND, other)
        said = dict(call("ruled_events", "action"))
        true(said["/" + FIRST].endswith("did not end well: restored"), f"events: {said}")
        true(said["/" + SECOND].endswith("left alone: somebody else has changed it"), f"events: {said}")
        guest.set(SECOND, "rbps=max wbps=max")
        return [f"{subject}: {message}" for subject, message in said.items()]


class Keeper:
    """A process with cold and hot memory, reclaimed by a rule; its content is looked at in the end."""

    def __init__(self, guest, more):
        self.call = guest.call
        words = self.call("hold", "keeper", *self.call("keeper", COLD, HOT))
        self.regions = [[int(address), pages] for address, pages in zip(words.split(), (COLD, HOT))]
        self.pid = self.call("pid", "keeper")
        equal(self.call("ruled_reload", reclaim_rule(self.pid, more))[0], 200, "reload")
        self.before = self.count()

    def swapped(self):
        return self.call("swapped", self.pid, *self.regions)

    def advised(self):
        return self.count() - self.before

    def count(self):
        return dict((result, count) for _, result, count in self.call("ruled_results")).get("advised", 0)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        wrong = self.call("tell", "keeper", "")
        self.call("let_go", "keeper")
        equal(wrong, "0 0", "pages of cold and hot memory that are not what was written")


def add_reclaim(suite, guest):
    call = guest.call

    @suite.test("policies: there is swap")
    def _():
        disk = "/dev/" + guest.cell.device("virtio-blk").disk
        for words in (["mkswap", disk], ["swapon", disk]):
            status, text = call("run", *words)
            equal(status, 0, text)

    @suite.test("policies: reclaim swaps out what was not written, and nothing else; all content is whole")
    def _():
        with Keeper(guest, "most: 64M") as keeper:
            eventually("90 % of the cold pages are in swap", lambda: keeper.swapped()[0] >= 0.9 * COLD, pause=0.3)
            cold, hot, whole = keeper.swapped()
            true(hot <= 4, f"{hot} of {HOT} hot pages are in swap")
            guest.cell.results["reclaim"] = {"cold": [cold, COLD], "hot": [hot, HOT]}
        return f"in swap: {cold} of {COLD} cold pages, {hot} of {HOT} hot ones, {whole} of the whole process"

    @suite.test("policies: reclaim takes no more than `most` in an epoch")
    def _():
        with Keeper(guest, "most: 1M") as keeper:
            eventually("the first is in swap", lambda: keeper.swapped()[2], pause=0.1)
            found = call("swapped_by_epoch", keeper.pid, 3)
            over = [one for one in found if one[0] > MIB * (one[1] - EPOCHS + 1)]
            true(not over, f"more than {MIB} pages an epoch, of [pages, epoch] {found}")
            true(found[-1][0] >= 2 * MIB, f"it goes on: {found}")
        return f"[pages in swap, epoch]: {found[0]} to {found[-1]}"

    @suite.test("policies: reclaim by `how: cold` moves nothing out")
    def _():
        with Keeper(guest, "how: cold") as keeper:
            eventually("it advises", keeper.advised, pause=0.3)
            equal(keeper.swapped(), [0, 0, 0], "pages in swap")

    @suite.test("policies: swap is taken away")
    def _():
        equal(call("run", "swapoff", "-a")[0], 0, "swapoff")


def add_end(suite, guest):
    call = guest.call

    @suite.test("policies: when the agent ends, what was there before is back, and it ends at once")
    def _():
        equal(call("ruled_reload", limit_rule())[0], 200, "reload")
        limit_both(guest)
        equal(call("ruled_end"), 0, "exit status")
        guest.becomes(FIRST, BEFORE)
        guest.becomes(SECOND, "")
        for name in (FIRST, SECOND):
            call("let_go", name)
            call("cgroup_remove", name)


def add(suite, cell):
    guest = Guest(cell)
    add_limits(suite, guest)
    add_reclaim(suite, guest)
    add_end(suite, guest)
