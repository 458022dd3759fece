"""A job's constant data, read once from the chain and from its manifest."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path

from steelyard.chain.client import ChainClient
from steelyard.chain.contracts import Contracts
from steelyard.chain.generated.structs import JobTerms
from steelyard.chain.types import ZERO_ADDRESS
from steelyard.content import FOREVER, Cid, ContentStore
from steelyard.core.encodings import Encoding
from steelyard.core.numbers import STATE_BLOCK
from steelyard.core.rules import AggregationConfig, Rule
from steelyard.core.trees import sealed_root
from steelyard.core.update_file import HEADER
from steelyard.errors import ConfigError, NodeError
from steelyard.jobs.manifest import MEMBERSHIPS, JobFacts, Manifest

MAX_MANIFEST = 1 << 24  # bytes
DAY_S = 86_400.0


@dataclass(frozen=True, kw_only=True)
class JobInfo:
    """A job's terms on chain, aggregation parameters and manifest."""

    job: int
    chain_id: int
    contracts: Contracts
    terms: JobTerms
    sponsor: str
    step: AggregationConfig
    manifest: Manifest

    @property
    def state_bytes(self) -> int:
        """Length of a state file in bytes."""
        return self.step.block_count * STATE_BLOCK

    @property
    def result_bytes(self) -> int:
        """Length of a result's file in bytes: the state, and the momentum if there is one."""
        return self.state_bytes * (2 if self.step.momentum else 1)

    @property
    def update_bytes(self) -> int:
        """Greatest length of an update file in bytes."""
        return (
            HEADER.size + (self.step.block_count + 7) // 8 + self.step.block_count * self.step.encoding.size
        )

    @property
    def unsettled_until(self) -> float:
        """Unix seconds by which all rounds are settled, plus a day."""
        windows = self.terms.submit_window + self.terms.challenge_window
        return max(time.time(), self.terms.deadline) + windows + DAY_S

    def seal(self, serial: int, worker: str, update_root: bytes) -> bytes:
        """The commitment that `worker` submits for an update with this root."""
        return sealed_root(
            chain_id=self.chain_id,
            coordinator=bytes.fromhex(self.contracts.coordinator.address[2:]),
            job=self.job,
            serial=serial,
            worker=bytes.fromhex(worker[2:]),
            update_root=update_root,
        )

    @classmethod
    async def load(
        cls, client: ChainClient, store: ContentStore, job: int, *, scratch: Path, timeout_s: float
    ) -> JobInfo:
        """Read the terms, fetch the manifest and compare the two.

        Raises ConfigError for an unknown job, ContentError if no peer serves the manifest, ManifestError if
        it disagrees with the terms.
        """
        deployment = client.network.deployment
        if deployment is None:
            raise ConfigError(
                f"network {client.network.name} has no deployment",
                remedy="add one: `steelyard network add --deployment <file>`",
            )
        contracts = Contracts.of(deployment)
        found = await client.read(contracts.coordinator.terms_of(job))
        if found.sponsor == ZERO_ADDRESS:
            raise ConfigError(
                f"there is no job {job} at {contracts.coordinator.address}",
                remedy="`steelyard job list` shows the jobs of this network",
            )
        step = _step(found.terms)
        manifest = await _manifest(store, found.terms, step, scratch, timeout_s)
        return cls(
            job=job,
            chain_id=client.network.chain_id,
            contracts=contracts,
            terms=found.terms,
            sponsor=found.sponsor,
            step=step,
            manifest=manifest,
        )


async def fetch(
    store: ContentStore,
    cid: Cid,
    dest: Path,
    *,
    max_bytes: int,
    timeout_s: float,
    provide: bool = True,
    pin_until: float = FOREVER,
) -> Path:
    """Fetch a file by CID to `dest`, unless it is there with the right bytes. Raises ContentError."""
    if await asyncio.to_thread(dest.exists):
        if await store.cid_of(dest) == cid:
            return dest
        await asyncio.to_thread(dest.unlink)
    await asyncio.to_thread(dest.parent.mkdir, parents=True, exist_ok=True)
    return await store.get(
        cid, dest, max_bytes=max_bytes, timeout_s=timeout_s, provide=provide, pin_until=pin_until
    )


async def _manifest(
    store: ContentStore, terms: JobTerms, step: AggregationConfig, scratch: Path, timeout_s: float
) -> Manifest:
    """Fetch a job's manifest and compare it with the terms. Raises ContentError, ManifestError."""
    cid = Cid.from_chain(terms.manifest_codec, terms.manifest_digest)
    path = await fetch(store, cid, scratch / f"{cid}.json", max_bytes=MAX_MANIFEST, timeout_s=timeout_s)
    manifest = Manifest.parse(path.read_bytes())
    manifest.check_against_chain(
        JobFacts(
            step=step,
            membership=MEMBERSHIPS[terms.admission],
            member_root=terms.admission_root,
            state_root=terms.state_root,
        )
    )
    return manifest


def _step(terms: JobTerms) -> AggregationConfig:
    chain = terms.step
    if chain.rule not in set(Rule) or chain.encoding not in set(Encoding):
        raise NodeError(
            f"the job uses rule {chain.rule} and encoding {chain.encoding}, which this version does not know",
            remedy="update Steelyard",
        )
    return AggregationConfig(
        block_count=chain.block_count,
        encoding=Encoding(chain.encoding),
        rule=Rule(chain.rule),
        trim=chain.trim,
        beta=chain.beta,
        lr=chain.lr,
        bound2=chain.bound2,
    )
