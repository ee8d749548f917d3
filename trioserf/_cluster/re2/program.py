"""The automaton of an expression, and running it over a text.

An instruction reads one character, splits, checks an assertion, or is the end.  Between two
characters the automaton is in a set of instructions at once (Thompson's method).  Such sets
recur, so the transition of a set by a character is cached, up to a limit; a usual text then
costs one look-up per character.

The search is unanchored: at every place the beginning of the program is added to the set.

Source: Cox, "Regular Expression Matching Can Be Simple And Fast" (2007).
"""

from __future__ import annotations

from array import array
from collections import OrderedDict
from typing import Final, assert_never

from ..._exceptions import RemoteProtocolError
from .charsets import MAX_RUNE, Chars, CharSet
from .parser import Assertion, Choice, Node, Repeat, Sequence, parse

_MAX_REMEMBERED: Final = 5000
"""Instructions in remembered sets, and remembered moves, of one program."""
_MAX_PROGRAMS: Final = 32
"""Compiled expressions that are kept."""
_PARSE_COST: Final = 5
"""Steps to parse a character."""
_CLASS_COST: Final = 20
"""Steps to make a class, whose objects stay as long as the program: each begins with a bracket."""
_COMPILE_COST: Final = 3
"""Steps to write an instruction."""


class OverBudget(RemoteProtocolError):
    """There are not enough steps left."""


