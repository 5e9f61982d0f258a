"""Two computers on one cable: network namespaces of this one, joined by a pair of virtual interfaces."""

import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

NEAR, FAR = "near0", "far0"
"""The interface on each side."""

SOURCES = Path(__file__).parents[1]


@dataclass(frozen=True)
class Cable:
    """What runs a program on either side."""

    near: tuple[str, ...]
    far: tuple[str, ...]

    def run(self, side: Sequence[str], *command: str, seconds: float = 200) -> str:
        """What it wrote. Raises AssertionError with its complaint when it failed."""
        done = subprocess.run(
            [*side, *command], capture_output=True, text=True, timeout=seconds, check=False, cwd=SOURCES
        )
        assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
        return done.stdout

    @contextmanager
    def running(self, side: Sequence[str], *command: str) -> Iterator[subprocess.Popen[str]]:
        """Until the block ends; it has written its first line when the block begins."""
        with subprocess.Popen([*side, *command], stdout=subprocess.PIPE, text=True, cwd=SOURCES) as process:
            try:
                assert process.stdout is not None
                assert process.stdout.readline(), f"{' '.join(command)} ended at once"
                yield process
            finally:
                process.kill()


@contextmanager
def cable() -> Iterator[Cable]:
    """Both interfaces are up; near0 has 10.20.0.1/20 and fe80::1, far0 10.20.15.254 and fe80::2."""
    with ExitStack() as stack:
        near = _entered(stack, ["unshare", "--map-root-user", "--net"])
        far = _entered(stack, [*near, "unshare", "--net"])
        made = Cable(near, far)
        far_pid = far[2]
        for side, line in (
            (near, f"link add {NEAR} type veth peer name {FAR} netns {far_pid}"),
            *((side, "link set lo up") for side in (near, far)),
            (near, f"link set {NEAR} addrgenmode none up"),
            (far, f"link set {FAR} addrgenmode none up"),
            (near, f"addr add 10.20.0.1/20 dev {NEAR}"),
            (far, f"addr add 10.20.15.254/20 dev {FAR}"),
            (near, f"addr add fe80::1/64 dev {NEAR} nodad"),
            (far, f"addr add fe80::2/64 dev {FAR} nodad"),
            (near, f"addr add 2001:db8:20::1/64 dev {NEAR} nodad"),
            (far, f"addr add 2001:db8:20::2/64 dev {FAR} nodad"),
        ):
            made.run(side, "ip", *line.split())
        yield made


def _entered(stack: ExitStack, command: Sequence[str]) -> tuple[str, ...]:
    """The prefix that runs a command in a new namespace, which lasts as long as the stack."""
    holder = stack.enter_context(
        subprocess.Popen([*command, "sh", "-c", "echo up; exec cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    )
    stack.callback(holder.kill)
    assert holder.stdout is not None
    assert holder.stdout.readline(), "the namespace could not be entered"
    return ("nsenter", "--target", str(holder.pid), "--user", "--preserve-credentials", "--net")


def why_not() -> str | None:
    """Why there can be no cable here; None: there can."""
    if sys.platform != "linux":
        return "network namespaces are there on Linux only"
    missing = [tool for tool in ("unshare", "nsenter", "ip") if shutil.which(tool) is None]
    if missing:
        return f"{' and '.join(missing)} not found: install util-linux and iproute2"
    tried = subprocess.run(["unshare", "--map-root-user", "--net", "true"], capture_output=True, text=True, check=False)
    return f"namespaces are not allowed here: {tried.stderr.strip()}" if tried.returncode else None


needs_namespaces = pytest.mark.skipif((_reason := why_not()) is not None, reason=_reason or "")
