# SPDX-License-Identifier: BSD-2-Clause
"""Fetches kernels and QEMU from Debian's suites into a cache outside the tree; installs nothing.

The mirror is the one that this machine's apt uses. What was fetched stays; a newer version of a
series replaces it. Without a mirror the cached version serves.
"""
import fcntl
import glob
import os
import re
import shutil
import subprocess
import time

import matrix

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
FRESH = 24 * 3600  # seconds for which a suite's list, or a failure to get it, is good
TRIES = 4


class Unavailable(Exception):
    """Says what cannot be had, and why."""


def cache():
    default = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "dirtyscope", "vm")
    path = os.path.abspath(os.environ.get("DIRTYSCOPE_VM_CACHE") or default)
    os.makedirs(path, exist_ok=True)
    return path


class Lock:
    """Two runs must not unpack the same thing at once."""

    def __init__(self, name):
        self.path = os.path.join(cache(), name + ".lock")

    def __enter__(self):
        self.file = open(self.path, "w", encoding="ascii")
        fcntl.flock(self.file, fcntl.LOCK_EX)

    def __exit__(self, *_):
        self.file.close()


def command(*words, **options):
    done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, errors="replace", check=False, **options)
    if done.returncode:
        raise Unavailable(f"{words[0]}: {' '.join(done.stdout.split()[-60:]) or done.returncode}")
    return done.stdout


def mirror():
    """Where this machine's apt has its main archive from."""
    for line in command("apt-get", "indextargets", "--format", "$(SITE) $(RELEASE)",
                        "Created-By: Packages").splitlines():
        site, _, release = line.partition(" ")
        if re.fullmatch("[a-z]+", release):
            return site
    raise Unavailable("apt has no source with packages: /etc/apt/sources.list.d")


class Suite:
    """One suite of Debian, with lists of its own, beside the machine's."""

    def __init__(self, name):
        self.name = name
        self.path = os.path.join(cache(), "suites", name)
        self.options = ["-o", f"Dir::Etc::sourcelist={self.path}/sources.list", "-o", "Dir::Etc::sourceparts=/dev/null",
                        "-o", f"Dir::State::Lists={self.path}/lists", "-o", f"Dir::Cache={self.path}/cache",
                        "-o", "Acquire::Languages=none", "-o", "Acquire::Retries=3", "-o", "APT::Default-Release=",
                        "-o", "Acquire::http::Timeout=60"]
        if os.geteuid() == 0:  # apt's own user may not look into the cache
            self.options += ["-o", "APT::Sandbox::User=root"]

    def update(self):
        stamp = os.path.join(self.path, "updated")
        if os.path.exists(stamp) and time.time() - os.path.getmtime(stamp) < FRESH:
            return
        for directory in ("lists/partial", "cache/archives/partial"):
            os.makedirs(os.path.join(self.path, directory), exist_ok=True)
        with open(os.path.join(self.path, "sources.list"), "w", encoding="ascii") as file:
            file.write(f"deb [arch=amd64 signed-by={KEYRING}] {mirror()} {self.name} main\n")
        persist(lambda: command("apt-get", *self.options, "--error-on=any", "update"))
        with open(stamp, "w", encoding="ascii"):
            pass

    def newest(self, pattern):
        """(package, version of Debian) of the newest kernel whose name matches, or None."""
        names = [name for name in command("apt-cache", *self.options, "pkgnames", "linux-").split()
                 if re.fullmatch(pattern, name)]
        names.sort(key=lambda name: [int(number) for number in re.findall(r"\d+", name)])
        return names[-1] if names else None

    def version(self, package):
        """Of that package in this suite, not the one that is installed."""
        for line in command("apt-cache", *self.options, "madison", package).splitlines():
            fields = [field.strip() for field in line.split("|")]
            if len(fields) == 3 and fields[2].split()[1].split("/")[0] == self.name:
                return fields[1]
        raise Unavailable(f"{self.name} has no {package}")

    def unpack(self, packages, target):
        """Downloads those packages (name, version) and unpacks them; the target appears whole or not at all."""
        part = target + ".part"
        shutil.rmtree(part, ignore_errors=True)
        os.makedirs(os.path.join(part, "debs"))
        for name, version in packages:
            persist(lambda name=name, version=version: command("apt-get", *self.options, "download", f"{name}={version}",
                                                               cwd=os.path.join(part, "debs")))
        for deb in glob.glob(os.path.join(part, "debs", "*.deb")):
            command("dpkg-deb", "-x", deb, part)
        shutil.rmtree(os.path.join(part, "debs"))
        os.rename(part, target)


def persist(action):
    """A mirror may be busy: again, later each time."""
    for attempt in range(TRIES):
        try:
            return action()
        except Unavailable:
            if attempt == TRIES - 1:
                raise
            time.sleep(5 * 3 ** attempt)


def newest_kernel(row):
    """(suite, packages with versions) of the newest kernel of that series."""
    problems = []
    for name in row.suites:
        suite = Suite(name)
        try:
            suite.update()
            first = suite.newest(row.packages[0])
            if not first:
                raise Unavailable(f"{name} has no {row.packages[0]}")
            version = re.fullmatch(row.packages[0], first).group(1)
            names = [first] + [package.replace("VERSION", version) for package in row.packages[1:]]
            return suite, [(package, suite.version(package)) for package in names]
        except Unavailable as error:
            problems.append(str(error))
    raise Unavailable("; ".join(problems))


def only(directory, keep=None):
    """The names of what is complete in there; all but `keep` is taken away when that is given."""
    os.makedirs(directory, exist_ok=True)
    names = sorted(name for name in os.listdir(directory) if not name.endswith(".part"))
    for name in names if keep else []:
        if name != keep:
            shutil.rmtree(os.path.join(directory, name), ignore_errors=True)
    return [keep] if keep else names


def have(directory, find):
    """The path of what `find` says is the newest, fetched when it is not here yet."""
    try:
        suite, packages = find()
        version = packages[0][1].replace(":", "_")
        target = os.path.join(directory, version)
        if not os.path.isdir(target):
            os.makedirs(directory, exist_ok=True)
            suite.unpack(packages, target)
        only(directory, keep=version)
        return target
    except Unavailable:
        if not only(directory):
            raise
        return os.path.join(directory, only(directory)[-1])  # old, but of that series


def kernel(row):
    """The directory with that series' newest kernel: /boot or /usr/lib/modules as in its packages."""
    with Lock(f"kernel-{row.series}"):
        return have(os.path.join(cache(), "kernels", row.series), lambda: newest_kernel(row))


def newest_qemu():
    problems = []
    for name in matrix.QEMU_SUITES:
        suite = Suite(name)
        try:
            suite.update()
            return suite, [(package, suite.version(package)) for package in matrix.QEMU_PACKAGES]
        except Unavailable as error:
            problems.append(str(error))
    raise Unavailable("; ".join(problems))


def qemu():
    """The first words of a QEMU command: this machine's own where it is new enough."""
    try:
        if int(re.search(r"version (\d+)", command("qemu-system-x86_64", "--version")).group(1)) >= 10:
            return ["qemu-system-x86_64"], {}
    except (Unavailable, OSError):
        pass
    with Lock("qemu"):
        root = have(os.path.join(cache(), "qemu"), newest_qemu)
    return ([f"{root}/usr/bin/qemu-system-x86_64", "-L", f"{root}/usr/share/qemu", "-L", f"{root}/usr/share/seabios"],
            {"QEMU_MODULE_DIR": os.path.join(root, "usr/lib/x86_64-linux-gnu/qemu")})
