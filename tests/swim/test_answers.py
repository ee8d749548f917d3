from __future__ import annotations

import random

from trioserf._swim.answers import ANSWERERS, StaleAnswers
from trioserf._swim.effects import SendTo
from trioserf._swim.nodes import Node, NodeStatus

from .builders import dead, left, node, place, said


def ask(
    answers: StaleAnswers,
    held: Node,
    now: float = 0.0,
    *,
    reached: int = 5,
    from_the_node: bool = True,
    num_nodes: int = 1000,
) -> SendTo | None:
    return answers.answer(
        held, place("b"), reached, now, from_the_node=from_the_node, num_nodes=num_nodes
    )


def new_answers(seed: int = 1) -> StaleAnswers:
    return StaleAnswers("a", 1.0, random.Random(seed))


def test_a_dead_node_is_told_by_us_and_a_left_one_as_if_by_itself() -> None:
    for status, message in [
        (NodeStatus.DEAD, dead("b", 5, by="a")),
        (NodeStatus.LEFT, left("b", 5)),
    ]:
        answer = ask(new_answers(), node("b", status=status, incarnation=5))
        assert answer is not None
        assert (place("b"), "b") == (answer.address, answer.name)
        assert [message] == said([answer])


def test_the_accusation_has_the_highest_incarnation_known() -> None:
    answer = ask(new_answers(), node("b", status=NodeStatus.DEAD, incarnation=2), reached=9)
    assert answer is not None
    assert [dead("b", 9, by="a")] == said([answer])


def test_a_node_is_answered_once_in_an_interval() -> None:
    answers = new_answers()
    held = node("b", status=NodeStatus.DEAD)
    assert ask(answers, held, 0.0) is not None
    assert ask(answers, held, 0.9) is None
    assert ask(answers, node("c", status=NodeStatus.DEAD), 0.9) is not None
    assert ask(answers, held, 1.0) is not None
    answers.forget("b")
    answers.forget("unknown")
    assert ask(answers, held, 1.1) is not None


def test_of_those_who_heard_it_at_second_hand_a_few_answer() -> None:
    held = node("b", status=NodeStatus.DEAD)
    given = sum(
        ask(new_answers(seed), held, from_the_node=False, num_nodes=1000) is not None
        for seed in range(1000)
    )
    assert 0 < given < 3 * ANSWERERS


def test_in_a_small_cluster_all_answer() -> None:
    held = node("b", status=NodeStatus.DEAD)
    assert all(
        ask(new_answers(seed), held, from_the_node=False, num_nodes=ANSWERERS) is not None
        for seed in range(50)
    )
