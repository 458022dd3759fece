"""Encrypted files, keys wrapped for each reader, and the user's encryption keys.

Each file has its own content key. The file is libsodium's secretstream; its key is in a sealed box for each
reader's X25519 key. docs/private-data.md says what this protects and what it does not.
"""
