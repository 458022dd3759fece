"""Steelyard: federated training of one model on machines that don't trust each other, settled on Ethereum.

The public API. Everything in `__all__` is stable within a minor version; modules below are not. Names load on
first use: `import steelyard` itself imports none of NumPy, numba, web3, aiohttp and torch. docs/api.md is
generated from the docstrings, and examples/ shows the names in use.

Errors that Steelyard raises on purpose are SteelyardErrors, with a cause and a remedy.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from steelyard.util.version import __version__ as __version__

if TYPE_CHECKING:
    from steelyard.chain.client import ChainClient
    from steelyard.chain.deploy import Deployed
    from steelyard.chain.deployment_plan import DeploymentSettings
    from steelyard.chain.networks import Deployment, Network, Networks
    from steelyard.chain.passwords import Passwords
    from steelyard.chain.wallets import Keystores, Wallet
    from steelyard.chain.web3_creator import deploy_contracts
    from steelyard.content import Cid, ContentStore, StoreConfig, make_store
    from steelyard.core.aggregation import AggregationResult, aggregate
    from steelyard.core.encodings import Encoded, Encoding, decode_block, encode, encode_block
    from steelyard.core.inputs import Inputs, open_inputs
    from steelyard.core.numbers import block_count, dequantize, quantize
    from steelyard.core.proofs import (
        ArithmeticProof,
        MalformedProof,
        arithmetic_proof,
        find_fault,
        malformed_proof,
    )
    from steelyard.core.rules import AggregationConfig, Rule, WeightTable
    from steelyard.core.state_file import StateFile, open_state, write_state
    from steelyard.core.transcript import PostedResult, Roots, roots_of
    from steelyard.core.trees import (
        StateTree,
        UpdateRoot,
        UpdateTree,
        block_leaf,
        path_root,
        sealed_root,
        state_leaves,
        state_root,
    )
    from steelyard.core.update_file import UpdateFile, UpdateSummary, open_update
    from steelyard.core.update_writer import WrittenUpdate, encode_update, write_update
    from steelyard.errors import (
        ChainError,
        ConfigError,
        ContentError,
        ContentMissing,
        ExactError,
        FormatError,
        InsufficientFunds,
        ManifestError,
        NodeError,
        QuantizeError,
        Reverted,
        RuleError,
        SteelyardError,
        TrainingError,
        Unreachable,
        Unverifiable,
        WalletError,
    )
    from steelyard.jobs.manifest import Manifest, TensorSpec
    from steelyard.jobs.schema import TrainingConfig
    from steelyard.learning.data import Kind, Rows, read_rows, write_rows
    from steelyard.learning.job_setup import tensor_specs
    from steelyard.learning.loaders import SourceOptions
    from steelyard.learning.vector import flatten, safetensors_to_state, state_to_safetensors, unflatten
    from steelyard.nodes.config import NodeConfig, Role
    from steelyard.nodes.reporting import NodeEvent
    from steelyard.nodes.runner import NodeOutcome, NodeRunner
    from steelyard.nodes.verify import PulledModel, Verification, pull_model, verify_round
    from steelyard.operations.chain_session import ChainSession, Token
    from steelyard.operations.description import DataSection, JobDescription
    from steelyard.operations.dev_network import DevNetwork, dev_network
    from steelyard.operations.earnings import Earnings, Withdrawal, claim_earnings, earnings_of
    from steelyard.operations.job_control import control_job, leave_job
    from steelyard.operations.job_terms import wait_for_job
    from steelyard.operations.joining import JoinedJob, job_manifest, join_job
    from steelyard.operations.participant import Participant
    from steelyard.operations.posting import CreatedJob, create_job, post_job
    from steelyard.operations.publishing import PublishedJob, publish_job
    from steelyard.operations.registration import register_aggregator, register_worker
    from steelyard.operations.shards import PublishedData, ShardRequest, publish_data
    from steelyard.operations.terms import TermsSection

# Grouped as in docs/api.md; the modules are below `steelyard`.
_NAMES: dict[str, dict[str, str]] = {
    "Numbers: floats to the integer weight vector and back (docs/protocol.md section 1)": {
        "core.numbers": "block_count dequantize quantize",
        "jobs.manifest": "TensorSpec",
        "learning.vector": "flatten safetensors_to_state state_to_safetensors unflatten",
        "learning.job_setup": "tensor_specs",
    },
    "Encodings, update files and state files (section 2)": {
        "core.encodings": "Encoded Encoding decode_block encode encode_block",
        "core.state_file": "StateFile open_state write_state",
        "core.update_file": "UpdateFile UpdateSummary open_update",
        "core.update_writer": "WrittenUpdate encode_update write_update",
    },
    "Trees and commitments (section 3)": {
        "core.trees": "StateTree UpdateRoot UpdateTree "
        "block_leaf path_root sealed_root state_leaves state_root",
    },
    "Aggregation (section 4)": {
        "core.rules": "AggregationConfig Rule WeightTable",
        "core.inputs": "Inputs open_inputs",
        "core.aggregation": "AggregationResult aggregate",
        "core.transcript": "PostedResult Roots roots_of",
    },
    "Proofs of fault (section 7)": {
        "core.proofs": "ArithmeticProof MalformedProof arithmetic_proof find_fault malformed_proof",
    },
    "Data and jobs": {
        "learning.data": "Kind Rows read_rows write_rows",
        "learning.loaders": "SourceOptions",
        "operations.shards": "PublishedData ShardRequest publish_data",
        "jobs.schema": "TrainingConfig",
        "jobs.manifest": "Manifest",
        "operations.description": "DataSection JobDescription",
        "operations.terms": "TermsSection",
    },
    "Content by CID": {
        "content": "Cid ContentStore StoreConfig make_store",
    },
    "Networks, accounts and deployments": {
        "chain.networks": "Deployment Network Networks",
        "chain.wallets": "Keystores Wallet",
        "chain.passwords": "Passwords",
        "chain.client": "ChainClient",
        "chain.deployment_plan": "DeploymentSettings",
        "chain.deploy": "Deployed",
        "chain.web3_creator": "deploy_contracts",
        "operations.dev_network": "DevNetwork dev_network",
    },
    "Sponsoring, joining and paying for jobs": {
        "operations.participant": "Participant",
        "operations.chain_session": "ChainSession Token",
        "operations.publishing": "PublishedJob publish_job",
        "operations.posting": "CreatedJob create_job post_job",
        "operations.registration": "register_aggregator register_worker",
        "operations.joining": "JoinedJob job_manifest join_job",
        "operations.job_control": "control_job leave_job",
        "operations.job_terms": "wait_for_job",
        "operations.earnings": "Earnings Withdrawal claim_earnings earnings_of",
    },
    "Verifying a result": {
        "nodes.verify": "PulledModel Verification pull_model verify_round",
    },
    "Running a node": {
        "nodes.config": "NodeConfig Role",
        "nodes.reporting": "NodeEvent",
        "nodes.runner": "NodeOutcome NodeRunner",
    },
    "Errors": {
        "errors": "ChainError ConfigError ContentError ContentMissing ExactError FormatError "
        "InsufficientFunds ManifestError NodeError QuantizeError Reverted RuleError SteelyardError "
        "TrainingError Unreachable Unverifiable WalletError",
    },
}
_MODULES = {
    name: module for group in _NAMES.values() for module, names in group.items() for name in names.split()
}

# fmt: off
__all__ = [  # noqa: RUF022 - in the order of the groups
    "block_count", "dequantize", "quantize", "TensorSpec", "flatten", "safetensors_to_state",
    "state_to_safetensors", "unflatten", "tensor_specs",
    "Encoded", "Encoding", "decode_block", "encode", "encode_block", "StateFile", "open_state", "write_state",
    "UpdateFile", "UpdateSummary", "open_update", "WrittenUpdate", "encode_update", "write_update",
    "StateTree", "UpdateRoot", "UpdateTree", "block_leaf", "path_root", "sealed_root", "state_leaves",
    "state_root",
    "AggregationConfig", "Rule", "WeightTable", "Inputs", "open_inputs", "AggregationResult", "aggregate",
    "PostedResult", "Roots", "roots_of",
    "ArithmeticProof", "MalformedProof", "arithmetic_proof", "find_fault", "malformed_proof",
    "Kind", "Rows", "read_rows", "write_rows", "SourceOptions", "PublishedData", "ShardRequest",
    "publish_data", "TrainingConfig", "Manifest", "DataSection", "JobDescription", "TermsSection",
    "Cid", "ContentStore", "StoreConfig", "make_store",
    "Deployment", "Network", "Networks", "Keystores", "Wallet", "Passwords", "ChainClient",
    "DeploymentSettings", "Deployed", "deploy_contracts", "DevNetwork", "dev_network",
    "Participant", "ChainSession", "Token", "PublishedJob", "publish_job", "CreatedJob", "create_job",
    "post_job", "register_aggregator", "register_worker", "JoinedJob", "job_manifest", "join_job",
    "control_job", "leave_job", "wait_for_job", "Earnings", "Withdrawal", "claim_earnings", "earnings_of",
    "PulledModel", "Verification", "pull_model", "verify_round",
    "NodeConfig", "Role", "NodeEvent", "NodeOutcome", "NodeRunner",
    "ChainError", "ConfigError", "ContentError", "ContentMissing", "ExactError", "FormatError",
    "InsufficientFunds", "ManifestError", "NodeError", "QuantizeError", "Reverted", "RuleError",
    "SteelyardError", "TrainingError", "Unreachable", "Unverifiable", "WalletError",
]
# fmt: on


def __getattr__(name: str) -> Any:
    """Import a public name on its first use."""
    module = _MODULES.get(name)
    if module is None:
        raise AttributeError(f"module 'steelyard' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"steelyard.{module}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """The public names, whether loaded or not."""
    return sorted({*globals(), *__all__})
