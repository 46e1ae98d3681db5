# SPDX-License-Identifier: BSD-2-Clause
"""Broken policies: each is refused with its place and its reason, by check, by a reload and by a PUT; nothing changes."""
import json
import os

from bad_policies import BAD, JSON_BAD
from harness import BINARY, Suite, equal, require_root, run, scratch, true
from rules import Ruled

suite = Suite()
GOOD = """policies:
  - name: stays
    for_each: host
    when: {metric: rates, threshold: 1e15}
    then: [log]
"""
CONFIG = "policies.allow: [limit]\n"


def bytes_of(text):
    return text if isinstance(text, bytes) else text.encode()


@suite.test("check: every broken file ends in status 2, with FILE:LINE:COLUMN and the reason")
def checked():
    directory = scratch()
    config = os.path.join(directory, "config.yaml")
    with open(config, "w", encoding="utf-8") as file:
        file.write(CONFIG)
    for name, text, place, reason in BAD:
        path = os.path.join(directory, f"{name}.yaml")
        with open(path, "wb") as file:
            file.write(bytes_of(text))
        done = run(BINARY, "check", "--config", config, path)
        equal(done.returncode, 2, f"{name}: status; {done.stdout}{done.stderr}")
        true(f"{path}:{place}: " in done.stderr and reason in done.stderr, f"{name}: {place}: {reason}: {done.stderr}")
        equal(len(done.stderr.splitlines()), 1, f"{name}: lines of {done.stderr}")
        true(len(done.stderr) < 1100, f"{name}: {len(done.stderr)} bytes")
    return f"{len(BAD)} files"


@suite.test("a running agent refuses each of them at a reload and at a PUT; what is in force stays")
def refused():
    with Ruled(GOOD, "--policies.allow", "limit") as ruled:
        before = ruled.policies()["stays"]
        for name, text, place, reason in BAD:
            path = os.path.join(ruled.directory, "zz.yaml")
            with open(path, "wb") as file:
                file.write(bytes_of(text))
            status, answer = ruled.call("POST", "/-/reload")
            equal((status, answer["error"]["code"]), (400, "invalid_policy"), f"{name}: {answer}")
            message = answer["error"]["message"]
            true(f"{path}:{place}: " in message and reason in message, f"{name}: {message}")
            equal(list(ruled.policies()), ["stays"], f"{name}: in force")
            os.unlink(path)
        for name, body, path, reason in JSON_BAD:
            answer = ruled.agent.request("PUT", "/api/v1/policies", body if isinstance(body, bytes) else json.dumps(body))
            equal(answer.status, 400, f"{name}: {answer.body[:300]!r}")
            message = answer.json()["error"]["message"]
            true(path in message and reason in message, f"{name}: {path} {reason}: {message}")
            equal(list(ruled.policies()), ["stays"], f"{name}: in force")
        after = ruled.policies()["stays"]
        equal(after["states"], before["states"], "states")
        equal(ruled.call("POST", "/-/reload")[0], 200, "a reload without them")
    return f"{len(BAD)} reloads, {len(JSON_BAD)} PUTs"


if __name__ == "__main__":
    require_root()
    suite.run()
