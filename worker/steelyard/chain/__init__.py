"""The chain: client, generated types, sending, deployment and development chains."""
