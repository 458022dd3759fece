"""Add every platform's package of the Foundry tools to package-lock.json, for `scripts/lock`.

npm omits an optional package that the registry in use does not offer, and then `npm ci` refuses the lock
file on every machine. An entry added here has a version but no hash, since the package is not available.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

SYSTEMS = {"linux": "linux", "darwin": "darwin", "win32": "win32"}
ARCHITECTURES = {"amd64": "x64", "arm64": "arm64"}


def complete(lock: dict[str, Any]) -> list[str]:
    """Add the optional packages that `lock` needs and lacks; returns their names."""
    packages: dict[str, Any] = lock["packages"]
    missing = {
        name: version
        for package in packages.values()
        for name, version in package.get("optionalDependencies", {}).items()
        if name.startswith("@foundry-rs/") and f"node_modules/{name}" not in packages
    }
    for name, version in missing.items():
        _, system, architecture = name.rsplit("-", 2)
        packages[f"node_modules/{name}"] = {
            "version": version,
            "cpu": [ARCHITECTURES[architecture]],
            "optional": True,
            "os": [SYSTEMS[system]],
        }
    lock["packages"] = dict(sorted(packages.items()))
    return sorted(missing)


def main() -> None:
    """Complete the lock file named on the command line."""
    path = Path(sys.argv[1])
    lock = json.loads(path.read_text("utf-8"))
    added = complete(lock)
    path.write_text(json.dumps(lock, indent=2) + "\n", "utf-8")
    print("without a hash, because the registry in use has none:", *added or ["none"])


if __name__ == "__main__":
    main()
