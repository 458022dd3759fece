"""What a person can do about each custom error.

Filled in with the contracts' interfaces; a missing entry is no error.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

REMEDIES: dict[str, str | Callable[[dict[str, Any]], str]] = {}
