"""Helpers without protocol rules: SQLite transactions, file locks, atomic writes, mapped files."""
