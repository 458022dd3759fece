"""The picture of label skew: right numbers, well-formed, and bounded whatever the names are."""

from __future__ import annotations

import io
import xml.etree.ElementTree as ET

from rich.console import Console

from steelyard.cli.skew_chart import MAX_LABELS, MAX_SHARDS, SkewChart, svg_text, terminal_table

SVG = "{http://www.w3.org/2000/svg}"


def picture(parts: int = 2, labels: int = 3) -> SkewChart:
    counts = [[(p + 1) * (k + 1) for k in range(labels)] for p in range(parts)]
    names = [f"label <{k}> & [bold]" for k in range(labels)]
    return SkewChart(parts=[str(p) for p in range(parts)], labels=names, counts=counts, sizes=[1234] * parts)


def shown(of: SkewChart) -> str:
    console = Console(width=1000, record=True, file=io.StringIO())
    console.print(terminal_table(of))
    return console.export_text()


def test_the_terminal_shows_rows_bytes_and_shares() -> None:
    text = shown(picture())
    assert "1,234" in text
    assert "17%" in text
    assert "33%" in text
    assert "50%" in text
    assert text.count("█") == 4


def test_the_svg_has_a_cell_for_every_part_and_label_with_its_count() -> None:
    root = ET.fromstring(svg_text(picture(), "a <title>"))  # noqa: S314 - our own
    titles = [each.text for each in root.iter(f"{SVG}title")]
    assert titles[:3] == ["1 rows, 16.7%", "2 rows, 33.3%", "3 rows, 50.0%"]
    assert len(titles) == 6
    assert "label <0> & " in {each.text for each in root.iter(f"{SVG}text")}


def test_many_labels_and_parts_are_drawn_up_to_a_bound_and_none_is_lost() -> None:
    large = picture(parts=200, labels=256)
    small = large.narrowed()
    assert (len(small.labels), len(small.counts)) == (MAX_LABELS, MAX_SHARDS)
    assert [sum(row) for row in small.counts] == [sum(row) for row in large.counts[:MAX_SHARDS]]
    assert "136 more parts" in shown(large)


def test_a_part_without_rows_of_a_label_is_left_blank() -> None:
    assert "0%" in shown(SkewChart(parts=["0"], labels=["a", "b"], counts=[[5, 0]], sizes=[None]))