class Budget:
    """How much work may still be done (steps: an instruction visited, a character tried).

    A step is up to half a microsecond of a slow machine, a quarter of one that is not.

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

_READ, _CHECK, _SPLIT, _END = range(4)
_NUMBERS: Final = "I"
"""Type of the elements of an array of numbers of instructions."""


class _Code:
    """The instructions, written from the end of the expression to its beginning.

    An instruction is a number, and what it does stands at that place of three arrays: an
    expression of ten characters may have thousands of them, and an object for each would make
    Python collect its garbage, all objects of the program, while nothing else runs.

    Attributes:
      kinds: what each does.
      first, second: of an instruction that reads, the character set (a place in ``sets``) and
        where it leads; of one that checks, the assertion and where it leads; of one that splits,
        where in ``targets`` those to which it leads begin and end.
    """

    def __init__(self) -> None:
        self.kinds = bytearray((_END,))
        self.first = array(_NUMBERS, (0,))
        self.second = array(_NUMBERS, (0,))
        self.targets = array(_NUMBERS)
        self.sets: list[Chars] = []
        self._set_numbers: dict[Chars, int] = {}

    def emit(self, node: Node, to: int) -> int:
        """Add ``node``, to be followed by the instruction ``to``; where it begins."""
        match node:
            case str() | CharSet():
                return self._add(_READ, self._number_of(node), to)
            case Assertion():
                return self._add(_CHECK, _ASSERTIONS.index(node), to)
            case Sequence(parts):
                for part in reversed(parts):
                    to = self.emit(part, to)
                return to
            case Choice(options):
                return self._split([self.emit(option, to) for option in options])
            case Repeat():
                return self._repeat(node, to)
            case never:
                assert_never(never)

    def _add(self, kind: int, first: int, second: int) -> int:
        self.kinds.append(kind)
        self.first.append(first)
        self.second.append(second)
        return len(self.kinds) - 1

    def _number_of(self, chars: Chars) -> int:
        number = self._set_numbers.setdefault(chars, len(self.sets))
        if number == len(self.sets):
            self.sets.append(chars)
        return number

    def _split(self, to: list[int]) -> int:
        start = len(self.targets)
        self.targets.extend(to)
        return self._add(_SPLIT, start, len(self.targets))

    def _repeat(self, repeat: Repeat, to: int) -> int:
        node = repeat.node
        if repeat.high is None:
            start = self._split([to, to])
            self.targets[self.first[start]] = self.emit(node, start)
        else:
            start = to
            for _ in range(repeat.high - repeat.low):
                start = self._split([self.emit(node, start), to])
        for _ in range(repeat.low):
            start = self.emit(node, start)
        return start


# --- what is on either side of a place ------------------------------------------------------

_EDGE, _NEWLINE, _WORD, _OTHER = range(4)
_ASSERTIONS: Final = tuple(Assertion)


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
        case never:
            assert_never(never)


# --- running --------------------------------------------------------------------------------

_FOUND: Final = -1
"""The state in which the expression was found."""
_TEXT_END: Final = MAX_RUNE + 1
"""Stands for the character behind the last one."""
_CHARACTERS: Final = _TEXT_END + 1


class Program:
    """A compiled expression.

    What is remembered are numbers and bytes, no objects, for the reason said above.

    Attributes:
      size: its instructions.
    """

    def __init__(self, node: Node) -> None:
        self._code = code = _Code()
        self._start = code.emit(node, 0)
        self._looks_around = _CHECK in code.kinds
        self._numbers: dict[bytes, int] = {}
        """States by where the automaton is, in ascending order, and what is behind."""
        self._places: dict[int, bytes] = {}
        """The keys of `_numbers`, by number."""
        self._moves: dict[int, int] = {}
        """Where known characters lead: number of a state and character to number."""
        self._next_number = 0
        self._remembered = 0
        self.size = len(code.kinds)

    def found_in(self, text: str, budget: Budget) -> bool:
        """Whether the expression matches somewhere in ``text``.

        Raises:
          RemoteProtocolError: that takes more than the budget.
        """
        budget.spend(len(text) + 1)
        moves = self._moves
        state = self._state(array(_NUMBERS, (self._start,)), _EDGE)
        for char in _runes(text):
            following = moves.get(state * _CHARACTERS + ord(char))
            state = self._move(state, char, budget) if following is None else following
            if state == _FOUND:
                return True
        following = moves.get(state * _CHARACTERS + _TEXT_END)
        return (self._move(state, "", budget) if following is None else following) == _FOUND

    def _move(self, state: int, char: str, budget: Budget) -> int:
        """What ``char`` makes of a state; the empty string is the end of the text."""
        ahead = _kind(char) if char else _EDGE
        key = state * _CHARACTERS + (ord(char) if char else _TEXT_END)
        places = self._places[state]
        reads = self._reads(array(_NUMBERS, places[:-1]), places[-1], ahead, budget)
        following = _FOUND
        if reads is not None:
            first, second, sets = self._code.first, self._code.second, self._code.sets
            to = {self._start}
            tried: dict[int, bool] = {}
            for read in reads:
                number = first[read]
                if (fits := tried.get(number)) is None:
                    chars = sets[number]
                    budget.spend(2 if isinstance(chars, str) else 1 + len(chars.groups))
                    fits = tried[number] = char != "" and char in chars
                if fits:
                    to.add(second[read])
            budget.spend(len(to))
        self._remember(1)  # which may forget all states, and so comes before the next one
        if reads is not None:
            following = self._state(array(_NUMBERS, sorted(to)), ahead)
        self._moves[key] = following
        return following

    def _reads(
        self, places: array[int], behind: int, ahead: int, budget: Budget
    ) -> list[int] | None:
        """The reading instructions that a state leads to; None if it leads to the end."""
        code = self._code
        kinds, first, second, targets = code.kinds, code.first, code.second, code.targets
        reads: list[int] = []
        seen = set(places)
        waiting = list(places)
        left = budget.left
        while waiting and left > 0:
            left -= 1
            place = waiting.pop()
            kind = kinds[place]
            if kind == _READ:
                reads.append(place)
            elif kind == _SPLIT:
                for to in targets[first[place] : second[place]]:
                    if to not in seen:
                        seen.add(to)
                        waiting.append(to)
            elif kind == _END:
                budget.left = left
                return None
            elif _holds(_ASSERTIONS[first[place]], behind, ahead):
                to = second[place]
                if to not in seen:
                    seen.add(to)
                    waiting.append(to)
        budget.left = left
        budget.spend(len(waiting))
        return reads

    def _state(self, places: array[int], behind: int) -> int:
        """The number of a state: the automaton is at ``places``, behind it such a character."""
        key = places.tobytes() + bytes((behind if self._looks_around else _OTHER,))
        number = self._numbers.get(key)
        if number is None:
            self._remember(len(places))
            number = self._numbers[key] = self._next_number
            self._places[number] = key
            self._next_number += 1
        return number

    def _remember(self, amount: int) -> None:
        self._remembered += amount
        if self._remembered > _MAX_REMEMBERED:
            self._moves.clear()
            self._numbers.clear()
            self._places.clear()
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
        budget.spend(_PARSE_COST * len(expression) + _CLASS_COST * expression.count("["))
    node, size = parse(expression)
    if budget is not None:
        budget.spend(_COMPILE_COST * size)
    program = _programs[expression] = Program(node)
    if len(_programs) > _MAX_PROGRAMS:
        _programs.popitem(last=False)
    return program
