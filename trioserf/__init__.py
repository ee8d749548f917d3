# The house of trioserf
#
# One idea: decide in plain code, wait in tasks.  Rules (who is alive, what to pass on, when a
# suspicion ends) are ordinary classes: they take the time and a random source as arguments,
# never wait, and return values or small frozen effects.  Waiting (sockets, intervals, files)
# is done by tasks, each in a small file, all of them in one nursery.
#
# layer 7   __init__        this door: what a user types
#           __main__        the program: python -m trioserf, and the command trioserf
#           client          speaks the RPC protocol of agents, of Go's and of ours
#           ipc             lets RPC clients operate a node that lives in a program
#           lowlevel        the parts, for those who build on them
#           notebook/       a node that lives across cells; tables and plots
#           testing/        simulated network and cluster, laws for transports
#           testing_plugin  the same as fixtures of pytest
#       6   _agent/         IPC server, event handlers, command line
#       5   _serf/          tasks of Serf: tree.py has the picture of all tasks of a node,
#                           open.py the rules of opening and closing, serf.py the facade,
#                           delegate.py the place where rules meet the rest
#       4   _memberlist/    tasks of membership: receiver, prober, gossip, streams
#           _net/           UDP and TCP on one port; addresses
#       3   _cluster/       rules of Serf: members, intents, events, queries, keys     | pure:
#       2   _swim/          rules of membership: table, suspicion, probing, queues     | no clock,
#       1   _wire/          bytes and messages                                         | no socket,
#           _vivaldi/       network coordinates                                        | no waiting
#       0   _exceptions     every error, in one tree
#           _config _memberlist_config _settings    every setting, its unit and bound
#           _events         members, and what happens to them
#           abc             the seams: transports, delegates, taps
#           _version
#
# A file uses lower layers and its own room, never a higher one; `_memberlist` does not know
# Serf.  How a packet travels: `_net` reads it, `_memberlist/receiver.py` takes it apart with
# `_wire`, `_swim` or, by way of `_serf/delegate.py`, `_cluster` decides, and the effects go to
# queues, to the network, and down the event pipeline to the readers.
#
# Where to begin: a rule? `_swim/table.py` and `_cluster/members.py`.  A task?
# `_serf/tree.py`.  A byte? `_wire/messages.py`.  A setting? `_config.py`.
"""HashiCorp Serf as a Python library on Trio.

::

    async with trioserf.open(trioserf.Config.lan(node_name="web-1")) as serf:
        await serf.join(["10.0.0.5"])
        await serf.user_event("deploy", b"v42")
        async for event in serf.events:
            print(event)
"""

from __future__ import annotations
