"""Draw resident memory over the rounds of the attacks, before and after, from two results of ``attacks.py``.

python bench/memory_graph.py bench/results/attacks-OLD.json bench/results/attacks-NEW.json
"""

from __future__ import annotations

import json
from html import escape
from pathlib import Path
from typing import Annotated, Final

import typer
from servers import ROOT

_OUTPUT: Final = ROOT / "docs" / "memory-under-attack.svg"
_COLUMNS: Final = 3
_WIDTH, _HEIGHT = 250, 150
"""Of a panel, with its margins."""
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 14, 30, 24
_HEAD: Final = 34
_BEFORE, _AFTER = "#c0392b", "#1f6fb4"

Rounds = dict[str, list[float]]


def main(
    after: Annotated[Path, typer.Argument(exists=True, dir_okay=False)],
    before: Annotated[list[Path], typer.Argument(exists=True, dir_okay=False)],
    output: Annotated[Path, typer.Option("--output", "-o", dir_okay=False)] = _OUTPUT,
) -> None:
    """Write a graph with a panel for each attack that was performed in rounds before and after."""
    new = _read(after)
    old = {name: rounds for path in before for name, rounds in _read(path).items()}
    names = [name for name in old if name in new]
    if not names:
        raise typer.BadParameter("the results have no attack in rounds in common")
    output.write_text(draw({name: (old[name], new[name]) for name in names}))
    print(f"written to {output}")


def draw(panels: dict[str, tuple[list[float], list[float]]]) -> str:
    """An SVG document; megabytes before and after, by attack and round."""
    rows = -(-len(panels) // _COLUMNS)
    width, height = _COLUMNS * _WIDTH, _HEAD + rows * _HEIGHT
    box = f'width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {box} font-family="sans-serif" font-size="11">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
        _text(12, 20, "Resident memory (MB) after each of ten rounds of an attack:", "black"),
        _text(400, 20, "before", _BEFORE),
        _text(450, 20, "now", _AFTER),
    ]
    for number, (name, (old, new)) in enumerate(panels.items()):
        x, y = number % _COLUMNS * _WIDTH, _HEAD + number // _COLUMNS * _HEIGHT
        parts.append(f'<g transform="translate({x} {y})">')
        parts += _panel(name, old, new)
        parts.append("</g>")
    return "\n".join([*parts, "</svg>", ""])


def _panel(name: str, old: list[float], new: list[float]) -> list[str]:
    top = _round_up(max(old + new))
    bottom = _HEIGHT - _BOTTOM
    right = _WIDTH - _RIGHT
    parts = [_text(_LEFT, _TOP - 10, name.replace("_", " "), "black")]
    for share in (0.0, 0.5, 1.0):
        y = bottom - share * (bottom - _TOP)
        parts.append(f'<path d="M{_LEFT} {y:.1f}H{right}" stroke="#ddd"/>')
        parts.append(_text(_LEFT - 4, y + 4, f"{top * share:g}", "#555", anchor="end"))
    for index in (0, len(new) - 1):
        parts += [_text(_x(index, len(new)), bottom + 14, str(index + 1), "#555", anchor="middle")]
    for values, color in ((old, _BEFORE), (new, _AFTER)):
        points = (
            f"{_x(index, len(values)):.1f},{bottom - value / top * (bottom - _TOP):.1f}"
            for index, value in enumerate(values)
        )
        parts.append(f'<polyline points="{" ".join(points)}" fill="none" stroke="{color}" stroke-width="2"/>')
    return parts


def _x(index: int, count: int) -> float:
    return _LEFT + index * (_WIDTH - _LEFT - _RIGHT) / max(1, count - 1)


def _round_up(value: float) -> float:
    """To a number that divides well by two."""
    step = 10 ** (len(str(int(value))) - 1)
    return float(-(-value // step) * step)


def _text(x: float, y: float, text: str, color: str, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" fill="{color}" text-anchor="{anchor}">{escape(text)}</text>'


def _read(path: Path) -> Rounds:
    verdicts = json.loads(path.read_text())["verdicts"]
    return {each["attack"]: each["figures"]["rss_mb"] for each in verdicts if each["figures"].get("rss_mb")}


if __name__ == "__main__":
    typer.run(main)
