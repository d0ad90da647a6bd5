"""What is still to be delivered, on disk. In: findings with their keys. Out: the same, each until it is done.

One SQLite file. A key goes in once, whatever runs again; a process that is killed loses nothing and, but for the delivery that was
under way, repeats nothing: that one is sent again under the same key, by which its receiver knows it.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smallprint.actions.rules import Finding
from smallprint.core.errors import DataError

TABLE = """
create table if not exists deliveries (
  id integer primary key, key text not null unique, rule text not null, document text not null, body text not null,
  tries integer not null default 0, due real not null default 0, state text not null default 'waiting', told text
)
"""


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

    Raises:
        DataError: It is no such file, or another process works on it.
    """

    def __init__(self, file: str | Path) -> None:
        self.file = Path(file)
        try:
            self._base = sqlite3.connect(self.file, isolation_level=None, timeout=5)
            self._base.execute("pragma journal_mode=wal")
            # held until the process ends: two that deliver from one file would deliver twice
            self._base.execute("pragma locking_mode=exclusive")
            self._base.execute(TABLE)
            self._base.execute("begin immediate")
            self._base.execute("commit")
        except sqlite3.Error as error:
            raise DataError(
                f"The outbox {self.file} cannot be opened ({error}).",
                "an outbox of smallprint that no other process works on, in a folder that can be written",
                "Wait for the other process, or name another file with --outbox.",
            ) from None

    def add(self, rule: str, findings: Iterable[tuple[str, Finding]]) -> int:
        """Takes findings in, each with its key, and gives how many were new."""
        self._base.execute("begin immediate")
        before = self._base.total_changes
        for key, finding in findings:
            self._base.execute(
                "insert or ignore into deliveries (key, rule, document, body) values (?, ?, ?, ?)",
                (key, rule, str(finding.get("document", "")), json.dumps(dict(finding), ensure_ascii=False)),
            )
        new = self._base.total_changes - before
        self._base.execute("commit")
        return new

    def due(self) -> Delivery | None:
        """Gives what is to be delivered now: the first of its document and action that is not done, and whose time has come."""
        row = self._base.execute(
            "select id, key, rule, document, body, tries from deliveries as this where state = 'waiting' and due <= ? and not exists "
            "(select 1 from deliveries as other where other.rule = this.rule and other.document = this.document "
            "and other.state = 'waiting' and other.id < this.id) order by id limit 1",
            (time.time(),),
        ).fetchone()
        return None if row is None else _delivery(row)

    def next_due(self) -> float | None:
        """Gives seconds until something may be due; None where nothing waits."""
        (found,) = self._base.execute("select min(due) from deliveries where state = 'waiting'").fetchone()
        return None if found is None else max(0.0, float(found) - time.time())

    def done(self, delivery: Delivery) -> None:
        """Marks it as delivered."""
        self._set(delivery, "delivered", None, 0.0)

    def failed(self, delivery: Delivery, told: str, again_in: float | None) -> None:
        """Marks a try as failed: to be tried again in so many seconds, or dead."""
        self._set(delivery, "dead" if again_in is None else "waiting", told, again_in or 0.0)

    def revive(self) -> int:
        """Makes dead letters wait again, and gives how many there were."""
        return self._base.execute(
            "update deliveries set state = 'waiting', tries = 0, due = 0 where state = 'dead'"
        ).rowcount

    def counts(self) -> dict[str, int]:
        """Gives how many are waiting, delivered and dead."""
        found = dict(self._base.execute("select state, count(*) from deliveries group by state").fetchall())
        return {state: int(found.get(state, 0)) for state in ("waiting", "delivered", "dead")}

    def dead(self) -> Iterator[tuple[Delivery, str]]:
        """Yields dead letters with what was told of the last try."""
        rows = self._base.execute(
            "select id, key, rule, document, body, tries, told from deliveries where state = 'dead' order by id"
        ).fetchall()
        for row in rows:
            yield _delivery(row), str(row[6])

    def close(self) -> None:
        """Lets go of the file."""
        self._base.close()

    def _set(self, delivery: Delivery, state: str, told: str | None, wait: float) -> None:
        tries = delivery.tries + (told is not None)
        self._base.execute(
            "update deliveries set state = ?, told = ?, tries = ?, due = ? where id = ?",
            (state, told, tries, time.time() + wait, delivery.id),
        )


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


__all__ = ["Delivery", "Outbox", "key_of"]
