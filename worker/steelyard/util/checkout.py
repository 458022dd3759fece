"""The checkout of the project, for development programs and data that `make setup` puts there."""

from __future__ import annotations

from pathlib import Path


def project_root() -> Path:
    """The checkout that this package runs from; the working directory if it was installed from a wheel."""
    checkout = Path(__file__).resolve().parents[3]
    return checkout if (checkout / "package.json").is_file() else Path.cwd()
