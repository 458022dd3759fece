"""Small files that would unfold into much: refused within 64 MB over idle and in no time, as measured."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

MEASURE = """
import json, sys, threading, time
from pathlib import Path
from steelyard.errors import SteelyardError
from steelyard.learning.safetensors_file import read_tensors
from steelyard.jobs.manifest import Manifest

def anonymous():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon:")) * 1024

path = Path(sys.argv[1])
readers = {"manifest": lambda: Manifest.parse(path.read_bytes()), "tensors": lambda: read_tensors(path)}
reader = readers[sys.argv[2]]
idle = peak = anonymous()
def watch():
    global peak
    while True:
        peak = max(peak, anonymous())
        time.sleep(0.001)
threading.Thread(target=watch, daemon=True).start()
start = time.process_time()
try:
    reader()
    said = "read"
except SteelyardError as error:
    said = type(error).__name__
peak = max(peak, anonymous())
print(json.dumps({"said": said, "grown": peak - idle, "seconds": time.process_time() - start}))
"""
MIB = 1 << 20
LARGEST = 4 * MIB - 100  # what the reader of manifests takes at most


def repeated(piece: bytes, size: int = LARGEST) -> bytes:
    """A list of as many pieces as fit."""
    return b"[" + b",".join([piece] * (size // (len(piece) + 1))) + b"]"


MANIFESTS = {
    "empty lists": repeated(b"[]"),
    "empty objects": repeated(b"{}"),
    "small objects": repeated(b'{"a":0}'),
    "lists in lists": repeated(b"[[[[[[[]]]]]]]"),
    "numbers": repeated(b"0"),
    "large numbers": repeated(b"1000000000000000000000"),
    "one number": b"[" + b"9" * LARGEST + b"]",
    "short strings": repeated(b'""'),
    "wide characters": b'["' + "\U0001f600".encode() * (LARGEST // 4) + b'"]',
    "one wide character in a long string": b'["' + b"a" * (LARGEST - 10) + "\U0001f600".encode() + b'"]',
    "keys": b"{" + b",".join(b'"%07d":0' % i for i in range(LARGEST // 12)) + b"}",
    "brackets": b"[" * LARGEST,
    "quotes": b'"' * LARGEST,
    "backslashes": b'"' + b"\\" * LARGEST,
    "larger than any": repeated(b"0", 15 * MIB),
}


def measured(path: Path, kind: str) -> dict[str, float | str]:
    words = [sys.executable, "-c", MEASURE, str(path), kind]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    said: dict[str, float | str] = json.loads(done.stdout)
    return said


@pytest.mark.parametrize("name", MANIFESTS)
def test_a_manifest_bomb_is_refused_in_little_memory(tmp_path: Path, name: str) -> None:
    path = tmp_path / "bomb"
    path.write_bytes(MANIFESTS[name])
    said = measured(path, "manifest")
    assert said["said"] == "ManifestError"
    assert float(said["grown"]) < 64 * MIB
    assert float(said["seconds"]) < 2


@pytest.mark.parametrize("name", ["empty lists", "keys", "one number", "brackets"])
def test_a_tensor_file_whose_header_is_a_bomb_is_refused_in_little_memory(tmp_path: Path, name: str) -> None:
    header = MANIFESTS[name][: MIB - 1] + b" "
    path = tmp_path / "bomb"
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(100))
    said = measured(path, "tensors")
    assert said["said"] == "FormatError"
    assert float(said["grown"]) < 64 * MIB
    assert float(said["seconds"]) < 2
