"""Data that only those read whom its owner lets: sealed files, wrapped keys, and where keys are kept.

One content key a file; the file is libsodium's secretstream, the key travels in a sealed box to each reader's
X25519 key. docs/private-data.md says what this protects and what it does not.
"""
