"""The constants of the coordinate system and their bounds."""

from __future__ import annotations

import math
from typing import Any

import pytest

from trioserf._exceptions import ConfigError
from trioserf._vivaldi.config import CoordinateConfig


def test_the_defaults_are_those_of_go() -> None:
    expected = CoordinateConfig(
        dimensionality=8,
        vivaldi_error_max=1.5,
        vivaldi_ce=0.25,
        vivaldi_cc=0.25,
        adjustment_window_size=20,
        height_min=1.0e-5,
        latency_filter_size=3,
        gravity_rho=150.0,
    )
    assert expected == CoordinateConfig()


def test_a_space_without_dimensions_is_refused_by_name() -> None:
    """Checklist of Serf, item 114."""
    with pytest.raises(ConfigError, match="dimensionality"):
        CoordinateConfig(dimensionality=0)


@pytest.mark.parametrize(
    "setting",
    [
        {"dimensionality": 2.0},
        {"dimensionality": True},
        {"vivaldi_error_max": 0.0},
        {"vivaldi_ce": -0.1},
        {"vivaldi_cc": math.nan},
        {"adjustment_window_size": -1},
        {"height_min": math.inf},
        {"latency_filter_size": 0},
        {"gravity_rho": 0},
        {"gravity_rho": "150"},
    ],
    ids=str,
)
def test_settings_outside_their_bounds_are_refused(setting: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(setting))):
        CoordinateConfig(**setting)
