"""The typed layer fits the committed ABI: every struct, event and function, by name, order and type."""

from __future__ import annotations

import dataclasses
import inspect
import re
import types
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from eth_abi.abi import encode
from eth_utils.crypto import keccak

from steelyard.chain import contracts
from steelyard.chain.calls import Contract
from steelyard.chain.codec import Field, Interface, Signature, snake
from steelyard.chain.generated import events, structs
from steelyard.chain.generated.coordinator import Coordinator
from steelyard.chain.generated.token import TestToken as Token
from steelyard.chain.generated.vault import Vault
from steelyard.chain.generated.worker_registry import WorkerRegistry
from steelyard.chain.reverts import REMEDIES, Reverts
from steelyard.chain.types import Event

TYPED: dict[str, type[Any]] = {
    "Coordinator": Coordinator,
    "Vault": Vault,
    "WorkerRegistry": WorkerRegistry,
    "TestToken": Token,
}
ROOT = Path(__file__).resolve().parents[3]
NOT_TYPED = {"multicall"}


def interface(name: str) -> Interface:
    return Interface.load(name)


def python_type(field: Field) -> Any:
    """The type of a dataclass field for an ABI type."""
    if field.type.endswith("]"):
        inner = dataclasses.replace(field, type=field.type[: field.type.rindex("[")])
        return types.GenericAlias(tuple, (python_type(inner), ...))
    if field.kind is not None:
        return field.kind
    kinds = {"bool": bool, "address": str, "string": str}
    return kinds.get(field.type, int if field.type.startswith(("uint", "int")) else bytes)


def hints(kind: type[Any]) -> dict[str, Any]:
    found = typing.get_type_hints(kind)
    return {item.name: found[item.name] for item in dataclasses.fields(kind) if item.name != "position"}


@pytest.mark.parametrize("name", TYPED)
def test_every_event_has_its_dataclass(name: str) -> None:
    for signature in interface(name).events.values():
        kind: type[Event] | None = events.KINDS.get((name, signature.name))
        if kind is None:
            assert name == "TestToken", f"{name}.{signature.name}: run scripts/build_chain_types.py"
            continue
        expected = {snake(field.name): python_type(field) for field in signature.inputs}
        assert hints(kind) == expected, signature.text
        assert list(hints(kind)) == list(expected)


@pytest.mark.parametrize("name", TYPED)
def test_no_event_class_is_left_over(name: str) -> None:
    known = {signature.name for signature in interface(name).events.values()}
    assert {event for contract, event in events.KINDS if contract == name} <= known


@pytest.mark.parametrize("name", TYPED)
def test_every_function_has_its_method(name: str) -> None:
    for function, signature in interface(name).functions.items():
        if function in NOT_TYPED:
            continue
        method = getattr(TYPED[name], snake(function), None)
        assert method is not None, f"{name}.{signature.text}: run scripts/build_chain_types.py"
        given = list(inspect.signature(method).parameters)[1:]
        assert len(given) == len(signature.inputs), signature.text


@pytest.mark.parametrize("name", TYPED)
def test_every_method_encodes_and_decodes_what_it_says(name: str) -> None:
    contract = TYPED[name](Contract(interface(name), "0x" + "11" * 20))
    for function, signature in interface(name).functions.items():
        if function in NOT_TYPED:
            continue
        method = getattr(contract, snake(function))
        call = method(*(sample(field) for field in signature.inputs))
        assert call.data[:4] == signature.selector
        answer = encode(
            [field.type for field in signature.outputs], [zero(field) for field in signature.outputs]
        )
        check_result(method, signature, call.decode(answer))


def check_result(method: Any, signature: Signature, value: Any) -> None:
    promised = typing.get_args(typing.get_type_hints(method)["return"])[0]
    if dataclasses.is_dataclass(promised):
        assert isinstance(value, typing.cast("type", promised))
        if len(signature.outputs) > 1:
            outputs = [python_type(field) for field in signature.outputs]
            assert list(hints(typing.cast("type", promised)).values()) == outputs, signature.text
    elif not signature.outputs:
        assert promised is type(None)
    else:
        assert promised == python_type(signature.outputs[0]), signature.text


