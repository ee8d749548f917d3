"""Campaigns of random faults, with which trioserf itself is tested.

::

    python -m trioserf.testing.explore --seeds 1-100

A schedule of faults is drawn from a seed and run on a cluster of its own, which is watched from
beginning to end; one that fails is shrunk to the faults that matter.
"""

from __future__ import annotations

from .fault_schedules import Fault as Fault
from .fault_schedules import FaultKind as FaultKind
from .fault_schedules import Schedule as Schedule
from .fault_schedules import Setup as Setup
from .fault_schedules import draw_schedule as draw_schedule
from .schedule_runs import Outcome as Outcome
from .schedule_runs import campaign_invariants as campaign_invariants
from .schedule_runs import run_schedule as run_schedule
