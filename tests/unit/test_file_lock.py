"""File locks: one opening holds it until its descriptor is closed."""

from __future__ import annotations

import os
from pathlib import Path

from steelyard.util.file_lock import open_lock, try_lock_file


def test_a_lock_has_one_holder_until_its_descriptor_is_closed(tmp_path: Path) -> None:
    first, second = open_lock(tmp_path / "lock"), open_lock(tmp_path / "lock")
    assert try_lock_file(first)
    assert not try_lock_file(second)
    os.close(first)
    assert try_lock_file(second)
    os.close(second)


def test_a_lock_file_belongs_to_its_owner_alone_by_default(tmp_path: Path) -> None:
    os.close(open_lock(tmp_path / "lock"))
    assert (tmp_path / "lock").stat().st_mode & 0o777 == 0o600
