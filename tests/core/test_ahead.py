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
        made.set()
        yield 2

    ahead = read_ahead(things())
    assert next(ahead) == 1
    assert made.wait(10), "2 is made before it is asked for"
    assert next(ahead) == 2


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
    next(ahead)
    ahead.close()
    assert threading.active_count() == before
