"""What a person can do about each custom error. A test holds that each of our own has its line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from steelyard.core.rules import RULES

Remedy = str | Callable[[dict[str, Any]], str]

_SEES = "the proof shows something else than what was posted: build it again from the public files"
_RELOAD = "the round has moved on; read it again"
BUG = "report this: Steelyard should not have sent it"


def _over(fields: dict[str, Any]) -> str:
    state = {1: "stopped", 2: "closed", 3: "aborted"}.get(fields["status"], "over")
    return f"the job is {state}; `steelyard job list` shows those that run"


def _terms(fields: dict[str, Any]) -> str:
    field = text(fields["field"])
    hints = {
        "deadline": "the rounds do not fit before the deadline: fewer rounds, shorter windows or a later one",
        "token": "the token did not deliver the whole escrow; tokens that take a fee cannot be bounties",
        "windows": "every window must last the deployment's minimum, and post_window more than turn_window",
        "bps": "worker_bps, aggregator_bps and attestor_bps must add up to 10,000",
        "rule": f"the contracts compute {', '.join(rule.name for rule in RULES if rule.on_chain)} so far",
    }
    return hints.get(field, f"change `{field}` of the job (docs/protocol.md)")


def _end(fields: dict[str, Any]) -> str:
    return {
        "unsettled": "a result waits for its window to end: `steelyard job show`, then try again",
        "open": "a round is open or can still open: stop the job first, or wait for its rounds",
        "running": "aborting needs the job's deadline to pass, or more failures than it survives",
    }.get(text(fields["reason"]), "see `steelyard job show`")


def _open(fields: dict[str, Any]) -> str:
    return {
        "members": "too few members have joined: wait for more",
        "stopped": "the sponsor has stopped the job",
        "rounds": "all rounds are open or done",
        "failures": "more rounds failed than the job survives: `steelyard job abort`",
        "deadline": "no further round fits before the job's deadline",
        "open": "a round is open already",
        "unsettled": "four results are not final yet: wait for their windows",
    }.get(text(fields["reason"]), "see `steelyard job show`")


def text(value: bytes) -> str:
    """A short string that Solidity keeps in a bytes32."""
    return value.rstrip(b"\0").decode("ascii", "replace")


REMEDIES: dict[str, Remedy] = {
    # jobs
    "UnknownJob": "check the number, and that this is the network where the job was posted",
    "NotSponsor": "use the account that created the job (--account)",
    "BadTerms": _terms,
    "JobOver": _over,
    "NotMember": "join first (`steelyard job join`), with the operator key that this account names",
    "AlreadyMember": "nothing to do: run the worker",
    "JobFull": "wait for a member to leave, or look for another job",
    "NotAdmitted": "this job takes only listed shards or invited accounts; ask its sponsor",
    "ShardTaken": "choose another shard (`steelyard job show`)",
    "ReputationTooLow": "the job asks for more included rounds, or fewer convictions, than this account has",
    "StillCommitted": "the member's last rounds are not settled; try again when they are",
    "NotAbsent": "only who missed three turns in a row can be removed",
    "NotAggregator": "enlist first (`steelyard run --role aggregator` does)",
    "AlreadyAggregator": "nothing to do: run the aggregator",
    "AggregatorSeatsFull": "wait for a seat, or look for another job",
    # rounds
    "WrongSerial": _RELOAD,
    "WrongParent": _RELOAD,
    "WrongResult": _RELOAD,
    "WrongAttempt": _RELOAD,
    "WrongSubmission": "the submission is not the one that the chain has: read its event again",
    "ParentNotHeld": "the result below was not held in time; `retry` opens its round again",
    "SubmissionClosed": "the update counts in no round: raise submit_window or lower local_epochs",
    "SubmissionOpen": "wait until submissions are closed",
    "AlreadySubmitted": "nothing to do: one update a round counts",
    "AttestClosed": "the window is over; the round goes on without this account",
    "AttestOpen": "wait until everyone is heard or the window is over",
    "NotInCommittee": "only this try's committee attests and holds",
    "NoSuchMember": BUG,
    "AlreadyAttested": "nothing to do: one bitmap a try counts",
    "CommitteeNotDrawn": "draw the committee first (any node does)",
    "SeedPending": "wait for the next block",
    "AlreadyPosted": "another aggregator was quicker",
    "NotPosted": "wait for the round's result",
    "WrongIncluded": "attestations have changed; work it out again",
    "TooFewIncluded": "too few updates are attested; `retry` lets the committee attest again",
    "NotYourTurn": "wait for the turn to pass to anyone",
    "PostClosed": "`retry` opens the round's attesting again",
    "HoldClosed": "the result was not held in time; `retry` opens its round again",
    "AlreadyHeld": "nothing to do: it counts already",
    "ChallengeOver": "the result is final",
    "NothingToRetry": "the round is on its way; see `steelyard job show`",
    "NothingToReopen": "the round is on its way; see `steelyard job show`",
    "CannotOpen": _open,
    "CannotEnd": _end,
    "LengthMismatch": BUG,
    # disputes
    "AlreadyMalformed": "nothing to do: this update was convicted before",
    "SealMismatch": "the update root is not what this worker sealed: take it from the worker's own file",
    "AlreadyCommitted": "nothing to do: convict with the proof committed to",
    "WrongProofLength": _SEES,
    "BlockOutOfRange": _SEES,
    "CoordinateOutOfRange": _SEES,
    "WrongUpdateCount": _SEES,
    "TableMismatch": _SEES,
    "NoWeight": _SEES,
    "TranscriptMismatch": _SEES,
    "ArithmeticHolds": "this value is right: there is nothing to convict here",
    "RuleUnsupported": "this rule is not computed on chain yet",
    "EncodingUnknown": "this encoding is not known on chain",
    "UpdateRootMismatch": _SEES,
    "PathTooLong": _SEES,
    "PositionOutOfRange": _SEES,
    "TreeMismatch": _SEES,
    "UpdateHolds": "this update is well-formed where the proof looks: there is nothing to convict here",
    # money and accounts
    "NotFinal": "wait until the round is final (`steelyard job show`)",
    "AlreadyClaimed": "nothing to do: it was paid before (`steelyard rewards show`)",
    "NoBondHere": "nothing to do: no bond of this account is left in that round",
    "InsufficientFree": "deposit more first (`steelyard worker stake` or `steelyard aggregator bond`)",
    "NothingToWithdraw": "nothing has unbonded, and no credits are there (`steelyard rewards show`)",
    "EscrowExceeded": BUG,
    "NotAllowed": "only the account itself may do this",
    "NotCoordinator": BUG,
    "SafeERC20FailedOperation": "the token refused the transfer: check balance and allowance",
    "SafeCastOverflowedUintDowncast": "the amount is too large",
    "ReentrancyGuardReentrantCall": "the token calls back into the Vault; such tokens cannot be used",
    "AlreadyRegistered": "nothing to do: `steelyard worker status` shows it",
    "NotRegistered": "register first (`steelyard worker register`)",
    "OperatorTaken": "choose another operator key: this one acts for another identity",
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
