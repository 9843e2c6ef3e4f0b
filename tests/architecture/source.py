"""Reading the tree: which files belong to it, and their text without comments and literals."""

import functools
import os
import pathlib
import re
import subprocess
import unittest

ROOT = pathlib.Path(os.environ.get("CHRONIK_SOURCE", pathlib.Path(__file__).resolve().parents[2]))
BUILD = pathlib.Path(os.environ.get("CHRONIK_BUILD", ROOT / "build" / "architecture"))


class Rules(unittest.TestCase):
    def assert_none(self, found):
        """Fails with one line for each violation."""
        if found:
            self.fail(f"{len(found)} found\n  " + "\n  ".join(found))


_COMMENT_OR_LITERAL = re.compile(
    r"""//[^\n]*
      | /\*.*?\*/
      | R"(?P<delimiter>[^()\\\s]*)\(.*?\)(?P=delimiter)"
      | "(?:\\.|[^"\\\n])*"
      | (?<![0-9A-Za-z_])'(?:\\.|[^'\\\n])+'
    """, re.S | re.X)


@functools.lru_cache(maxsize=1)
def tracked():
    """Paths of all files of the project: tracked, or new and not ignored."""
    command = ["git", "ls-files", "-co", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    names = listed.stdout.decode().split("\0")
    return sorted({name for name in names if name and (ROOT / name).is_file()})


def changed():
    """Paths of the files that differ from where this work began: the upstream branch, or main; else the last commit."""
    def git(*arguments):
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True)
        return [line for line in done.stdout.split("\n") if line] if done.returncode == 0 else []

    head, base = git("rev-parse", "HEAD"), ["HEAD~1"]
    for other in ("@{upstream}", "origin/main", "main"):
        found = git("merge-base", "HEAD", other)
        if found and found != head:
            base = found
            break
    names = set(git("diff", "--name-only", base[0]) + git("ls-files", "-o", "--exclude-standard"))
    return sorted(names & set(tracked()))


def read(suffixes, folders=("",)):
    """{path: text} of the project's files with these suffixes below these folders."""
    return {name: (ROOT / name).read_text(encoding="utf-8", errors="replace")
            for name in tracked() if name.endswith(suffixes) and name.startswith(folders)}


def _blank(match):
    text = match.group(0)
    if text.startswith("/"):
        return re.sub(r"[^\n]", " ", text)
    return '"' + re.sub(r"[^\n]", " ", text[1:-1]) + '"'


def code(text):
    """The text with comments and literals blanked out; every line and column stays where it is."""
    return _COMMENT_OR_LITERAL.sub(_blank, text)


_INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"\n]+)[>"]', re.M)


def includes(text):
    """[(line, quoted, path)] of every include."""
    return [(line_of(text, m.start(1)), m.group(1) == '"', m.group(2)) for m in _INCLUDE.finditer(text)]


def line_of(text, position):
    return text.count("\n", 0, position) + 1


def closing(text, position, opening="(", end=")"):
    """Where the bracket that opens at `position` is closed; -1 if nowhere."""
    depth = 0
    for match in re.compile(f"[{re.escape(opening + end)}]").finditer(text, position):
        depth += 1 if match.group(0) == opening else -1
        if depth == 0:
            return match.start()
    return -1


_STRUCTURE = re.compile(r"[;{}]")
_DIRECTIVE = re.compile(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", re.M)
_ATTRIBUTE = re.compile(r"\b(?:public|protected|private)\s*:(?!:)|\[\[.*?\]\]|\balignas\s*\([^()]*\)"
                        r"|__attribute__\s*\(\(.*?\)\)", re.S)
_NAMESPACE = re.compile(r"(?:^|\s)namespace\s*([\w:]*)$|(?:^|\s)extern\s*\"\s*\"$")
_TYPE = re.compile(r"(?:^|[\s;])(?:class|struct|union|enum(?:\s+class)?)\s+(\w+)\b[^()=]*$")
_INITIALISER_LIST = re.compile(r"\)\s*(?:noexcept\s*)?:(?!:).*[\w>]$", re.S)
_CALLED = re.compile(r"([A-Z_]{4,}\([\w, ]*\)|[\w:~]+(?=\s*\()|operator\s*\S+?(?=\())")
_VARIABLE = re.compile(r"(\w+)\s*(?:\[[^\]]*\]\s*)*(?:=|\{|$)")


def declarations(text):
    """[(kind, name, head, first line, lines, scopes)] of what C++ text declares outside functions.

    kind is "function", "type", "variable" or "statement"; scopes are the namespaces and types around it, outermost
    first, "" for a namespace without a name. Only definitions are functions and types.
    """
    blank = lambda m: re.sub(r"[^\n]", " ", m.group(0))
    text = _ATTRIBUTE.sub(blank, _DIRECTIVE.sub(blank, code(text)))
    found, scopes, position, start = [], [], 0, 0

    def note(kind, name, end):
        head = text[start:position]
        first = line_of(text, position - len(head.lstrip()))
        found.append((kind, name, head.strip(), first, line_of(text, end) - first + 1, tuple(scopes)))

    while (match := _STRUCTURE.search(text, position)) is not None:
        position = match.start()
        head = text[start:position].strip()
        if text[position] == ";" and head.count("(") == head.count(")"):
            variable = None if "(" in head.split("=")[0] else _VARIABLE.search(head)
            note("variable" if variable else "statement", variable.group(1) if variable else "", position)
            start = position + 1
        elif text[position] == "}":
            scopes = scopes[:-1]
            start = position + 1
        elif text[position] == "{":
            end = closing(text, position, "{", "}")
            if end < 0:
                break
            namespace, type_name = _NAMESPACE.search(head), _TYPE.search(head)
            if namespace:
                scopes = scopes + [namespace.group(1) or ""]
            elif type_name:
                note("type", type_name.group(1), end)
                scopes = scopes + [type_name.group(1)]
            elif head.count("(") > head.count(")") or "=" in re.sub(r"operator\s*\S+|\([^()]*\)", "", head) \
                    or _INITIALISER_LIST.search(head) or not _CALLED.search(head):
                position = end + 1  # an initialiser: the declaration goes on
                continue
            else:
                note("function", _CALLED.search(head).group(1), end)
                position = end
            start = position + 1
        position += 1
    return found


def functions(text):
    """[(name, line, lines)] of the function bodies in C++ text."""
    return [(name, line, lines) for kind, name, _, line, lines, _ in declarations(text) if kind == "function"]
