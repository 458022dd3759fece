"""The parts of a client that need its unlocked key: outbox, lock, signing and sending."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from steelyard.chain.clock import ChainClock, Heads
from steelyard.chain.decoder import LogDecoder
from steelyard.chain.networks import Network
from steelyard.chain.rpc import Rpc
from steelyard.chain.sending.broadcast import Broadcaster
from steelyard.chain.sending.fees import FeeSource
from steelyard.chain.sending.key_lock import KeyLock
from steelyard.chain.sending.outbox import Outbox, SqliteOutbox
from steelyard.chain.sending.receipts import Receipts
from steelyard.chain.sending.sender import Sender
from steelyard.chain.sending.signer import Signer
from steelyard.chain.sending.simulator import Simulator
from steelyard.chain.sending.watcher import Watcher
from steelyard.chain.wallets import Wallet

# Steps of a transaction: bytes on disk; accepted by the node; that recorded; found in a block; that recorded.
STEPS = ("tx.signed", "tx.broadcast", "tx.sent", "tx.mined", "tx.settled")


@dataclass(frozen=True, kw_only=True)
class ClientDeps:
    """The parts of a client that need no key."""

    rpc: Rpc
    network: Network
    genesis: str
    decoder: LogDecoder
    heads: Heads
    clock: ChainClock
    fees: FeeSource


@dataclass(frozen=True, kw_only=True)
class Key:
    """An unlocked key with its outbox, simulator and sender."""

    wallet: Wallet
    outbox: Outbox
    sender: Sender
    simulator: Simulator

    @classmethod
    def open(cls, wallet: Wallet, state_dir: Path, deps: ClientDeps, on_step: Callable[[str], None]) -> Key:
        """Open the key's outbox for this chain.

        The file names hold the chain id and the genesis hash, which differs between development chains of
        one id.  Raises JournalError.
        """
        stem = f"{deps.network.chain_id}-{deps.genesis[2:10]}-{wallet.address.lower()}"
        outbox = SqliteOutbox(state_dir / f"{stem}.sqlite")
        lock = KeyLock(state_dir / f"{stem}.lock", patience_s=deps.network.outage_s + 10)
        simulator = Simulator(
            rpc=deps.rpc,
            network=deps.network,
            address=wallet.address,
            decoder=deps.decoder,
            clock=deps.clock,
            heads=deps.heads,
        )
        sender = _sender(wallet, deps, outbox, lock, simulator, on_step)
        return cls(wallet=wallet, outbox=outbox, sender=sender, simulator=simulator)


def _sender(
    wallet: Wallet,
    deps: ClientDeps,
    outbox: Outbox,
    lock: KeyLock,
    simulator: Simulator,
    on_step: Callable[[str], None],
) -> Sender:
    rpc, network, address = deps.rpc, deps.network, wallet.address
    signer = Signer(wallet=wallet, network=network, outbox=outbox, fees=deps.fees)
    receipts = Receipts(rpc=rpc, decoder=deps.decoder, outbox=outbox, address=address, on_step=on_step)
    broadcaster = Broadcaster(rpc=rpc, address=address, outbox=outbox, on_step=on_step)
    watcher = Watcher(
        rpc=rpc,
        network=network,
        address=address,
        outbox=outbox,
        lock=lock,
        signer=signer,
        receipts=receipts,
        heads=deps.heads,
        broadcaster=broadcaster,
    )
    return Sender(
        rpc=rpc,
        network=network,
        address=address,
        outbox=outbox,
        lock=lock,
        signer=signer,
        simulator=simulator,
        receipts=receipts,
        broadcaster=broadcaster,
        watcher=watcher,
        on_step=on_step,
    )
