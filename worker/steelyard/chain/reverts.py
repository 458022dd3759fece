"""Turns a node's revert into `Reverted`: the custom error, its fields and its remedy.

REMEDIES has an entry for each custom error of the contracts, which a test requires.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from enum import Enum
from typing import Any

from eth_abi.abi import decode
from eth_abi.exceptions import DecodingError

from steelyard.chain.codec import Field, Signature
from steelyard.chain.rpc import RpcRefused
from steelyard.core.rules import RULES
from steelyard.errors import Reverted

_ERROR = bytes.fromhex("08c379a0")  # Error(string)
_PANIC = bytes.fromhex("4e487b71")  # Panic(uint256)
_PANICS = {
    0x01: "an assertion failed",
    0x11: "arithmetic overflow",
    0x12: "division by zero",
    0x32: "index out of range",
}
_HEX = re.compile(r"^0x(?:[0-9a-fA-F]{2})*$")


def is_revert(error: RpcRefused) -> bool:
    """Whether the error is a revert of the contract, not a bad request."""
    reason = error.reason.lower()
    return error.code == 3 or "revert" in reason or "vm exception" in reason or "invalid opcode" in reason


def revert_data(error: RpcRefused) -> bytes:
    """The revert data, wherever this kind of node puts it; empty if it gives none."""
    data = error.data
    if isinstance(data, dict):
        data = data.get("result") or data.get("data")
    if isinstance(data, str):
        data = data.removeprefix("Reverted ")
        if _HEX.match(data):
            return bytes.fromhex(data[2:])
    return b""


class Reverts:
    """Decodes reverts by the custom errors of the contracts that the client knows."""

    def __init__(self, signatures: Iterable[Signature] = ()) -> None:
        self._known = {signature.selector: signature for signature in signatures}

    def add(self, signatures: Iterable[Signature]) -> None:
        """Add custom errors."""
        self._known.update({signature.selector: signature for signature in signatures})

    def explain(self, action: str, data: bytes, reason: str = "") -> Reverted:
        """The exception for a call that reverted with `data`; `action` names the call."""
        selector, body = data[:4], data[4:]
        try:
            if selector in self._known:
                return self._custom(action, self._known[selector], data)
            if selector == _ERROR:
                return Reverted(
                    f"{action} was refused: {decode(['string'], body)[0]}", name="Error", data=data
                )
            if selector == _PANIC:
                code = int(decode(["uint256"], body)[0])
                why = _PANICS.get(code, f"panic {code:#x}")
                return Reverted(
                    f"{action} failed: {why}", name="Panic", args_by_name={"code": code}, data=data
                )
        except DecodingError:
            pass
        if selector:
            error = f"unknown error 0x{data.hex()[:72]}"
            return Reverted(
                f"{action} was refused: {error}",
                data=data,
                remedy="update Steelyard: its ABI may be older than the contract",
            )
        return Reverted(f"{action} was refused without a reason: {reason or 'no data'}", data=data)

    def _custom(self, action: str, signature: Signature, data: bytes) -> Reverted:
        fields = signature.decode_inputs(data[4:])
        shown = ", ".join(f"{item.name}={format_field(item, fields[item.name])}" for item in signature.inputs)
        remedy = REMEDIES.get(signature.name, BUG)
        return Reverted(
            f"{action} was refused: {signature.name}({shown})",
            name=signature.name,
            args_by_name=dict(fields),
            data=data,
            remedy=remedy if isinstance(remedy, str) else remedy(fields),
        )


def format_field(field: Field, value: Any) -> str:
    """A field for messages: times (uint40) as UTC and relative to now, bytes as hex or as a short string."""
    if field.type == "uint40" and isinstance(value, int) and 0 < value < 2**33:
        utc = datetime.fromtimestamp(value, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        away = value - time.time()
        return f"{utc}, {'in ' if away > 0 else ''}{abs(away):.0f} s{'' if away > 0 else ' ago'}"
    if isinstance(value, bytes):
        word = value.rstrip(b"\0")  # a padded short string names a field or a reason
        plain = field.type == "bytes32" and 0 < len(word) < 32 and word.isascii() and word.isalpha()
        return word.decode() if plain else f"0x{value.hex()}"
    if isinstance(value, Enum):
        return value.name.lower()
    return str(value)


Remedy = str | Callable[[dict[str, Any]], str]

_PROOF = "the proof does not match what was posted: build it again from the public files"
_RELOAD = "the round has changed; read it again"
BUG = "report this: Steelyard should not have sent it"


def _job_over(fields: dict[str, Any]) -> str:
    state = {1: "stopped", 2: "closed", 3: "aborted"}.get(fields["status"], "over")
    return f"the job is {state}; `steelyard job list` shows the running jobs"


def _bad_terms(fields: dict[str, Any]) -> str:
    field = short_string(fields["field"])
    hints = {
        "deadline": "the rounds do not fit before the deadline: fewer rounds, shorter windows or a later one",
        "token": "the token did not deliver the whole escrow; tokens that take a fee cannot be bounties",
        "windows": "every window must last the deployment's minimum, and post_window more than turn_window",
        "bps": "worker_bps, aggregator_bps and attestor_bps must add up to 10,000",
        "rule": f"the contracts compute only {', '.join(rule.name for rule in RULES if rule.on_chain)}",
    }
    return hints.get(field, f"change `{field}` of the job (docs/protocol.md)")


def _cannot_end(fields: dict[str, Any]) -> str:
    return {
        "unsettled": "a result waits for its window to end: `steelyard job show`, then try again",
        "open": "a round is open or can still open: stop the job first, or wait for its rounds",
        "running": "a job can be aborted after its deadline, or after more failed rounds than it allows",
    }.get(short_string(fields["reason"]), "see `steelyard job show`")


def _cannot_open(fields: dict[str, Any]) -> str:
    return {
        "members": "too few members have joined: wait for more",
        "stopped": "the sponsor has stopped the job",
        "rounds": "all rounds are open or done",
        "failures": "more rounds failed than the job allows: `steelyard job abort`",
        "deadline": "no further round fits before the job's deadline",
        "open": "a round is open already",
        "unsettled": "four results are not final yet: wait for their windows",
    }.get(short_string(fields["reason"]), "see `steelyard job show`")


def short_string(value: bytes) -> str:
    """A short string that Solidity stores in a bytes32."""
    return value.rstrip(b"\0").decode("ascii", "replace")


REMEDIES: dict[str, Remedy] = {
    # jobs
    "UnknownJob": "check the number, and that this is the network where the job was posted",
    "NotSponsor": "use the account that created the job (--account)",
    "BadTerms": _bad_terms,
    "JobOver": _job_over,
    "NotMember": "join first (`steelyard job join`), with the operator key that this account names",
    "AlreadyMember": "nothing to do: run the worker",
    "JobFull": "wait for a member to leave, or look for another job",
    "NotAdmitted": "this job takes only listed shards or invited accounts; ask its sponsor",
    "ShardTaken": "choose another shard (`steelyard job show`)",
    "ReputationTooLow": "the job asks for more included rounds, or fewer convictions, than this account has",
    "StillCommitted": "the member's last rounds are not settled; try again when they are",
    "NotAbsent": "only an account that was absent three times in a row can be removed",
    "NotAggregator": "enlist first (`steelyard run --role aggregator` does)",
    "AlreadyAggregator": "nothing to do: run the aggregator",
    "AggregatorSeatsFull": "wait for a seat, or look for another job",
    # rounds
    "WrongSerial": _RELOAD,
    "WrongParent": _RELOAD,
    "WrongResult": _RELOAD,
    "WrongAttempt": _RELOAD,
    "WrongSubmission": "the submission differs from the one on chain: read its event again",
    "ParentNotHeld": "the parent result was not held in time; `retry` opens its round again",
    "SubmissionClosed": "the update counts in no round: raise submit_window or lower local_epochs",
    "SubmissionOpen": "wait until submissions are closed",
    "AlreadySubmitted": "nothing to do: one update a round counts",
    "AttestClosed": "the window is over; the round goes on without this account",
    "AttestOpen": "wait until everyone has attested or the window is over",
    "NotInCommittee": "only the committee of this try attests and holds",
    "NoSuchMember": BUG,
    "AlreadyAttested": "nothing to do: one bitmap a try counts",
    "CommitteeNotDrawn": "draw the committee first (any node does)",
    "SeedPending": "wait for the next block",
    "AlreadyPosted": "another aggregator posted first",
    "WrongIncluded": "attestations have changed; compute the included updates again",
    "TooFewIncluded": "too few updates are attested; `retry` lets the committee attest again",
    "NotYourTurn": "wait until any aggregator may post",
    "PostClosed": "`retry` opens the round's attesting again",
    "HoldClosed": "the result was not held in time; `retry` opens its round again",
    "AlreadyHeld": "nothing to do: it is counted already",
    "ChallengeOver": "the result is final",
    "NothingToRetry": "the round is in progress; see `steelyard job show`",
    "NothingToReopen": "the round is in progress; see `steelyard job show`",
    "CannotOpen": _cannot_open,
    "CannotEnd": _cannot_end,
    "LengthMismatch": BUG,
    # disputes
    "AlreadyMalformed": "nothing to do: this update was convicted before",
    "SealMismatch": "the update root is not what this worker sealed: take it from the worker's own file",
    "AlreadyCommitted": "nothing to do: convict with the committed proof",
    "WrongProofLength": _PROOF,
    "BlockOutOfRange": _PROOF,
    "CoordinateOutOfRange": _PROOF,
    "WrongUpdateCount": _PROOF,
    "TableMismatch": _PROOF,
    "NoWeight": _PROOF,
    "TranscriptMismatch": _PROOF,
    "ArithmeticHolds": "this value is correct: there is nothing to convict",
    "RuleUnsupported": "this rule is not computed on chain yet",
    "EncodingUnknown": "this encoding is not known on chain",
    "UpdateRootMismatch": _PROOF,
    "PathTooLong": _PROOF,
    "PositionOutOfRange": _PROOF,
    "TreeMismatch": _PROOF,
    "UpdateHolds": "this update is well-formed at the position of the proof: there is nothing to convict",
    # money and accounts
    "NotFinal": "wait until the round is final (`steelyard job show`)",
    "AlreadyClaimed": "nothing to do: it was paid before (`steelyard rewards show`)",
    "NoBondHere": "nothing to do: no bond of this account is left in that round",
    "InsufficientFree": "deposit more first (`steelyard worker stake` or `steelyard aggregator bond`)",
    "NothingToWithdraw": "nothing has unbonded, and there are no credits (`steelyard rewards show`)",
    "EscrowExceeded": BUG,
    "NotAllowed": "only the account itself may do this",
    "NotCoordinator": BUG,
    "SafeERC20FailedOperation": "the token refused the transfer: check balance and allowance",
    "SafeCastOverflowedUintDowncast": "the amount is too large",
    "ReentrancyGuardReentrantCall": "the token calls back into the Vault; such tokens cannot be used",
    "AlreadyRegistered": "nothing to do: `steelyard worker status` shows it",
    "NotRegistered": "register first (`steelyard worker register`)",
    "OperatorTaken": "choose another operator key: this one belongs to another identity",
    "ZeroAddress": "give a real address",
    # the token
    "ERC20InsufficientAllowance": "approve the Vault first, or use a permit",
    "ERC20InsufficientBalance": "get tokens first (`steelyard token mint` on development chains)",
    "ERC20InvalidApprover": "give a real address",
    "ERC20InvalidReceiver": "give a real address",
    "ERC20InvalidSender": "give a real address",
    "ERC20InvalidSpender": "give a real address",
    "ERC2612ExpiredSignature": "the permit is too old; send again",
    "ERC2612InvalidSigner": "the permit was signed by another key, or spent before; send again",
    "InvalidAccountNonce": "the permit was spent before; send again",
    "ECDSAInvalidSignature": BUG,
    "ECDSAInvalidSignatureLength": BUG,
    "ECDSAInvalidSignatureS": BUG,
    "InvalidShortString": BUG,
    "StringTooLong": BUG,
}
