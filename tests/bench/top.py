# SPDX-License-Identifier: BSD-2-Clause
"""What the live view costs, against htop: both at 1 Hz, on the same 5,000 processes, one after the other in every round."""
import os
import shutil
import statistics
import time

from harness import BINARY, Agent, Workload, eventually, require_root, scratch
from tmux import Terminal, quoted

PROCESSES = 5000
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
SECONDS = 8


def cpu_milliseconds(pid):
    """Of all its threads; /proc/PID/stat is too coarse."""
    total = 0
    for thread in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{thread}/schedstat", encoding="ascii") as file:
            total += int(file.read().split()[0])
    return total / 1e6


def measure(directory, agent, command):
    """(its own CPU time, the agent's) in milliseconds a second; the agent's alone without a command."""
    if not command:
        begin = cpu_milliseconds(agent.pid)
        time.sleep(SECONDS)
        return 0, (cpu_milliseconds(agent.pid) - begin) / SECONDS
    pid_file = os.path.join(directory, "pid")
    with Terminal(directory, f"echo $$ > {pid_file}; exec {quoted(*command)}", 120, 40) as terminal:
        eventually("it draws", lambda: sum(map(bool, terminal.screen())) > 30, 30)
        with open(pid_file, encoding="ascii") as file:
            pid = int(file.read())
        time.sleep(2)
        begin, agents, start = cpu_milliseconds(pid), cpu_milliseconds(agent.pid), time.monotonic()
        time.sleep(SECONDS)
        seconds = time.monotonic() - start
        return (cpu_milliseconds(pid) - begin) / seconds, (cpu_milliseconds(agent.pid) - agents) / seconds


def quartiles(values, form="{:.1f}"):
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return f"{form} ({form} to {form})".format(middle, low, high)


def main():
    require_root()
    if not shutil.which("htop") or not shutil.which("tmux"):
        print("\nNo htop, or no tmux: the live view is not measured.")
        return
    directory = scratch()
    with Agent(listen=f"unix:{directory}/socket", interval=1) as agent, Workload("sleepers", 1, PROCESSES) as sleepers:
        sleepers.go()
        time.sleep(15)  # their names are read, 512 an interval
        commands = {"nothing": None, "dirtyscope top": (BINARY, "top", "-d", "1", "--url", agent.url), "htop": ("htop", "-d", "10")}
        own, agents = ({name: [] for name in commands} for _ in range(2))
        for _ in range(ROUNDS):
            for name, command in commands.items():
                mine, others = measure(directory, agent, command)
                own[name].append(mine)
                agents[name].append(others)
    print(f"\n**The live view, {PROCESSES} processes, 1 Hz, {ROUNDS} interleaved rounds; CPU milliseconds a second, median (quartiles)**\n")
    print("| view | its own | the agent's meanwhile |\n|---|---|---|")
    for name in commands:
        print(f"| {name} | {quartiles(own[name])} | {quartiles(agents[name])} |")
    ratios = [mine / other for mine, other in zip(own["dirtyscope top"], own["htop"])]
    # What it has the agent do belongs to it.
    whole = [(mine + more - less) / other for mine, more, less, other in zip(
        own["dirtyscope top"], agents["dirtyscope top"], agents["nothing"], own["htop"])]
    print(f"\nIts ratio to htop: {quartiles(ratios, '{:.3f}')}; with what it adds to the agent {quartiles(whole, '{:.3f}')}.", flush=True)


if __name__ == "__main__":
    main()
