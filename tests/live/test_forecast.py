# SPDX-License-Identifier: BSD-2-Clause
"""The forecast against the truth: a guest that writes at a steady rate, and QEMU's own migration of it."""
import os
import time

from guest import MIB, Machine, build
from harness import Agent, Suite, equal, eventually, require_root, scratch, true
from tracking import Track

MEMORY = 48 * MIB
WORKING = 4096  # pages that the guest writes, again and again
RATES = [500, 4000, 12000]  # pages a second
BANDWIDTHS = [8, 32, 96]  # MiB a second
DOWNTIME = 0.15
EPOCHS, EPOCH = 40, 0.1
LOOKS = 3  # until a forecast is known: others may have made an epoch long
ATTEMPTS = 2
LOOP_BANDWIDTH, LOOP_DOWNTIME = 125000000, 0.3  # bytes a second, seconds
ROUNDS_ENOUGH = 12  # beyond those that were expected: it does not converge

suite = Suite()
directory = scratch()
agent = Agent(listen=f"unix:{directory}/socket")
table = []


def migrate(source, guest, bandwidth, expected, downtime=DOWNTIME):
    """(converged, bytes, rounds) by QEMU's own account; bandwidth: bytes a second."""
    incoming = os.path.join(directory, "incoming")
    if os.path.exists(incoming):
        os.unlink(incoming)
    source.ask("migrate-set-parameters", **{"max-bandwidth": bandwidth, "downtime-limit": int(downtime * 1000)})
    with Machine("destination", guest, source.bytes, incoming=incoming):
        source.ask("migrate", uri=f"unix:{incoming}")
        while True:
            state = source.ask("query-migrate")
            rounds = state.get("ram", {}).get("dirty-sync-count", 0)
            if state["status"] == "completed":
                source.ask("cont")
                # The first synchronisation begins it, and the last one follows the stop.
                return True, state["ram"]["transferred"], rounds - 2
            true(state["status"] in ("setup", "active", "device"), f"the migration: {state}")
            if rounds > expected + ROUNDS_ENOUGH:
                source.ask("migrate_cancel")
                eventually("it is cancelled", lambda: source.ask("query-migrate")["status"] == "cancelled")
                return False, state["ram"]["transferred"], rounds - 2
            time.sleep(0.05)


def observe(track, epochs=EPOCHS, epoch=EPOCH):
    track.collect()
    for _ in range(epochs):
        time.sleep(epoch)
        track.collect()


def forecast_of(track, bandwidth, downtime=DOWNTIME):
    return track.call("GET", f"/forecast?bandwidth={bandwidth}&downtime_ms={int(downtime * 1000)}")


def agrees(forecast, converged, sent, rounds):
    return forecast["converges"] == converged and (not converged or (
        abs(forecast["bytes"] - sent) <= 0.15 * sent and abs(forecast["rounds"] - rounds) <= 1))


def compare(rate):
    guest = build(rate, WORKING, MEMORY)
    with Machine(f"source-{rate}", guest, MEMORY) as source:
        source.ready()
        with Track(agent, {"pid": source.pid}) as track:
            for _ in range(LOOKS):
                observe(track)
                forecasts = [forecast_of(track, bandwidth * MIB) for bandwidth in BANDWIDTHS]
                if all(forecast["converges"] is not None for forecast in forecasts):
                    break
        for forecast in forecasts:
            true(forecast["converges"] is not None, f"{rate} pages/s: {forecast['reason']}")
        notes = []
        for bandwidth, forecast in zip(BANDWIDTHS, forecasts):
            # Others may have had the CPUs for a while, and rounds end when QEMU gets to look.
            for _ in range(ATTEMPTS):
                converged, sent, rounds = migrate(source, guest, bandwidth * MIB, forecast["rounds"])
                if agrees(forecast, converged, sent, rounds):
                    break
            notes.append(f"{rate} pages/s, {bandwidth} MiB/s: forecast converges {forecast['converges']}, "
                         f"{forecast['bytes'] / MIB:.1f} MiB, {forecast['rounds']} rounds, {forecast['seconds']:.1f} s; "
                         f"QEMU {converged}, {sent / MIB:.1f} MiB, {rounds} rounds")
            table.append((rate, bandwidth, forecast, converged, sent, rounds, notes[-1]))
        return notes


