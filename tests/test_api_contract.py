"""The contract of the public names: every documented one, with the arguments it is said to have.

What is written here is what programs are written against.  More may be there; nothing of this
may be missing, be called otherwise, or want more.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from typing import Any

import attrs
import pytest

import trioserf
from trioserf import Config, MemberlistConfig, Serf

REQUIRED = inspect.Parameter.empty
POSITIONAL = inspect.Parameter.POSITIONAL_OR_KEYWORD
KEYWORD = inspect.Parameter.KEYWORD_ONLY

# --- calls --------------------------------------------------------------------------------

QUESTION = """(name, payload=b'', *, filter_nodes=(), filter_tags=None, request_ack=False,
              relay_factor=0, timeout=None)"""
CALLS = f"""
    with  open(config=None)
    async serve(config=None, *, task_status=...)
    with  leave_on_signals(*nodes)
    async peek(address, *, encrypt_key=None, label='', timeout=10.0)
    plain Config.lan(*, bind=None, advertise=None, encrypt_key=None)
    plain Config.wan(*, bind=None, advertise=None, encrypt_key=None)
    plain Config.local(*, bind=None, advertise=None, encrypt_key=None)
    plain Serf.members()
    async Serf.join(addresses, *, ignore_old=False)
    async Serf.leave()
    async Serf.remove_failed_node(name, *, prune=False)
    async Serf.set_tags(tags)
    async Serf.user_event(name, payload=b'', *, coalesce=True)
    plain Serf.user_event_nowait(name, payload=b'', *, coalesce=True)
    with  Serf.query{QUESTION}
    async Serf.ask{QUESTION}
    with  Serf.subscribe(*types, max_buffer_size=None)
    with  Serf.follow(*, status=None, tags=None)
    plain Members.select(*, status=None, tags=None)
    plain Serf.coordinate()
    plain Serf.cached_coordinate(name)
    plain Serf.rtt(a, b=None)
    plain Serf.explain(name_or_address=None)
    plain Serf.stats()
    plain Serf.statistics()
    plain Serf.default_query_timeout()
    plain Serf.default_query_params()
    async Serf.wait_closed()
    async Serf.aclose()
    async KeyManager.install(key, *, relay_factor=0)
    async KeyManager.use(key, *, relay_factor=0)
    async KeyManager.remove(key, *, relay_factor=0)
    async KeyManager.list(*, relay_factor=0)
    async KeyManager.rotate(new_key, *, remove_old=True)
    plain QueryResponse.close()
    async Query.respond(payload)
    plain Member(name, addr, port, tags, status, protocol_min, protocol_max, protocol_cur,
                 delegate_min, delegate_max, delegate_cur)
    plain MemberEvent(type, members)
    plain UserEvent(ltime, name, payload, coalesce)
    plain Query(ltime, name, payload, source_node, deadline)
    plain EventsDropped(count)
    plain NodeResponse(node, payload)
"""
PROPERTIES = """
    Serf.name Serf.state Serf.local_member Serf.num_nodes Serf.protocol_version
    Serf.encryption_enabled Serf.events Serf.keys Serf.memberlist
    QueryResponse.acks QueryResponse.deadline QueryResponse.finished
