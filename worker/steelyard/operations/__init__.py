"""Describe, publish, post, join and pay for jobs: the actions of sponsors, workers and aggregators.

Functions take a `ChainSession`, a `ContentStore` and plain values, and return values. Nothing here prints,
prompts or reads settings; progress goes to the session's callback.
"""
