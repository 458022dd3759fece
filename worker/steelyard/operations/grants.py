"""A job's encrypted shards, their keys, and the wrapped keys that let workers read them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from steelyard.chain.generated.events import AccessGranted
from steelyard.content import FOREVER, Cid, ContentStore
from steelyard.errors import ConfigError
from steelyard.jobs.manifest import Manifest
from steelyard.nodes.claims import read_view
from steelyard.nodes.job_info import JobInfo
from steelyard.nodes.state.view import View, envelope_cid
from steelyard.operations.chain_session import ChainSession
from steelyard.operations.job_terms import job_terms
from steelyard.sealing.envelopes import MAX_BYTES, Envelope
from steelyard.sealing.keyring import Keyring, SecretKeys
from steelyard.sealing.stream import reseal_file


@dataclass(frozen=True, kw_only=True)
class SealedShard:
    """An encrypted shard and the key that opens it."""

    cid: Cid
    size: int
    key: bytes = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Grant:
    """Access that was given to a worker."""

    worker: str
    shard: int
    envelope: str  # CID of the wrapped key
    content: str  # CID of the encrypted shard


@dataclass(frozen=True, kw_only=True)
class JobGrants:
    """A job's grants, and what its sponsor needs to change them."""

    session: ChainSession
    job: int
    view: View
    manifest: Manifest
    store: ContentStore
    scratch: Path
    ring: Keyring
    keys: SecretKeys
    timeout_s: float

    @classmethod
    async def load(
        cls,
        session: ChainSession,
        store: ContentStore,
        job: int,
        *,
        scratch: Path,
        ring: Keyring,
        unlock: Callable[[], SecretKeys],
        timeout_s: float,
    ) -> JobGrants:
        """For the job's sponsor.  Raises ConfigError for any other account.

        scratch: an existing folder for files.  ring: keys of the shards that were encrypted here.
        unlock: the sponsor's private keys; called in a thread.  timeout_s: for each file.
        """
        client = session.client
        terms = await job_terms(client, job)
        if terms.sponsor != client.address:
            raise ConfigError(
                f"{client.address} is not the sponsor of job {job}",
                remedy=f"only {terms.sponsor} grants and withdraws access; choose it with --account",
            )
        info = await JobInfo.load(client, store, job, scratch=scratch, timeout_s=timeout_s)
        view = await read_view(client, job)
        keys = await asyncio.to_thread(unlock)
        return cls(
            session=session, job=job, view=view, manifest=info.manifest, store=store, scratch=scratch,
            ring=ring, keys=keys, timeout_s=timeout_s,
        )  # fmt: skip

    async def grant(self, worker: str, shard: int, content: SealedShard) -> Grant | None:
        """Let a worker read what it cannot read yet; None if it can.  Raises ConfigError, Reverted."""
        registry = self.session.contracts.registry
        public = (await self.session.client.read(registry.account_of(worker))).encryption_key
        live = self.view.access.live(worker, shard)
        if live is not None:
            before = await self.envelope(live)
            if (before.content, before.recipient) == (content.cid, public):
                return None
        try:
            envelope = Envelope.seal(
                content.key, content=content.cid, size=content.size, recipient=public
            ).encode()
        except ConfigError as error:
            raise ConfigError(f"{worker}: {error.message}", remedy=error.remedy) from error
        cid = await self._stored(envelope)
        call = self.session.contracts.coordinator.grant_access(self.job, worker, shard, *cid.to_chain())
        await self.session.send(call, f"let {worker} read shard {shard} of job {self.job}")
        return Grant(worker=worker, shard=shard, envelope=str(cid), content=str(content.cid))

    async def _stored(self, envelope: bytes) -> Cid:
        """Its CID; a dry run stores nothing."""
        if not self.session.dry_run:
            return await self.store.add_bytes(envelope, pin_until=FOREVER)
        path = self.scratch / "envelope"
        path.write_bytes(envelope)
        return await self.store.cid_of(path)

    async def content(self, shard: int) -> SealedShard:
        """The shard for new grants: re-encrypted if somebody lost access since the last one.

        Raises ConfigError if it was not encrypted here.
        """
        before, after, withdrawn = self.view.access.around_withdrawal(shard)
        if after is not None:
            return self._owned((await self.envelope(after)).content, shard)
        old = (await self.envelope(before)).content if before is not None else self._published(shard)
        content = self._owned(old, shard)
        if not withdrawn or self.session.dry_run:
            return content
        return await self._reencrypted(content, shard)

    def sealed_here(self) -> list[int]:
        """The shards whose keys are in the key ring."""
        shards = [each for each in self.manifest.shards if each.cid]
        return [each.index for each in shards if self.ring.saved_envelope(Cid.parse(each.cid)) is not None]

    async def envelope(self, grant: AccessGranted) -> Envelope:
        """The envelope that a grant names.  Raises ConfigError if it names none, ContentMissing."""
        cid = envelope_cid(grant)
        if cid is None:
            raise ConfigError(
                f"the grant in transaction {grant.position.transaction} names no envelope",
                remedy="withdraw it",
            )
        path = self.scratch / str(cid)
        if not path.exists():
            await self.store.get(cid, path, max_bytes=MAX_BYTES, timeout_s=self.timeout_s)
        return Envelope.parse(path.read_bytes())

    def _published(self, shard: int) -> Cid:
        found = [each.cid for each in self.manifest.shards if each.index == shard]
        if not found or not found[0]:
            count = len(self.manifest.shards)
            raise ConfigError(
                f"job {self.job} publishes no shard {shard}",
                remedy=f"it has shards 0 to {count - 1}" if count else "its members bring their own data",
            )
        return Cid.parse(found[0])

    def _owned(self, cid: Cid, shard: int) -> SealedShard:
        envelope = self.ring.saved_envelope(cid)
        if envelope is None:
            raise ConfigError(
                f"shard {shard} ({cid}) was not encrypted here: {self.ring.folder} holds no key of it",
                remedy="choose the --home in which `steelyard data publish --encrypt` ran; a shard that was "
                "published openly needs no grant",
            )
        return SealedShard(cid=cid, size=envelope.size, key=self.keys.open(envelope))

    async def _reencrypted(self, old: SealedShard, shard: int) -> SealedShard:
        self.session.progress(f"re-encrypting shard {shard} ...")
        source, target = self.scratch / f"{shard}.old", self.scratch / f"{shard}.sealed"
        await self.store.get(old.cid, source, max_bytes=old.size, timeout_s=self.timeout_s)
        key = await asyncio.to_thread(reseal_file, source, old.key, target)
        cid, size = await self.store.cid_of(target), target.stat().st_size
        mine = self.ring.saved_envelope(old.cid)
        if mine is None:
            raise ConfigError(
                f"the key of {old.cid} was removed in the meantime", remedy="restore it and try again"
            )
        self.ring.save_envelope(Envelope.seal(key, content=cid, size=size, recipient=mine.recipient))
        await self.store.add(target, pin_until=FOREVER)
        await self.store.withhold(old.cid)
        return SealedShard(cid=cid, size=size, key=key)
