"""Builds a job's chain events for tests of views and decisions. It contains no rules."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from steelyard.chain.generated import events as ev
from steelyard.chain.generated.structs import JobTerms, Result, Step
from steelyard.chain.types import Event, LogPosition

START = 1_000_000
WINDOW = 100  # seconds of every window except turn_window and post_window


def who(number: int) -> str:
    """The address of account `number`."""
    return f"0x{number + 1:040x}"


def terms(**changes: Any) -> JobTerms:
    """A job of four rounds, with windows of 100 s, a turn window of 20 s and a post window of 50 s."""
    given: dict[str, Any] = {
        "step": Step(block_count=4, encoding=1, rule=0, trim=0, beta=0, lr=65536, bound2=0),
        "submit_window": WINDOW,
        "attest_window": WINDOW,
        "turn_window": 20,
        "post_window": 50,
        "challenge_window": WINDOW,
        "deadline": START + 100_000,
        "rounds": 4,
        "min_updates": 2,
        "max_tries": 2,
        "auto_open": True,
        "stake": 1,
        "bond": 10,
        "pool": 100,
        "worker_bps": 8000,
        "aggregator_bps": 1000,
        "attestor_bps": 1000,
        "max_members": 200,
        "max_slashed": 0,
        "max_failures": 1,
        "admission": 0,
        "manifest_codec": 0x55,
        "token": who(99),
        "min_included": 0,
        "admission_root": bytes(32),
        "manifest_digest": bytes(32),
        "state_root": bytes(32),
    }
    return JobTerms(**{**given, **changes})


@dataclass(kw_only=True)
class JobLog:
    """Events of job 1 in order. Each call adds a block unless `same_block` is set."""

    events: list[Event] = field(default_factory=list)
    block: int = 0
    index: int = 0

    def append(self, kind: type[Event], *, job: int = 1, same_block: bool = False, **fields: Any) -> None:
        """Append an event."""
        if same_block:
            self.index += 1
        else:
            self.block, self.index = self.block + 1, 0
        position = LogPosition(
            block=self.block,
            block_hash=f"0x{self.block:064x}",
            transaction=f"0x{self.block:062x}ff",
            index=self.index,
            address=who(50),
        )
        named = {} if kind is ev.Committed else {"job": job}
        self.events.append(kind(position=position, **named, **fields))

    def members(self, count: int) -> None:
        """Workers 0 to count - 1 in slots of the same number."""
        for slot in range(count):
            self.append(
                ev.Joined, worker=who(slot), operator=who(slot), slot=slot, weight=1, shard=0, codec=0,
                digest=bytes(32),
            )  # fmt: skip

    def aggregators(self, *accounts: int) -> None:
        """Accounts in seats 0, 1, ..."""
        for index, account in enumerate(accounts):
            self.append(ev.AggregatorEnlisted, account=who(account), index=index)

    def opened(
        self,
        serial: int,
        number: int,
        members: int,
        *,
        parent: bytes,
        above: int,
        at: int,
        opened_by_post: bool = False,
    ) -> None:
        """Submissions open at time `at`."""
        self.append(
            ev.RoundOpened, same_block=opened_by_post, serial=serial, number=number, parent=parent,
            parent_serial=above, members=(1 << members) - 1, awaited=members, submit_by=at + WINDOW,
        )  # fmt: skip

    def submitted(self, serial: int, *slots: int, close: bool = False) -> None:
        """Submissions of these slots; the last closes them."""
        for slot in slots:
            self.append(
                ev.Submitted, serial=serial, worker=who(slot), slot=slot, weight=1, sealed_root=bytes(32),
                codec=0x55, digest=bytes([serial, slot]) + bytes(30),
            )  # fmt: skip
        if close:
            self.append(ev.SubmissionsClosed, same_block=True, serial=serial)

    def attested(self, serial: int, slot: int, bitmap: int, tries: int = 0) -> None:
        """One attestation."""
        self.append(ev.Attested, serial=serial, tries=tries, slot=slot, bitmap=bitmap)

    def posted(
        self, serial: int, id_: bytes, *, poster: int, included: int, size: int, hold_by: int,
        attempt: int = 0, parent: bytes = bytes(32),
    ) -> None:  # fmt: skip
        """A posted result."""
        result = Result(
            job=1, serial=serial, attempt=attempt, parent=parent, included=included, state_root=bytes(32),
            momentum_root=bytes(32), transcript_root=bytes(32), table=bytes(32), codec=0x55, digest=id_,
            poster=who(poster),
        )  # fmt: skip
        self.append(ev.Posted, serial=serial, id=id_, result=result, committee_size=size, hold_by=hold_by)


def id_of(number: int) -> bytes:
    """A result's id."""
    return bytes([number]) * 32


def two_at_work() -> JobLog:
    """Two members, two aggregators (accounts 10 and 11), round 1 open since START."""
    log = JobLog()
    log.members(2)
    log.aggregators(10, 11)
    log.opened(1, 1, 2, parent=id_of(0), above=0, at=START)
    return log
