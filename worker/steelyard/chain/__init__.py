"""The chain: ABI, client, events, wallet, deployment and development chains."""
