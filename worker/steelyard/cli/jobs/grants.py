"""What the grants of one job are made with: its sealed shards, their keys, and envelopes of them."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from steelyard.chain.generated.events import AccessGranted
from steelyard.cli.context import ChainSession
from steelyard.cli.encryption import own_secrets, ring_of
from steelyard.cli.jobs.history import terms_of
from steelyard.cli.stores import fetching_only
from steelyard.content import FOREVER, Cid, ContentStore, make_store
from steelyard.errors import ConfigError
from steelyard.jobs.manifest import Manifest
from steelyard.nodes.claims import read_view
from steelyard.nodes.job_info import JobInfo
from steelyard.nodes.state.access import envelope_of
from steelyard.nodes.state.view import View
from steelyard.sealing.envelopes import MAX_BYTES, Envelope
from steelyard.sealing.keyring import Keyring, SecretKeys
from steelyard.sealing.stream import reseal_file


@dataclass(frozen=True, kw_only=True)
class Content:
    """A sealed shard as readers are to get it."""

    cid: Cid
    size: int
    key: bytes = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Granting:
    """What grants of one job are made with."""

    at: ChainSession
    job: int
    view: View
    manifest: Manifest
    store: ContentStore
    scratch: Path
    ring: Keyring
    keys: SecretKeys

    async def grant(self, worker: str, shard: int, content: Content) -> dict[str, Any] | None:
        """Let a worker read what it cannot read yet; None where it can.  Raises ConfigError, Reverted."""
        public = (await self.at.client.read(self.at.contracts.registry.account_of(worker))).encryption_key
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
        if self.at.session.dry_run:
            place = self.scratch / "envelope"
            place.write_bytes(envelope)
            cid = await self.store.cid_of(place)
        else:
            cid = await self.store.add_bytes(envelope, pin_until=FOREVER)
        call = self.at.contracts.coordinator.grant_access(self.job, worker, shard, *cid.to_chain())
        await self.at.send(call, f"let {worker} read shard {shard} of job {self.job}")
        return {"worker": worker, "shard": shard, "envelope": str(cid), "content": str(content.cid)}

    async def content(self, shard: int) -> Content:
        """A shard as it is to be read from now on: sealed anew if somebody may no longer read it.

        Raises ConfigError where it was not sealed here.
        """
        before, after, withdrawn = self.view.access.around_withdrawal(shard)
        if after is not None:
            return self._owned((await self.envelope(after)).content, shard)
        old = (await self.envelope(before)).content if before is not None else self._published(shard)
        content = self._owned(old, shard)
        if not withdrawn or self.at.session.dry_run:
            return content
        return await self._sealed_anew(content, shard)

    def sealed_here(self) -> list[int]:
        """The shards whose keys are here."""
        shards = [each for each in self.manifest.shards if each.cid]
        return [each.index for each in shards if self.ring.owned(Cid.parse(each.cid)) is not None]

    async def envelope(self, grant: AccessGranted) -> Envelope:
        """The one that a grant names."""
        cid = envelope_of(grant)
        if cid is None:
            raise ConfigError(
                f"the grant in transaction {grant.at.transaction} names no envelope", remedy="withdraw it"
            )
        timeout = self.at.session.config.fetch_timeout_s
        place = self.scratch / str(cid)
        if not place.exists():
            await self.store.get(cid, place, max_bytes=MAX_BYTES, timeout_s=timeout)
        return Envelope.parse(place.read_bytes())

    def _published(self, shard: int) -> Cid:
        found = [each.cid for each in self.manifest.shards if each.index == shard]
        if not found or not found[0]:
            count = len(self.manifest.shards)
            raise ConfigError(
                f"job {self.job} publishes no shard {shard}",
                remedy=f"it has shards 0 to {count - 1}" if count else "its members bring their own data",
            )
        return Cid.parse(found[0])

    def _owned(self, cid: Cid, shard: int) -> Content:
        envelope = self.ring.owned(cid)
        if envelope is None:
            raise ConfigError(
                f"shard {shard} ({cid}) was not encrypted here: {self.ring.folder} holds no key of it",
                remedy="choose the --home in which `steelyard data publish --encrypt` ran; a shard that was "
                "published openly needs no grant",
            )
        return Content(cid=cid, size=envelope.size, key=self.keys.open(envelope))

    async def _sealed_anew(self, old: Content, shard: int) -> Content:
        self.at.session.out.say(f"sealing shard {shard} anew ...")
        source, target = self.scratch / f"{shard}.old", self.scratch / f"{shard}.sealed"
        timeout = self.at.session.config.fetch_timeout_s
        await self.store.get(old.cid, source, max_bytes=old.size, timeout_s=timeout)
        key = await asyncio.to_thread(reseal_file, source, old.key, target)
        cid, size = await self.store.cid_of(target), target.stat().st_size
        mine = self.ring.owned(old.cid)
        if mine is None:
            raise ConfigError(f"the key of {old.cid} went away meanwhile", remedy="restore it and try again")
        self.ring.own(Envelope.seal(key, content=cid, size=size, recipient=mine.recipient))
        await self.store.add(target, pin_until=FOREVER)
        await self.store.withhold(old.cid)
        return Content(cid=cid, size=size, key=key)


@asynccontextmanager
async def granting(at: ChainSession, job: int) -> AsyncIterator[Granting]:
    """For the job's sponsor.  Raises ConfigError for anybody else."""
    terms = await terms_of(at.client, job)
    if terms.sponsor != at.client.address:
        raise ConfigError(
            f"{at.client.address} is not the sponsor of job {job}",
            remedy=f"only {terms.sponsor} grants and withdraws access; choose it with --account",
        )
    session = at.session
    root = session.config.content_dir
    root.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(dir=root, prefix=".access-"))
    try:
        async with make_store(fetching_only(session.config)) as store:
            timeout = session.config.fetch_timeout_s
            info = await JobInfo.load(at.client, store, job, scratch=scratch, timeout_s=timeout)
            yield Granting(
                at=at,
                job=job,
                view=await read_view(at.client, job),
                manifest=info.manifest,
                store=store,
                scratch=scratch,
                ring=ring_of(session),
                keys=await asyncio.to_thread(own_secrets, session),
            )
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
