# SPDX-License-Identifier: BSD-2-Clause
"""A real Prometheus with the shipped configuration and rules, scraping each second, and made-up targets for it."""
import atexit
import http.server
import json
import os
import re
import shutil
import socket
import subprocess
import threading
import urllib.error
import urllib.parse
import urllib.request

import yaml

import panels
from harness import WAIT, Skip, equal, eventually, scratch, true


def free_address():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{free.getsockname()[1]}"


class Server:
    """A program with an HTTP address; running at the end of `with ... as`."""

    ready_path = "/health"

    def __init__(self, program, directory):
        if not shutil.which(program):
            raise Skip(program)
        self.program, self.directory, self.child = program, directory, None
        os.makedirs(directory, exist_ok=True)
        self.address = free_address()

    def options(self):
        raise NotImplementedError

    def __enter__(self):
        self.log_path = os.path.join(self.directory, "log")
        with open(self.log_path, "ab") as log:
            self.child = subprocess.Popen([self.program, *self.options()], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        atexit.register(self.stop)
        eventually(f"{self.program} is ready", self.ready)
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        atexit.unregister(self.stop)
        if self.child.poll() is None:
            self.child.terminate()
            try:
                self.child.wait(WAIT)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait()

    def ready(self):
        if self.child.poll() is not None:
            with open(self.log_path, encoding="utf-8", errors="replace") as log:
                raise AssertionError(f"{self.program} ended: {log.read()[-2000:]}")
        try:
            with urllib.request.urlopen(f"http://{self.address}{self.ready_path}", timeout=WAIT) as answer:
                return answer.status == 200
        except OSError:
            return False

    def own(self):
        """{name and labels: number} of its own /metrics."""
        with urllib.request.urlopen(f"http://{self.address}/metrics", timeout=WAIT) as answer:
            return {name: float(value) for name, value in re.findall(r"^(\S+) (\S+)$", answer.read().decode(), re.M)}

    def ask(self, path, **parameters):
        """The data of an answer of Prometheus' API."""
        url = f"http://{self.address}/api/v1/{path}?{urllib.parse.urlencode(parameters, doseq=True)}"
        try:
            with urllib.request.urlopen(url, timeout=WAIT) as answer:
                told = json.load(answer)
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{path} {parameters}: {error.read().decode()}") from error
        equal(told["status"], "success", f"{path} {parameters}")
        return told["data"]

    def query(self, text, **parameters):
        """[(labels, number)] of now."""
        return [(one["metric"], float(one["value"][1])) for one in self.ask("query", query=text, **parameters)["result"]]

    def by(self, text, *names, **parameters):
        """{value of the label (or the values): number}"""
        result = {}
        for labels, value in self.query(text, **parameters):
            key = tuple(labels.get(name, "") for name in names)
            result[key if len(key) > 1 else key[0]] = value
        return result


class Prometheus(Server):
    """With the shipped configuration and rules; the targets are empty until set."""

    ready_path = "/-/ready"
    config_name, more = "prometheus.yml", ()

    def __init__(self, interval="1s", name="prometheus"):
        directory = os.path.join(scratch(), name)
        shutil.copytree(panels.PROMETHEUS, directory)
        super().__init__("prometheus", directory)
        self.targets_path = os.path.join(self.directory, "targets/dirtyscope.yml")
        self.set_targets({})
        # The shipped file, but for how often it looks.
        self.config = os.path.join(self.directory, self.config_name)
        with open(self.config, encoding="utf-8") as file:
            text = self.adapt(file.read())
        for key in ("scrape_interval", "evaluation_interval", "refresh_interval"):
            before = re.search(rf"{key}: (\w+)", text)
            true(before or key == "evaluation_interval", f"{self.config_name} has no {key}")
            text = text.replace(before[0], f"{key}: {interval}") if before else text
        with open(self.config, "w", encoding="utf-8") as file:
            file.write(text)

    def adapt(self, text):
        """The configuration as this test needs it."""
        return text

    def options(self):
        return [f"--config.file={self.config}", f"--web.listen-address={self.address}",
                f"--storage.tsdb.path={self.directory}/data", *self.more]

    def set_targets(self, clusters):
        """{cluster: [address, ...]}"""
        new = self.targets_path + ".new"
        with open(new, "w", encoding="utf-8") as file:
            yaml.safe_dump([{"targets": targets, "labels": {"cluster": cluster}}
                            for cluster, targets in clusters.items()], file)
        os.rename(new, self.targets_path)

    def targets(self):
        """{address: health} of the agents."""
        return {one["labels"]["instance"]: one["health"] for one in self.ask("targets")["activeTargets"]}


class MadeUp:
    """A target that serves a text, for what this host has none of."""

    def __init__(self, text):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):  # pylint: disable=invalid-name
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *_):  # pylint: disable=arguments-differ
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
