"""Write the typed layer of steelyard.chain from ABI and interfaces: structs, events, calls.

Run it after scripts/build_contracts.py. tests/unit/chain proves that it fits the committed ABI.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from steelyard.chain.codec import snake

ROOT = Path(__file__).resolve().parents[1]
CHAIN = ROOT / "worker" / "steelyard" / "chain"
INTERFACES = {"Coordinator": "ICoordinator", "Vault": "IVault", "WorkerRegistry": "IWorkerRegistry"}
TOKEN = "TestToken"  # noqa: S105  # a contract's name
VIEWS = {
    "termsOf": "TermsView",
    "roundOf": "RoundView",
    "electedOf": "TurnView",
    "escrowOf": "EscrowView",
}
FILES = {
    "Coordinator": "coordinator",
    "Vault": "vault",
    "WorkerRegistry": "worker_registry",
    TOKEN: "token",
}
SUMMARY = {
    "Coordinator": "Jobs, rounds, disputes and rewards.",
    "Vault": "Stakes, bonds, escrow and credits.",
    "WorkerRegistry": "Who may work: identity, operator, payout, encryption key, reputation.",
    TOKEN: "The deployment's token: an ERC-20 with permit; `mint` on development chains alone.",
}
MADE = "\n\nWritten by scripts/build_chain_types.py from the contracts; as long as they are.\n"
WIDTH = 110
STRUCT = re.compile(r"((?:[ \t]*///[^\n]*\n)*)[ \t]*struct (\w+) \{(.*?)\n\s*\}", re.DOTALL)


def main() -> int:
    """Compile the interfaces, write the modules, format them."""
    sources = compile_interfaces()
    abis = {name: named(name, sources) for name in FILES}
    docs = {name: sources[interface]["userdoc"] for name, interface in INTERFACES.items()} | {TOKEN: {}}
    written = {CHAIN / "structs.py": structs_module(abis), CHAIN / "events.py": events_module(abis, docs)}
    for name, file in FILES.items():
        written[CHAIN / f"{file}.py"] = contract_module(name, abis[name], docs[name])
    for path, text in written.items():
        path.write_text(text, "utf-8")
    ruff = [sys.executable, "-m", "ruff"]
    paths = [str(path) for path in written]
    subprocess.run([*ruff, "check", "-q", "--fix", "--select", "I,F401", *paths], check=True, cwd=ROOT)
    subprocess.run([*ruff, "format", "-q", *paths], check=True, cwd=ROOT)
    return 0


def named(contract: str, sources: dict[str, Any]) -> list[dict[str, Any]]:
    """The committed ABI, with the interface's names of parameters and results where it has the function."""
    document = json.loads((CHAIN / "abi" / f"{contract}.json").read_text("utf-8"))
    interface = sources[INTERFACES[contract]]["abi"] if contract in INTERFACES else []
    better = {shape(item): item for item in interface}
    return [better.get(shape(item), item) for item in document["abi"]]


def shape(item: dict[str, Any]) -> tuple[str, str, str]:
    """Kind, name and parameter types of an ABI entry."""
    types = ",".join(entry["internalType"] for entry in item.get("inputs", ()))
    return item["type"], item.get("name", ""), types


def compile_interfaces() -> dict[str, Any]:
    """ABI and user documentation of each interface."""
    folder = ROOT / "contracts" / "interfaces"
    request = {
        "language": "Solidity",
        "sources": {path.name: {"content": path.read_text("utf-8")} for path in folder.glob("*.sol")},
        "settings": {
            "evmVersion": "shanghai",
            "outputSelection": {"*": {"*": ["abi", "userdoc"]}},
        },
    }
    ran = subprocess.run(
        [str(ROOT / "scripts" / "solc"), "--standard-json"],
        input=json.dumps(request),
        capture_output=True,
        text=True,
        check=True,
    )
    answer = json.loads(ran.stdout)
    problems = [e["formattedMessage"] for e in answer.get("errors", ()) if e["severity"] == "error"]
    if problems:
        raise SystemExit("\n".join(problems))
    return {name: unit for file in answer["contracts"].values() for name, unit in file.items()}


def kind(entry: dict[str, Any]) -> str:
    """The Python type of a parameter or struct member."""
    internal, solidity = str(entry.get("internalType", "")), str(entry["type"])
    if solidity.endswith("]"):
        inner = {**entry, "type": solidity[: solidity.rindex("[")]}
        inner["internalType"] = internal[: internal.rindex("[")]
        return f"tuple[{kind(inner)}, ...]"
    if internal.startswith(("struct ", "enum ")):
        return _last(internal)
    if solidity.startswith(("uint", "int")):
        return "int"
    return {"bool": "bool", "address": "str", "string": "str"}.get(solidity, "bytes")


