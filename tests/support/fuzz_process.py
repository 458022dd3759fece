"""Read mangled files with everything that reads files of others, under an audit hook.

`python fuzz_process.py <folder> <inputs> <seed>` prints one JSON object: what was read and refused of each
kind, the longest read, what else than an error of ours came out, and what was executed or opened on the way.
"""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from steelyard.errors import SteelyardError
from support.fuzz_kinds import KINDS, Kind

WARM = 60  # the first inputs of a kind load what Python loads lazily
FORBIDDEN = {"exec", "compile", "import", "pickle", "subprocess", "socket", "ctypes", "marshal", "shutil"}
FORBIDDEN_OS = {"os.system", "os.exec", "os.posix_spawn", "os.fork", "os.spawn", "os.mkdir", "os.link"}
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


@dataclass
class Watch:
    """Events of the audit hook while a mangled input was read."""

    folder: str
    on: bool = False
    seen: list[str] = field(default_factory=list)

    def hook(self, event: str, args: tuple[Any, ...]) -> None:
        if not self.on or len(self.seen) > 50:
            return
        if event.partition(".")[0] in FORBIDDEN or event in FORBIDDEN_OS:
            self.seen.append(f"{event} {str(args)[:200]}")
        elif event in ("open", "os.rename", "os.remove") and not isinstance(args[0], int):
            writes = event != "open" or bool(args[2] & WRITES)
            place = Path(os.fsdecode(args[0]))
            inside = place.is_relative_to(self.folder)
            if not inside or (writes and not place.name.startswith((".out.", "out"))):
                self.seen.append(f"{event} {str(args)[:200]}")

    def armed(self, folder: Path) -> bool:
        """Whether the hook sees what it is there for."""
        attempts: list[Callable[[], object]] = [
            lambda: exec("1"),  # noqa: S102
            lambda: pickle.loads(pickle.dumps(Path("x"))),  # noqa: S301
            lambda: os.system("true"),  # noqa: S605
            lambda: subprocess.run(["true"], check=False),
            lambda: socket.socket().close(),
            lambda: (folder / "elsewhere").write_text("x"),
            lambda: Path("/etc/hostname").open().close(),
        ]
        for attempt in attempts:
            before, self.on = len(self.seen), True
            with contextlib.suppress(OSError):
                attempt()
            self.on = False
            if len(self.seen) == before:
                return False
        self.seen.clear()
        return True


def fuzz(kind: Kind, folder: Path, count: int, random: Random, watch: Watch) -> dict[str, Any]:
    """Spoil and read; what came of it."""
    told: dict[str, Any] = {"read": 0, "refused": 0, "longest": 0.0, "other": []}
    path = folder / "spoilt"
    for turn in range(count + WARM):
        data = kind.spoil(random, random.choice(kind.seeds), kind.seeds)
        path.unlink(missing_ok=True)  # a mapped file that shrinks is a signal, not an error
        path.write_bytes(data)
        watch.on, start = turn >= WARM, time.process_time()
        try:
            kind.read(data, path)
            told["read"] += 1
        except SteelyardError:
            told["refused"] += 1
        except BaseException as error:
            watch.on = False
            if len(told["other"]) < 5:
                told["other"].append(f"{error!r} of {data[:2000].hex()}")
        finally:
            watch.on = False
        if turn >= WARM:
            told["longest"] = max(told["longest"], time.process_time() - start)
    return told


def main() -> None:
    """Run all kinds."""
    folder, count, seed = Path(sys.argv[1]).resolve(), int(sys.argv[2]), int(sys.argv[3])
    watch, random = Watch(str(folder)), Random(seed)
    sys.addaudithook(watch.hook)
    kinds = {make.__name__: make for make in KINDS}
    shares = {}
    for name, make in kinds.items():
        (folder / name).mkdir()
        shares[name] = make(folder / name)
    total = sum(kind.share for kind in shares.values())
    said: dict[str, Any] = {}
    for name, kind in shares.items():
        said[name] = fuzz(kind, folder / name, round(count * kind.share / total), random, watch)
    seen = list(watch.seen)
    watch.seen.clear()
    print(
        json.dumps({"kinds": said, "seen": seen, "armed": watch.armed(folder), "cpu_s": time.process_time()})
    )


if __name__ == "__main__":
    main()
