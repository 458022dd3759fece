"""Downloads: any URL that fsspec supports, and data sets and models of Hugging Face.

Each library reads its credentials from the environment (AWS_*, AZURE_STORAGE_*, HF_TOKEN); none is read or
stored here. Messages show URLs without user, password and query, which may be secret.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

from steelyard.errors import ConfigError
from steelyard.learning.loaders.catalog import repository_suffixes
from steelyard.learning.loaders.source import import_optional

HUB = re.compile(
    r"hf://(?P<type>datasets/|models/)?(?!datasets/|models/)(?P<repo>[\w.-]+/[\w.-]+)(@(?P<revision>[\w.-]+))?(/(?P<path>.+))?"
)
MAX_FILES = 1_000_000
STALL_S = 120.0  # longest time without a new byte
POLL_S = 2.0  # seconds between two checks of the downloaded bytes
CHUNK = 4 << 20


def redacted(url: str) -> str:
    """A URL without user, password and query."""
    return redact_text(url.partition("?")[0])


def redact_text(text: str) -> str:
    """A library's message without users, passwords and queries of the URLs in it."""
    return re.sub(r"\?[^\s'\"]+", "?…", re.sub(r"//[^/@\s]*@", "//", text))


def download(url: str, folder: Path) -> Path:
    """Download a file, or all files below a URL, into `folder`.  Returns the file or the folder.

    Raises ConfigError if nothing is there, if the library for the scheme is missing, and after two minutes
    without a new byte.
    """
    folder.mkdir(parents=True, exist_ok=True)
    fetch = _from_hub if url.startswith("hf://") else _from_url
    return _watched(lambda: fetch(url, folder), folder, url)


def _watched(work: Callable[[], Path], folder: Path, url: str) -> Path:
    """Run it in a thread, which is abandoned when the folder stops growing. Raises ConfigError."""
    done: list[Path] = []
    failed: list[Exception] = []

    def run() -> None:
        try:
            done.append(work())
        except Exception as error:  # noqa: BLE001 - each file system has its own errors; they are reported below
            failed.append(error)

    thread = threading.Thread(target=run, daemon=True, name="download")
    thread.start()
    size, latest = 0, time.monotonic()
    while thread.is_alive() and time.monotonic() - latest < STALL_S:
        thread.join(POLL_S)
        now = _bytes_in(folder)
        size, latest = now, time.monotonic() if now != size else latest
    if done:
        return done[0]
    if failed and isinstance(failed[0], ConfigError):
        raise failed[0]
    cause = failed[0] if failed else None
    detail = redact_text(" ".join(str(cause).split()))[:300]
    reason = f"{type(cause).__name__}: {detail}" if cause else f"no bytes arrived for {STALL_S:.0f} s"
    raise ConfigError(
        f"{redacted(url)} cannot be read: {reason}", remedy="check the URL, the network and your credentials"
    ) from cause


def _bytes_in(folder: Path) -> int:
    """Bytes of all files below; files that are removed meanwhile don't count."""
    total = 0
    for root, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                total += os.stat(os.path.join(root, name)).st_size  # noqa: PTH116, PTH118 - a million files
    return total


def _from_url(url: str, folder: Path) -> Path:
    core = import_optional("fsspec.core")
    try:
        system, path = core.url_to_fs(url)
    except (ImportError, ValueError) as error:
        raise ConfigError(
            f"{redacted(url)}: {str(error)[:200]}",
            remedy="pip install 'steelyard[data]', or use another scheme",
        ) from error
    page = url.startswith(("http://", "https://"))  # whose links don't make it a folder
    if page or not system.isdir(path):
        target = folder / _safe(PurePosixPath(path.partition("?")[0]).name)
        _copy(system, path, target)
        return target
    files = sorted(system.find(path))[: MAX_FILES + 1]
    if not files or len(files) > MAX_FILES:
        raise ConfigError(
            f"{redacted(url)} holds {len(files)} files", remedy=f"name a folder of 1 to {MAX_FILES}"
        )
    root = system._strip_protocol(path).rstrip("/") + "/"  # noqa: SLF001 - how fsspec's own `get` does it
    for file in files:
        inside = [_safe(part) for part in PurePosixPath(file.removeprefix(root)).parts]
        target = folder.joinpath(*inside)
        target.parent.mkdir(parents=True, exist_ok=True)
        _copy(system, file, target)
    return folder


def _copy(system: Any, path: str, target: Path) -> None:
    with system.open(path, "rb") as source, target.open("wb") as file:
        shutil.copyfileobj(source, file, CHUNK)


def _safe(name: str) -> str:
    """The name, if it is a plain file name: a store may name its objects `..`."""
    if name in ("", ".", "..") or "/" in name or "\0" in name:
        raise ConfigError(f"a remote file is named {name!r}", remedy="rename it, or copy the files by hand")
    return name


def _from_hub(url: str, folder: Path) -> Path:
    """Files of `hf://datasets/OWNER/NAME[@revision][/path]`; an address of a model has no `datasets/`."""
    match = HUB.fullmatch(url)
    if match is None:
        raise ConfigError(
            f"{url} is not an address on the hub", remedy="write hf://datasets/OWNER/NAME[@revision][/path]"
        )
    hub = import_optional("huggingface_hub")
    kind = "dataset" if match["type"] == "datasets/" else "model"
    api = hub.HfApi(endpoint=os.environ.get("HF_ENDPOINT") or None)
    repository = {"repo_id": match["repo"], "repo_type": kind, "revision": match["revision"]}
    wanted = match["path"] or ""
    files = [name for name in sorted(api.list_repo_files(**repository)) if _wanted(name, wanted)]
    if not files:
        raise ConfigError(
            f"{url} has no such file"
            if wanted
            else f"{url} has no CSV, Parquet, safetensors or folder of labels",
            remedy="name a file or a folder of it after its name",
        )
    for name in files:
        downloaded = api.hf_hub_download(filename=name, local_dir=folder / ".hub", **repository)
        target = folder.joinpath(*(_safe(part) for part in PurePosixPath(name).parts))
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(downloaded, target)
    return folder / wanted if wanted else folder


def _wanted(name: str, path: str) -> bool:
    """Whether to fetch a repository's file: those at `path`, or without one every file of a known type."""
    if path:
        return name == path or name.startswith(path.rstrip("/") + "/")
    return PurePosixPath(name).suffix.lower() in repository_suffixes()
