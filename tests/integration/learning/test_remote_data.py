"""Remote sources: Azure Blob on Azurite, S3 on moto, plain HTTP, and a hub on loopback."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio

from steelyard.content import EmbeddedStore, StoreConfig
from steelyard.core.state_file import open_state
from steelyard.errors import ConfigError, QuantizeError
from steelyard.learning.job_setup import tensor_specs, write_initial
from steelyard.learning.loaders import remote
from steelyard.learning.loaders.remote import download
from steelyard.learning.safetensors_file import read_tensors, write_tensors
from steelyard.learning.trainer import Trainer
from steelyard.learning.vector import state_to_safetensors
from steelyard.operations.description import JobDescription
from steelyard.operations.publishing import publish_job
from support import sources
from support.hub import hub, plain
from support.publishing import assert_learned, trial

pytestmark = pytest.mark.asyncio(loop_scope="module")

# Azurite's account and key are public: every copy of it has them.
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def trainer(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Trainer]:
    async with Trainer(tmp_path_factory.mktemp("training")) as started:
        yield started


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "POLL_S", 0.1)


FOREIGN = Path(__file__).resolve().parents[2] / "foreign" / "node_modules"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def azurite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An Azure Blob service on loopback.  Gives the connection string."""
    node = shutil.which("node")
    program = FOREIGN / "azurite" / "dist" / "src" / "blob" / "main.js"
    assert node, "Node is not installed"
    port = free_port()
    command = [node, str(program), "--inMemoryPersistence", "--silent", "--disableTelemetry"]
    command += ["--blobHost", "127.0.0.1", "--blobPort", str(port), "--skipApiVersionCheck"]
    process = subprocess.Popen(
        command, cwd=tmp_path_factory.mktemp("azurite"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        await_port(port, process)
        account, blob = "devstoreaccount1", f"http://127.0.0.1:{port}/devstoreaccount1"
        yield f"DefaultEndpointsProtocol=http;AccountName={account};AccountKey={KEY};BlobEndpoint={blob};"
    finally:
        process.terminate()
        process.wait(10)


def await_port(port: int, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        assert process.poll() is None, "it ended"
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.1)
    pytest.fail("it did not begin to serve")


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    """An S3 service on loopback.  Gives its URL."""
    import logging

    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


async def test_azure_blob(
    azurite: str, tmp_path: Path, trainer: Trainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    import adlfs

    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", azurite)
    there = adlfs.AzureBlobFileSystem(connection_string=azurite, skip_instance_cache=True)
    there.mkdir("rows")
    file = sources.cancer_parquet(tmp_path / "cancer.parquet")
    there.pipe_file("rows/clinic/cancer.parquet", file.read_bytes())
    done = await trial("az://rows/clinic/cancer.parquet", tmp_path, trainer)
    assert_learned(done)
    assert done.labels == Counter({"1": 357, "0": 212})
    assert KEY not in done.data.encode().decode()


async def test_a_folder_on_s3(
    moto: str, tmp_path: Path, trainer: Trainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    import s3fs

    for name, value in (("AWS_ACCESS_KEY_ID", "any"), ("AWS_SECRET_ACCESS_KEY", "secret")):
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", moto)
    there = s3fs.S3FileSystem(endpoint_url=moto, skip_instance_cache=True)
    there.mkdir("rows")
    for part, (first, last) in {"train": (0, 150), "test": (150, 200)}.items():
        file = sources.digits_parquet(tmp_path / f"{part}.parquet", first, last)
        there.pipe_file(f"rows/digits/{part}.parquet", file.read_bytes())
    done = await trial("s3://rows/digits", tmp_path, trainer)
    assert_learned(done)
    images, labels = sources.digits(200)
    assert done.labels == Counter(f"digit {k}" for k in labels)
    assert done.pixels() == sorted(image.tobytes() for image in images)


async def test_plain_http(tmp_path: Path, trainer: Trainer) -> None:
    file = sources.wine_csv(tmp_path / "wine.csv")
    with plain({"/a/wine.csv": file.read_bytes()}) as url:
        done = await trial(f"{url}/a/wine.csv?token=secret", tmp_path, trainer)
    assert_learned(done)
    assert done.labels == Counter(sources.wine()[2])
    assert "secret" not in done.data.source


async def test_a_data_set_of_hugging_face_by_name(
    tmp_path: Path, trainer: Trainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    train = sources.digits_parquet(tmp_path / "a.parquet", 0, 150).read_bytes()
    test = sources.digits_parquet(tmp_path / "b.parquet", 150, 200).read_bytes()
    files = {
        "data/train-00000-of-00001.parquet": train,
        "data/test-00000-of-00001.parquet": test,
        "README.md": b"# Digits",
    }
    with hub({"datasets/somebody/digits": files}) as (endpoint, asked):
        monkeypatch.setenv("HF_ENDPOINT", endpoint)
        done = await trial("hf://datasets/somebody/digits", tmp_path, trainer)
    assert_learned(done)
    assert done.labels == Counter(f"digit {k}" for k in sources.digits(200)[1])
    assert done.test is not None
    assert len(done.test) == 50
    assert not any("README" in each for each in asked)


async def test_an_initial_model_of_hugging_face(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job starts with the tensors of a model on the hub; extra tensors in it are ignored."""
    job, data = await published(tmp_path)
    specs = tensor_specs(data.recipe, data.architecture)
    write_initial(data.recipe, data.architecture, 99, tmp_path / "state")
    state_to_safetensors(tmp_path / "state", tmp_path / "first", specs)
    model = {**read_tensors(tmp_path / "first"), "extra": np.ones(3, np.float32)}
    write_tensors(tmp_path / "model.safetensors", model)
    with hub(
        {"models/somebody/net": {"model.safetensors": (tmp_path / "model.safetensors").read_bytes()}}
    ) as (
        endpoint,
        _,
    ):
        monkeypatch.setenv("HF_ENDPOINT", endpoint)
        begin(job, "hf://somebody/net/model.safetensors")
        async with EmbeddedStore(StoreConfig(root=tmp_path / "store", serve=False, exchange=False)) as store:
            (tmp_path / "made").mkdir()
            made = await publish_job(JobDescription.read(job), store, tmp_path / "made")
            begin(job, "hf://somebody/net/other.safetensors")
            with pytest.raises(ConfigError, match="no such file"):
                await publish_job(JobDescription.read(job), store, tmp_path / "made")
    first = next(file for file in made.files if file.name == "initial.state")
    blocks = made.manifest.step.block_count
    np.testing.assert_array_equal(
        open_state(first, blocks).values(), open_state(tmp_path / "state", blocks).values()
    )


async def test_an_initial_model_of_another_shape_is_named(tmp_path: Path) -> None:
    job, _ = await published(tmp_path)
    write_tensors(job / "other.safetensors", {"linear1.weight": np.ones((2, 2), np.float32)})
    begin(job, "other.safetensors")
    async with EmbeddedStore(StoreConfig(root=tmp_path / "store", serve=False, exchange=False)) as store:
        (tmp_path / "made").mkdir()
        with pytest.raises(QuantizeError, match=r"linear1.weight.*\(64, 13\)"):
            await publish_job(JobDescription.read(job), store, tmp_path / "made")


async def published(tmp_path: Path):  # type: ignore[no-untyped-def]
    """A folder from `data publish`, and its data manifest."""
    from steelyard.learning.loaders import SourceOptions
    from steelyard.operations import shards

    out = tmp_path / "out"
    out.mkdir()
    where = str(sources.wine_csv(tmp_path / "wine.csv"))
    request = shards.ShardRequest(where=where, options=SourceOptions(), shards=2, partition="iid")
    made = shards.write_shards(request, out)
    data = shards.describe_shards(request, made, made.shards, made.test)
    async with EmbeddedStore(StoreConfig(root=tmp_path / "store", serve=False, exchange=False)) as store:
        await shards.store_shards(store, data, out, [file.path for file in made.shards])
    return out, data


def begin(job: Path, where: str) -> None:
    text = (job / "job.toml").read_text()
    lines = [line for line in text.splitlines() if not line.startswith("initial")]
    (job / "job.toml").write_text("\n".join([f'initial = "{where}"', *lines]) + "\n")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("{}/none.csv?sig=secret", "cannot be read"),
        ("http://user:secret@127.0.0.1:1/a.csv", "cannot be read"),
        ("s4://bucket/a.csv", "s4"),
        ("hf://datasets/nobody", "not an address on the hub"),
        ("hf://datasets/no/body", "RepositoryNotFound"),
    ],
)
async def test_errors_of_downloads_show_no_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str, said: str
) -> None:
    with hub({}) as (endpoint, _):
        monkeypatch.setenv("HF_ENDPOINT", endpoint)
        with pytest.raises(ConfigError, match=said) as caught:
            download(url.format(endpoint), tmp_path)
    assert "secret" not in str(caught.value)
    assert caught.value.remedy


async def test_a_silent_server_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "STALL_S", 1.0)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        with pytest.raises(ConfigError, match="no bytes arrived for 1 s"):
            download(f"http://127.0.0.1:{silent.getsockname()[1]}/a.csv", tmp_path)


async def test_a_hub_with_malicious_names_writes_nothing_outside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with hub({"datasets/an/enemy": {"../../out.csv": b"x,label\n1,a\n"}}) as (endpoint, _):
        monkeypatch.setenv("HF_ENDPOINT", endpoint)
        with pytest.raises(ConfigError):
            download("hf://datasets/an/enemy", tmp_path / "inside" / "deep")
    assert not list(tmp_path.glob("*.csv"))
    assert not list((tmp_path / "inside").glob("*.csv"))
