"""The contracts' structs, events and calls, written by scripts/build_chain_types.py."""
