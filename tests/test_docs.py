"""The pages say what the code says: links, files, names, environment variables, codes, alerts, schedule."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

import strategies
from risk.gate import Code
from strategies.parameters import dump
from tradingbot.operations.strategies import _SWITCHES as SWITCHES
from tradingbot.schedule import ENTRIES

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
SOURCES = sorted((ROOT / "tradingbot").rglob("*.py"))
RUNBOOK = (ROOT / "docs/runbook.md").read_text()
ARCHITECTURE = (ROOT / "docs/architecture.md").read_text()
OF_THE_PLATFORM = {"PORT", "RAILWAY_ENVIRONMENT", "DYNO", "FLY_APP_NAME", "ENV_FILE"}  # not set in .env
NOT_OF_THE_FILE = ("Set by others", "Compose", "Make")  # sections of the reference whose names are not in .env.example

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


# --- links and names


def slugs(page: Path) -> set[str]:
    """Return the anchors of a page's headings as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@every_page
def test_every_relative_link_leads_somewhere(page: Path):
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if target.startswith(("http://", "https://")):
            continue
        file, _, anchor = target.partition("#")
        linked = page.parent / file if file else page
        assert linked.exists(), f"{target} of {page.name} is not there"
        assert not anchor or anchor in slugs(linked), f"{target} of {page.name} has no such heading"


@every_page
def test_every_test_that_is_named_is_there(page: Path):
    for name in re.findall(r"`(tests/[\w/]+\.py)`", page.read_text()):
        assert (ROOT / name).is_file(), f"{page.name} names {name}"


def test_the_readme_names_a_test_for_each_promise():
    table = (ROOT / "README.md").read_text().partition("## Promises")[2].partition("\n## ")[0]
    rows = [line for line in table.splitlines() if line.startswith("|")][2:]
    assert len(rows) >= 6
    assert [row for row in rows if "`tests/" not in row] == []


@every_page
def test_every_function_that_is_named_can_be_imported(page: Path):
    named = r"`((?:market|risk|strategies|brokers|operations|tradingbot|tests)(?:\.\w+)+)(?:\(\))?`"
    for name in re.findall(named, page.read_text()):
        if name.endswith((".py", ".md")):
            continue
        path = f"tradingbot.{name}" if name.startswith("operations.") else name
        assert exists(path), f"{page.name} names {name}"


def exists(path: str) -> bool:
    """Return whether a dotted name is a module, or an attribute of one."""
    module, _, rest = path.partition(".")
    found = import_module(module)
    for name in rest.split("."):
        module = f"{module}.{name}"
        if not hasattr(found, name):
            try:
                import_module(module)
            except ModuleNotFoundError:
                return False
        found = getattr(found, name)
    return True


@every_page
def test_every_command_that_is_named_is_there(page: Path):
    django = {"help", "migrate"}
    for name in re.findall(r"manage\.py ([a-z_]+)", page.read_text()):
        there = (ROOT / f"tradingbot/management/commands/{name}.py").is_file()
        assert there or name in django, f"{page.name} names the command {name}"


# --- environment


def read_by_settings() -> set[str]:
    """Return the names that settings.py asks for: env("X"), _number("X"), _secret("X")."""
    tree = ast.parse((ROOT / "tradingbot/settings.py").read_text())
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and node.args]
    asking = r"env(\.\w+)?|_secret|_number|_switch|_choice|_text|_list|_venue"
    asked = [call for call in calls if re.fullmatch(asking, ast.unparse(call.func))]
    return {call.args[0].value for call in asked if isinstance(call.args[0], ast.Constant)}


def read_by_us() -> set[str]:
    """Return every variable that a user may set, whoever reads it."""
    elsewhere = "\n".join(file.read_text() for file in SOURCES)
    direct = set(re.findall(r"environ(?:\.get\(|\[)\s*\"([A-Z][A-Z0-9_]+)\"", elsewhere)) - {"PATH"}
    lines = set(re.findall(r"\$\{?([A-Z][A-Z0-9_]+)", (ROOT / "Procfile").read_text()))
    return read_by_settings() | direct | lines | set(strategies.ENVIRONMENT) | set(SWITCHES)


