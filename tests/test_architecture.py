"""The house: which layer may import which, who alone may use a library, and how large a room may be."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src" / "fleetseal"
MODULES = sorted(SOURCE.rglob("*.py"))

ALLOWED = {
    "core": {"core"},
    "pki": {"core", "pki"},
    "store": {"core", "store"},
    "devices": {"core", "pki", "devices"},
    "notify": {"core", "notify"},
    "jobs": {"core", "store", "jobs"},
    "operations": {"core", "pki", "store", "devices", "notify", "jobs", "operations"},
    "web": {"core", "operations", "jobs", "web"},
    "cli": {"core", "app", "cli"},
    "sim": {"core", "pki", "sim"},
    "app": {"core", "pki", "store", "devices", "notify", "jobs", "operations", "web", "sim", "app"},
    "__main__": {"cli", "app", "core"},
    "__init__": set(),
}

ONLY_IN = {
    "cryptography": ("pki/", "core/secrets.py", "devices/tls.py", "sim/"),
    "argon2": ("core/passwords.py",),
    "aiohttp": ("devices/",),
    "zeroconf": ("devices/",),
    "dbos": ("jobs/engine.py",),
    "sqlalchemy": ("store/",),
    "alembic": ("store/",),
    "fastapi": ("web/",),
    "pydantic": ("web/",),
    "cyclopts": ("cli/",),
    "rich": ("cli/",),
    "httpx": ("cli/",),
    "uvicorn": ("web/",),
    "starlette": ("web/",),
}

PLATFORM_ONLY = {
    *("fcntl", "grp", "pwd", "resource", "termios", "tty", "pty", "posix", "syslog", "readline", "curses", "uvloop"),
    *("msvcrt", "winreg", "winsound", "_winapi", "nt"),
}


def name_of(path: Path) -> str:
    return path.relative_to(SOURCE).as_posix()


def layer_of(path: Path) -> str:
    first = path.relative_to(SOURCE).parts[0]
    return first.removesuffix(".py")


def imports(tree: ast.AST) -> Iterator[tuple[str, ast.stmt]]:
    """Every imported module with the statement that imports it; `from a import b` counts as a and a.b."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide the layer"
            assert node.module is not None
            for alias in node.names:
                yield f"{node.module}.{alias.name}", node


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_point_down(path: Path) -> None:
    allowed = ALLOWED[layer_of(path)]
    for name, _ in imports(ast.parse(path.read_text())):
        if name.startswith("fleetseal."):
            target = name.split(".")[1]
            if target == "__version__":
                continue
            assert target in allowed, f"{name_of(path)} imports {name}"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_libraries_stay_where_they_belong(path: Path) -> None:
    for name, _ in imports(ast.parse(path.read_text())):
        places = ONLY_IN.get(name.split(".")[0])
        if places is not None:
            assert name_of(path).startswith(places), f"{name_of(path)} imports {name}"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_platform_only_modules_are_guarded(path: Path) -> None:
    """A Windows laptop is a normal user: such an import stands under an `if` or a `try`."""
    tree = ast.parse(path.read_text())
    guarded = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If | ast.Try)
        for inner in ast.walk(node)
        if isinstance(inner, ast.Import | ast.ImportFrom)
    }
    for name, statement in imports(tree):
        if name.split(".")[0] in PLATFORM_ONLY:
            assert statement in guarded, f"{name_of(path)} imports {name} unguarded"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_rooms_are_small(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) < 400
    if "migrations/versions/" in name_of(path):
        return  # a migration is one long list of tables, written once
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            assert node.end_lineno - node.lineno < 60, f"{node.name} is {node.end_lineno - node.lineno} lines long"


def test_modules_are_found() -> None:
    assert len(MODULES) > 40
    assert {layer_of(path) for path in MODULES} == set(ALLOWED)
