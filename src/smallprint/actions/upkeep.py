"""Looks after an outbox: what waits, what was given up, what may be forgotten. In: its file. Out: counts, as a tree or as lines.

It delivers nothing. The texts of findings stay inside unless they are asked for.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from smallprint.actions.outbox import WAIT_S, Delivery, Outbox
from smallprint.core.errors import DataError
from smallprint.core.progress import counted

STATES = ("waiting", "delivered", "dead")
TEXTS = ("text", "heading")  # of a finding, what stood in the document
DAY = 86_400.0
SHOWN = 20  # dead letters that are told of in lines


def read_status(file: str | Path, rules: Sequence[str] | None = None, *, texts: bool = False) -> dict[str, Any]:
    """Gives what is in an outbox, also while a server delivers from it.

    Args:
        file: The outbox.
        rules: Names of the actions that are looked at; all when left out.
        texts: Give the texts of dead letters, too.

    Returns:
        `waiting`, `delivered`, `dead`, `oldest_waiting_s` (seconds, or null), `actions` with the same and `failed_tries` for each, and
        `dead_letters`, each with `action`, `key`, `finding`, `tries`, `told` (of the last try) and `given_up` (when).

    Raises:
        DataError: There is no such outbox, nothing of such an action, or a command delivers from it.
    """
    now = time.time()
    with _opened(file, rules, shared=True) as box:
        tally, oldest = box.tally(), box.oldest()
        dead = [_letter(*entry, texts) for entry in box.dead()]
    names = sorted({name for name, _ in tally} if rules is None else rules)
    waits = {name: None if name not in oldest else round(max(0.0, now - oldest[name]), 1) for name in names}
    actions = {
        name: {
            **{state: tally.get((name, state), (0, 0))[0] for state in STATES},
            "failed_tries": sum(tries for (rule, _), (_, tries) in tally.items() if rule == name),
            "oldest_waiting_s": waits[name],
        }
        for name in names
    }
    return {
        "file": str(file),
        **{state: sum(int(action[state] or 0) for action in actions.values()) for state in STATES},
        "oldest_waiting_s": max((wait for wait in waits.values() if wait is not None), default=None),
        "actions": actions,
        "dead_letters": [letter for letter in dead if letter["action"] in actions],
    }


def retry(file: str | Path, rules: Sequence[str] | None = None) -> int:
    """Makes dead letters wait again, and gives how many there were; whoever delivers next from the outbox tries them.

    Raises:
        DataError: There is no such outbox, nothing of such an action, or another process delivers from it.
    """
    with _opened(file, rules) as box:
        return box.revive(rules)


def clear(file: str | Path, older_than_days: float, rules: Sequence[str] | None = None, *, dead: bool = False) -> int:
    """Forgets what was delivered so long ago, and gives how many findings that were.

    A key that is forgotten is delivered again if its document comes again.

    Raises:
        DataError: There is no such outbox, nothing of such an action, or another process delivers from it.
    """
    with _opened(file, rules) as box:
        return box.forget(time.time() - older_than_days * DAY, rules, dead)


def tell_status(status: Mapping[str, Any]) -> list[str]:
    """Gives it as lines: one an action, then dead letters, the first of them."""
    if not status["actions"]:
        return ["It is empty."]
    lines = [f"{'action':<24} {'waiting':>9} {'delivered':>10} {'dead':>6} {'failed tries':>13}  oldest waiting"]
    for name, action in status["actions"].items():
        wait = action["oldest_waiting_s"]
        lines.append(
            f"{name:<24} {action['waiting']:>9,} {action['delivered']:>10,} {action['dead']:>6,} {action['failed_tries']:>13,}  "
            f"{'' if wait is None else tell_seconds(wait)}".rstrip()
        )
    letters = status["dead_letters"]
    if letters:
        lines.append(f"{counted(len(letters), 'dead letter')}:")
    for letter in letters[:SHOWN]:
        finding = letter["finding"]
        place = finding.get("row", finding.get("start"))
        lines.append(
            f"  {letter['action']}  {finding.get('document')}:{place}  {finding.get('label')}  "
            f"given up {letter['given_up']}, failed tries: {letter['tries']}; {letter['told']}"
        )
        lines += [f"    {finding['text']}"] if "text" in finding else []
    if len(letters) > SHOWN:
        lines.append(f"  and {len(letters) - SHOWN:,} more; --json gives them all.")
    return lines


def tell_seconds(seconds: float) -> str:
    """Gives a time in its largest unit: '3 hours'."""
    for unit, length in (("day", DAY), ("hour", 3600.0), ("minute", 60.0)):
        if seconds >= length:
            return counted(int(seconds / length), unit)
    return counted(int(seconds), "second")


@contextmanager
def _opened(file: str | Path, rules: Sequence[str] | None, shared: bool = False) -> Iterator[Outbox]:
    """Opens an outbox that is there; nothing else is made into one."""
    path = Path(file)
    expected = "an outbox: OUT.outbox.sqlite, ACTIONS.outbox.sqlite of a server, or what --outbox named"
    if not path.is_file():
        raise DataError(f"There is no file {path}.", expected, "Name the file.")
    try:
        base = sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=WAIT_S)
        try:
            known = base.execute("select 1 from sqlite_master where type = 'table' and name = 'deliveries'").fetchone()
        finally:
            base.close()
    except sqlite3.OperationalError as error:  # locked, or not to be written
        raise _refused(f"The outbox {path} cannot be opened ({error}).") from None
    except sqlite3.DatabaseError:
        known = None
    if known is None:
        raise DataError(f"{path} is no outbox.", expected, "Name the file.")
    try:
        box = Outbox(path, shared)
    except DataError as error:
        raise _refused(error.found) from None
    try:
        there = {name for name, _ in box.tally()}
        if unknown := [name for name in rules or () if name not in there]:
            raise DataError(
                f"Nothing in {path} is of an action '{unknown[0]}'.",
                f"one of {', '.join(sorted(there))}" if there else "an outbox that something was put into",
                "Check the name.",
            )
        yield box
    finally:
        box.close()


def _refused(found: str) -> DataError:
    return DataError(
        found,
        "one that no other process delivers from, in a folder that can be written",
        "Wait for the other process, or end it.",
    )


def _letter(delivery: Delivery, told: str, since: float, texts: bool) -> dict[str, Any]:
    body = delivery.body
    if not texts:
        for name in TEXTS:  # a function's error may quote what it was given
            for quoted in _ways_to_quote(str(body.get(name) or "")):
                told = told.replace(quoted, f"[{name}]")
        body = {key: value for key, value in body.items() if key not in TEXTS}
    return {
        "action": delivery.rule,
        "key": delivery.key,
        "finding": body,
        "tries": delivery.tries,
        "told": told,
        "given_up": datetime.fromtimestamp(since, UTC).isoformat(timespec="seconds"),
    }


def _ways_to_quote(text: str) -> list[str]:
    """Gives how a text may stand in an error: as it is, and as Python and JSON write it between quotation marks."""
    if not text:
        return []
    ways = {text, repr(text)[1:-1], json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]}
    return sorted(ways, key=len, reverse=True)


__all__ = ["clear", "read_status", "retry", "tell_seconds", "tell_status"]
