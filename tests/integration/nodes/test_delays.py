"""Jobs with random delays and disturbances: each ends by itself, and token amounts add up."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from steelyard.nodes.actions.dispatch import ActionDispatcher
from steelyard.nodes.config import Role
from steelyard.nodes.runner import run_node
from steelyard.nodes.state.committee import SEED_AGE, SEEDED
from support import delays
from support.chains import StartChain
from support.delays import End, Scenario, Trigger, run
from support.fleet import FACTORIES, Fleet, Windows, open_first, run_all, staged

BRISK = Windows(submit=4, attest=2, turn=1, post=3, challenge=1)
JOBS = {
    "two wrong results of each opening": Scenario(
        seed=1, wrong=(1, 2), times=2, windows=Windows(challenge=12)
    ),
    "results that cannot be rebuilt": Scenario(seed=2, unholdable=True, windows=BRISK),
    "a worker whose updates are malformed": Scenario(seed=3, workers=3, spoils=True, wrong=(2,)),
    "a sponsor that opens late, and stops": Scenario(
        seed=4, rounds=4, windows=Windows(), sponsor_opens=True, stops=Trigger(kind="submission", round=2)
    ),
    "more failures than the job survives": Scenario(
        seed=5,
        workers=3,
        rounds=3,
        windows=Windows(submit=10, attest=8, post=12),
        min_updates=3,
        max_failures=1,
        dies=Trigger(kind="opened", round=2),
    ),
    "too few members left": Scenario(
        seed=6,
        workers=3,
        rounds=3,
        windows=Windows(),
        min_updates=3,
        leaves=Trigger(kind="opened", round=1),
        deadline=Trigger(kind="threshold_held", round=1),
        block_time_s=1,
    ),
    "a deadline in the middle of a round": Scenario(
        seed=7,
        rounds=3,
        windows=Windows(challenge=30),
        wrong=(2,),
        deadline=Trigger(kind="convicted", round=2),
        block_time_s=1,
    ),
    "a slow chain": Scenario(
        seed=8, windows=Windows(challenge=4), wrong=(2,), block_time_s=1, confirmations=2
    ),
}
ENDS = dict.fromkeys(JOBS, ("closed", 2)) | {
    "more failures than the job survives": ("aborted", 1),
    "too few members left": ("aborted", 1),
    "a deadline in the middle of a round": ("aborted", 1),
}
"""The outcome of each, and the number of its final rounds."""


@pytest.mark.slow
async def test_every_job_ends_by_itself_however_late_everybody_is(
    start_chain: StartChain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ActionDispatcher, "perform", delays.late)

    async def one(name: str) -> End:
        chain = await asyncio.to_thread(start_chain, "anvil", block_time_s=JOBS[name].block_time_s)
        try:
            return await run(chain, tmp_path / str(JOBS[name].seed), JOBS[name])
        except Exception as error:
            error.add_note(f"the job with {name}")
            raise

    found = await asyncio.gather(*(one(name) for name in JOBS), return_exceptions=True)
    if wrong := [each for each in found if isinstance(each, Exception)]:
        raise ExceptionGroup("jobs that did not end right", wrong)
    ends = {name: end for name, end in zip(JOBS, found, strict=True) if isinstance(end, End)}
    assert {name: (*end.outcomes, end.events["Final"]) for name, end in ends.items()} == ENDS
    assert ends["two wrong results of each opening"].events["Convicted"] >= 3
    assert ends["results that cannot be rebuilt"].events["Retried"] >= 2
    assert ends["a worker whose updates are malformed"].events["UpdateMalformed"] >= 1
    assert ends["more failures than the job survives"].events["Reopened"] == 2


async def test_the_seed_of_a_draw_is_recorded_where_nobody_submits_for_long(
    start_chain: StartChain, tmp_path: Path
) -> None:
    chain = start_chain("anvil")
    names = [f"w{index}" for index in range(17)]
    async with staged(chain, tmp_path, workers=names, windows=Windows(submit=600)) as fleet:
        stop = asyncio.Event()
        nodes = [
            asyncio.create_task(
                run_node(
                    fleet.config(name, Role.AGGREGATOR),
                    on_event=fleet.listener(name),
                    factories=FACTORIES,
                    stop=stop,
                )
            )
            for name in ("agg0", "agg1")
        ]
        await open_first(fleet)
        await asyncio.to_thread(chain.rpc, "anvil_mine", hex(SEED_AGE))
        async with fleet.client("sponsor") as client, asyncio.timeout(60):
            call = client.contracts.coordinator.round_of(fleet.job, 1)
            while not (await client.read(call)).round.flags & SEEDED:
                await asyncio.sleep(0.05)
            while not _sent(fleet, "recordSeed"):  # the receipt follows the effect
                await asyncio.sleep(0.05)
        await asyncio.sleep(1.0)  # time for the other aggregator to try as well
        stop.set()
        await asyncio.gather(*nodes)
        assert _sent(fleet, "recordSeed") == 1
        assert not fleet.reported("problem")


def _sent(fleet: Fleet, function: str) -> int:
    return [event.fields["what"] for event in fleet.reported("tx")].count(function)


async def test_a_job_that_stands_still_says_where(start_chain: StartChain, tmp_path: Path) -> None:
    async with staged(start_chain("anvil"), tmp_path, workers=("w0",), aggregators=()) as fleet:
        with pytest.raises(TimeoutError) as caught:
            await run_all(fleet, {"w0": (Role.WORKER,)}, timeout_s=5)
    (note,) = caught.value.__notes__
    assert note.startswith("w0 reported ")
    assert '"attestation"' in note
    assert len(note.splitlines()) == 9
