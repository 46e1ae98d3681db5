# SPDX-License-Identifier: BSD-2-Clause
"""The manuals: every README.md and the style guide, their sections, examples, links and tables."""
import os
import re
from collections import namedtuple

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
MAIN = "README.md"
STYLE = ".github/CONTRIBUTING.md"
SKIPPED = {".git", "build", "node_modules"}

# A fenced block: the manual, the example that it belongs to (None: to none), the language, the text without the fences.
Block = namedtuple("Block", "manual example language text")


def paths():
    """Of all manuals, below the root, sorted."""
    found = [STYLE]
    for base, folders, files in os.walk(ROOT):
        folders[:] = [name for name in folders if name not in SKIPPED]
        if "README.md" in files:
            found.append(os.path.relpath(os.path.join(base, "README.md"), ROOT))
    return sorted(found)


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return file.read()


def texts():
    """{path: text}"""
    return {path: read(path) for path in paths()}


def section(name):
    """What stands between <!-- name --> and <!-- end name -->, in whichever manual it is; None: in none."""
    for text in texts().values():
        match = re.search(f"<!-- {re.escape(name)} -->\n(.*?)<!-- end {re.escape(name)} -->", text, re.S)
        if match:
            return match.group(1)
    return None


def fill(name, content):
    """Replaces that."""
    begin, end = f"<!-- {name} -->", f"<!-- end {name} -->"
    for path, text in texts().items():
        if begin in text and end in text:
            pattern = re.escape(begin) + ".*?" + re.escape(end)
            text = re.sub(pattern, lambda _: f"{begin}\n{content.rstrip()}\n{end}", text, flags=re.S)
            with open(os.path.join(ROOT, path), "w", encoding="utf-8") as file:
                file.write(text)
            return
    raise SystemExit(f"no manual has a section {name}")


def blocks():
    """Every fenced block of every manual. One in a list is indented, and its indentation is taken off."""
    found = []
    for path, text in texts().items():
        example, fence, lines = None, None, []
        for line in text.split("\n"):
            mark = re.match(r"( *)```(\w*)$", line)
            if fence is not None:
                if mark and mark[1] == fence[0] and not mark[2]:
                    found.append(Block(path, example, fence[1], "".join(lines)))
                    example = fence = None
                else:
                    lines.append(line.removeprefix(fence[0]) + "\n")
            elif mark:
                fence, lines = (mark[1], mark[2]), []
            elif match := re.match(r" *<!-- (end )?example: ([^>]+?) -->$", line):
                example = None if match[1] else match[2]
    return found


def prose(text):
    """A manual without its fenced blocks and its comments."""
    return re.sub(r"^<!--.*?-->$", "", re.sub(r"^( *)```\w*\n.*?^\1```$", "", text, flags=re.M | re.S), flags=re.M)


def code(text):
    """What stands in single backticks, outside of fenced blocks."""
    return re.findall(r"(?<!`)`([^`\n]+)`(?!`)", prose(text))


def anchors(text):
    """Of its headings, as the forges that show Markdown make them."""
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
            for heading in re.findall(r"^#+ (.+)$", prose(text), re.M)}


def links(text):
    """Those that do not lead out of the tree: (path or "", anchor or "")."""
    found = re.findall(r"\]\(([^)\s]+)\)", prose(text))
    return [tuple((link + "#").split("#")[:2]) for link in found if "://" not in link]


def rows(text, heading):
    """First cells of the table under a heading, the code in them: [["a", "b"], ...]"""
    part = re.search(rf"^#+ {re.escape(heading)}$(.*?)(?=^#+ |\Z)", text, re.M | re.S)
    return [re.findall(r"`([^`]+)`", line.split(" | ")[0]) for line in (part[1].split("\n") if part else [])
            if line.startswith("| `")]
