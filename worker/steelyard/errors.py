"""Every exception that Steelyard raises on purpose, with the exit code that the command line gives it.

SteelyardError                 1
├── ConfigError                2   a wrong flag, setting or file of the user
├── ExactError                 3   a value that the exact core refuses
│   ├── QuantizeError              a tensor with a NaN or an infinity
│   ├── RuleError                  an undefined aggregation (no update, weights out of range)
│   └── FormatError                bytes of an update, state or proof that do not follow the protocol
├── ManifestError              4   a job description that is malformed or disagrees with the chain
├── ContentError               5   files by CID
│   ├── CidError                   not a CID that is supported here
│   ├── ContentMissing             no peer served the file in time
│   ├── ContentCorrupt             bytes that do not match their hash
│   ├── ContentTooLarge            more bytes than the caller allows
│   ├── ContentSealed              encrypted, and no key here opens it
│   ├── DaemonError                the IPFS daemon does not answer, or refuses
│   └── DiskFull                   no room to write
├── ChainError                 6   Ethereum
│   ├── Unreachable                the RPC does not answer
│   ├── WrongNetwork               another chain id than configured, or no contract there
│   ├── InsufficientFunds          the account cannot pay gas or tokens
│   ├── SpendLimit                 an operator's own ceiling (fee, spend per day)
│   ├── TransactionTimeout         not mined in time, with every replacement
│   └── Reverted                   the contract refused; carries the decoded custom error
├── WalletError                7   keystores and passwords
│   ├── AccountMissing
│   └── WrongPassword
├── TrainingError              8   the training process failed or wrote wrong files
├── NodeError                  9   a node cannot continue
│   └── JournalError               its journal is unreadable, or another process holds it
└── Unverifiable              10   public data needed for a check has expired
"""

from __future__ import annotations


class SteelyardError(Exception):
    """A problem with a cause and a remedy. `str()` gives both, ready for a person."""

    exit_code = 1

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(f"{message}: {remedy}" if remedy else message)
        self.message = message
        self.remedy = remedy


class ConfigError(SteelyardError):
    """A flag, a setting or a file that a person wrote is wrong."""

    exit_code = 2


class ExactError(SteelyardError):
    """A value or a file that the protocol's number rules refuse."""

    exit_code = 3


class QuantizeError(ExactError):
    """A tensor with a NaN or an infinity, of another shape, or too large."""


class RuleError(ExactError):
    """An aggregation that is not defined: no update, or a weight or setting out of range."""


class FormatError(ExactError):
    """Bytes of an update, state or proof that do not follow the protocol."""


class ManifestError(SteelyardError):
    """A job description that is malformed or disagrees with the chain."""

    exit_code = 4


class ContentError(SteelyardError):
    """Storing or fetching a file by its CID failed."""

    exit_code = 5


class CidError(ContentError):
    """A string that is not an accepted CID."""


class ContentMissing(ContentError):
    """No peer served the file in time."""


class ContentCorrupt(ContentError):
    """Bytes that do not have their hash."""


class ContentTooLarge(ContentError):
    """More bytes than the caller allows."""


class DaemonError(ContentError):
    """The IPFS daemon does not answer, or refuses."""


class ContentSealed(ContentError):
    """Encrypted content that no available key opens."""


class DiskFull(ContentError):
    """No room to write."""


class ChainError(SteelyardError):
    """Reading from Ethereum or sending a transaction failed."""

    exit_code = 6


class Unreachable(ChainError):
    """The RPC does not answer."""


class WrongNetwork(ChainError):
    """Another chain id than configured, or no contract at an address."""


class InsufficientFunds(ChainError):
    """The account cannot pay gas or tokens."""


class SpendLimit(ChainError):
    """The operator's own ceiling of fee or spend per day is reached."""


class TransactionTimeout(ChainError):
    """Not mined in time, after every replacement."""


class Reverted(ChainError):
    """The contract reverted.

    `name` is the custom error, `args_by_name` its fields, `data` the raw revert bytes.
    """

    def __init__(
        self,
        message: str,
        *,
        name: str = "",
        args_by_name: dict[str, object] | None = None,
        data: bytes = b"",
        remedy: str = "",
    ) -> None:
        super().__init__(message, remedy=remedy)
        self.name = name
        self.args_by_name = args_by_name or {}
        self.data = data


class WalletError(SteelyardError):
    """A keystore or its password cannot be used."""

    exit_code = 7


class AccountMissing(WalletError):
    """No keystore has that name or address."""


class WrongPassword(WalletError):
    """The password does not open the keystore."""


class TrainingError(SteelyardError):
    """The training process failed or broke its file contract."""

    exit_code = 8


class NodeError(SteelyardError):
    """A node cannot continue."""

    exit_code = 9


class JournalError(NodeError):
    """The node's journal is unreadable, or another process uses it."""


class Unverifiable(SteelyardError):
    """Public data that a check needs has expired."""

    exit_code = 10
