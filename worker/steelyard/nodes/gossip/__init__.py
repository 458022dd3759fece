"""Signed hints between the nodes of a job."""
