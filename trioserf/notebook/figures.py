"""The same curves drawn by matplotlib, for those who want to style, zoom or print them.

Nothing else needs matplotlib: it comes with the extra ``trioserf[plot]``, and is imported when
a figure is drawn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .._tables import plain
from .svg import PALETTE, label

_STYLES = ("-", "--", ":", "-.")


def figure(
    series: Mapping[str, Sequence[tuple[float, float]]],
    *,
    title: str = "",
    x_label: str = "seconds",
    y_label: str = "",
    log_x: bool = False,
    axes: object = None,
) -> object:
    """What `curves` draws, as a matplotlib figure: ``figure(...).savefig("spread.pdf")``.

    Args:
      series: points ``(x, y)`` in order of x, for each name.
      log_x: a logarithmic horizontal scale.
      axes: matplotlib's, to draw into; a new figure if it is not given.

    Returns:
      the ``matplotlib.figure.Figure``; ``%matplotlib inline`` lets a notebook show it.

    Raises:
      ModuleNotFoundError: there is no matplotlib.
    """
    ax: Any = axes if axes is not None else _new_axes()
    for index, (name, curve) in enumerate(series.items()):
        ax.plot(
            [x for x, _ in curve],
            [y for _, y in curve],
            label=_text(label(name, 80)),
            color=PALETTE[index % len(PALETTE)],
            linestyle=_STYLES[index % len(_STYLES)],
        )
    ax.set_title(_text(title))
    ax.set_xlabel(_text(x_label))
    ax.set_ylabel(_text(y_label))
    if log_x:
        ax.set_xscale("log")
    if series:
        ax.legend()
    found: object = ax.figure
    return found


def _new_axes() -> Any:
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "figure() needs matplotlib: pip install 'trioserf[plot]'", name="matplotlib"
        ) from error
    return Figure(layout="constrained").add_subplot()


def _text(words: str) -> str:
    """To matplotlib, dollars are mathematics, and a label that begins with _ is none."""
    escaped = plain(words).replace("$", "\\$")
    return f"\u2009{escaped}" if escaped.startswith("_") else escaped
