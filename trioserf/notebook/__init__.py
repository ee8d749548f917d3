"""A node that lives across the cells of a notebook: ``%load_ext trioserf.notebook``.

::

    %load_ext trioserf.notebook
    import trioserf
    serf = await keep(trioserf.open(trioserf.Config.local(node_name="me")))
    serf.members()
    nursery.start_soon(watcher)      # output appears under this cell

A kernel runs cells in its main thread, and between cells, or while a cell computes, a loop in
that thread would stand still: peers would declare the node failed.  Therefore Trio runs in a
thread of its own (`thread`), and IPython's public ``loop_runner`` sends it the cells that
await something (`cells`).  Cells without ``await`` stay in the main thread and never stop the
node.  A context manager that stays open between cells is entered and left by one task of its
own (`keeper`), because its cancel scopes must nest.

Works in Jupyter kernels (ipykernel 6 and 7), in what embeds them, and in the IPython terminal;
needs neither a special kernel nor a start option.
"""

from __future__ import annotations

from .bridge import in_trio as in_trio
from .curves import curves as curves
from .curves import figure as figure
from .curves import latency as latency
from .curves import queues as queues
from .curves import spread as spread
from .extension import load_ipython_extension as load_ipython_extension
from .extension import unload_ipython_extension as unload_ipython_extension
from .keeper import keep as keep
from .keeper import release as release
from .live_views import Recorder as Recorder
from .live_views import live as live
from .live_views import record as record
from .maps import coordinate_map as coordinate_map
from .maps import rtt_matrix as rtt_matrix
from .svg import Chart as Chart
from .thread import NotebookNursery as NotebookNursery
from .timeline import Moment as Moment
from .timeline import timeline as timeline
