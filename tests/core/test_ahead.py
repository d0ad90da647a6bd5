import threading

import pytest

from smallprint.core.ahead import map_ahead, read_ahead


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


def test_mapped_in_order():
    assert list(map_ahead(lambda thing: thing * 2, range(5))) == [0, 2, 4, 6, 8]
    assert list(map_ahead(str, [])) == []


def test_mapped_in_a_thread_while_the_one_before_is_worked_on():
    made = threading.Event()

    def make(thing):
        if thing == 2:
            made.set()
        return thing

    ahead = map_ahead(make, range(4))
    assert [next(ahead), next(ahead)] == [0, 1]
    assert made.wait(10), "2 is made before it is asked for"
    assert list(ahead) == [2, 3]


def test_who_wants_the_first_alone_has_nothing_else_mapped():
    things, made = iter(range(10)), []
    ahead = map_ahead(made.append, things)
    next(ahead)
    ahead.close()
    assert made == [0]
    assert next(things) == 1


def test_an_error_of_making_comes_in_its_place():
    ahead = map_ahead(lambda thing: 1 // thing, [1, 2, 0, 3])
    assert [next(ahead), next(ahead)] == [1, 0]
    with pytest.raises(ZeroDivisionError):
        next(ahead)


def test_who_stops_a_map_early_leaves_no_thread():
    before = threading.active_count()
    ahead = map_ahead(str, iter(range(10**9)))
    assert [next(ahead), next(ahead)] == ["0", "1"]
    ahead.close()
    assert threading.active_count() == before
