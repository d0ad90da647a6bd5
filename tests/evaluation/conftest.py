"""How much Python a computation over rows takes: whether it loops over them, on whatever machine."""

import sys

import pytest


@pytest.fixture
def steps():
    """`steps(function)`: lines of smallprint's Python that it runs, with those of the functions it calls."""

    def count(function):
        found = [0]

        def trace(frame, event, argument):
            if "smallprint" not in frame.f_code.co_filename:
                return None
            found[0] += event == "line"
            return trace

        before = sys.gettrace()
        sys.settrace(trace)
        try:
            function()
        finally:
            sys.settrace(before)
        return found[0]

    return count
