"""The documentation is held to the source: generated pages are fresh, names exist, links lead somewhere."""

import ast
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from docs import generate
from fleetseal.cli.main import build
from fleetseal.core import config
from fleetseal.operations import nightly
from fleetseal.operations.changes import Verdict
from fleetseal.operations.run_job import Unforeseen
from fleetseal.sim.profiles import PROFILES

ROOT = Path(__file__).parent.parent.parent
SOURCE = ROOT / "src" / "fleetseal"
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
PROCEDURE = ROOT / "docs" / "procedures" / "enable-https.md"
MODULES = {
    "enable-https.md": ("https", "switch", "enrolment", "delivery", "settling", "work", "observe"),
    "root-replacement.md": ("ca_entries",),
    "certificates.md": ("entries", "installing"),
}
"""Whose calls make the journal of the procedures on that page."""

READERS = {"device": 0, "local": 0, "note": 0, "switch_https": 1, "verify": 1}
"""Functions that write a step, and the position of its name."""


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def strings(modules: tuple[str, ...], places: dict[str, int]) -> Iterator[str]:
    """What calls of these functions have at the place of the name; the variable part of an f-string is `*`."""
    for module in modules:
        for node in ast.walk(ast.parse((SOURCE / "operations" / f"{module}.py").read_text())):
            if not isinstance(node, ast.Call):
                continue
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            place = places.get(called)
            argument = node.args[place] if place is not None and len(node.args) > place else None
            if isinstance(argument, ast.Constant):
                assert isinstance(argument.value, str)
                yield argument.value
            elif isinstance(argument, ast.JoinedStr):
                yield "".join(str(part.value) if isinstance(part, ast.Constant) else "*" for part in argument.values)


