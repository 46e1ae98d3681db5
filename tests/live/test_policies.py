# SPDX-License-Identifier: BSD-2-Clause
"""Policies on this host: a process crosses a threshold, and what a policy does is there, exactly as long as it should be."""
import json
import os
import signal
import subprocess
import time

from harness import BINARY, Agent, Suite, equal, eventually, require_root, run, scratch, true, within
from rules import NAME, Receiver, Restless, Ruled, rule
from tracking import Track, Writer, chosen, pages_of, same

suite = Suite()


@suite.test("fires within two intervals after `for`, and a track appears; both end when the writer calms down")
def crosses():
    with Restless() as busy, Ruled(rule("[{track: {every: 300ms}}, log]", hold="1s", pid=busy.pid)) as ruled:
        busy.write(400)
        ruled.state_is("pending")
        pending = time.monotonic()
        ruled.state_is("firing")
        waited = time.monotonic() - pending
        within(waited, 0.8, 1.0 + 2 * ruled.agent.interval + 0.15, "seconds from pending to firing")
        tracks = eventually("a track", lambda: [
            track for track in ruled.agent.json("/api/v1/tracks")["tracks"] if track["state"] == "active"])
        equal([track["target"] for track in tracks], [{"pid": busy.pid}], "tracks")
        instance = ruled.instance()
        within(instance["value"], 2000, 40000, "value")
        true(f"{NAME} ({busy.pid}) writes" in instance["summary"], instance["summary"])
        busy.write(0)
        ruled.state_is("resolved")
        eventually("the track has ended", lambda: ruled.results().get(("track", "ended")))
        results = ruled.results()
        equal((results.get(("track", "started")), results.get(("track", "ended")), results.get(("log", "ok"))), (1, 1, 1),
              f"results {results}")
        log = ruled.agent.log()
        equal((log.count('state=firing'), log.count('state=resolved')), (1, 1), "lines in the log")
        messages = [event["message"].split(" for ")[0] for event in ruled.events("policy")]
        equal(messages, ["pending", "firing", "resolved"], "events")
        ruled.agent.settle()  # metrics come with the next snapshot
        metrics = ruled.agent.metrics()
        equal(metrics[("dirtyscope_policy_state", (("policy", "rule"), ("state", "resolved")))], 1, "metric of the state")
        equal(metrics[("dirtyscope_policy_actions_total", (("policy", "rule"), ("action", "track"), ("result", "ended")))], 1,
              "metric of the action")
        return f"fired {waited:.2f} s after it became pending (for: 1 s, interval {ruled.agent.interval} s)"


@suite.test("the pages of a policy's track are right, whoever reads them")
def pages_are_right():
    text = rule("[{track: {every: 200ms}}]", threshold=1, clear=1).replace("rates.cpu", "written.cpu")
    with Ruled(text.replace(f"comm = {NAME}", "comm = writer")) as ruled, Writer("private", 2048) as writer:
        track = eventually("a track", lambda: ruled.agent.json("/api/v1/tracks")["tracks"])[0]
        consumer = Track.__new__(Track)
        consumer.agent, consumer.id = ruled.agent, track["id"]
        consumer.collect()
        for seed in range(2, 6):
            writer.do("write", seed, 300)
            time.sleep(0.5)  # the policy ends epochs of its own meanwhile
            same(pages_of(consumer.collect(), writer), chosen(seed, 2048, 300), f"seed {seed}")
        true(track["epoch"] < consumer.call("GET", "")["epoch"], "the policy reads it, too")


@suite.test("a value that flaps causes no more actions than the cooldown allows")
def flaps():
    with Restless() as busy, Ruled(rule("[log]", cooldown="3s", pid=busy.pid), interval=0.1) as ruled:
        start, crossings = time.monotonic(), 0
        while time.monotonic() - start < 13:
            busy.write(400 if crossings % 2 == 0 else 0)
            crossings += 1
            time.sleep(0.15)
        busy.write(0)
        seconds = time.monotonic() - start
        fired = ruled.results()[("log", "ok")]
        within(fired, 3, int(seconds / 3) + 1, f"times that it fired in {seconds:.1f} s")
        return f"{crossings} changes in {seconds:.1f} s, fired {fired} times with a cooldown of 3 s"


