"""Errors as text and JSON, and the exit codes that are not in the exception tree."""

from __future__ import annotations

import errno
from typing import Any

import typer

from steelyard.cli.output import Output
from steelyard.errors import ConfigError, DiskFull, Reverted, SteelyardError

WRONG_RESULT = 11  # `verify` found a posted result that differs from the rules
INTERRUPTED = 130
BROKEN_PIPE = 141
USAGE: type[Exception] = typer.BadParameter.__mro__[1]  # the base of every error about the command line


def report(error: SteelyardError, out: Output) -> int:
    """Print value, cause and remedy; return the exit code."""
    if out.json:
        out.document({"error": describe(error)})
    else:
        out.problem(error.message, error.remedy)
    return error.exit_code


def describe(error: SteelyardError) -> dict[str, Any]:
    """The error object of --json."""
    document: dict[str, Any] = {
        "type": type(error).__name__,
        "exit_code": error.exit_code,
        "message": error.message,
        "remedy": error.remedy,
    }
    if isinstance(error, Reverted) and error.name:
        document["revert"] = {"name": error.name, "args": error.args_by_name}
    return document


def report_usage(error: Exception, out: Output) -> int:
    """Print an error about options and arguments; exit code 2."""
    code = int(getattr(error, "exit_code", ConfigError.exit_code))
    message = _with_value(str(getattr(error, "format_message", lambda: error)()), error)
    context = getattr(error, "ctx", None)
    path = context.command_path if context else "steelyard"
    if type(error).__name__ == "NoArgsIsHelpError":
        out.say(message)
    elif out.json:
        problem = ConfigError(message, remedy=f"see `{path} --help`")
        out.document({"error": {**describe(problem), "type": "UsageError"}})
    else:
        out.problem(message, f"see `{path} --help`")
    return code


def _with_value(message: str, error: Exception) -> str:
    """The message with the refused value, taken from its cause if it is missing."""
    details: list[dict[str, Any]] = getattr(error.__cause__, "errors", list)()
    if not details or "input" not in details[0]:
        return message
    value = repr(details[0]["input"])[:80]
    return message if value in message else f"{message}; it is {value}"


def report_interrupt(out: Output) -> int:
    """Ctrl-C: a document with --json, else one line."""
    if out.json:
        out.document(
            {
                "error": {
                    "type": "Interrupted",
                    "exit_code": INTERRUPTED,
                    "message": "interrupted",
                    "remedy": "",
                }
            }
        )
    else:
        out.problem("interrupted", "run the same command again; sent transactions stay sent")
    return INTERRUPTED


def from_system(error: OSError) -> SteelyardError:
    """An error of the operating system as a SteelyardError."""
    place = f"{error.filename}: " if error.filename else ""
    message = f"{place}{error.strerror or error}"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFull(message, remedy="free some space and run the command again; nothing was lost")
    remedy = "check the path and its permissions" if error.filename else "check the system's limits"
    return SteelyardError(message, remedy=remedy)
