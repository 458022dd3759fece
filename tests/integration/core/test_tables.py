"""The tables of encodings and rules: complete, and enough to add one through."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import steelyard
from report_check import model
from steelyard.core.encoding_spec import ENCODINGS, Encoding
from steelyard.core.rules import RULES, Rule
from steelyard.jobs.schema import ENCODING_NAMES, RULE_NAMES
from support.core_reference import SIZES

PACKAGE = Path(steelyard.__file__).parent
SPEC, RULE_TABLE = "encoding_spec.py", "rules.py"

ENTRY = "    EncodingSpec(encoding=Encoding.BFP4, bits=4),\n"
ADDED_ENCODING = [
    ("    BFP4 = 2\n", "    BFP4 = 2\n    BFP6 = 3\n"),
    (ENTRY, ENTRY + ENTRY.replace("4", "6")),
]
# The mean of the lowest and the highest value that trimming leaves.
ADDED_RULE = [
    ("    MEDIAN = 2\n", "    MEDIAN = 2\n    MIDRANGE = 3\n"),
    (
        "\nRULES = (\n",
        """
def _midrange_sums(updates, table, trim, rows):
    for parts in walk(updates, rows):
        first, count = parts[0][:2]
        values = np.stack([update.values(first, count) for update in updates]).astype(np.int64)
        values.sort(axis=0)
        yield first, (values[trim] + values[-1 - trim]).reshape(-1), 2


RULES = (
""",
    ),
    (
        '\n)\n"""All rules, by their number."""\n',
        """
    RuleSpec(
        rule=Rule.MIDRANGE,
        max_trim=MAX_TRIM,
        trim=_stated_trim,
        mean=lambda column, weights, trim: rdiv(sorted(column)[trim] + sorted(column)[-1 - trim], 2),
        sums=_midrange_sums,
        block_bytes=_all_values_bytes,
        on_chain=False,
    ),
)
""",
    ),
]


def test_every_number_has_its_entry_and_its_name() -> None:
    assert [spec.encoding for spec in ENCODINGS] == list(Encoding)
    assert [spec.rule for spec in RULES] == list(Rule)
    assert ENCODING_NAMES == ("raw32", "bfp8", "bfp4")
    assert RULE_NAMES == ("fedavg", "trimmed_mean", "median")
    assert [spec.name for spec in RULES if spec.on_chain] == ["fedavg"]


def test_the_reference_and_the_reports_verifier_agree_on_sizes() -> None:
    """Both are written from docs/protocol.md and import nothing of the package."""
    sizes = {int(spec.encoding): spec.size for spec in ENCODINGS}
    assert dict(enumerate(SIZES)) == sizes
    assert {code: model.block_size(code) for code in model.MANTISSA_BITS} == sizes


def test_an_encoding_and_a_rule_are_added_through_the_tables_alone(tmp_path: Path) -> None:
    copy = tmp_path / "worker" / "steelyard"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__", "abi"))
    _edit(copy, SPEC, ADDED_ENCODING)
    _edit(copy, RULE_TABLE, ADDED_RULE)
    script = Path(__file__).parents[2] / "support" / "core_added.py"
    paths = os.pathsep.join([str(tmp_path / "worker"), *sys.path])
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path / "round")],
        capture_output=True,
        check=False,
        text=True,
        env={"PATH": "", "PYTHONPATH": paths, "NUMBA_CACHE_DIR": str(tmp_path / "cache")},
        timeout=300,
    )
    assert done.stdout.strip() == "added", done.stderr


def _edit(package: Path, name: str, changes: list[tuple[str, str]]) -> None:
    (path,) = package.rglob(name)
    source = path.read_text("utf-8")
    for old, new in changes:
        assert source.count(old) == 1, old
        source = source.replace(old, new)
    path.write_text(source, "utf-8")
