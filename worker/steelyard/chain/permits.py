"""Approvals by signature (EIP-2612): a deposit in one transaction."""

from __future__ import annotations

from steelyard.chain.client import ChainClient
from steelyard.chain.generated.structs import Permit

_TYPES = {
    "Permit": [
        {"name": "owner", "type": "address"},
        {"name": "spender", "type": "address"},
        {"name": "value", "type": "uint256"},
        {"name": "nonce", "type": "uint256"},
        {"name": "deadline", "type": "uint256"},
    ]
}
LIFE_S = 3600


async def sign_permit(client: ChainClient, amount: int, *, spender: str = "", life_s: int = LIFE_S) -> Permit:
    """Sign a permit for `spender` (the Vault by default) to take `amount` of the token from the client.

    life_s: validity in seconds from now, by the chain's time.  Raises as `ChainClient.read`.
    """
    token = client.contracts.token
    name = await client.read(token.name())
    nonce = await client.read(token.nonces(client.address))
    deadline = await client.chain_time() + life_s
    domain = {
        "name": name,
        "version": "1",
        "chainId": client.network.chain_id,
        "verifyingContract": token.address,
    }
    message = {
        "owner": client.address,
        "spender": spender or client.contracts.vault.address,
        "value": amount,
        "nonce": nonce,
        "deadline": deadline,
    }
    v, r, s = client.wallet.sign_typed(domain, _TYPES, message)
    return Permit(deadline=deadline, v=v, r=r, s=s)
