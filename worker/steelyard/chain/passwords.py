"""Where a keystore's password comes from: a file, the environment, or a prompt that shows nothing."""

from __future__ import annotations

import getpass
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path

from steelyard.errors import WalletError

VARIABLE = "STEELYARD_PASSWORD"


def _at_terminal() -> bool:
    return sys.stdin.isatty()


@dataclass(frozen=True, kw_only=True)
class Passwords:
    """`file` goes before the environment's `variable`, and that before a prompt, where one is allowed."""

    file: Path | None = None
    variable: str = VARIABLE
    prompt: bool = field(default_factory=_at_terminal)

    def get(self, account: str, *, confirm: bool = False) -> str:
        """The password of `account`; `confirm` asks twice at a prompt.

        Raises WalletError where there is none.
        """
        if self.file is not None:
            return self._from_file(self.file)
        if self.variable in os.environ:
            return os.environ[self.variable]
        if not self.prompt:
            raise WalletError(
                f"no password for {account}",
                remedy=f"give --password-file, set {self.variable}, or run where a prompt is possible",
            )
        password = getpass.getpass(f"Password of {account}: ")
        if confirm and getpass.getpass("Once more: ") != password:
            raise WalletError("the two passwords differ", remedy="try again")
        return password

    def _from_file(self, path: Path) -> str:
        """The first line: editors end a file with a newline that belongs to no password."""
        try:
            text = path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise WalletError(
                f"the password file {path} cannot be read: {error}", remedy="give another --password-file"
            ) from error
        return text.splitlines()[0] if text else ""
