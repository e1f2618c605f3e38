"""How much work a function does, in steps of Python's own: no clock, the same on every machine."""

import difflib
import sys
from collections.abc import Callable
from pathlib import Path

import prototxt_gen

COUNTED = (str(Path(prototxt_gen.__file__).parent), difflib.__file__)


def steps(function: Callable[[], object]) -> int:
    """The instructions that run in `prototxt_gen`, and in the search for names that are nearly so called."""
    count = 0

    def trace(frame, event, argument):
        nonlocal count
        if event == "call" and not frame.f_code.co_filename.startswith(COUNTED):
            return None
        frame.f_trace_lines, frame.f_trace_opcodes = False, True
        count += event == "opcode"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        function()
    finally:
        sys.settrace(before)
    return count


def growth(function: Callable[[int], object], size: int) -> float:
    """By how much a third part of the input costs more than a second: 1 where work grows as the input does, 5/3 where
    it grows as its square."""
    once, twice, thrice = (steps(lambda number=number: function(number * size)) for number in (1, 2, 3))
    return (thrice - twice) / (twice - once)