def _last(internal: str) -> str:
    """`struct IVault.Balance[]` is Balance."""
    return re.split(r"[ .]", internal.partition("[")[0])[-1]


def argument(entry: dict[str, Any]) -> str:
    """The type of a parameter that a caller gives: any sequence will do for an array."""
    return kind(entry).replace("tuple[", "Sequence[").replace(", ...]", "]")


def docstring(text: str, indent: str, title: str) -> str:
    """A docstring; its first sentence is the summary, and a long text is wrapped."""
    text = " ".join(text.split()).replace("\\", "\\\\")
    if len(indent) + len(text) + 6 <= WIDTH:
        return f'{indent}"""{text}"""\n'
    summary, _, rest = text.partition(". ")
    if len(indent) + len(summary) + 4 > WIDTH:
        summary, rest = f"{title}, in short", text
    wrapped = textwrap.fill(rest.strip(), WIDTH - len(indent))
    body = textwrap.indent(wrapped, indent)
    return f'{indent}"""{summary.rstrip(".")}.\n\n{body}\n{indent}"""\n'


def structs_of(entries: Iterable[dict[str, Any]], found: dict[str, Any]) -> None:
    """Collect the structs and enums of parameters, inner ones first."""
    for entry in entries:
        structs_of(entry.get("components", ()), found)
        internal = str(entry.get("internalType", ""))
        if internal.startswith(("struct ", "enum ")):
            found.setdefault(_last(internal), entry)


def structs_module(abis: dict[str, Any]) -> str:
    """Dataclasses of every struct that crosses the ABI, enums, and of results with several values."""
    found: dict[str, Any] = {}
    for abi in abis.values():
        for item in abi:
            structs_of([*item.get("inputs", ()), *item.get("outputs", ())], found)
    enums = {name for name, entry in found.items() if not entry.get("components")}
    comments = member_comments()
    text = f'"""The contracts\' structs, with fields in Python\'s spelling.{MADE}"""\n\n'
    text += "from __future__ import annotations\n\nfrom dataclasses import dataclass\n"
    text += "from enum import IntEnum\nfrom typing import Any\n\n"
    for name, entry in found.items():
        text += enum_class(name) if name in enums else struct_class(name, entry["components"], comments)
    for name, abi in abis.items():
        for item in abi:
            if item["type"] == "function" and len(item.get("outputs", ())) > 1 and item["name"] in VIEWS:
                text += view_class(VIEWS[item["name"]], name, item)
    text += "\n# By Solidity's names: what the decoder makes of a struct or an enum.\n"
    text += "KINDS: dict[str, Any] = {\n"
    text += "".join(f'    "{name}": {name},\n' for name in found) + "}\n"
    return text


def struct_class(name: str, members: list[dict[str, Any]], comments: dict[tuple[str, str], str]) -> str:
    """One frozen dataclass."""
    lines = []
    for member in members:
        line = f"    {snake(member['name'])}: {kind(member)}"
        comment = comments.get((name, member["name"]), "")
        fits = comment and len(line) + len(comment) + 4 <= WIDTH
        lines.append(f"{line}  # {comment}" if fits else line)
    doc = docstring(comments.get((name, ""), f"Solidity's `{name}`."), "    ", f"`{name}`")
    return f"\n@dataclass(frozen=True, kw_only=True)\nclass {name}:\n{doc}\n" + "\n".join(lines) + "\n\n"


def enum_class(name: str) -> str:
    """An IntEnum, from the source: the ABI has no members."""
    source = "".join(path.read_text("utf-8") for path in interface_files())
    match = re.search(rf"enum {name} \{{([^}}]*)\}}", source)
    members = [item.strip() for item in match.group(1).split(",")] if match else []
    body = "".join(f"    {item.upper()} = {index}\n" for index, item in enumerate(members) if item)
    return f'\nclass {name}(IntEnum):\n    """Solidity\'s `{name}`."""\n\n{body}\n'


def view_class(view: str, contract: str, item: dict[str, Any]) -> str:
    """A result with several values."""
    fields = "\n".join(f"    {snake(out['name'] or 'sponsor')}: {kind(out)}" for out in item["outputs"])
    doc = docstring(f"What `{contract}.{item['name']}` answers.", "    ", view)
    return f"\n@dataclass(frozen=True)\nclass {view}:\n{doc}\n{fields}\n\n"


def interface_files() -> list[Path]:
    """The interfaces' sources."""
    return sorted((ROOT / "contracts" / "interfaces").glob("*.sol"))


