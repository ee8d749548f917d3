"""Property tests count examples, not milliseconds: bounds on time have tests of their own."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("trioserf", deadline=None)
settings.load_profile("trioserf")