# ---------------------------------------------------------------- generated pages


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pages as `python docs/generate.py` writes them now."""
    target = tmp_path_factory.mktemp("reference")
    subprocess.run([sys.executable, str(ROOT / "docs" / "generate.py"), str(target)], check=True, timeout=100)
    return target


@pytest.mark.parametrize("name", generate.pages())
def test_the_generated_page_is_fresh(name: str, generated: Path) -> None:
    written, now = (folder / name for folder in (generate.REFERENCE, generated))
    assert written.read_text(encoding="utf-8") == now.read_text(encoding="utf-8"), "run `python docs/generate.py`"


def test_nothing_else_lies_among_the_generated_pages() -> None:
    assert {path.name for path in generate.REFERENCE.iterdir()} == set(generate.pages())


def test_every_code_without_a_class_is_known() -> None:
    """Plans give theirs to `Skipped` and `Refused`, the API gives its own in web/problems.py."""
    trees = [ast.parse((SOURCE / "operations" / name).read_text()) for name in ("plan.py", "plan_existing.py")]
    calls = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Call)]
    planned = {
        node.args[1].value
        for node in calls
        if getattr(node.func, "id", "") in ("Skipped", "Refused")
        and len(node.args) > 1
        and isinstance(node.args[1], ast.Constant)
    }
    answered = set(re.findall(r'_problem\(\s*500,\s*"([a-z-]+)"', (SOURCE / "web" / "problems.py").read_text()))
    assert planned | answered - {Unforeseen.code} == set(generate.WITHOUT_A_CLASS)
    assert planned
    assert answered


def test_settings_without_effect_are_marked() -> None:
    """A setting has an effect when something other than core/config.py reads it."""
    others = "".join(
        path.read_text() for path in SOURCE.rglob("*.py") if name_of(path) != "src/fleetseal/core/config.py"
    )
    unread = {
        definition.key
        for definition in config.DEFINITIONS.values()
        if not re.search(rf"\.{definition.attribute}\b", others) and definition.key != "https.policy"
    }
    assert '"settings", "https.policy"' in others, "the command line reads that one through the API"
    assert unread == generate.WITHOUT_EFFECT_YET


# ---------------------------------------------------------------- the procedure


@pytest.mark.parametrize("page", MODULES)
def test_the_procedure_has_the_steps_of_the_source(page: str) -> None:
    """Each step name of the source is the bold beginning of a line of the page, and the other way round."""
    in_source = {name.replace("authority-*", "authority-…") for name in strings(MODULES[page], READERS)}
    text = PROCEDURE.with_name(page).read_text()
    on_page = set(re.findall(r"^\s*(?:\d+\.|-) \*\*([a-z…-]+)\*\* \(", text, re.MULTILINE))
    assert on_page == in_source


def test_the_page_of_the_night_has_its_parts() -> None:
    text = PROCEDURE.with_name("renewal.md").read_text()
    assert re.findall(r"^\d\. \*\*([a-z]+)\*\* — ", text, re.MULTILINE) == [name for name, _ in nightly.PARTS]


def test_the_page_on_changed_devices_has_every_verdict() -> None:
    text = PROCEDURE.with_name("device-changed.md").read_text()
    assert re.findall(r"^\| \*\*([^*]+)\*\* \|", text, re.MULTILINE) == [verdict.value for verdict in Verdict]


def test_the_procedure_names_every_undo() -> None:
    tree = ast.parse((SOURCE / "operations" / "work.py").read_text())
    verbs = {
        value.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Dict)
        for key, value in zip(node.keys, node.values, strict=True)
        if isinstance(key, ast.Constant)
        and key.value == "verb"
        and isinstance(value, ast.Constant)
        and isinstance(value.value, str)
    }
    assert verbs
    page = PROCEDURE.read_text()
    assert verbs == set(re.findall(r"^- `([a-z-]+)` — ", page, re.MULTILINE))


# ---------------------------------------------------------------- names and links


def anchors(page: Path) -> set[str]:
    """As GitHub makes them from headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if target.startswith(("https://", "http://", "mailto:")):
            continue
        path, _, anchor = target.partition("#")
        aim = (page.parent / path).resolve() if path else page
        assert aim.exists(), target
        assert not anchor or anchor in anchors(aim), target


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_tests_that_a_page_names_exist(page: Path) -> None:
    for file, function in re.findall(r"`(tests/[\w/.]+\.py)(?:::(\w+))?`", page.read_text()):
        assert (ROOT / file).is_file(), file
        assert not function or re.search(rf"^(async )?def {function}\(", (ROOT / file).read_text(), re.MULTILINE), (
            function
        )


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_that_a_page_shows_exist(page: Path) -> None:
    """Lines of console blocks are parsed by the command line itself; make targets are looked up."""
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    if page.parent.name == "reference":
        return  # generated from the same parser, in the notation of usages
    for line in commands(page):
        words = shlex.split(line)
        if words[0] == "fleetseal":
            command, _, _ = build().parse_args(words[1:], exit_on_error=False, print_error=False)
            assert command is not None
        elif words[0] == "make":
            assert set(words[1:]) <= targets


def commands(page: Path) -> list[str]:
    """The lines of console blocks that begin with `$ `, without it."""
    blocks = re.findall(r"^```console\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
    return [line.removeprefix("$ ") for block in blocks for line in block.splitlines() if line.startswith("$ ")]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_a_page_is_about_no_machine_in_particular(page: Path) -> None:
    assert not re.search(r"(?<![\w.])/(?:home|root|tmp|opt|work|Users)/", page.read_text())


def test_the_table_of_the_readme_is_that_of_the_demonstration() -> None:
    """Its cameras are profiles of the simulator, inferred where these are; the demonstration's test demands its end."""
    readme = (ROOT / "README.md").read_text()
    rows = re.findall(r"^[0-9A-F:]{17}  (\S+) +([\d.]+)( \(inferred\))? .* verified, TLSv1", readme, re.MULTILINE)
    known = {(profile.product.model, profile.product.firmware, profile.inferred) for profile in PROFILES.values()}
    assert len(rows) == 7
    assert {(model, firmware, bool(inferred)) for model, firmware, inferred in rows} <= known
    last = re.search(r"^7 of 7 cameras .*$", readme, re.MULTILINE)
    assert last is not None
    assert last.group() in (ROOT / "tests" / "e2e" / "test_demo.py").read_text()


def test_pages_are_found() -> None:
    assert {"README.md", "SECURITY.md", "CHANGELOG.md", "docs/ARCHITECTURE.md"} <= {name_of(page) for page in PAGES}
    assert commands(ROOT / "README.md")
