"""Errors of an IPFS daemon, with remedies."""

from __future__ import annotations

from steelyard.content.kubo.address import DaemonAddress
from steelyard.errors import ContentError, DaemonError, DiskFull

_RPC = "the RPC is at `ipfs config Addresses.API`; the gateway (8080) and the swarm (4001) are other ports"
_FULL = ("no space left on device", "disk quota exceeded", "file too large")


def away(address: DaemonAddress, cause: str) -> DaemonError:
    """Nobody listens, or the daemon went away in the middle."""
    return DaemonError(
        f"no IPFS daemon answers at {address.url} ({cause[:200]})",
        remedy="start it with `ipfs daemon`, or give its address with --ipfs",
    )


def foreign(address: DaemonAddress, cause: str) -> DaemonError:
    """Something else listens there."""
    return DaemonError(f"{address.url} is no IPFS daemon's RPC ({cause[:200]})", remedy=_RPC)


def locked(address: DaemonAddress, status: int) -> DaemonError:
    """It wants a secret, or another one."""
    said = "not with the secret that it was given" if address.auth else "and no secret is given"
    return DaemonError(
        f"the IPFS daemon at {address.url} lets nobody in without its secret, {said} (it answers {status})",
        remedy="put an AuthSecret of its API.Authorizations into STEELYARD_IPFS_AUTH or into the file that "
        "ipfs_auth_file names; its AllowedPaths must be /api/v0",
    )


def late(address: DaemonAddress, what: str, seconds: float) -> DaemonError:
    """It did not answer in time."""
    return DaemonError(
        f"the IPFS daemon at {address.url} did not {what} within {seconds:g} s",
        remedy="look at its log and load; restart it if it hangs",
    )


def refused(address: DaemonAddress, what: str, message: str) -> ContentError:
    """It answered with an error of its own."""
    if any(text in message.lower() for text in _FULL):
        return DiskFull(
            f"the IPFS daemon at {address.url} has no room to {what} ({message[:200]})",
            remedy="free the disk of its repository (`ipfs repo stat` says where it is); nothing was lost",
        )
    return DaemonError(
        f"the IPFS daemon at {address.url} refused to {what}: {message[:300]}",
        remedy="see docs/ipfs.md for the settings that matter",
    )
