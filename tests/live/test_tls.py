# SPDX-License-Identifier: BSD-2-Clause
"""TLS on the agent's TCP addresses, and clients that verify it."""
import http.client
import json
import os
import shutil
import socket
import ssl
import time
import warnings

from harness import BINARY, WAIT, Agent, Suite, UnixConnection, equal, eventually, require_root, run, scratch, true, within

DEADLINE = 3
warnings.simplefilter("ignore", DeprecationWarning)  # old versions of TLS are asked for to be refused
suite = Suite()
directory = scratch()


def at(name):
    return os.path.join(directory, name)


def openssl(*words):
    done = run("openssl", *words)
    equal(done.returncode, 0, f"openssl {' '.join(words)}: {done.stderr}")


def certificate(name, days="30", passphrase=()):
    """A key, and its certificate by our own CA, for 127.0.0.1 and localhost."""
    with open(at("extensions"), "w", encoding="utf-8") as file:
        file.write("subjectAltName=IP:127.0.0.1,DNS:localhost\n")
    openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", *(passphrase or ["-nodes"]), "-subj", f"/CN={name}",
            "-keyout", at(f"{name}.key"), "-out", at(f"{name}.csr"))
    openssl("x509", "-req", "-in", at(f"{name}.csr"), "-CA", at("ca.pem"), "-CAkey", at("ca.key"), "-CAcreateserial",
            "-days", days, "-extfile", at("extensions"), "-out", at(f"{name}.pem"))


def make_certificates():
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=test CA", "-days", "30",
            "-keyout", at("ca.key"), "-out", at("ca.pem"))
    certificate("server")
    certificate("other")
    certificate("locked", passphrase=("-passout", "pass:secret"))


def trusting(ca=True):
    return ssl.create_default_context(cafile=at("ca.pem") if ca else None)


class SecureAgent(Agent):
    def context(self):
        return trusting()

    def connection(self, timeout=WAIT):
        return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=timeout, context=self.context())


class ExpiredAgent(SecureAgent):
    def context(self):
        context = trusting()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context


agent = SecureAgent("--web.tls-cert-file", at("server.pem"), "--web.tls-key-file", at("server.key"),
                    "--web.listen-address", f"unix:{at('socket')}", "--web.deadline", str(DEADLINE), interval=0.5)


