"""Transactions: fees, signing, the outbox, broadcasting and receipts."""
