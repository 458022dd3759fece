"""The trainer with a real training process: results, crashes, stalls, invalid replies, isolation."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import textwrap
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from steelyard.core.state_file import open_state
from steelyard.errors import ManifestError, TrainingError
from steelyard.jobs.manifest import Manifest
from steelyard.learning import process
from steelyard.learning.data import write_rows
from steelyard.learning.trainer import Trainer, TrainerSettings
from support import jobs

JOB = jobs.manifest(local_epochs=60, learning_rate="0.02")
LONG = jobs.manifest(local_epochs=1000, batch_size=1)


@pytest.fixture
async def trainer(tmp_path: Path) -> AsyncIterator[Trainer]:
    async with Trainer(tmp_path / "training") as started:
        yield started


def values(path: Path) -> bytes:
    return path.read_bytes()


async def train(
    trainer: Trainer, folder: Path, out: str = "out", job: Manifest = JOB, **changes: Any
) -> bytes:
    state, data = jobs.files(folder)
    call = {"round_": 1, "member": 0, "deadline_s": 60.0, **changes}
    await trainer.train(job, state=state, data=data, out=folder / out, **call)
    return (folder / out).read_bytes()


class TestTraining:
    async def test_it_learns(self, trainer: Trainer, tmp_path: Path) -> None:
        state, data = jobs.files(tmp_path)
        before = await trainer.evaluate(JOB, state=state, data=data, deadline_s=60)
        metrics = await trainer.train(
            JOB, state=state, data=data, out=tmp_path / "out", round_=1, member=0, deadline_s=60
        )
        write_rows(tmp_path / "unseen", jobs.rows(90, seed=99))
        after = await trainer.evaluate(JOB, state=tmp_path / "out", data=tmp_path / "unseen", deadline_s=60)
        assert metrics.steps == 60 * (60 // 8)
        assert metrics.rows == 8 * metrics.steps
        assert after.rows == 90
        assert after.accuracy > 0.95 > before.accuracy
        assert after.loss < before.loss
        assert trainer.progress is not None

    async def test_the_same_state_data_round_and_member_give_the_same_bytes(
        self, trainer: Trainer, tmp_path: Path
    ) -> None:
        first = await train(trainer, tmp_path, "first")
        again = await train(trainer, tmp_path, "again")
        async with Trainer(tmp_path / "elsewhere") as other:
            fresh = await train(other, tmp_path, "fresh")
        assert first == again == fresh

    async def test_another_round_member_or_seed_draws_differently(
        self, trainer: Trainer, tmp_path: Path
    ) -> None:
        results = [
            await train(trainer, tmp_path),
            await train(trainer, tmp_path, round_=2),
            await train(trainer, tmp_path, member=1),
            await train(trainer, tmp_path, job=jobs.manifest(local_epochs=60, learning_rate="0.02", seed=2)),
        ]
        assert len(set(results)) == len(results)

    async def test_adam_and_schedules_learn_too(self, trainer: Trainer, tmp_path: Path) -> None:
        job = jobs.manifest(
            local_epochs=30, optimizer="adam", learning_rate="0.01", schedule="cosine", max_rows=40
        )
        await train(trainer, tmp_path, job=job)
        result = await trainer.evaluate(
            job, state=tmp_path / "out", data=tmp_path / "data.safetensors", deadline_s=60
        )
        assert result.accuracy > 0.95

    async def test_the_result_is_a_state_file_with_zero_padding(
        self, trainer: Trainer, tmp_path: Path
    ) -> None:
        await train(trainer, tmp_path)
        got = open_state(tmp_path / "out", JOB.step.block_count).values()
        used = sum(spec.size for spec in JOB.tensors)
        assert not got[used:].any()
        assert np.count_nonzero(got[:used]) > used / 2

    async def test_no_request_file_stays_behind(self, trainer: Trainer, tmp_path: Path) -> None:
        await train(trainer, tmp_path)
        assert {path.name for path in (tmp_path / "training").iterdir()} == {"home", "trainer.log"}


class TestRefusals:
    async def test_data_that_does_not_fit_the_model_is_named(self, trainer: Trainer, tmp_path: Path) -> None:
        wide = {**jobs.TINY, "width": 16}
        state, data = jobs.files(tmp_path)
        jobs.files(tmp_path, wide)
        with pytest.raises(TrainingError, match=r"\(1, 12, 12\).*do not fit.*\(1, 12, 16\)"):
            await trainer.evaluate(jobs.manifest(wide), state=state, data=data, deadline_s=60)
        assert trainer.pid is not None

    async def test_a_file_that_is_not_data_is_refused_by_the_child(
        self, trainer: Trainer, tmp_path: Path
    ) -> None:
        state, data = jobs.files(tmp_path)
        data.write_bytes(b"\x80\x04c__builtin__\neval\n")
        with pytest.raises(TrainingError, match="safetensors"):
            await trainer.evaluate(JOB, state=state, data=data, deadline_s=60)

    async def test_missing_data_is_an_error_not_a_crash(self, trainer: Trainer, tmp_path: Path) -> None:
        state, _ = jobs.files(tmp_path)
        with pytest.raises(TrainingError, match="FileNotFoundError"):
            await trainer.evaluate(JOB, state=state, data=tmp_path / "nowhere", deadline_s=60)

    async def test_a_manifest_that_its_recipe_did_not_make_starts_nothing(
        self, trainer: Trainer, tmp_path: Path
    ) -> None:
        job = Manifest.parse(JOB.encode().replace(b'"scale_bits":24', b'"scale_bits":20', 1))
        with pytest.raises(ManifestError):
            await train(trainer, tmp_path, job=job)
        assert trainer.pid is None

    async def test_a_closed_trainer_starts_nothing(self, tmp_path: Path) -> None:
        trainer = Trainer(tmp_path / "training")
        await trainer.close()
        with pytest.raises(TrainingError, match="closed"):
            await trainer.start()


class TestTheProcess:
    async def test_one_process_serves_every_request(self, trainer: Trainer, tmp_path: Path) -> None:
        await trainer.start()
        pid = trainer.pid
        await train(trainer, tmp_path)
        await train(trainer, tmp_path, round_=2)
        assert trainer.pid == pid

    async def test_its_environment_holds_no_secret(
        self, trainer: Trainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("STEELYARD_PASSWORD", "correct horse")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "battery staple")
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))
        await trainer.start()
        child = psutil.Process(trainer.pid)
        allowed = {
            *process.PASSED_VARIABLES,
            *process.THREAD_VARIABLES,
            "HOME",
            "TMPDIR",
            "CUDA_VISIBLE_DEVICES",
        }
        environment = child.environ()
        assert set(environment) <= allowed
        assert environment["HOME"].startswith(str(tmp_path))
        assert "correct horse" not in str(environment) + str(child.cmdline())

    async def test_it_has_no_file_of_the_nodes_open(self, trainer: Trainer, tmp_path: Path) -> None:
        with (tmp_path / "keystore").open("w") as keystore:
            os.set_inheritable(keystore.fileno(), True)
            await trainer.start()
            opened = [file.path for file in psutil.Process(trainer.pid).open_files()]
        assert str(tmp_path / "keystore") not in opened

    async def test_it_is_in_a_session_of_its_own_and_runs_one_thread_of_work(self, trainer: Trainer) -> None:
        await trainer.start()
        assert trainer.pid is not None
        assert os.getsid(trainer.pid) != os.getsid(0)
        assert psutil.Process(trainer.pid).environ()["OMP_NUM_THREADS"] == "1"

    async def test_it_ends_when_its_node_is_killed(self, tmp_path: Path) -> None:
        code = f"""
            import asyncio, sys
            from pathlib import Path
            from steelyard.learning.trainer import Trainer
            async def main():
                trainer = Trainer(Path({str(tmp_path)!r}))
                await trainer.start()
                print(trainer.pid, flush=True)
                await asyncio.sleep(60)
            asyncio.run(main())
        """
        node = await asyncio.create_subprocess_exec(
            sys.executable, "-c", textwrap.dedent(code), stdout=asyncio.subprocess.PIPE
        )
        assert node.stdout is not None
        pid = int(await asyncio.wait_for(node.stdout.readline(), 60))
        node.send_signal(signal.SIGKILL)
        await node.wait()
        await asyncio.to_thread(psutil.Process(pid).wait, 10)

    async def test_a_killed_process_is_replaced_and_the_result_is_the_same(
        self, trainer: Trainer, tmp_path: Path
    ) -> None:
        expected = await train(trainer, tmp_path, "expected")
        pid = trainer.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        assert await train(trainer, tmp_path, "again") == expected
        assert trainer.pid not in {None, pid}

    async def test_a_process_killed_at_work_is_replaced_within_the_call(
        self, trainer: Trainer, tmp_path: Path
    ) -> None:
        job = jobs.manifest(local_epochs=100, batch_size=4)
        expected = await train(trainer, tmp_path, "expected", job=job)
        work = asyncio.create_task(train(trainer, tmp_path, "again", job=job))
        await at_work(trainer)
        assert trainer.pid is not None
        os.kill(trainer.pid, signal.SIGKILL)
        assert await work == expected

    async def test_a_deadline_ends_the_work_and_the_next_request_is_served(
        self, trainer: Trainer, tmp_path: Path
    ) -> None:
        await trainer.start()
        with pytest.raises(TrainingError, match="deadline"):
            async with asyncio.timeout(60):
                await train(trainer, tmp_path, job=LONG, deadline_s=1.0)
        assert not (tmp_path / "out").exists()
        await train(trainer, tmp_path)

    async def test_a_cancelled_request_leaves_the_process_ready_for_the_next(
        self, trainer: Trainer, tmp_path: Path
    ) -> None:
        await trainer.start()
        pid = trainer.pid
        work = asyncio.create_task(train(trainer, tmp_path, job=LONG))
        await at_work(trainer)
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work
        await train(trainer, tmp_path, deadline_s=60.0)
        assert trainer.pid == pid

    async def test_memory_beyond_the_limit_is_an_error_of_training(self, tmp_path: Path) -> None:
        settings = TrainerSettings(memory_bytes=64 << 20)
        big = {**jobs.TINY, "filters": (512, 512)}
        state, data = jobs.files(tmp_path, big)
        async with Trainer(tmp_path / "training", settings) as trainer:
            with pytest.raises(TrainingError):
                await trainer.train(
                    jobs.manifest(big, batch_size=60),
                    state=state,
                    data=data,
                    out=tmp_path / "out",
                    round_=1,
                    member=0,
                    deadline_s=60,
                )


async def at_work(trainer: Trainer) -> None:
    """Wait until the child reports progress during training."""
    ends = time.monotonic() + 60
    while trainer.progress is None or trainer.progress.step == 0:
        assert time.monotonic() < ends, "no progress was reported"
        await asyncio.sleep(0.02)


class TestABadChild:
    """A child that is replaced by a faulty script."""

    @pytest.fixture
    def behave(self, monkeypatch: pytest.MonkeyPatch) -> Any:
        def use(code: str) -> None:
            flush = "def print(*a, p=print, **k): p(*a, flush=True, **k)\n"
            say = 'def say(**r): print(json.dumps(r))\nsay(id=0, type="ready")\n'
            monkeypatch.setattr(
                process, "_BOOTSTRAP", f"import json, sys, time, os\n{flush}{say}{textwrap.dedent(code)}"
            )

        return use

    @pytest.mark.parametrize(
        ("code", "said"),
        [
            ("input(); sys.exit(7)", "ended with code 7"),
            ("input(); os.kill(os.getpid(), 9)", "ended with code -9"),
            ("input(); print('Segmentation fault'); time.sleep(60)", "which is not a reply"),
            ("input(); print('[' * 60000); time.sleep(60)", "which is not a reply"),
            (
                "input(); sys.stdout.buffer.write(b'\\xff\\n'); sys.stdout.flush(); time.sleep(60)",
                "is not a reply",
            ),
            ("input(); print('x' * 100_000); time.sleep(60)", "line over 65536 bytes"),
            ("input(); say(id='1', type='done'); time.sleep(60)", "which is not a reply"),
            ("input(); say(id=99, type='done', metrics={}); time.sleep(60)", "answered request 99"),
            ("input(); say(id=1, type='stopped'); time.sleep(60)", "answered 'stopped'"),
            ("input(); say(id=1, type='done', metrics=3); time.sleep(60)", "answered 'done'"),
            (
                "input(); print('no space left', file=sys.stderr); sys.exit(1)",
                "last line of its log: no space left",
            ),
            ("input(); time.sleep(60)", "silent for 1 s"),
        ],
        ids=range(12),
    )
    async def test_its_failure_is_reported_and_it_ends(
        self, behave: Any, tmp_path: Path, code: str, said: str
    ) -> None:
        behave(code)
        before = set(psutil.Process().children())
        async with Trainer(tmp_path / "training", TrainerSettings(stall_s=1.0)) as trainer:
            with pytest.raises(TrainingError, match=said):
                await train(trainer, tmp_path)
            assert trainer.pid is None
        assert not set(psutil.Process().children()) - before
        assert not (tmp_path / "out").exists()

    async def test_metrics_without_a_number_are_an_error(self, behave: Any, tmp_path: Path) -> None:
        behave("input(); say(id=1, type='done', metrics={'rows': 1}); time.sleep(60)")
        async with Trainer(tmp_path / "training") as trainer:
            with pytest.raises(TrainingError, match="metrics"):
                await train(trainer, tmp_path)

    async def test_a_missing_result_file_is_an_error(self, behave: Any, tmp_path: Path) -> None:
        metrics = "{'rows': 1, 'steps': 1, 'loss': 0.5, 'seconds': 0.1}"
        behave(f"input(); say(id=1, type='done', metrics={metrics}); time.sleep(60)")
        async with Trainer(tmp_path / "training") as trainer:
            with pytest.raises(TrainingError, match="no weights"):
                await train(trainer, tmp_path)

    async def test_a_start_that_takes_too_long_is_reported(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setattr(process, "_BOOTSTRAP", "import time; time.sleep(60)")
        async with Trainer(tmp_path / "training", TrainerSettings(start_timeout_s=0.5)) as trainer:
            with pytest.raises(TrainingError, match="did not start within 0 s"):
                await trainer.start()

    async def test_a_start_takes_no_longer_than_the_deadline_leaves(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setattr(process, "_BOOTSTRAP", "import time; time.sleep(600)")
        async with Trainer(tmp_path / "training") as trainer:
            with pytest.raises(TrainingError, match=r"did not start within [01] s"):
                await train(trainer, tmp_path, deadline_s=1.0)

    async def test_missing_torch_names_the_extra(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        hide = "import sys; sys.modules['torch'] = None; " + process._BOOTSTRAP
        monkeypatch.setattr(process, "_BOOTSTRAP", hide)
        async with Trainer(tmp_path / "training") as trainer:
            with pytest.raises(TrainingError, match=r"pip install 'steelyard\[train\]'"):
                await trainer.start()
