import threading

import pytest

from smallprint.core.ahead import read_ahead


def test_order_and_end():
    assert list(read_ahead(range(5))) == [0, 1, 2, 3, 4]
    assert list(read_ahead([])) == []


def test_the_next_is_made_while_the_last_is_worked_on():
    made = threading.Event()

    def things():
        yield 1
        yield 2
        made.set()
        yield 3

    ahead = read_ahead(things())
    assert [next(ahead), next(ahead)] == [1, 2]
    assert made.wait(10), "3 is made before it is asked for"
    assert next(ahead) == 3


def test_who_wants_the_first_alone_has_nothing_else_made():
    things = iter(range(10))
    ahead = read_ahead(things, held=3)
    assert next(ahead) == 0
    ahead.close()
    assert next(things) == 1


def test_an_error_comes_in_its_place():
    def things():
        yield 1
        raise ValueError("broken")

    ahead = read_ahead(things())
    assert next(ahead) == 1
    with pytest.raises(ValueError, match="broken"):
        next(ahead)


def test_who_stops_early_leaves_no_thread():
    before = threading.active_count()
    ahead = read_ahead(iter(range(10**9)))
    assert [next(ahead), next(ahead)] == [0, 1]
    ahead.close()
    assert threading.active_count() == before
