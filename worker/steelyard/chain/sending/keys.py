"""What a client holds for one unlocked key: journal, lock, and the parts that sign and send."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from steelyard.chain.clock import ChainClock, Heads
from steelyard.chain.decoder import LogDecoder
from steelyard.chain.networks import Network
from steelyard.chain.rpc import Rpc
from steelyard.chain.sending.fees import FeeSource
from steelyard.chain.sending.key_lock import KeyLock
from steelyard.chain.sending.outbox import Outbox, SqliteOutbox
from steelyard.chain.sending.receipts import Receipts
from steelyard.chain.sending.sender import Sender
from steelyard.chain.sending.signer import Signer
from steelyard.chain.sending.simulator import Simulator
from steelyard.chain.wallets import Wallet

# Steps of a transaction: bytes on disk; handed to the node; that noted; found in a block; that noted.
STEPS = ("tx.signed", "tx.broadcast", "tx.sent", "tx.mined", "tx.settled")


@dataclass(frozen=True, kw_only=True)
class ClientDeps:
    """What a client has without a key."""

    rpc: Rpc
    network: Network
    genesis: str
    registry: LogDecoder
    heads: Heads
    clock: ChainClock
    fees: FeeSource


@dataclass(frozen=True, kw_only=True)
class Key:
    """What only a client with a wallet has."""

    wallet: Wallet
    journal: Outbox
    sender: Sender
    simulator: Simulator

    @classmethod
    def open(cls, wallet: Wallet, state_dir: Path, parts: ClientDeps, on_step: Callable[[str], None]) -> Key:
        """Open the key's journal on this chain; its first block tells development chains of one id apart."""
        rpc, network, address = parts.rpc, parts.network, wallet.address
        place = f"{network.chain_id}-{parts.genesis[2:10]}-{address.lower()}"
        journal = SqliteOutbox(state_dir / f"{place}.sqlite")
        simulator = Simulator(
            rpc=rpc,
            network=network,
            address=address,
            registry=parts.registry,
            clock=parts.clock,
            heads=parts.heads,
        )
        sender = Sender(
            rpc=rpc,
            network=network,
            address=address,
            journal=journal,
            lock=KeyLock(state_dir / f"{place}.lock", patience_s=network.outage_s + 10),
            signer=Signer(wallet=wallet, network=network, journal=journal, fees=parts.fees),
            simulator=simulator,
            receipts=Receipts(
                rpc=rpc, registry=parts.registry, journal=journal, address=address, on_step=on_step
            ),
            heads=parts.heads,
            on_step=on_step,
        )
        return cls(wallet=wallet, journal=journal, sender=sender, simulator=simulator)