def zero(field: Field) -> Any:
    if field.type.endswith("]"):
        length = field.type[field.type.rindex("[") + 1 : -1]
        inner = dataclasses.replace(field, type=field.type[: field.type.rindex("[")])
        return [zero(inner)] * int(length or 1)
    if field.components:
        return tuple(zero(part) for part in field.components)
    if field.type == "address":
        return "0x" + "00" * 20
    if field.type.startswith("bytes"):
        return bytes(int(field.type[5:] or 0))
    return {"bool": False, "string": ""}.get(field.type, 0)


def sample(field: Field) -> Any:
    """A value as a caller gives it: structs as dataclasses."""
    return field.normalize(zero(field))


def test_structs_have_the_fields_of_the_abi_in_its_order() -> None:
    seen = set()
    for name in TYPED:
        abi = interface(name)
        signatures: Sequence[Signature] = [*abi.functions.values(), *abi.events.values()]
        for signature in signatures:
            for field in (*signature.inputs, *signature.outputs):
                seen |= check_struct(field)
    assert seen == {name for name, kind in structs.KINDS.items() if dataclasses.is_dataclass(kind)}


def check_struct(field: Field) -> set[str]:
    if not field.components:
        return set()
    assert field.kind is not None, f"{field.name} ({field.type}) has no dataclass: run the script"
    expected = {snake(part.name): python_type(part) for part in field.components}
    assert hints(field.kind) == expected
    assert list(hints(field.kind)) == list(expected)
    return {field.kind.__name__}.union(*(check_struct(part) for part in field.components))


def test_ids_are_the_hashes_of_the_encoded_structs() -> None:
    coordinator = interface("Coordinator")
    result_field = coordinator.functions["convict"].inputs[0]
    submission_field = coordinator.functions["convictUpdate"].inputs[0]
    result, submission = sample(result_field), sample(submission_field)
    assert contracts.result_id(result) == keccak(encode([result_field.type], [zero(result_field)]))
    assert contracts.submission_id(submission) == keccak(
        encode([submission_field.type], [zero(submission_field)])
    )


def test_remedies_speak_of_errors_that_exist() -> None:
    names = {
        signature.name
        for name in (*TYPED, "FaultProver")
        for signature in Interface.load(name).errors.values()
    }
    assert set(REMEDIES) <= names
    declared = {
        name
        for path in (ROOT / "contracts" / "interfaces").glob("*.sol")
        for name in re.findall(r"^\s*error (\w+)\(", path.read_text("utf-8"), re.MULTILINE)
    }
    assert len(declared) > 50
    assert declared <= set(REMEDIES)


def test_every_remedy_can_be_built_from_the_fields_of_its_error() -> None:
    for name in (*TYPED, "FaultProver"):
        abi = Interface.load(name)
        reverts = Reverts(abi.errors.values())
        for signature in abi.errors.values():
            fields = [zero(field) for field in signature.inputs]
            data = signature.selector + encode([field.type for field in signature.inputs], fields)
            error = reverts.explain("Box.call", data)
            assert error.name == signature.name
            assert error.remedy


def test_reasons_stored_in_a_word_are_shown_as_text() -> None:
    abi = Interface.load("Coordinator")
    signature = next(each for each in abi.errors.values() if each.name == "BadTerms")
    data = signature.selector + b"bps".ljust(32, b"\0")
    error = Reverts(abi.errors.values()).explain("Coordinator.createJob", data)
    assert "BadTerms(field=bps)" in error.message
    assert "10,000" in error.remedy


INTERFACES = sorted((ROOT / "contracts" / "interfaces").glob("I*.sol"))
DECLARATION = re.compile(r"((?:^[ ]*///[^\n]*\n)*)^[ ]{4}(function|event|error) (\w+)\(", re.MULTILINE)


@pytest.mark.parametrize("path", INTERFACES, ids=lambda path: path.stem)
def test_every_function_event_and_error_of_an_interface_is_documented(path: Path) -> None:
    source = path.read_text("utf-8")
    if path.stem == "ICoordinator":  # a list of its parts
        assert not DECLARATION.search(source)
        return
    found = DECLARATION.findall(source)
    assert found
    for comment, kind, name in found:
        text = " ".join(comment.replace("///", " ").split())
        assert "@notice" in text, name
        if kind == "error":
            assert "Cause" in text, name
            assert "Cure" in text, name
        elif kind == "function" and not re.search(rf"function {name}\([^;]*\bview\b[^;]*;", source):
            assert "Who may call:" in text, name
