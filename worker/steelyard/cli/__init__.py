"""The command line: parse, call, print, exit code. Slow imports are inside functions, for a quick start."""

from steelyard.cli.app import main

__all__ = ["main"]
