"""Options of the root may follow any command: they are moved to the front before parsing."""

from __future__ import annotations

from collections.abc import Sequence

FLAGS = frozenset({"--json", "--log-json", "--dry-run", "--verbose", "-v"})
OPTIONS = frozenset(
    {
        "--network",
        "--account",
        "--password-file",
        "--rpc-url",
        "--deployment",
        "--home",
        "--config",
        "--peer",
        "--store",
        "--ipfs",
        "--max-fee-gwei",
        "--max-spend-per-day",
    }
)


def forward(arguments: Sequence[str]) -> list[str]:
    """The same arguments with the root's options first; what follows `--` is unchanged."""
    front: list[str] = []
    rest: list[str] = []
    waiting = list(arguments)
    while waiting:
        word = waiting.pop(0)
        if word == "--":
            return front + rest + [word, *waiting]
        if word in FLAGS or ("=" in word and word.partition("=")[0] in OPTIONS):
            front.append(word)
        elif word in OPTIONS:
            front += [word, *waiting[:1]]
            waiting = waiting[1:]
        else:
            rest.append(word)
    return front + rest