"""


def entries(text: str) -> list[tuple[str, str, str]]:
    """Kind, name and parameters of each call; a long one goes on over several lines."""
    found: list[tuple[str, str, str]] = []
    for part in text.replace("\n        ", " ").strip().splitlines():
        kind, _, rest = part.strip().partition(" ")
        name, _, parameters = rest.strip().partition("(")
        found.append((kind, name, " ".join(parameters.rstrip(")").split())))
    return found


def look_up(path: str) -> Any:
    first, *rest = path.split(".")
    found: Any = getattr(trioserf, first)  # loaded by this, if it was not yet
    for name in rest:
        found = inspect.getattr_static(found, name)
    return found


def kind_of(call: Any) -> str:
    inner = inspect.unwrap(call)
    if inspect.isasyncgenfunction(inner) or "ContextManager" in str(
        inspect.signature(call).return_annotation
    ):
        return "with"
    return "async" if inspect.iscoroutinefunction(inner) else "plain"


def documented(parameters: str) -> list[tuple[str, bool, str]]:
    """Name, whether keyword only, and default of each parameter, as it is written."""
    keyword, found = False, []
    for text in (part.strip() for part in parameters.split(", ") if part.strip()):
        if text.startswith("*"):
            keyword = True
            continue
        name, _, default = text.partition("=")
        found.append((name, keyword, default))
    return found


@pytest.mark.parametrize(
    ("kind", "path", "parameters"), entries(CALLS), ids=[path for _, path, _ in entries(CALLS)]
)
def test_a_call_is_as_documented(kind: str, path: str, parameters: str) -> None:
    call = look_up(path)
    call = getattr(call, "__func__", call)
    assert kind == ("plain" if inspect.isclass(call) else kind_of(call))
    actual = dict(inspect.signature(call).parameters)
    actual.pop("self", None)
    actual.pop("cls", None)
    known = documented(parameters)
    for name, keyword, default in known:
        parameter = actual.pop(name)
        assert parameter.kind is (KEYWORD if keyword else POSITIONAL)
        if default and default != "...":
            assert default == repr(parameter.default)
    # More there may be, but nobody may have to give it.
    variable = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    assert [] == [
        name
        for name, parameter in actual.items()
        if parameter.default is REQUIRED and parameter.kind not in variable
    ]
    order = [name for name, keyword, _ in known if not keyword]
    assert order == [name for name in inspect.signature(call).parameters if name in order]


@pytest.mark.parametrize("path", PROPERTIES.split())
def test_a_property_is_as_documented(path: str) -> None:
    assert isinstance(look_up(path), property)


# --- settings -----------------------------------------------------------------------------

SETTINGS: dict[str, object] = {
    "tags": {},
    "protocol_version": 4,
    "broadcast_timeout": 5.0,
    "leave_propagate_delay": 1.0,
    "coalesce_period": 0.0,
    "quiescent_period": 0.0,
    "user_coalesce_period": 0.0,
    "user_quiescent_period": 0.0,
    "reap_interval": 15.0,
    "reconnect_interval": 30.0,
    "reconnect_timeout": 86400.0,
    "tombstone_timeout": 86400.0,
    "flap_timeout": 60.0,
    "queue_check_interval": 30.0,
    "queue_depth_warning": 128,
    "max_queue_depth": 4096,
    "min_queue_depth": 0,
    "recent_intent_timeout": 300.0,
    "event_buffer": 512,
    "query_buffer": 512,
    "query_timeout_mult": 16,
    "query_response_size_limit": 1024,
    "query_size_limit": 1024,
    "user_event_size_limit": 512,
    "snapshot_path": None,
    "rejoin_after_leave": False,
    "enable_name_conflict_resolution": True,
    "disable_coordinates": False,
    "keyring_file": None,
    "merge": None,
    "reconnect_timeout_override": None,
    "validate_node_names": False,
    "metric_labels": {},
    "event_buffer_size": 2048,
    "leave_on_exit": True,
}
"""Go's settings, and two of our own that are documented, with their defaults."""


def test_every_setting_has_its_name_and_default() -> None:
    config = Config(node_name="a")
    assert SETTINGS.items() <= {name: getattr(config, name) for name in SETTINGS}.items()
    assert isinstance(config.memberlist, MemberlistConfig)
    assert Config().node_name


@pytest.mark.parametrize("profile", [Config.lan, Config.wan, Config.local])
def test_shortcuts_and_fields_go_together(profile: Callable[..., Config]) -> None:
    config = profile(
        node_name="a",
        bind="127.0.0.1:0",
        advertise="10.0.0.1:8000",
        encrypt_key="MDEyMzQ1Njc4OWFiY2RlZg==",
        tags={"role": "web"},
    )
    assert {"role": "web"} == dict(config.tags)
    below = config.memberlist
    assert ("127.0.0.1", 0) == (below.bind_addr, below.bind_port)
    assert ("10.0.0.1", 8000) == (below.advertise_addr, below.advertise_port)
    assert b"0123456789abcdef" == below.secret_key
    changed = attrs.evolve(config, reap_interval=1.0)
    assert (15.0, 1.0) == (config.reap_interval, changed.reap_interval)


def test_a_bad_setting_is_a_value_error_that_names_it() -> None:
    with pytest.raises(trioserf.ConfigError, match=r"reap_interval=-1.*expected") as caught:
        Config(node_name="a", reap_interval=-1)
    assert isinstance(caught.value, ValueError)


# --- values -------------------------------------------------------------------------------