def reference() -> dict[str, dict[str, str]]:
    """Return name and default of the variables in docs/environment.md by section."""
    sections: dict[str, dict[str, str]] = {}
    for part in re.split(r"^## ", (ROOT / "docs/environment.md").read_text(), flags=re.MULTILINE)[1:]:
        rows = [line.split("|") for line in part.splitlines() if line.startswith("| `")]
        sections[part.splitlines()[0]] = {
            name: row[3].strip() for row in rows for name in re.findall(r"`([A-Z][A-Z0-9_]+)`", row[1])
        }
    return sections


def example() -> dict[str, str]:
    """Return name and value of the lines in .env.example, commented ones too."""
    text = (ROOT / ".env.example").read_text()
    return dict(re.findall(r"^#?([A-Z][A-Z0-9_]+)=(.*)$", text, re.MULTILINE))


def documented() -> dict[str, str]:
    """Return name and default of the variables that belong into .env."""
    pages = reference().items()
    return {name: default for title, rows in pages if title not in NOT_OF_THE_FILE for name, default in rows.items()}


def test_every_variable_that_is_read_is_documented():
    everywhere = {name for rows in reference().values() for name in rows}
    assert read_by_us() - everywhere == set()


def test_every_documented_variable_is_read():
    assert documented().keys() - read_by_us() == set()


def test_the_example_file_has_the_variables_that_are_read_and_no_others():
    assert example().keys() ^ (read_by_us() - OF_THE_PLATFORM) == set()


def test_the_example_file_shows_the_documented_defaults():
    samples = {"VENUE_REPLAY", "TRADINGBOT_CLOCK", "DISCORD_NOTIFICATIONS_ENABLED"}  # shown with an example
    words = {"true": "yes", "false": "no", "": "–"}
    shown = {name: words.get(value, f"`{value}`") for name, value in example().items() if name not in samples}
    empty = {"VAR_DIR"}  # empty means the default
    told = {name: "–" if name in empty else default for name, default in documented().items() if name in shown}
    assert shown == told


def test_the_example_file_shows_the_defaults_of_the_strategies():
    shown = example()
    for name, (kind, field) in strategies.ENVIRONMENT.items():
        strategy = strategies.STRATEGIES[kind]
        values = {**dump(strategy.parameters()), strategies.ENABLED: strategy.enabled_by_default}
        value = values[field]
        assert shown[name] == (str(value).lower() if isinstance(value, bool) else str(value)), name


def test_what_compose_and_make_ask_for_is_documented():
    asked = set(re.findall(r"\$\{([A-Z][A-Z0-9_]+)", (ROOT / "docker-compose.yml").read_text()))
    assert set(reference()["Compose"]) == asked - read_by_us()
    verbs = set(re.findall(r"^([A-Z]+) \?=", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(reference()["Make"]) == verbs | {"PYTHON"}


# --- runbook and schedule


@pytest.mark.parametrize("code", [code.value for code in Code])
def test_every_denial_is_in_the_runbook(code: str):
    assert f"`{code}`" in RUNBOOK


def test_every_code_of_a_decision_is_in_the_runbook():
    operations = "\n".join(file.read_text() for file in SOURCES)
    written = re.findall(r"(?:Outcome\.\w+,|\bcode ?=)\s*\"(\w+)\"", operations)
    assert {"no_signal", "breakeven"} <= set(written)
    assert {code for code in written if f"`{code}`" not in RUNBOOK} == set()


def titles() -> Iterator[tuple[str, list[str]]]:
    """Yield where a message is written, and the fixed words of its title."""
    for file in SOURCES:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and re.fullmatch(r"(notifications\.)?notify", ast.unparse(node.func)):
                title = node.args[1]
                parts = title.values if isinstance(title, ast.JoinedStr) else [title]
                texts = [part.value for part in parts if isinstance(part, ast.Constant)]
                yield f"{file.name}:{node.lineno}", [text.strip(" :") for text in texts if len(text.strip(" :")) > 2]


def test_every_message_is_in_the_runbook():
    found = list(titles())
    assert len(found) > 20
    assert [(where, words) for where, words in found if any(word not in RUNBOOK for word in words)] == []


def test_the_schedule_is_in_the_architecture():
    tasks = {entry.task.partition(".")[2] for entry in ENTRIES} - {"canary"}
    assert {task for task in tasks if f"`{task}`" not in ARCHITECTURE} == set()
    assert "canary" in ARCHITECTURE
