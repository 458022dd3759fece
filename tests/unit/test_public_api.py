"""`import steelyard`: the public names, what they load, and what importing them costs."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import steelyard
from steelyard.errors import SteelyardError

NAMES = """
block_count dequantize quantize TensorSpec flatten safetensors_to_state state_to_safetensors unflatten
tensor_specs
Encoded Encoding decode_block encode encode_block StateFile open_state write_state
UpdateFile UpdateSummary open_update WrittenUpdate encode_update write_update
StateTree UpdateRoot UpdateTree block_leaf path_root sealed_root state_leaves state_root
AggregationConfig Rule WeightTable Inputs open_inputs AggregationResult aggregate PostedResult Roots
roots_of
ArithmeticProof MalformedProof arithmetic_proof find_fault malformed_proof
Kind Rows read_rows write_rows SourceOptions PublishedData ShardRequest publish_data TrainingConfig
Manifest DataSection JobDescription TermsSection
Cid ContentStore StoreConfig make_store
Deployment Network Networks Keystores Wallet Passwords ChainClient DeploymentSettings Deployed
deploy_contracts DevNetwork dev_network
Participant ChainSession Token PublishedJob publish_job CreatedJob create_job post_job
register_aggregator register_worker JoinedJob job_manifest join_job control_job leave_job wait_for_job
Earnings Withdrawal claim_earnings earnings_of
PulledModel Verification pull_model verify_round
NodeConfig Role NodeEvent NodeOutcome NodeRunner
ChainError ConfigError ContentError ContentMissing ExactError FormatError InsufficientFunds ManifestError
NodeError QuantizeError Reverted RuleError SteelyardError TrainingError Unreachable Unverifiable
WalletError
"""


def test_the_public_names_are_these() -> None:
    assert steelyard.__all__ == NAMES.split()


def test_the_type_checker_sees_the_same_names() -> None:
    assert set(steelyard._MODULES) == set(steelyard.__all__)
    source = inspect.getsource(steelyard).partition("if TYPE_CHECKING:")[2].partition("_NAMES")[0]
    assert set(steelyard.__all__) <= set(source.replace(",", " ").split())


@pytest.mark.parametrize("name", steelyard.__all__)
def test_each_public_name_resolves_and_is_documented(name: str) -> None:
    value = getattr(steelyard, name)
    assert name in dir(steelyard)
    assert value.__name__ == name, "documented under another name"
    text = value.__doc__
    assert text, f"{name} has no docstring"
    assert not text.startswith(f"{name}("), f"{name} has only the docstring that dataclasses make"


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        steelyard.nonsense  # noqa: B018


def test_every_public_error_is_one_of_ours() -> None:
    errors = [each for name in steelyard.__all__ if isinstance(each := getattr(steelyard, name), type)]
    assert all(issubclass(each, SteelyardError) for each in errors if issubclass(each, Exception))


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        ("import steelyard; dir(steelyard)", {"numpy", "numba", "web3", "aiohttp", "torch", "eth_account"}),
        ("import steelyard; steelyard.aggregate, steelyard.arithmetic_proof", {"web3", "aiohttp", "torch"}),
        ("import steelyard; [getattr(steelyard, name) for name in steelyard.__all__]", {"torch", "typer"}),
    ],
)
def test_importing_loads_only_what_is_used(statement: str, absent: set[str]) -> None:
    code = f"import sys; sys.path.insert(0, sys.argv[1]); {statement}; print(*sys.modules)"
    root = str(Path(steelyard.__file__).parents[1])
    done = subprocess.run([sys.executable, "-c", code, root], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert loaded & absent == set()


def test_the_package_carries_its_types() -> None:
    assert (Path(steelyard.__file__).parent / "py.typed").is_file()
