"""What is still to be delivered, on disk. In: findings with their keys. Out: the same, each until it is done.

One SQLite file. A key goes in once, whatever runs again; a process that is killed loses nothing and, but for the delivery that was
under way, repeats nothing: that one is sent again under the same key, by which its receiver knows it. One process alone has the file; or
several share it, of which the one that holds `hold` delivers.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smallprint.actions.rules import Finding
from smallprint.core.errors import DataError

TABLE = """
create table if not exists deliveries (
  id integer primary key, key text not null unique, rule text not null, document text not null, body text not null,
  tries integer not null default 0, due real not null default 0, state text not null default 'waiting', told text,
  since real not null default 0
)
"""
# what waits is found among any number of rows that are done
INDEXES = (
    "create index if not exists waiting on deliveries (id) where state = 'waiting'",
    "create index if not exists waiting_in_order on deliveries (rule, document, id) where state = 'waiting'",
    "create index if not exists states on deliveries (rule, state, tries)",
)

WAIT_S = 5.0  # for another process that writes at this moment


@dataclass(frozen=True)
class Delivery:
    """One finding for one action.

    Attributes:
        id: In order of arrival.
        key: The same whenever the same finding of the same model meets the same action.
        rule: Name of the action.
        document: Findings of one document go out in order.
        body: The finding.
        tries: That failed so far.
    """

    id: int
    key: str
    rule: str
    document: str
    body: dict[str, Any]
    tries: int


class Outbox:
    """The file.

    Args:
        file: Made where it is not there.
        shared: Other processes may work on it at the same time, if they share it too.

    Raises:
        DataError: It is no such file, or another process works on it.
    """

    def __init__(self, file: str | Path, shared: bool = False) -> None:
        self.file = Path(file)
        with contextlib.ExitStack() as undo:
            try:
                self._base = sqlite3.connect(self.file, isolation_level=None, timeout=WAIT_S)
                undo.callback(self._base.close)  # one that failed may hold a part of the file's locks
                self._open(shared)
                undo.pop_all()
            except sqlite3.Error as error:
                raise _unusable(self.file, error) from None

    def _open(self, shared: bool) -> None:
        self._base.execute("pragma journal_mode=wal")
        if not shared:  # held until the process ends: two that deliver from one file would deliver twice
            self._base.execute("pragma locking_mode=exclusive")
        self._base.execute("begin immediate")
        self._base.execute(TABLE)
        if "since" not in {row[1] for row in self._base.execute("pragma table_info(deliveries)")}:
            # of an earlier release: what is in it counts as having come to its state now
            self._base.execute(f"alter table deliveries add column since real not null default {time.time()!r}")
        for statement in INDEXES:
            self._base.execute(statement)
        self._base.execute("commit")

    def add(self, rule: str, findings: Iterable[tuple[str, Finding]]) -> int:
        """Takes findings in, each with its key, and gives how many were new."""
        self._base.execute("begin immediate")
        before, now = self._base.total_changes, time.time()
        try:
            for key, finding in findings:
                self._base.execute(
                    "insert or ignore into deliveries (key, rule, document, body, since) values (?, ?, ?, ?, ?)",
                    (key, rule, str(finding.get("document", "")), json.dumps(dict(finding), ensure_ascii=False), now),
                )
            new = self._base.total_changes - before
            self._base.execute("commit")
        except BaseException:
            if self._base.in_transaction:
                self._base.execute("rollback")
            raise
        return new

    def due(self, rules: Sequence[str] | None = None) -> Delivery | None:
        """Gives what is to be delivered now: the first of its document and action that is not done, and whose time has come.

        Args:
            rules: Names of the actions that are looked at; all when left out.
        """
        named, among = _among(rules)
        row = self._base.execute(
            f"select id, key, rule, document, body, tries from deliveries as this where state = 'waiting' and due <= ?{named} and "
            "not exists (select 1 from deliveries as other where other.rule = this.rule and other.document = this.document "
            "and other.state = 'waiting' and other.id < this.id) order by id limit 1",
            (time.time(), *among),
        ).fetchone()
        return None if row is None else _delivery(row)

    def next_due(self, rules: Sequence[str] | None = None) -> float | None:
        """Gives seconds until something may be due; None where nothing waits."""
        named, among = _among(rules)
        (found,) = self._base.execute(
            f"select min(due) from deliveries where state = 'waiting'{named}", among
        ).fetchone()
        return None if found is None else max(0.0, float(found) - time.time())

    def done(self, delivery: Delivery) -> None:
        """Marks it as delivered; its key is remembered, its text is not."""
        self._base.execute(
            "update deliveries set state = 'delivered', told = null, body = '{}', since = ? where id = ?",
            (time.time(), delivery.id),
        )

    def failed(self, delivery: Delivery, told: str, again_in: float | None) -> None:
        """Marks a try as failed: to be tried again in so many seconds, or dead."""
        now, state = time.time(), "dead" if again_in is None else "waiting"
        # half of a character in a file's name is no text to SQLite
        told = told.encode("utf-8", "backslashreplace").decode()
        self._base.execute(
            "update deliveries set since = iif(state = ?1, since, ?2), state = ?1, told = ?3, tries = ?4, due = ?5 where id = ?6",
            (state, now, told, delivery.tries + 1, now + (again_in or 0.0), delivery.id),
        )

    def revive(self, rules: Sequence[str] | None = None) -> int:
        """Makes dead letters wait again, and gives how many there were.

        Args:
            rules: Names of the actions whose letters they are; all when left out.
        """
        named, among = _among(rules)
        return self._base.execute(
            f"update deliveries set state = 'waiting', tries = 0, due = 0, since = ? where state = 'dead'{named}",
            (time.time(), *among),
        ).rowcount

    def forget(self, before: float, rules: Sequence[str] | None = None, dead: bool = False) -> int:
        """Takes out what was delivered before a time, keys and all, and gives how many there were.

        A key that is forgotten is new again: its finding would be delivered once more.

        Args:
            before: As `time.time()` tells it.
            rules: Names of the actions that are looked at; all when left out.
            dead: Take out what was given up before then, too.
        """
        named, among = _among(rules)
        states = "('delivered', 'dead')" if dead else "('delivered')"
        gone = self._base.execute(
            f"delete from deliveries where state in {states} and since < ?{named}", (before, *among)
        ).rowcount
        if gone:
            with contextlib.suppress(sqlite3.Error):  # only the file stays as large
                self._base.execute("vacuum")
        return gone

    def counts(self) -> dict[str, int]:
        """Gives how many are waiting, delivered and dead."""
        found = dict(self._base.execute("select state, count(*) from deliveries group by state").fetchall())
        return {state: int(found.get(state, 0)) for state in ("waiting", "delivered", "dead")}

    def waiting(self) -> int:
        """Gives how many wait, at once however many are done."""
        return int(self._base.execute("select count(*) from deliveries where state = 'waiting'").fetchone()[0])

    def tally(self) -> dict[tuple[str, str], tuple[int, int]]:
        """Gives for each action and state how many there are, and how many of their tries failed."""
        rows = self._base.execute("select rule, state, count(*), sum(tries) from deliveries group by rule, state")
        return {(rule, state): (int(count), int(tries)) for rule, state, count, tries in rows}

    def oldest(self) -> dict[str, float]:
        """Gives for each action of which something waits since when its oldest does, as `time.time()` tells it."""
        rows = self._base.execute("select rule, min(since) from deliveries where state = 'waiting' group by rule")
        return {rule: float(since) for rule, since in rows}

    def dead(self) -> Iterator[tuple[Delivery, str, float]]:
        """Yields dead letters with what was told of the last try, and when that was."""
        rows = self._base.execute(
            "select id, key, rule, document, body, tries, told, since from deliveries where state = 'dead' order by id"
        ).fetchall()
        for row in rows:
            yield _delivery(row), str(row[6]), float(row[7])

    def close(self) -> None:
        """Lets go of the file."""
        self._base.close()


def hold(file: str | Path) -> sqlite3.Connection:
    """Gives the right to deliver from an outbox that is shared: one process has it, until it ends or the right is closed.

    Raises:
        DataError: Another process has it, or the folder cannot be written.
    """
    try:
        right = sqlite3.connect(f"{file}.lock", isolation_level=None, timeout=1, check_same_thread=False)
        right.execute("begin exclusive")  # the system lets go of it when the process dies, however it does
    except sqlite3.Error as error:
        raise _unusable(Path(file), error) from None
    return right


def _unusable(file: Path, error: sqlite3.Error) -> DataError:
    return DataError(
        f"The outbox {file} cannot be opened ({error}).",
        "an outbox of smallprint that no other process works on, in a folder that can be written",
        "Wait for the other process, or name another file with --outbox.",
    )


def _among(rules: Sequence[str] | None) -> tuple[str, tuple[str, ...]]:
    # the plus keeps SQLite from looking by rule, after which it would have to sort what waits
    return ("", ()) if rules is None else (f" and +rule in ({', '.join('?' * len(rules))})", tuple(rules))


def _delivery(row: tuple[Any, ...]) -> Delivery:
    number, key, rule, document, body, tries = row[:6]
    return Delivery(number, key, rule, document, json.loads(body), tries)


def key_of(rule: str, model: str, finding: Finding) -> str:
    """Gives the key of a finding for an action: the same for the same model, place, label and text.

    Args:
        rule: Name of the action.
        model: What tells the model apart: its weights' hash.
        finding: `document`, place (`row`, or `start` and `end`), `label` and `text`.
    """
    place = [finding.get(name) for name in ("document", "row", "start", "end", "label", "text")]
    return hashlib.sha256(json.dumps([rule, model, *place], ensure_ascii=False).encode()).hexdigest()


__all__ = ["Delivery", "Outbox", "hold", "key_of"]