for rate in RATES:
    suite.test(f"a guest that writes {rate} pages a second is migrated at three bandwidths", rate)(compare)


@suite.test("whether it converges agrees in all nine; and both verdicts are among them")
def verdicts():
    equal(len(table), len(RATES) * len(BANDWIDTHS), "migrations")
    for _, _, forecast, converged, _, _, note in table:
        equal(forecast["converges"], converged, note)
    equal({converged for _, _, _, converged, _, _, _ in table}, {True, False}, "verdicts")


@suite.test("a guest that does not converge never does by epochs that are too long to tell")
def long_epochs():
    rate, bandwidth = RATES[2], BANDWIDTHS[1]
    guest = build(rate, WORKING, MEMORY)
    with Machine("source-long", guest, MEMORY) as source:
        source.ready()
        for epochs, epoch in ((4, 1), (2, 5)):
            with Track(agent, {"pid": source.pid}) as track:
                observe(track, epochs, epoch)
                forecast = forecast_of(track, bandwidth * MIB)
                true(forecast["converges"] is not True, f"epochs of {epoch} s: {forecast}")
                if forecast["converges"] is None:
                    true("collect more often" in forecast["reason"], forecast["reason"])
                    equal(forecast["bytes"], None, "bytes that are not known")
        converged, _, _ = migrate(source, guest, bandwidth * MIB, 12)
        equal(converged, False, "QEMU's migration of it")


@suite.test("a guest that rewrites 64 MiB in a loop, collected each 0.1, 1 and 5 s, with a sandbox and without: never \"converges\"")
def rewriting():
    guest = build(0, 64 * MIB // 4096, 80 * MIB)
    notes = []
    with Machine("rewriting", guest, 80 * MIB) as plain, Machine("sandboxed", guest, 80 * MIB, "-sandbox", "on") as sandboxed:
        for source in (plain, sandboxed):
            source.ready()
        for epochs, epoch in ((10, 0.1), (3, 1), (2, 5)):
            with Track(agent, {"pid": plain.pid}) as one, Track(agent, {"pid": sandboxed.pid}) as other:
                for track in (one, other):
                    track.collect()
                for _ in range(epochs):
                    time.sleep(epoch)
                    for track in (one, other):
                        track.collect()
                equal(other.member()["backend"], one.member()["backend"], "the backend of the sandboxed one")
                for track, source in ((one, plain), (other, sandboxed)):
                    forecast = forecast_of(track, LOOP_BANDWIDTH, LOOP_DOWNTIME)
                    notes.append(f"{source.name}, each {epoch} s: by {track.member()['backend']}, converges "
                                 f"{forecast['converges']}, {forecast['reason'] or forecast['downtime_seconds']}")
                    true(forecast["converges"] is not True, notes[-1])
        for source in (plain, sandboxed):
            converged, _, rounds = migrate(source, guest, LOOP_BANDWIDTH, 12, LOOP_DOWNTIME)
            equal(converged, False, f"QEMU's migration of {source.name}")
            notes.append(f"{source.name}: QEMU's migration was active after {rounds} rounds")
    return notes


@suite.test("zero pages are not reckoned with as pages to be sent")
def zero_pages():
    guest = build(500, 256, 64 * MIB, 16 * MIB)
    with Machine("zeros", guest, 64 * MIB) as source:
        source.ready()
        notes = []
        # A migration reads all of the memory: from then on what was never written is there, and zero.
        for name in ("before", "after"):
            with Track(agent, {"pid": source.pid}) as track:
                observe(track, 12)
                forecast = forecast_of(track, 32 * MIB)
            equal(forecast["converges"], True, f"{name}: {forecast}")
            converged, sent, _ = migrate(source, guest, 32 * MIB, forecast["rounds"])
            true(converged, f"{name}: QEMU's migration")
            notes.append(f"{name} a migration: {forecast['pages']} pages, of them zero {forecast['zero_pages']}; forecast "
                         f"{forecast['bytes'] / MIB:.2f} MiB, QEMU {sent / MIB:.2f} MiB")
            true(abs(forecast["bytes"] - sent) <= 0.15 * sent, notes[-1])
        return notes


@suite.test("bytes sent are within 15 %, rounds within one")
def figures():
    for _, _, forecast, converged, sent, rounds, note in table:
        true(agrees(forecast, converged, sent, rounds), note)


require_root()
with agent:
    suite.run()
