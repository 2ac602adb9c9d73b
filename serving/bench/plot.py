"""The benchmark's picture: rates by way and number of clients, and ratios beside their targets."""

import statistics
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from serving.bench.figures import Measured, Ratio

#: Okabe and Ito's, which people with any colour vision tell apart, from few clients to many.
_COLOURS: Final = ("#56B4E9", "#0072B2", "#000000")
_REACHED: Final = "#009E73"
_MISSED: Final = "#D55E00"
_STYLE: Final[dict[str, Any]] = {
    "font.size": 8,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.grid.axis": "x",
    "grid.color": "#E6E6E6",
    "axes.axisbelow": True,
    "legend.frameon": False,
}


def draw(
    measured: Measured, ratios: list[Ratio], clients: tuple[int, int, int], path: Path
) -> None:
    """Write a PNG file."""
    with mpl.rc_context(_STYLE):  # type: ignore[arg-type]
        figure = Figure(figsize=(12, 7), layout="constrained")
        FigureCanvasAgg(figure)
        left, right = figure.subplots(1, 2)
        _draw_rates(left, measured, clients)
        _draw_ratios(right, [one for one in ratios if one.target is not None])
        figure.savefig(path, dpi=110)


def _draw_rates(axes: Any, measured: Measured, clients: tuple[int, int, int]) -> None:
    kinds = list(dict.fromkeys(cell.kind for cell in measured))
    height = 0.8 / len(clients)
    for number, (count, colour) in enumerate(zip(clients, _COLOURS, strict=True)):
        rows = {kinds.index(c.kind): f.rates for c, f in measured.items() if c.clients == count}
        middles = [statistics.median(rates) for rates in rows.values()]
        below = [m - min(rates) for m, rates in zip(middles, rows.values(), strict=True)]
        above = [max(rates) - m for m, rates in zip(middles, rows.values(), strict=True)]
        axes.barh(
            [row + (number - 1) * height for row in rows],
            middles,
            height,
            xerr=(below, above),
            color=colour,
            ecolor="#767676",
            label=f"{count} at once",
        )
    names = [
        f"{kind.name}{', batching' if kind.batching else ''}"
        f"{f', {kind.images} a request' if kind.images > 1 else ''}"
        for kind in kinds
    ]
    axes.set_yticks(range(len(kinds)), names)
    axes.invert_yaxis()
    axes.set_xlabel("images a second: median of the rounds, lowest to highest")
    axes.set_title("Rates")
    axes.legend(loc="lower right")


def _draw_ratios(axes: Any, ratios: list[Ratio]) -> None:
    for row, ratio in enumerate(ratios):
        reached = ratio.median >= (ratio.target or 0)
        colour = _REACHED if reached else _MISSED
        axes.plot((min(ratio.values), max(ratio.values)), (row, row), color=colour)
        axes.plot(ratio.median, row, "o" if reached else "X", color=colour)
        axes.plot(ratio.target, row, "|", color="black", markersize=14)
    axes.set_yticks(range(len(ratios)), [ratio.what for ratio in ratios])
    axes.invert_yaxis()
    axes.set_xlabel("median of the rounds, lowest to highest; black: target")
    axes.set_title("Ratios: dots reach their target, crosses do not")
