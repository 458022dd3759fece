"""Verify a posted round from public data alone: the chain and the files, by CID, of any store that has them.

python examples/verify_round.py http://127.0.0.1:8545 deployments/31337.json JOB ROUND PEER_URL
"""

import asyncio
import sys
import tempfile
from pathlib import Path

import steelyard as sy


async def verify(network: sy.Network, job: int, number: int, peer: str, folder: Path) -> str:
    """The verdict on round `number`, and its model beside it if it is right."""
    local = network.is_development  # only then may a peer have a loopback or private address
    config = sy.StoreConfig(root=folder / "content", serve=False, peers=(peer,), allow_private=local)
    async with await sy.ChainClient.connect(network) as client, sy.make_store(config) as store:
        found = await sy.verify_round(client, store, job, number, scratch=folder, timeout_s=20)
        print(f"round {found.number} of job {job}, result {found.id}: {found.verdict} {found.why}")
        if found.verdict == "right":
            out = folder / "model.safetensors"
            model = await sy.pull_model(client, store, job, number, out, scratch=folder, timeout_s=20)
            print(f"its model: {model.cid}, state root {model.state_root}, {out.stat().st_size} bytes")
    return found.verdict


if __name__ == "__main__":
    rpc_url, file, job, number, peer = sys.argv[1:]
    network = sy.Network.of(sy.Deployment.read(Path(file)), rpc_url)
    with tempfile.TemporaryDirectory() as name:
        verdict = asyncio.run(verify(network, int(job), int(number), peer, Path(name)))
    sys.exit(0 if verdict == "right" else 11)