def test_numbers_and_texts_are_go_s() -> None:
    def texts(kinds: Any) -> list[str]:
        return [f"{int(kind)} {kind}" for kind in kinds]

    assert ["0 none", "1 alive", "2 leaving", "3 left", "4 failed"] == texts(trioserf.MemberStatus)
    assert ["0 alive", "1 leaving", "2 left", "3 shutdown"] == texts(trioserf.SerfState)
    assert [
        "0 member-join",
        "1 member-leave",
        "2 member-failed",
        "3 member-update",
        "4 member-reap",
        "5 user",
        "6 query",
    ] == texts(trioserf.EventType)
    assert (2, 5, 9216) == (
        trioserf.PROTOCOL_VERSION_MIN,
        trioserf.PROTOCOL_VERSION_MAX,
        trioserf.USER_EVENT_SIZE_LIMIT,
    )
    assert {2: 2, 3: 2, 4: 2, 5: 2} == dict(trioserf.PROTOCOL_VERSION_MAP)


ERRORS = {
    "SerfError": (Exception,),
    "ConfigError": (trioserf.SerfError, ValueError),
    "LocalProtocolError": (trioserf.SerfError,),
    "RemoteProtocolError": (trioserf.SerfError,),
    "JoinError": (trioserf.SerfError, ExceptionGroup),
    "QueryError": (trioserf.SerfError,),
    "QueryTooLarge": (trioserf.QueryError,),
    "ResponseTooLarge": (trioserf.QueryError,),
    "AlreadyResponded": (trioserf.QueryError,),
    "DeadlineExceeded": (trioserf.QueryError,),
    "UserEventTooLarge": (trioserf.SerfError,),
    "TagsTooLarge": (trioserf.SerfError,),
    "KeyringError": (trioserf.SerfError,),
    "KeyOperationError": (trioserf.SerfError,),
    "SnapshotError": (trioserf.SerfError, OSError),
    "BroadcastTimeout": (trioserf.SerfError,),
    "CoordinatesDisabled": (trioserf.SerfError,),
    "RPCError": (trioserf.SerfError,),
    "SerfInternalError": (trioserf.SerfError,),
    "MergeRefused": (trioserf.SerfError,),
    "FeatureNotSupported": (trioserf.SerfError,),
    "InvalidNodeName": (trioserf.ConfigError,),
    "InvalidState": (trioserf.SerfError,),
    "RelayError": (trioserf.SerfError,),
    "CoordinateError": (trioserf.SerfError, ValueError),
}


@pytest.mark.parametrize("name", ERRORS)
def test_an_error_has_its_place_in_the_tree(name: str) -> None:
    for base in ERRORS[name]:
        assert issubclass(getattr(trioserf, name), base)
    assert getattr(trioserf, name).__doc__


# --- Go's API -----------------------------------------------------------------------------

