"""Three machines, each a node with its store: any one or two die, are cut off, or have a full disk.

Each case prints a line of the table that `make faults` puts in docs/faults.md.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import time
from pathlib import Path

import pytest

from support import lan
from support.chains import StartChain
from support.faults import AWAY_S, MACHINES, Outcome, judge, site

PHASES = {
    "opened": "while it trains",
    "submission": "as updates are submitted",
    "post": "as the model is posted",
    "held": "as the model is held",
}
ALL = os.environ.get("STEELYARD_FAULTS") == "all"  # `make faults`; else one of each kind and phase
SETS = [*itertools.combinations(MACHINES, 1), *itertools.combinations(MACHINES, 2)]
KILLS = [
    ("opened", ("m1",), False),
    ("submission", ("m0", "m2"), True),
    ("post", ("m0", "m2"), False),
    ("held", ("m1",), True),
]
CUTS = [("post", ("m0",)), ("held", ("m1", "m2"))]
if ALL:
    KILLS = [(phase, struck, permanent) for phase in PHASES for struck in SETS for permanent in (False, True)]
    CUTS = [(phase, cut) for phase in PHASES for cut in SETS]
DISK_MIB = 48
needs_root = pytest.mark.skipif(not lan.possible(), reason="network namespaces and mounts need root on Linux")


def report(fault: str, phase: str, outcome: Outcome) -> None:
    print(f"FAULT | {fault} | {phase} | {outcome.rounds} | {outcome.void} | {outcome.seconds:.0f} |")


def name(value: object) -> str:
    """Name of a parameter value, for -k."""
    if isinstance(value, bool):
        return "permanently" if value else "for a while"
    return "+".join(value) if isinstance(value, tuple) else str(value)


@pytest.mark.slow
@pytest.mark.parametrize(("phase", "struck", "permanent"), KILLS, ids=name)
async def test_a_job_ends_right_when_machines_die(
    start_chain: StartChain, tmp_path: Path, phase: str, struck: tuple[str, ...], permanent: bool
) -> None:
    started = time.monotonic()
    async with site(start_chain("anvil"), tmp_path) as here:
        await here.reached(phase)
        for name in struck:
            here.machines[name].kill()
        left = [name for name in MACHINES if name not in struck]
        if not permanent:
            await asyncio.sleep(AWAY_S)
            for name in struck:
                await here.machines[name].start()
            left = list(MACHINES)
        await here.ended(*left)
        outcome = await judge(here, started)
    how = "permanently" if permanent else f"for {AWAY_S:.0f} s"
    report(f"{len(struck)} of 3 ({', '.join(struck)}) killed {how}", PHASES[phase], outcome)


@needs_root
@pytest.mark.slow
@pytest.mark.parametrize("phase", PHASES if ALL else ["submission"])
async def test_a_job_ends_right_when_a_machine_is_cut_from_the_others(
    start_chain: StartChain, tmp_path: Path, phase: str
) -> None:
    started = time.monotonic()
    async with site(start_chain("anvil"), tmp_path, networked=True) as here:
        assert here.lan is not None
        await here.reached(phase)
        here.lan.part(*MACHINES)
        await asyncio.sleep(AWAY_S)
        here.lan.part()
        await here.ended(*MACHINES)
        outcome = await judge(here, started)
    report(f"all cut from each other for {AWAY_S:.0f} s, not from the chain", PHASES[phase], outcome)


@needs_root
@pytest.mark.slow
@pytest.mark.parametrize(("phase", "cut"), CUTS, ids=name)
async def test_a_job_ends_right_when_a_half_loses_the_network(
    start_chain: StartChain, tmp_path: Path, phase: str, cut: tuple[str, ...]
) -> None:
    started = time.monotonic()
    async with site(start_chain("anvil"), tmp_path, networked=True) as here:
        assert here.lan is not None
        await here.reached(phase)
        here.lan.unplug(*cut)
        await asyncio.sleep(AWAY_S)
        here.lan.unplug()
        await here.ended(*MACHINES)
        outcome = await judge(here, started)
    report(f"{', '.join(cut)} without network for {AWAY_S:.0f} s", PHASES[phase], outcome)


@needs_root
@pytest.mark.slow
@pytest.mark.parametrize("phase", PHASES if ALL else ["submission"])
async def test_a_job_ends_right_when_a_disk_is_full(
    start_chain: StartChain, tmp_path: Path, phase: str
) -> None:
    started = time.monotonic()
    home = tmp_path / "small"
    with lan.small_disk(home, DISK_MIB):
        async with site(start_chain("anvil"), tmp_path / "site") as here:
            machine = here.machines["m1"]
            machine.kill()
            machine.changes = {"home": str(home)}
            await machine.start()
            await here.reached(phase)
            filler = home / "filler"
            await asyncio.to_thread(fill, filler)
            await asyncio.sleep(AWAY_S)
            filler.unlink()
            if machine.process is None or not machine.process.is_alive():
                await machine.start()  # it may have ended with a clear error; its operator restarts it
            await here.ended(*MACHINES)
            outcome = await judge(here, started)
    report(f"the disk of m1 full for {AWAY_S:.0f} s", PHASES[phase], outcome)


def fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        try:
            for size in (1 << 16, 1 << 12, 1):
                while file.write(bytes(size)) == size:
                    pass
        except OSError:
            return