@suite.test("https, verified; a Unix socket beside it stays plain; TLS 1.2 and 1.3 only")
def verified():
    true(agent.url.startswith("https://127.0.0.1:"), agent.url)
    equal(agent.get("/-/healthy").status, 200, "/-/healthy")
    true(agent.json("/api/v1/summary")["sequence"] > 0, "a summary")
    equal(len(agent.get("/metrics").body) > 1000, True, "the metrics are whole")
    local = UnixConnection(at("socket"), WAIT)
    local.request("GET", "/-/ready")
    equal(local.getresponse().status, 200, "ready, over the Unix socket")
    local.close()
    true(f"address=unix:{at('socket')}" in agent.log(), "its address has no scheme")
    versions = []
    for version in (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        context = trusting()
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = version
        if version is ssl.TLSVersion.TLSv1_3:
            context.minimum_version = version
        try:
            with socket.create_connection(("127.0.0.1", agent.port), WAIT) as plain:
                with context.wrap_socket(plain, server_hostname="localhost") as secure:
                    versions.append(secure.version())
        except (ssl.SSLError, ConnectionError):
            versions.append(None)
    equal(versions, [None, None, "TLSv1.2", "TLSv1.3"], "versions, asked for one after the other")
    try:
        with socket.create_connection(("127.0.0.1", agent.port), WAIT) as plain:
            trusting(False).wrap_socket(plain, server_hostname="localhost")
        raise AssertionError("trusted without the CA")
    except ssl.SSLCertVerificationError:
        pass


def cli(*words, status=0, **environment):
    clean = {name: value for name, value in os.environ.items() if not name.startswith("DIRTYSCOPE_")}
    done = run(BINARY, *words, env={**clean, "LC_ALL": "C.UTF-8", **environment})
    equal(done.returncode, status, f"{words}: {done.stdout[-200:]}{done.stderr}")
    return done.stderr if status else done.stdout


@suite.test("commands: --ca-file and DIRTYSCOPE_CA_FILE; without them, refused with a sentence")
def commands():
    ca = at("ca.pem")
    for words in (("processes", "-l", "1"), ("tracks",), ("track", "list"), ("top", "-b", "-n", "1")):
        true(cli(*words, "--url", agent.url, "--ca-file", ca), f"output of {words}")
        true(cli(*words, DIRTYSCOPE_URL=agent.url, DIRTYSCOPE_CA_FILE=ca), f"output of {words}")
        message = cli(*words, "--url", agent.url, status=1)
        true("cannot trust the agent at https://" in message and "--ca-file" in message and message.count("\n") == 1, message)
    # The option comes before the environment, and what it names is all that is trusted.
    message = cli("processes", "--url", agent.url, "--ca-file", at("other.pem"), status=1, DIRTYSCOPE_CA_FILE=ca)
    true("cannot trust" in message and "--ca-file" not in message, message)
    message = cli("processes", "--url", agent.url, "--ca-file", at("none"), status=1)
    true("cannot read the CA file" in message and at("none") in message, message)
    message = cli("processes", "--url", agent.url, "--ca-file", at("server.key"), status=1)
    true("holds no certificate" in message, message)
    message = cli("processes", "--url", agent.url.replace("https", "http"), status=1)
    true("cannot talk to the agent" in message, message)
    message = cli("processes", "--url", agent.url.replace("127.0.0.1", "127.0.0.2"), "--ca-file", ca, status=1)
    true("cannot reach" in message, message)


@suite.test("plain HTTP to the TLS port: no answer, no harm")
def plain():
    for data in (b"GET /-/healthy HTTP/1.1\r\nHost: localhost\r\n\r\n", b"\0" * 4096, b"\x16\x03\x01\xff\xff" + b"a" * 70000):
        with socket.create_connection(("127.0.0.1", agent.port), WAIT) as client:
            got = b""
            try:
                client.sendall(data)
                while part := client.recv(4096):
                    got += part
            except ConnectionError:
                pass
            true(b"HTTP/" not in got and b"healthy" not in got, f"answered {got!r}")
    equal(agent.get("/-/healthy").status, 200, "/-/healthy")


@suite.test("a slow handshake is cut at the deadline, whatever it sends, and holds up nobody; no descriptor leaks")
def slow():
    before = agent.descriptors()
    silent = [socket.create_connection(("127.0.0.1", agent.port)) for _ in range(30)]
    trickle = socket.create_connection(("127.0.0.1", agent.port))
    hello = ssl.MemoryBIO()
    try:
        trusting().wrap_bio(ssl.MemoryBIO(), hello, server_hostname="localhost").do_handshake()
    except ssl.SSLWantReadError:
        pass
    hello = hello.read()
    begin, worst = time.monotonic(), 0.0
    for number in range(len(hello) - 1):
        trickle.settimeout(0.1)
        try:
            trickle.send(hello[number:number + 1])
            if not trickle.recv(1):
                break
        except TimeoutError:
            pass
        except OSError:
            break
        if number % 5 == 0:
            asked = time.monotonic()
            equal(agent.get("/-/healthy").status, 200, "/-/healthy")
            worst = max(worst, time.monotonic() - asked)
    within(time.monotonic() - begin, DEADLINE - 0.5, DEADLINE + 1.5, "seconds until the trickle is cut")
    for client in silent:
        client.settimeout(WAIT)
        try:
            equal(client.recv(1), b"", "cut")
        except ConnectionError:
            pass
        client.close()
    trickle.close()
    within(worst, 0, 1, "seconds that /-/healthy took at worst")
    eventually("no descriptor is left", lambda: agent.descriptors() <= before)
    return f"/-/healthy over TLS {worst * 1000:.0f} ms at worst"


@suite.test("/api/v1/stream over TLS: snapshots, two at once, one that reads nothing")
def stream():
    before = agent.descriptors()
    deaf = agent.connection()
    deaf.connect()
    deaf.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    deaf.request("GET", "/api/v1/stream")
    readers = [agent.connection() for _ in range(2)]
    answers = []
    for reader in readers:
        reader.request("GET", "/api/v1/stream?after=0")
        answers.append(reader.getresponse())
    seen = [[], []]
    for _ in range(6):
        for number, answer in enumerate(answers):
            while answer.readline() != b"event: snapshot\n":
                pass
            seen[number].append(json.loads(answer.readline()[len("data: "):])["sequence"])
    for numbers in seen:
        equal(numbers, list(range(numbers[0], numbers[0] + 6)), "sequences")
    for connection in (*readers, deaf):
        connection.close()
    for answer in answers:
        answer.close()
    eventually("no descriptor is left", lambda: agent.descriptors() <= before)


def refused(cert, key, status=1, of_key=False):
    words = [*(["--web.tls-cert-file", cert] if cert else []), *(["--web.tls-key-file", key] if key else [])]
    done = run(BINARY, "agent", "--web.listen-address", "127.0.0.1:0", *words)
    equal(done.returncode, status, f"{words}: {done.stderr}")
    message = done.stderr
    true(message.count("\n") == 1, f"one line: {message!r}")
    true(f"--web.tls-{'key' if of_key else 'cert'}-file" in message, message)
    return message.strip()


@suite.test("files that are missing, unreadable, none or not of each other: refused, the option named; expired is fine")
def files():
    cert, key = at("server.pem"), at("server.key")
    with open(at("nul"), "wb") as file:
        file.write(b"a\0b")
    notes = [
        refused(cert, None, 2), refused(None, key, 2, True),
        refused(at("none"), key), refused(cert, at("none"), of_key=True),
        refused(directory, key), refused(cert, directory, of_key=True),
        refused(at("nul"), key), refused("/dev/null", key), refused(cert, "/dev/null", of_key=True),
        refused(key, key), refused(cert, cert, of_key=True),
        refused(cert, at("other.key"), of_key=True), refused(cert, at("locked.key"), of_key=True),
    ]
    true("not the key of the certificate" in notes[-2], notes[-2])
    true("passphrase" in notes[-1], notes[-1])
    certificate("expired", "-1")
    with ExpiredAgent("--web.tls-cert-file", at("expired.pem"), "--web.tls-key-file", at("expired.key")) as old:
        message = cli("processes", "--url", old.url, "--ca-file", at("ca.pem"), status=1)
        true("expired" in message, message)
    return [note.replace(directory, "DIR") for note in notes]


require_root()
if not shutil.which("openssl"):
    print("1..1\nok 1 - all # SKIP openssl")
    raise SystemExit(0)
make_certificates()
with agent:
    suite.run()
