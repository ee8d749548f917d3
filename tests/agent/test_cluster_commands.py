"""`join`, `leave`, `force-leave`, `tags`, `info` and `rtt`."""

from __future__ import annotations

import json

import pytest

from tests.agent.fake_agent import CLOSE, CommandLine, Refused, fake_agent
from trioserf import Coordinate
from trioserf._agent.cluster_commands import distance

STATS = {
    "tags": {"role": "web", "dc": "<east>"},
    "agent": {"name": "a"},
    "event_handlers": {},
}
HERE = {"Adjustment": 0.001, "Error": 1.5, "Height": 1e-5, "Vec": [0.1, 0.2]}
THERE = {"Adjustment": -0.001, "Error": 1.5, "Height": 2e-5, "Vec": [0.1, 0.21]}


def test_join_says_how_many_were_contacted(serf: CommandLine) -> None:
    with fake_agent(join={"Num": 2}) as agent:
        text = serf(agent, "join", "-replay", "a:1", "b")
        assert "Successfully joined cluster by contacting 2 nodes.\n" == text
        assert ("join", {"Existing": ["a:1", "b"], "Replay": True}) == agent.asked[1]
        assert '{"contacted":2}\n' == serf(agent, "join", "-format=jsonl", "a")
    assert serf.fails(None, "join").startswith("At least one address to join must be specified.\n")


def test_join_prints_the_list_of_errors_as_it_is(serf: CommandLine) -> None:
    text = "1 error occurred:\n\t* Failed to join 127.0.0.1: dial tcp\n\n"
    with fake_agent(join=Refused(text, {"Num": 0})) as agent:
        assert f"Error joining the cluster: {text}\n" == serf.fails(agent, "join", "127.0.0.1:1")


def test_an_agent_that_ends_before_it_answers_has_left(serf: CommandLine) -> None:
    for answer in (None, CLOSE):
        with fake_agent(leave=answer) as agent:
            assert "Graceful leave complete\n" == serf(agent, "leave")
    with fake_agent(leave=Refused("timeout while waiting for graceful leave")) as agent:
        error = serf.fails(agent, "leave")
        assert "Error leaving: timeout while waiting for graceful leave\n" == error


def test_force_leave_says_nothing(serf: CommandLine) -> None:
    with fake_agent() as agent:
        assert "" == serf(agent, "force-leave", "-prune", "b")
        assert ("force-leave", {"Node": "b", "Prune": True}) == agent.asked[1]
        text = serf(agent, "force-leave", "-format=jsonl", "b")
        assert '{"node":"b","prune":false}\n' == text
    with fake_agent({"force-leave": Refused("no")}) as agent:
        assert "Error force leaving: no\n" == serf.fails(agent, "force-leave", "b")
    for words in ([], ["a", "b"], ["x", "-prune"]):
        error = serf.fails(None, "force-leave", *words)
        assert error.startswith("A node name must be specified to force leave.\n\nUsage: ")


def test_tags_are_set_and_deleted(serf: CommandLine) -> None:
    with fake_agent() as agent:
        words = ["-set", "a=b=c", "-delete=old", "-set=x="]
        assert "Successfully updated agent tags\n" == serf(agent, "tags", *words)
        expected = {"Tags": {"a": "b=c", "x": ""}, "DeleteTags": ["old"]}
        assert ("tags", expected) == agent.asked[1]
        text = serf(agent, "tags", *words, "-format=jsonl")
        assert '{"set":{"a":"b=c","x":""},"deleted":["old"]}\n' == text
        assert "Error: Invalid tag: 'novalue'\n" == serf.fails(agent, "tags", "-set", "novalue")
    assert serf.fails(None, "tags").startswith("Usage: trioserf tags [options]\n")
    with fake_agent(tags=Refused("Encoded length of tags exceeds limit of 512 bytes")) as agent:
        error = serf.fails(agent, "tags", "-set=a=b")
        assert "Error setting tags: Encoded length of tags exceeds limit of 512 bytes\n" == error


def test_info_is_sorted(serf: CommandLine) -> None:
    with fake_agent(stats=STATS) as agent:
        text = "agent:\n\tname = a\nevent_handlers:\ntags:\n\tdc = <east>\n\trole = web\n"
        assert text == serf(agent, "info")
        document = serf(agent, "info", "-format=json")
        assert document.startswith(
            '{\n  "agent": {\n    "name": "a"\n  },\n  "event_handlers": {},'
        )
        assert "\\u003ceast\\u003e" in document
        assert STATS == json.loads(document)
        error = serf.fails(agent, "info", "-format=yaml")
        assert 'Encoding error: Invalid output format "yaml"\n' == error
    with fake_agent(stats=CLOSE) as agent:
        assert "Error querying agent: client closed\n" == serf.fails(agent, "info")


def test_rtt_between_two_nodes_or_from_here(serf: CommandLine) -> None:
    answers = {
        "stats": STATS,
        "get-coordinate": ({"Coord": HERE, "Ok": True}, {"Coord": THERE, "Ok": True}),
    }
    with fake_agent(answers) as agent:
        assert "Estimated b <-> c rtt: 10.030 ms\n" == serf(agent, "rtt", "b", "c")
        assert "Estimated b <-> a rtt: 10.030 ms\n" == serf(agent, "rtt", "b")
        text = serf(agent, "rtt", "-format=jsonl", "b", "c")
        assert '{"from":"b","to":"c","rtt_ms":10.03}\n' == text
        assert ["b", "c"] == [body["Node"] for name, body in agent.asked[-2:]]


def test_rtt_of_what_there_is_not(serf: CommandLine) -> None:
    unknown = {"Coord": dict.fromkeys(HERE), "Ok": False}
    with fake_agent({"get-coordinate": unknown}) as agent:
        error = serf.fails(agent, "rtt", 'z"', "b")
        assert 'Could not find a coordinate for node "z\\""\n' == error
        for words in ([], ["a", "b", "c"]):
            error = serf.fails(agent, "rtt", *words)
            assert error.startswith("One or two node names must be specified\n\nUsage: ")
    other = {"Coord": HERE | {"Vec": [1.0]}, "Ok": True}
    with fake_agent({"get-coordinate": ({"Coord": HERE, "Ok": True}, other)}) as agent:
        assert "different dimensions" in serf.fails(agent, "rtt", "a", "b")


@pytest.mark.parametrize("adjustment", [-1.0, 0.0, 0.003])
def test_the_distance_is_that_of_coordinates(adjustment: float) -> None:
    here = HERE | {"Adjustment": adjustment}

    def coordinate(fields: dict[str, object]) -> Coordinate:
        vec, error = fields["Vec"], fields["Error"]
        return Coordinate(tuple(vec), error, fields["Adjustment"], fields["Height"])  # type: ignore[arg-type]

    expected = coordinate(here).distance_to(coordinate(THERE))
    assert expected == pytest.approx(distance(here, THERE), abs=1e-9)
