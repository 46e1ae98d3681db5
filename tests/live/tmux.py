# SPDX-License-Identifier: BSD-2-Clause
"""A program on a terminal that tmux is, and what its screen shows."""
import os
import shlex
import shutil
import subprocess

from harness import WAIT, Skip, eventually


class Terminal:
    """A tmux server of its own with one pane that runs a shell command; killed at the end of its `with`."""
    count = 0

    def __init__(self, directory, script, width=100, height=30, env=None):
        if not shutil.which("tmux"):
            raise Skip("tmux")
        Terminal.count += 1
        self.socket = os.path.join(directory, f"tmux-{Terminal.count}")
        self.settings = self.socket + ".conf"
        with open(self.settings, "w", encoding="ascii") as file:
            file.write("set -g status off\nset -g remain-on-exit on\nset -s escape-time 0\n")
        environment = {name: value for name, value in os.environ.items()
                       if name not in ("TMUX", "NO_COLOR", "DIRTYSCOPE_URL")} | (env or {})
        self.tmux("new-session", "-d", "-x", str(width), "-y", str(height), script, env=environment)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.tmux("kill-server", check=False)

    def tmux(self, *arguments, check=True, env=None, text=""):
        return subprocess.run(["tmux", "-u", "-f", self.settings, "-S", self.socket, *arguments], check=check, timeout=WAIT,
                              input=text, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8", env=env).stdout

    def press(self, *keys):
        """Keys by tmux's names: "F1", "Enter", "a"."""
        self.tmux("send-keys", *keys)

    def type(self, text):
        # Not as an argument: a filter would find it there.
        self.tmux("load-buffer", "-", text=text)
        self.tmux("paste-buffer")

    def screen(self, escapes=False):
        """Its lines, without the blanks at their ends."""
        text = self.tmux("capture-pane", "-p", *(["-e"] if escapes else []))
        return [line.rstrip() for line in text.split("\n")][:-1]

    def ask(self, form):
        """Of tmux: "#{pane_width}"."""
        return self.tmux("display-message", "-p", form).strip()

    def resize(self, width, height):
        self.tmux("resize-window", "-x", str(width), "-y", str(height))

    def sees(self, what, condition, seconds=WAIT):
        """condition(lines), once it is true; else the screen is in the message."""
        try:
            return eventually(what, lambda: condition(self.screen()), seconds)
        except AssertionError as error:
            raise AssertionError("\n".join([str(error), *self.screen()])) from None


def quoted(*words):
    return " ".join(shlex.quote(word) for word in words)
