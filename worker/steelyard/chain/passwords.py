"""Passwords of keystores: from a file, the environment, or a prompt without echo."""

from __future__ import annotations

import contextlib
import getpass
import os
import signal
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from steelyard.errors import WalletError

VARIABLE = "STEELYARD_PASSWORD"


def _at_terminal() -> bool:
    return sys.stdin.isatty()


def _ask(prompt: str) -> str:
    """Prompt without echo.  Raises WalletError if the input is closed, KeyboardInterrupt."""
    try:
        with _interruptible():
            return getpass.getpass(prompt)
    except EOFError:
        raise WalletError("no password was typed", remedy="try again") from None


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """Let Ctrl-C end the prompt inside an event loop too, which would otherwise defer it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@dataclass(frozen=True, kw_only=True)
class Passwords:
    """Takes a password from `file`, else from the environment's `variable`, else from a prompt if allowed.

    A typed password is remembered as long as this object, so that each account is prompted for once.
    """

    file: Path | None = None
    variable: str = VARIABLE
    prompt: bool = field(default_factory=_at_terminal)
    _typed: dict[str, str] = field(default_factory=dict, init=False, repr=False, compare=False)

    @classmethod
    def known(cls, account: str, password: str) -> Passwords:
        """The password of one account, in memory only; for other accounts the environment, no prompt."""
        passwords = cls(prompt=False)
        passwords._typed[account] = password
        return passwords

    def get(self, account: str, *, confirm: bool = False) -> str:
        """The password of `account`; `confirm` asks twice at a prompt.

        Raises WalletError if there is none.
        """
        if account in self._typed:
            return self._typed[account]
        if self.file is not None:
            return self._from_file(self.file)
        if self.variable in os.environ:
            return os.environ[self.variable]
        if not self.prompt:
            raise WalletError(
                f"no password for {account}",
                remedy=f"give --password-file, set {self.variable}, or run where a prompt is possible",
            )
        password = _ask(f"Password of {account}: ")
        if confirm and _ask("Once more: ") != password:
            raise WalletError("the two passwords differ", remedy="try again")
        self._typed[account] = password
        return password

    def _from_file(self, path: Path) -> str:
        """The first line of a file, without the newline that editors append."""
        try:
            text = path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise WalletError(
                f"the password file {path} cannot be read: {error}", remedy="give another --password-file"
            ) from error
        return text.splitlines()[0] if text else ""