@suite.test("a target that ends resolves its policy")
def target_ends():
    with Ruled(rule("[{track: {every: 300ms}}]")) as ruled:
        with Restless() as busy:
            busy.write(400)
            ruled.state_is("firing")
        ruled.state_is("resolved")
        true("it is gone" in ruled.events("policy")[-1]["message"], ruled.events("policy")[-1]["message"])


@suite.test("an agent that keeps tracks for policies ends at once")
def ends():
    for _ in range(3):
        with Restless() as busy, Ruled(rule("[{track: {every: 300ms}}]", pid=busy.pid)) as ruled:
            busy.write(400)
            eventually("a track", lambda: ruled.agent.json("/api/v1/tracks")["tracks"])
            equal(ruled.agent.stop(), 0, "exit status")


@suite.test("max_active holds the others back")
def at_most():
    with Restless() as one, Restless() as two, Ruled(rule("[log]", more="max_active: 1")) as ruled:
        one.write(400)
        two.write(400)
        eventually("one fires, one is held", lambda: ruled.states() == {"firing": 1, "pending": 1})
        equal({one["held"] for one in ruled.policies()["rule"]["instances"]}, {None, "max_active"}, "held")


@suite.test("a dry run does nothing, and says so")
def dry_run():
    with Restless() as busy, Ruled(rule("[track, log]", more="dry_run: true", pid=busy.pid)) as ruled:
        busy.write(400)
        ruled.state_is("firing")
        equal(ruled.results(), {("track", "dry_run"): 1, ("log", "dry_run"): 1}, "results")
        equal(ruled.agent.json("/api/v1/tracks")["tracks"], [], "tracks")


@suite.test("reload: unchanged policies keep their states, changed ones begin anew; a bad file changes nothing")
def reloads():
    with Restless() as busy, Ruled(rule("[{track: {every: 300ms}}]", pid=busy.pid)) as ruled:
        busy.write(400)
        ruled.state_is("firing")
        since = ruled.instance()["since"]
        good = rule("[{track: {every: 300ms}}]", pid=busy.pid)
        ruled.write(good + rule("[log]", name="other")[len("policies:\n"):])
        equal(ruled.call("POST", "/-/reload")[0], 200, "reload")
        equal((sorted(ruled.policies()), ruled.instance()["since"]), (["other", "rule"], since), "after a reload")
        ruled.write(good.replace("threshold", "treshold"))
        status, answer = ruled.call("POST", "/-/reload")
        equal((status, answer["error"]["code"]), (400, "invalid_policy"), "a bad file")
        true(answer["error"]["message"].startswith(f"{ruled.file}:6:") and "treshold is not known" in answer["error"]["message"],
             answer["error"]["message"])
        ruled.agent.child.send_signal(signal.SIGHUP)
        eventually("the refusal is in the log", lambda: "treshold is not known" in ruled.agent.log())
        equal((sorted(ruled.policies()), ruled.instance()["since"]), (["other", "rule"], since), "after bad ones")
        ruled.write("policies: []\n")
        ruled.agent.child.send_signal(signal.SIGHUP)
        eventually("none are left", lambda: not ruled.policies())
        eventually("its track has ended", lambda: not [
            track for track in ruled.agent.json("/api/v1/tracks")["tracks"] if track["state"] == "active"])