def member_comments() -> dict[tuple[str, str], str]:
    """The comment of each struct member, and under the empty name of the struct."""
    comments: dict[tuple[str, str], str] = {}
    for path in interface_files():
        source = path.read_text("utf-8")
        for match in re.finditer(
            r"((?:[ \t]*///[^\n]*\n)*)[ \t]*struct (\w+) \{(.*?)\n\s*\}", source, re.DOTALL
        ):
            notice = " ".join(
                re.sub(r"^\s*///\s?(@notice)?", "", line).strip() for line in match[1].splitlines()
            )
            if notice.strip():
                comments[match[2], ""] = notice
            for member in re.finditer(r"(\w+);[ \t]*//\s*([^\n]*)", match[3]):
                comments[match[2], member[1]] = member[2].strip()
    return comments


def events_module(abis: dict[str, Any], docs: dict[str, Any]) -> str:
    """A dataclass per event and the table that the decoder goes by."""
    text = f'"""The contracts\' events as frozen dataclasses.{MADE}"""\n\n'
    text += "from __future__ import annotations\n\nfrom dataclasses import dataclass\n\n"
    text += "from .records import Event\n"
    names = sorted({name for abi in abis.values() for name in event_structs(abi)})
    text += f"from .structs import {', '.join(names)}\n\n" if names else "\n"
    table = ""
    for contract, abi in abis.items():
        for item in abi:
            if item["type"] != "event":
                continue
            notes = {key.partition("(")[0]: note for key, note in docs[contract].get("events", {}).items()}
            notice = notes.get(item["name"], {}).get("notice") or f"`{contract}.{item['name']}`."
            fields = "\n".join(f"    {snake(entry['name'])}: {kind(entry)}" for entry in item["inputs"])
            text += f"\n@dataclass(frozen=True, kw_only=True)\nclass {item['name']}(Event):\n"
            text += f"{docstring(notice, '    ', item['name'])}\n{fields}\n\n"
            table += f'    ("{contract}", "{item["name"]}"): {item["name"]},\n'
    return text + f"\nKINDS: dict[tuple[str, str], type[Event]] = {{\n{table}}}\n"


def event_structs(abi: list[dict[str, Any]]) -> set[str]:
    """Names of the structs and enums in the events of a contract."""
    found: dict[str, Any] = {}
    for item in abi:
        if item["type"] == "event":
            for entry in item["inputs"]:
                top: dict[str, Any] = {}
                structs_of([{**entry, "components": ()}], top)
                found |= top
    return set(found)


def contract_module(name: str, abi: list[dict[str, Any]], docs: dict[str, Any]) -> str:
    """A class with one method per function, each giving a Call."""
    functions = [item for item in abi if item["type"] == "function"]
    used: dict[str, Any] = {}
    for item in functions:
        for entry in [*item["inputs"], *item["outputs"]]:
            structs_of([{**entry, "components": ()}], used)
    names = sorted({*used, *(VIEWS[item["name"]] for item in functions if item["name"] in VIEWS)})
    text = f'"""Typed calls of `{name}`.{MADE}"""\n\nfrom __future__ import annotations\n\n'
    text += "from collections.abc import Sequence\nfrom dataclasses import dataclass\n\n"
    text += "from .calls import Call, Contract\n"
    text += f"from .structs import {', '.join(names)}\n\n" if names else "\n"
    text += f'\n@dataclass(frozen=True)\nclass {name}:\n    """{SUMMARY[name]}"""\n\n    contract: Contract\n'
    text += '\n    @property\n    def address(self) -> str:\n        """Where it stands."""\n'
    text += "        return self.contract.address\n"
    notes = {key.partition("(")[0]: note for key, note in docs.get("methods", {}).items()}
    for item in functions:
        text += method(name, item, notes.get(item["name"], {}).get("notice", ""))
    return text


def method(contract: str, item: dict[str, Any], notice: str) -> str:
    """One function."""
    names = [snake(entry["name"] or f"arg{i}") for i, entry in enumerate(item["inputs"])]
    inputs = [
        (f"{name}_" if name in ("id",) else name, e) for name, e in zip(names, item["inputs"], strict=True)
    ]
    parameters = "".join(f", {name}: {argument(entry)}" for name, entry in inputs)
    outputs = item["outputs"]
    view = VIEWS.get(item["name"])
    result = view or ("None" if not outputs else kind(outputs[0]))
    given = ", ".join(name for name, _ in inputs)
    doc = docstring(notice or f"`{contract}.{item['name']}`.", "        ", f"`{item['name']}`")
    text = f"\n    def {snake(item['name'])}(self{parameters}) -> Call[{result}]:\n{doc}"
    if view:
        trailing = "," if len(inputs) == 1 else ""
        text += f'        return self.contract.typed("{item["name"]}", ({given}{trailing}), '
        return text + f"lambda values: {view}(*values))\n"
    return (
        text
        + f"        return self.contract.call({', '.join([repr(item['name']), *filter(None, [given])])})\n"
    )


if __name__ == "__main__":
    sys.exit(main())
