"""The automaton of an expression, and running it over a text.

An instruction reads one character, splits, checks an assertion, or is the end.  Between two
characters the automaton is in a set of instructions at once (Thompson's method).  Such sets
recur, so the transition of a set by a character is cached, up to a limit; a usual text then
costs one look-up per character.

The search is unanchored: at every place the beginning of the program is added to the set.

Source: Cox, "Regular Expression Matching Can Be Simple And Fast" (2007).
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final, TypeAlias

from ... import _attrs as attrs
from ..._exceptions import RemoteProtocolError
from .charsets import CharSet
from .parser import Assertion, Choice, Node, Repeat, Sequence, parse

_MAX_REMEMBERED: Final = 5000
"""Instructions in remembered sets, and remembered moves, of one program."""
_MAX_PROGRAMS: Final = 32
"""Compiled expressions that are kept."""
_PARSE_COST: Final = 8
"""Steps to parse a character."""
_COMPILE_COST: Final = 3
"""Steps to write an instruction."""


class OverBudget(RemoteProtocolError):
    """There are not enough steps left."""


class Budget:
    """How much work may still be done (steps: an instruction visited, a character tried).

    A step is up to half a microsecond of a slow machine.

    Counted instead of timed, so that the outcome does not depend on a busy machine.
    """

    def __init__(self, steps: int) -> None:
        self.left = steps

    def spend(self, steps: int) -> None:
        """Raise `RemoteProtocolError` when there is not enough left."""
        self.left -= steps
        if self.left < 0:
            raise OverBudget("the expression takes too long to match")


# --- instructions -------------------------------------------------------------------------


@attrs.frozen
class _Read:
    chars: CharSet
    to: int


@attrs.frozen
class _Check:
    assertion: Assertion
    to: int


@attrs.frozen
class _Split:
    to: tuple[int, ...]


class _End:
    """The expression was found."""


_Instruction: TypeAlias = _Read | _Check | _Split | _End


class _Compiler:
    """Writes instructions from the end of the expression to its beginning."""

    def __init__(self) -> None:
        self.code: list[_Instruction] = [_End()]

    def emit(self, node: Node, to: int) -> int:
        """Add ``node``, to be followed by the instruction ``to``; where it begins."""
        match node:
            case CharSet():
                return self._add(_Read(node, to))
            case Assertion():
                return self._add(_Check(node, to))
            case Sequence(parts):
                for part in reversed(parts):
                    to = self.emit(part, to)
                return to
            case Choice(options):
                return self._add(_Split(tuple([self.emit(option, to) for option in options])))
            case Repeat():
                return self._repeat(node, to)

    def _add(self, instruction: _Instruction) -> int:
        self.code.append(instruction)
        return len(self.code) - 1

    def _repeat(self, repeat: Repeat, to: int) -> int:
        if repeat.high is None:
            loop = self._add(_Split(()))
            self.code[loop] = _Split((self.emit(repeat.node, loop), to))
            start = loop
        else:
            start = to
            for _ in range(repeat.high - repeat.low):
                start = self._add(_Split((self.emit(repeat.node, start), to)))
        for _ in range(repeat.low):
            start = self.emit(repeat.node, start)
        return start


# --- what is on either side of a place ------------------------------------------------------

_EDGE, _NEWLINE, _WORD, _OTHER = range(4)


def _kind(char: str) -> int:
    if char == "\n":
        return _NEWLINE
    return _WORD if char == "_" or (char.isascii() and char.isalnum()) else _OTHER


def _holds(assertion: Assertion, behind: int, ahead: int) -> bool:
    match assertion:
        case Assertion.TEXT_START:
            return behind == _EDGE
        case Assertion.TEXT_END:
            return ahead == _EDGE
        case Assertion.LINE_START:
            return behind in (_EDGE, _NEWLINE)
        case Assertion.LINE_END:
            return ahead in (_EDGE, _NEWLINE)
        case Assertion.WORD_BOUNDARY:
            return (behind == _WORD) is not (ahead == _WORD)
        case Assertion.NO_WORD_BOUNDARY:
            return (behind == _WORD) is (ahead == _WORD)


# --- running --------------------------------------------------------------------------------


@attrs.define(eq=False)
class _State:
    """Where the automaton is between two characters.

    Args:
      places: instructions to begin with, in ascending order.
      behind: the kind of the character in front of this place.
      moves: where known characters lead; None where the expression was found.  The empty
        string stands for the end of the text.
    """

    places: tuple[int, ...]
    behind: int
    moves: dict[str, _State | None] = attrs.field(factory=dict)


class Program:
    """A compiled expression.

    Attributes:
      size: its instructions.
    """

    def __init__(self, node: Node) -> None:
        compiler = _Compiler()
        self._start = compiler.emit(node, 0)
        self._code = compiler.code
        self._looks_around = any(isinstance(one, _Check) for one in self._code)
        self._states: dict[tuple[tuple[int, ...], int], _State] = {}
        self._remembered = 0
        self.size = len(self._code)

    def found_in(self, text: str, budget: Budget) -> bool:
        """Whether the expression matches somewhere in ``text``.

        Raises:
          RemoteProtocolError: that takes more than the budget.
        """
        budget.spend(len(text) + 1)
        state = self._state((self._start,), _EDGE)
        for char in (*_runes(text), ""):
            try:
                following = state.moves[char]
            except KeyError:
                following = self._move(state, char, budget)
            if following is None:
                return True
            state = following
        return False

    def _move(self, state: _State, char: str, budget: Budget) -> _State | None:
        """What ``char`` makes of a state."""
        ahead = _kind(char) if char else _EDGE
        reads = self._reads(state, ahead, budget)
        following = None
        if reads is not None:
            places = {self._start}
            tried: dict[CharSet, bool] = {}
            for read in reads:
                if (fits := tried.get(read.chars)) is None:
                    budget.spend(1 + len(read.chars.groups))
                    fits = tried[read.chars] = char != "" and char in read.chars
                if fits:
                    places.add(read.to)
            budget.spend(len(places))
            following = self._state(tuple(sorted(places)), ahead)
        self._remember(1)
        state.moves[char] = following
        return following

    def _reads(self, state: _State, ahead: int, budget: Budget) -> list[_Read] | None:
        """The reading instructions that a state leads to; None if it leads to the end."""
        code = self._code
        reads: list[_Read] = []
        seen = set(state.places)
        waiting = list(state.places)
        while waiting:
            budget.spend(1)
            instruction = code[waiting.pop()]
            match instruction:
                case _Read():
                    reads.append(instruction)
                    continue
                case _Split():
                    further = instruction.to
                case _Check():
                    holds = _holds(instruction.assertion, state.behind, ahead)
                    further = (instruction.to,) if holds else ()
                case _End():
                    return None
            for place in further:
                if place not in seen:
                    seen.add(place)
                    waiting.append(place)
        return reads

    def _state(self, places: tuple[int, ...], behind: int) -> _State:
        key = (places, behind if self._looks_around else _OTHER)
        state = self._states.get(key)
        if state is None:
            self._remember(len(places))
            state = self._states[key] = _State(*key)
        return state

    def _remember(self, amount: int) -> None:
        self._remembered += amount
        if self._remembered > _MAX_REMEMBERED:
            for state in self._states.values():
                state.moves.clear()
            self._states.clear()
            self._remembered = amount


def _runes(text: str) -> str:
    """The text as Go sees it: each byte that is not UTF-8 is U+FFFD."""
    if text.isascii():
        return text
    return "".join(["\ufffd" if "\udc80" <= char <= "\udcff" else char for char in text])


_programs: Final[OrderedDict[str, Program]] = OrderedDict()


def compile_expression(expression: str, budget: Budget | None = None) -> Program:
    """The program of an expression.

    Args:
      budget: pays for the work, before it is done; without it there is no bound but those of
        `parser`.

    Raises:
      OverBudget: that takes more than the budget.
      RemoteProtocolError: Go refuses it, or it is over one of the limits; the text says which.
    """
    known = _programs.get(expression)
    if known is not None:
        _programs.move_to_end(expression)
        return known
    if budget is not None:
        budget.spend(_PARSE_COST * len(expression))
    node, size = parse(expression)
    if budget is not None:
        budget.spend(_COMPILE_COST * size)
    program = _programs[expression] = Program(node)
    if len(_programs) > _MAX_PROGRAMS:
        _programs.popitem(last=False)
    return program
