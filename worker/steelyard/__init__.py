"""Steelyard: federated training of one model on machines that don't trust each other, settled on Ethereum."""

__version__ = "0.1.0"