@suite.test("PUT: beside those of the directory, whole or not at all, and with a token only")
def put():
    posted = {"policies": [{"name": "posted", "for_each": "host", "when": {"metric": "uptime", "threshold": 0},
                            "then": ["log"]}]}
    with Ruled(rule("[log]")) as ruled:
        status, answer = ruled.call("PUT", "/api/v1/policies", posted)
        equal((status, [(one["name"], one["source"] == "api") for one in answer["policies"]]),
              (200, [("rule", False), ("posted", True)]), "answer")
        ruled.state_is("firing", "posted")
        for change, expect in (({"name": "rule"}, "another policy"), ({"then": ["exec"]}, "needs 'policies.allow: [exec]'"),
                               ({"then": [{"webhook": {"to": "http://evil/"}}]}, "configuration does not have"),
                               ({"then": [{"exec": {"run": "/bin/sh"}}]}, "policies.allow"), ({"for_each": "page"}, "for_each"),
                               ({"extra": 1}, "policies[0].extra is not known")):
            bad = {"policies": [{**posted["policies"][0], **change}]}
            status, answer = ruled.call("PUT", "/api/v1/policies", bad)
            equal((status, answer["error"]["code"]), (400, "invalid_policy"), f"{change}")
            true(expect in answer["error"]["message"], answer["error"]["message"])
        equal(sorted(ruled.policies()), ["posted", "rule"], "after bad ones")
        equal(ruled.call("POST", "/-/reload")[0], 200, "reload")
        equal(sorted(ruled.policies()), ["posted", "rule"], "posted ones stay")
        equal(ruled.call("PUT", "/api/v1/policies", {"policies": []})[0], 200, "put none")
        equal(sorted(ruled.policies()), ["rule"], "posted ones are gone")
    with Agent() as agent:
        for method, path in (("PUT", "/api/v1/policies"), ("POST", "/-/reload")):
            equal(agent.request(method, path, "{}").status, 403, f"{method} without a token")


@suite.test("exec: the program gets its arguments whole, the facts, and a user of its own; it needs to be allowed")
def executes():
    place = scratch()
    record, program = f"{place}/record", f"{place}/program"
    with open(program, "w", encoding="utf-8") as file:
        file.write(f'#!/bin/sh\n{{ id -un; for a; do echo "arg=$a"; done; env; }} >>{record}\n')
    os.chmod(program, 0o755)
    with open(record, "w", encoding="utf-8"):
        os.chmod(record, 0o666)
    with Restless() as busy, Ruled(rule("[{exec: {run: note}}]", pid=busy.pid), "--policies.allow", "exec", "--policies.exec",
                                   f"note={program} {{pid}} {{cmdline}} {{state}}") as ruled:
        busy.write(400)
        eventually("it ran", lambda: ruled.results().get(("exec", "ok")) == 1)
        with open(record, encoding="utf-8") as file:
            text = file.read()
        lines = text.splitlines()
        equal(lines[0], "nobody", "its user")
        true(f"arg={busy.pid}" in lines and "arg=firing" in lines, text)
        equal(sum(line.startswith("arg=") for line in lines), 3, "arguments: a command line with blanks is one")
        for name in ("DIRTYSCOPE_POLICY=rule", "DIRTYSCOPE_STATE=firing", f"DIRTYSCOPE_FIELD_PID={busy.pid}",
                     "DIRTYSCOPE_SEVERITY=warning"):
            true(name in lines, f"{name} in {text}")
        true("DIRTYSCOPE_URL" not in text and "HOME=" not in text, "nothing of the agent's environment")
        busy.write(0)
        eventually("it ran again", lambda: ruled.results().get(("exec", "ok")) == 2)


@suite.test("policies that cannot be: the agent does not start, and says why")
def bad_start():
    with Ruled("policies: []\n") as ruled:
        pass
    for text, options, expect in (
            (rule("[{exec: {run: note}}]"), (), "needs 'policies.allow: [exec]'"),
            (rule("[{webhook: {to: ops}}]"), (), "policies.webhook: [ops=URL]"),
            (rule("[log]"), ("--policies.exec-user", "nobody-of-that-name", "--policies.exec", "a=/bin/true"),
             "there is no user"),
            (rule("[log]").replace("2000", "x"), (), "rules.yaml:6:")):
        ruled.write(text)
        answer = run(BINARY, "agent", "--web.listen-address", "127.0.0.1:0", "--policies.directory", ruled.directory, *options)
        equal(answer.returncode, 2, f"exit status: {answer.stderr}")
        true(expect in answer.stderr, answer.stderr)


# ---- webhooks ----

def hooked(receiver, pid, then="[{webhook: {to: ops}}]", *options):
    return Ruled(rule(then, pid=pid), "--policies.webhook", f"ops={receiver}", "--policies.webhook-timeout", "1", *options,
                 interval=0.5)


