"""The `param.cgi` tree of one device: a data file with its identity filled in, and values that are alive."""

import re
from collections.abc import Callable, Mapping
from importlib.resources import files


def data_file(name: str) -> str:
    """A generated answer of the simulator, as text."""
    return files("fleetseal.sim").joinpath("data", name).read_text("utf-8")


def filled(template: str, words: Mapping[str, str]) -> str:
    """The template with each `@word@` replaced."""
    return re.sub(r"@([A-Za-z_]+)@", lambda match: words[match.group(1)], template)


class Parameters:
    """Ordered names and values, without `root.`. `alive` gives the present value of those that change."""

    def __init__(self, template: str, words: Mapping[str, str], alive: Callable[[], dict[str, str]]) -> None:
        self._values = dict(line.split("=", 1) for line in filled(template, words).splitlines() if line)
        self._alive = alive

    def __contains__(self, name: str) -> bool:
        return name in self.values()

    def values(self) -> dict[str, str]:
        """All of them, in the device's order."""
        alive = self._alive()
        return {name: alive.get(name, value) for name, value in self._values.items()}

    def put(self, name: str, value: str) -> None:
        self._values[name] = value

    def drop(self, prefix: str) -> None:
        """Forget the parameters that begin so: this product lacks them."""
        self._values = {name: value for name, value in self._values.items() if not name.startswith(prefix)}

    def listing(self, groups: str) -> str:
        """The answer of `action=list`: group members with `root.`, a single parameter as it was written, a
        missing one as an error line (device-api 2.2, paramcgi-mixed-error.txt)."""
        values = self.values()
        if not groups:
            return "".join(f"root.{name}={value}\n" for name, value in values.items())
        return "".join(line + "\n" for group in groups.split(",") for line in _group(group, values))


def _group(written: str, values: dict[str, str]) -> list[str]:
    name = written.removeprefix("root.")
    if name in values:
        return [f"{written}={values[name]}"]
    pattern = re.compile(".*".join(re.escape(part) for part in name.split("*")) + r"(\..*)?")
    members = [f"root.{found}={value}" for found, value in values.items() if pattern.fullmatch(found)]
    if name == "root":
        members = [f"root.{found}={value}" for found, value in values.items()]
    return members or [f"# Error: Error -1 getting param in group '{written}'"]
