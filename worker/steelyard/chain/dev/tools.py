"""Finds the development programs: in the checkout, installed by `make setup`, or on PATH."""

from __future__ import annotations

import platform
import shutil

from steelyard.errors import ConfigError
from steelyard.util.checkout import project_root


def program(kind: str) -> list[str]:
    """The command that runs anvil, cast, forge, ganache or geth: the project's copy, else PATH's.

    Raises ConfigError if there is neither.
    """
    root = project_root()
    if kind == "ganache":
        script = root / "node_modules" / "ganache" / "dist" / "node" / "cli.js"
        node = shutil.which("node")
        if node and script.is_file():
            return [node, str(script)]
    else:
        system = {"Linux": "linux", "Darwin": "darwin"}.get(platform.system(), "unknown")
        arch = {"x86_64": "amd64", "AMD64": "amd64", "aarch64": "arm64"}.get(
            platform.machine(), platform.machine()
        )
        packaged = root / "node_modules" / "@foundry-rs" / f"{kind}-{system}-{arch}" / "bin" / kind
        for candidate in (packaged, root / ".cache" / "go" / "bin" / kind):
            if candidate.is_file():
                return [str(candidate)]
    found = shutil.which(kind)
    if found is None:
        raise ConfigError(
            f"{kind} is not installed", remedy="run `make setup` in the project, or put it on PATH"
        )
    return [found]
