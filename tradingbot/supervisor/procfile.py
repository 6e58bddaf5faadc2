"""The Procfile: one line a process, `name: command`, the command as a shell would read it but run without one."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping

RELEASE = "release"
_LINE = re.compile(r"(?P<name>[a-z][a-z0-9-]*):\s+(?P<command>\S.*)")
_VARIABLE = re.compile(r"\$(?:\{(?P<braced>[A-Za-z_]\w*)(?P<default>:-)?|(?P<plain>[A-Za-z_]\w*))")

Command = tuple[str, ...]


def parse(text: str, environment: Mapping[str, str]) -> dict[str, list[Command]]:
    """Return the commands of each process in the file's order; several where the line joins them by `&&`.

    $NAME, ${NAME} and ${NAME:-default} (which may hold another variable) are taken from `environment`; a leading
    `exec` is for shells and left out. Raises ValueError with the line's number for anything else than `name: command`.
    """
    processes: dict[str, list[Command]] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        match = _LINE.fullmatch(line.rstrip())
        if not match or match["name"] in processes:
            raise ValueError(f"Procfile line {number}: write `name: command`, each name once, not {line!r}")
        try:
            words = [expand(word, environment) for word in shlex.split(match["command"])]
        except ValueError as error:
            raise ValueError(f"Procfile line {number}: {error}") from error
        processes[match["name"]] = _commands([word for word in words if word])
    return processes


def expand(word: str, environment: Mapping[str, str]) -> str:
    """Return `word` with its variables replaced. Raises ValueError for a brace that is not closed."""
    result, at = "", 0
    while match := _VARIABLE.search(word, at):
        result += word[at : match.start()]
        at = match.end()
        value = environment.get(match["braced"] or match["plain"], "")
        if match["braced"]:
            end = _closing_brace(word, at)
            value = value or expand(word[at:end], environment)
            at = end + 1
        result += value
    return result + word[at:]


def _closing_brace(word: str, start: int) -> int:
    depth = 1
    for at in range(start, len(word)):
        depth += (word[at] == "{") - (word[at] == "}")
        if not depth:
            return at
    raise ValueError(f"a brace is not closed in {word!r}")


def _commands(words: list[str]) -> list[Command]:
    commands: list[list[str]] = [[]]
    for word in words:
        if word == "&&":
            commands.append([])
        elif word != "exec" or commands[-1]:
            commands[-1].append(word)
    return [tuple(command) for command in commands if command]
