"""Nodes: worker (who attests too), aggregator and challenger, and the journal that lets them be killed at any moment."""
