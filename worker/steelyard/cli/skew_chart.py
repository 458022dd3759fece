"""Label skew as a chart: in the terminal, and as SVG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from rich.console import RenderableType

MAX_LABELS = 32  # that are drawn; the rest is one column
MAX_SHARDS = 64
BAR = 20  # characters of the longest
_SHADES = " ░▒▓█"
_CELL, _LEFT, _TOP, _WIDE = 26, 80, 90, 160  # SVG units


@dataclass(frozen=True, kw_only=True)
class SkewChart:
    """Rows of each label in each part."""

    parts: Sequence[str]  # names, "test" among them
    labels: Sequence[str]
    counts: Sequence[Sequence[int]]  # (parts, labels)
    sizes: Sequence[int | None]  # bytes; None if no file was written

    def narrowed(self) -> SkewChart:
        """Limited to the labels and parts that are drawn; the other labels are added up."""
        rows = list(self.counts)[:MAX_SHARDS]
        labels = list(self.labels)
        if len(labels) > MAX_LABELS:
            shown = MAX_LABELS - 1
            labels = [*labels[:shown], f"{len(labels) - shown} more"]
            rows = [[*row[:shown], sum(row[shown:])] for row in rows]
        return SkewChart(
            parts=self.parts[:MAX_SHARDS], labels=labels, counts=rows, sizes=self.sizes[:MAX_SHARDS]
        )


def terminal_table(picture: SkewChart) -> RenderableType:
    """One line for each part: rows, bytes, a bar, and a shade for each label's share."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    small = picture.narrowed()
    longest = max((sum(row) for row in small.counts), default=1)
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name, justify in (("part", "right"), ("rows", "right"), ("bytes", "right"), ("", "left")):
        table.add_column(name, justify=justify, no_wrap=True)  # type: ignore[arg-type]
    for label in small.labels:
        table.add_column(Text(label[:6]), justify="center", no_wrap=True)
    for name, row, size in zip(small.parts, small.counts, small.sizes, strict=True):
        total = sum(row)
        bar = Text("━" * max(1, round(BAR * total / longest)), style="cyan")
        cells = [_cell(count, total) for count in row]
        table.add_row(Text(name), f"{total:,}", f"{size:,}" if size is not None else "", bar, *cells)
    left_out = len(picture.parts) - len(small.parts)
    table.caption = f"a cell: the label's share of the part{f'; {left_out} more parts' if left_out else ''}"
    return table


def _cell(count: int, total: int) -> RenderableType:
    from rich.text import Text

    share = count / total if total else 0.0
    shade = _SHADES[min(len(_SHADES) - 1, -int(-share * 2 * (len(_SHADES) - 1) // 1))]
    green = 90 + round(165 * min(1.0, share * 2))
    return Text(shade * 2 + f"{share:4.0%}", style=f"rgb({90},{green},{120})" if count else "dim")


def svg_text(picture: SkewChart, title: str) -> str:
    """The text of an SVG file with every part and label."""
    width = _LEFT + _CELL * len(picture.labels) + _WIDE
    height = _TOP + _CELL * len(picture.parts) + 20
    longest = max((sum(row) for row in picture.counts), default=1)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}">',
        '<g font-family="sans-serif" font-size="11">',
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
        f'<text x="10" y="20" font-size="14">{escape(title)}</text>',
    ]
    for column, label in enumerate(picture.labels):
        x = _LEFT + _CELL * column + _CELL // 2
        lines.append(f'<text transform="translate({x},{_TOP - 6}) rotate(-45)">{escape(label[:12])}</text>')
    for number, (name, row) in enumerate(zip(picture.parts, picture.counts, strict=True)):
        lines += _svg_row(name, row, longest, _TOP + _CELL * number)
    return "\n".join([*lines, "</g>", "</svg>", ""])


def _svg_row(name: str, row: Sequence[int], longest: int, y: int) -> list[str]:
    total, middle = sum(row), y + _CELL // 2 + 4
    lines = [f'<text x="{_LEFT - 8}" y="{middle}" text-anchor="end">{escape(name)}</text>']
    for column, count in enumerate(row):
        share = count / total if total else 0.0
        place = f'x="{_LEFT + _CELL * column}" y="{y}" width="{_CELL - 2}" height="{_CELL - 2}"'
        lines.append(
            f'<rect {place} fill="#0b6e4f" fill-opacity="{min(1.0, 0.04 + share * 1.6):.3f}">'
            f"<title>{count} rows, {share:.1%}</title></rect>"
        )
    x = _LEFT + _CELL * len(row) + 8
    lines.append(f'<rect x="{x}" y="{y + 6}" width="{80 * total / longest:.1f}" height="12" fill="#2a6fbb"/>')
    lines.append(f'<text x="{x + 84}" y="{middle}">{total}</text>')
    return lines