GO = {
    "Create": "open",
    "DefaultConfig": "Config",
    "Serf": "Serf",
    "Serf.Join": "Serf.join",
    "Serf.Leave": "Serf.leave",
    "Serf.Shutdown": "Serf.aclose",
    "Serf.ShutdownCh": "Serf.wait_closed",
    "Serf.State": "Serf.state",
    "SerfState": "SerfState",
    "Serf.Members": "Serf.members",
    "Serf.LocalMember": "Serf.local_member",
    "Serf.NumNodes": "Serf.num_nodes",
    "Serf.Memberlist": "Serf.memberlist",
    "Serf.ProtocolVersion": "Serf.protocol_version",
    "Serf.EncryptionEnabled": "Serf.encryption_enabled",
    "Serf.SetTags": "Serf.set_tags",
    "Serf.UserEvent": "Serf.user_event",
    "Serf.Query": "Serf.query",
    "Serf.DefaultQueryTimeout": "Serf.default_query_timeout",
    "Serf.DefaultQueryParams": "Serf.default_query_params",
    "Serf.RemoveFailedNode": "Serf.remove_failed_node",
    "Serf.RemoveFailedNodePrune": "Serf.remove_failed_node",
    "Serf.KeyManager": "Serf.keys",
    "Serf.GetCoordinate": "Serf.coordinate",
    "Serf.GetCachedCoordinate": "Serf.cached_coordinate",
    "Serf.Stats": "Serf.stats",
    "Config.EventCh": "Serf.events",
    "Serf.ValidateNodeNames": "InvalidNodeName",
    "Member": "Member",
    "MemberStatus": "MemberStatus",
    "Event": "Event",
    "EventType": "EventType",
    "MemberEvent": "MemberEvent",
    "UserEvent": "UserEvent",
    "Query": "Query",
    "Query.Respond": "Query.respond",
    "QueryParam": "QueryParams",
    "QueryResponse.AckCh": "QueryResponse.acks",
    "QueryResponse.ResponseCh": "QueryResponse.__aiter__",
    "QueryResponse.Deadline": "QueryResponse.deadline",
    "QueryResponse.Finished": "QueryResponse.finished",
    "QueryResponse.Close": "QueryResponse.close",
    "NodeResponse": "NodeResponse",
    "LamportClock": "lowlevel.LamportClock",
    "LamportClock.Time": "lowlevel.LamportClock.time",
    "LamportClock.Increment": "lowlevel.LamportClock.increment",
    "LamportClock.Witness": "lowlevel.LamportClock.witness",
    "PreviousNode": "lowlevel.PreviousNode",
    "MergeDelegate": "MergeRefused",
    "ProtocolVersionMin": "PROTOCOL_VERSION_MIN",
    "ProtocolVersionMax": "PROTOCOL_VERSION_MAX",
    "ProtocolVersionMap": "PROTOCOL_VERSION_MAP",
    "UserEventSizeLimit": "USER_EVENT_SIZE_LIMIT",
    "PingVersion": "lowlevel.PING_VERSION",
    "InternalQueryPrefix": "lowlevel.INTERNAL_PREFIX",
    "MaxNodeNameLength": "lowlevel.MAX_NODE_NAME_LENGTH",
    "KeyManager.InstallKey": "KeyManager.install",
    "KeyManager.UseKey": "KeyManager.use",
    "KeyManager.RemoveKey": "KeyManager.remove",
    "KeyManager.ListKeys": "KeyManager.list",
    "KeyResponse": "KeyResponse",
    "NewSnapshotter": "lowlevel.Snapshotter.open",
    "Snapshotter.AliveNodes": "lowlevel.Snapshotter.previous_nodes",
    "Snapshotter.Leave": "lowlevel.Snapshotter.leave",
    "Snapshotter.Wait": "lowlevel.Snapshotter.close",
    "Coordinate": "Coordinate",
    "NewCoordinate": "Coordinate.origin",
    "Coordinate.IsValid": "Coordinate.is_valid",
    "Coordinate.IsCompatibleWith": "Coordinate.is_compatible",
    "Coordinate.ApplyForce": "Coordinate.apply_force",
    "Coordinate.DistanceTo": "Coordinate.distance_to",
    "coordinate.Config": "lowlevel.CoordinateConfig",
    "coordinate.Client": "lowlevel.VivaldiClient",
    "coordinate.Client.GetCoordinate": "lowlevel.VivaldiClient.coordinate",
    "coordinate.Client.SetCoordinate": "lowlevel.VivaldiClient.set",
    "coordinate.Client.Update": "lowlevel.VivaldiClient.update",
    "coordinate.Client.DistanceTo": "lowlevel.VivaldiClient.distance_to",
    "coordinate.Client.ForgetNode": "lowlevel.VivaldiClient.forget",
    "coordinate.Client.Stats": "lowlevel.VivaldiClient.stats",
    "coordinate.ClientStats": "lowlevel.CoordinateStats",
    "coordinate.DimensionalityConflictError": "CoordinateError",
    "FeatureNotSupported": "FeatureNotSupported",
}
"""What Go exports, and where it is here."""


@pytest.mark.parametrize("go", GO)
def test_what_go_exports_is_here(go: str) -> None:
    module, found = trioserf, GO[go]
    if found.startswith("lowlevel."):
        module = importlib.import_module("trioserf.lowlevel")
        found = found.removeprefix("lowlevel.")
    value: Any = module
    for name in found.split("."):
        fields = {field.name for field in attrs.fields(value)} if attrs.has(value) else set()
        value = name if name in fields else getattr(value, name)
    assert value is not None


def test_a_public_class_says_what_it_is_for() -> None:
    silent = [
        f"Serf.{name}"
        for name, member in vars(Serf).items()
        if not name.startswith("_") and not inspect.getdoc(member)
    ]
    assert [] == silent
