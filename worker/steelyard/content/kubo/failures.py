"""Errors of an IPFS daemon, with remedies."""

from __future__ import annotations

from steelyard.content.kubo.address import DaemonAddress
from steelyard.errors import ContentError, DaemonError, DiskFull

_RPC = "the RPC is at `ipfs config Addresses.API`; the gateway (8080) and the swarm (4001) are other ports"
_FULL = ("no space left on device", "disk quota exceeded", "file too large")


def away(address: DaemonAddress, cause: str) -> DaemonError:
    """The error for a daemon that does not listen, or closed the connection during a call."""
    return DaemonError(
        f"no IPFS daemon answers at {address.url} ({cause[:200]})",
        remedy="start it with `ipfs daemon`, or give its address with --ipfs",
    )


def foreign(address: DaemonAddress, cause: str) -> DaemonError:
    """The error for an address at which another program answers."""
    return DaemonError(f"{address.url} is not the RPC of an IPFS daemon ({cause[:200]})", remedy=_RPC)


def locked(address: DaemonAddress, status: int) -> DaemonError:
    """The error for a daemon that rejects the secret, or requires one."""
    said = "and rejects the one that is given" if address.auth else "and no secret is given"
    return DaemonError(
        f"the IPFS daemon at {address.url} requires a secret, {said} (status {status})",
        remedy="put an AuthSecret of its API.Authorizations into STEELYARD_IPFS_AUTH or into the file that "
        "ipfs_auth_file names; its AllowedPaths must be /api/v0",
    )


def late(address: DaemonAddress, what: str, seconds: float) -> DaemonError:
    """The error for a daemon that did not answer in time."""
    return DaemonError(
        f"the IPFS daemon at {address.url} did not {what} within {seconds:g} s",
        remedy="look at its log and load; restart it if it hangs",
    )


def refused(address: DaemonAddress, what: str, message: str) -> ContentError:
    """The error for a call that the daemon refused; DiskFull if it has no room."""
    if any(text in message.lower() for text in _FULL):
        return DiskFull(
            f"the IPFS daemon at {address.url} has no room to {what} ({message[:200]})",
            remedy="free the disk of its repository (its path is in `ipfs repo stat`); nothing was lost",
        )
    return DaemonError(
        f"the IPFS daemon at {address.url} refused to {what}: {message[:300]}",
        remedy="see docs/ipfs.md for the settings that matter",
    )