@suite.test("webhook: a JSON message when it fires and when it is resolved")
def webhook():
    with Receiver() as receiver, Restless() as busy, hooked(receiver.url, busy.pid) as ruled:
        busy.write(400)
        eventually("a message", lambda: receiver.bodies)
        busy.write(0)
        eventually("a second one", lambda: len(receiver.bodies) == 2)
        first, second = receiver.bodies
        equal((first["policy"], first["state"], first["kind"], first["resolved"]), ("rule", "firing", "process", None), "first")
        equal((first["fields"]["pid"], second["state"], second["fired"]), (busy.pid, "resolved", first["fired"]), "second")
        true(second["resolved"] > second["fired"], "times")
        eventually("counted", lambda: ruled.results().get(("webhook", "delivered")) == 2)


def slow(count, body):
    time.sleep(3)
    return 200


def first_fails(count, body):
    return 500 if count < 3 else 200


@suite.test("webhook: receivers that are slow, refuse, answer 500 or hang up hold up nothing, and are tried again")
def bad_receivers():
    with Receiver(slow) as lazy, Receiver(first_fails) as shaky, Receiver(lambda *_: None) as rude, Restless() as busy:
        gone = "http://127.0.0.1:9/"  # nobody listens on the discard port
        then = "[{webhook: {to: ops}}, {webhook: {to: shaky}}, {webhook: {to: rude}}, {webhook: {to: gone}}]"
        with hooked(lazy.url, busy.pid, then, "--policies.webhook", f"shaky={shaky.url}", "--policies.webhook",
                    f"rude={rude.url}", "--policies.webhook", f"gone={gone}") as ruled:
            busy.write(400)
            ruled.state_is("firing")
            before = ruled.agent.json("/api/v1/summary")["sequence"]
            eventually("the shaky one has it", lambda: shaky.bodies)
            equal(shaky.count, 3, "attempts")
            seconds = 2
            time.sleep(seconds)
            steps = ruled.agent.json("/api/v1/summary")["sequence"] - before
            true(steps >= 0.6 * seconds / ruled.agent.interval, f"the sampler goes on: {steps} snapshots")
            true(lazy.count >= 1 and rude.count >= 1, "all were tried")
            eventually("those that never take it have failed", lambda: ruled.results().get(("webhook", "failed"), 0) >= 3)
            reasons = [event["message"] for event in ruled.events("action") if ": failed" in event["message"]]
            return reasons


@suite.test("webhook: a real Alertmanager shows the alert, and that it is resolved")
def alertmanager():
    with Ruled("policies: []\n") as place:
        pass
    with open(f"{place.directory}/am.yml", "w", encoding="utf-8") as file:
        file.write("route: {receiver: none}\nreceivers: [{name: none}]\n")
    port = 19093
    child = subprocess.Popen(["prometheus-alertmanager", f"--config.file={place.directory}/am.yml",
                              f"--storage.path={place.directory}/am", f"--web.listen-address=127.0.0.1:{port}",
                              "--cluster.listen-address="], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        def alerts():
            got = run("curl", "-s", f"http://127.0.0.1:{port}/api/v2/alerts")
            return json.loads(got.stdout) if got.stdout.startswith("[") else None
        eventually("it answers", lambda: alerts() is not None)
        with Restless() as busy, hooked(f"http://127.0.0.1:{port}/api/v2/alerts", busy.pid,
                                        "[{webhook: {repeat: 2s}}]") as ruled:
            busy.write(400)
            alert = eventually("the alert", alerts)[0]
            labels = alert["labels"]
            equal((labels["alertname"], labels["severity"], labels["kind"], alert["status"]["state"]),
                  ("rule", "warning", "process", "active"), "labels")
            true(str(busy.pid) in labels["target"] and "pages/s" in alert["annotations"]["summary"], f"{alert}")
            eventually("it is said again", lambda: ruled.results().get(("webhook", "delivered"), 0) >= 3)
            equal(len(alerts()), 1, "still one alert")
            busy.write(0)
            eventually("it is gone once resolved", lambda: alerts() == [])
    finally:
        child.terminate()
        child.wait()


if __name__ == "__main__":
    require_root()
    suite.run()
