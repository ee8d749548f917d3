"""Every attack by name, with what it needs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import attrs

from . import connections, filters, floods, ghosts, lies, pieces
from .attacker import Attacker


@attrs.frozen
class Attack:
    """One attack.

    Args:
      row: kind of attack, ``S1`` to ``S9``.
      run: does it.
      encrypted: the cluster has a key, which the attacker knows …
      outsider: … or does not.
      age: for how many seconds there is the cluster before: made-up nodes that answer differ from
        members in nothing else.
      alone: the victim is the only node of its cluster.
      apart: it makes up nodes, which stay.
      files: file descriptors that the victim may have; None for as many as usual.
    """

    row: str
    run: Callable[[Attacker], Awaitable[None]]
    encrypted: bool = False
    alone: bool = False
    files: int | None = None
    apart: bool = False
    outsider: bool = False
    age: float = 0.0

    @property
    def name(self) -> str:
        suffix = "-few-files" if self.files else ""
        return self.run.__name__.replace("_", "-") + suffix

    def same_cluster(self, other: Attack) -> bool:
        """Whether both can be done to one cluster."""
        return (self.encrypted, self.alone, self.files) == (
            other.encrypted,
            other.alone,
            other.files,
        )

    @property
    def title(self) -> str:
        return (self.run.__doc__ or "").split("\n")[0]


ATTACKS = (
    Attack("S1", filters.filters),
    Attack("S1", filters.filters_few),
    Attack("S1", filters.filters_gossiped),
    Attack("S1", filters.filters_of_all_kinds),
    Attack("S1", filters.filters_of_names),
    Attack("S1", filters.filters_of_nothing),
    Attack("S2", floods.events_large),
    Attack("S2", floods.events_of_one_time),
    Attack("S2", floods.events_of_many_times),
    Attack("S2", floods.events_small),
    Attack("S2", floods.queries_small),
    Attack("S2", connections.state_of_events),
    Attack("S2", connections.user_messages),
    Attack("S3", floods.time_last_event),
    Attack("S3", floods.time_last_query),
    Attack("S3", floods.time_far_query),
    Attack("S3", floods.time_far_event),
    Attack("S3", floods.time_creeping),
    Attack("S3", floods.time_last_leave),
    Attack("S3", connections.state_of_times),
    Attack("S4", connections.slow_readers),
    Attack("S4", connections.slow_readers_of_much),
    Attack("S4", connections.stream_mix),
    Attack("S5", connections.silent_150),
    Attack("S5", connections.silent),
    Attack("S5", connections.trickle),
    Attack("S6", floods.log_long_names),
    Attack("S6", floods.log_control_characters, apart=True),
    Attack("S6", floods.log_old_events),
    Attack("S7", ghosts.votes, apart=True),
    Attack("S7", ghosts.votes_alone, alone=True, apart=True),
    Attack("S8", floods.many_keys, encrypted=True),
    Attack("S8", connections.join_flag, apart=True),
    Attack("S8", floods.conflict_queries),
    Attack("S8", floods.acks_guessed),
    Attack("S8", ghosts.ghosts, apart=True),
    Attack("S8", ghosts.ghosts_slowly, apart=True),
    Attack("S8", connections.state_of_ghosts, apart=True),
    Attack("S8", connections.ghosts_through_peer, apart=True),
    Attack("S8", ghosts.ghosts_answering, apart=True, age=20),
    Attack("S8", ghosts.ghosts_at_many_addresses, apart=True, age=20),
    Attack("S8", ghosts.ghosts_declared_dead, apart=True),
    Attack("S8", ghosts.ghosts_suspected, apart=True),
    Attack("S8", ghosts.ghosts_updated, apart=True),
    Attack("S8", ghosts.names_in_other_case, apart=True),
    Attack("S8", ghosts.intents_of_nobody, apart=True),
    Attack("S8", floods.acks_and_nacks),
    Attack("S8", floods.labels),
    Attack("S8", floods.pings),
    Attack("S8", connections.silent, files=64),
    Attack("S8", floods.suspects),
    Attack("S8", floods.garbage),
    Attack("S8", floods.bombs),
    Attack("S3", lies.leaves_forged),
    Attack("S7", lies.dead_by_their_own_word),
    Attack("S7", lies.incarnations_last),
    Attack("S7", lies.addresses_taken),
    Attack("S7", lies.refusals_claimed),
    Attack("S8", lies.versions_of_all_kinds, apart=True),
    Attack("S8", lies.relays),
    Attack("S8", lies.queries_to_be_relayed),
    Attack("S5", connections.trickle_of_all_kinds),
    Attack("S4", connections.state_of_intents),
    Attack("S4", connections.state_of_long_names, apart=True),
    Attack("S4", connections.user_messages_of_all_kinds),
    Attack("S4", ghosts.ghosts_serving, apart=True, age=20),
    Attack("S8", ghosts.ghosts_of_long_names, apart=True),
    Attack("S8", ghosts.ghosts_of_odd_tags, apart=True),
    Attack("S6", ghosts.names_of_snapshots, apart=True),
    Attack("S8", floods.many_sources, apart=True),
    Attack("S8", pieces.pieces_alike),
    Attack("S8", pieces.pieces_compressed),
    Attack("S8", pieces.pieces_of_pings),
    Attack("S8", pieces.checksums),
    Attack("S8", floods.wrong_key, encrypted=True, outsider=True),
    Attack("S8", floods.no_key, encrypted=True, outsider=True),
    Attack("S8", connections.wrong_key_streams, encrypted=True, outsider=True),
)
