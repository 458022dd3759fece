"""Exact and pure: numbers, encodings, trees, rules, files, proofs. No network."""
