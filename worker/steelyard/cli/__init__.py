"""The command line: parse, call, print, exit code. What costs start-up time is imported where it is used."""

from steelyard.cli.app import main

__all__ = ["main"]
