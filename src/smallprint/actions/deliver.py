"""Does the actions: webhook, command or function. In: rules and an outbox. Out: what was delivered, and what could not be.

A webhook gets the finding as JSON, its key in `Idempotency-Key` and, where there is a secret, `Smallprint-Signature: t=TIME,v1=HMAC` with
HMAC-SHA256 over `TIME.BODY`. Redirects are not followed.
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import os
import random
import re
import ssl
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from smallprint.actions.outbox import Delivery, Outbox
from smallprint.actions.rules import Rule
from smallprint.core.errors import ConfigError
from smallprint.core.parts import import_part
from smallprint.core.progress import Say, say_nothing

FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 300.0
Target = Callable[[Delivery], None]
Targets = Mapping[str, tuple[Rule, Target]]


class RefusedError(Exception):
    """The receiver says that trying again is of no use."""


def deliver(
    outbox: Outbox, rules: Sequence[Rule], *, say: Say = say_nothing, until_empty: bool = True
) -> dict[str, int]:
    """Delivers what waits, and gives how many are delivered, waiting and dead.

    Args:
        outbox: What is to be delivered.
        rules: The actions; what waits for one that is not among them stays.
        say: Takes lines for a person; texts of findings are not in them.
        until_empty: Wait for what is to be tried again later; else return at once when nothing is due.

    Raises:
        ConfigError: A function cannot be imported, or the secret's variable is not set.
    """
    targets = build_targets(rules)
    while True:
        if deliver_next(outbox, targets, say):
            continue
        wait = outbox.next_due(list(targets))
        if wait is None or not until_empty:
            return outbox.counts()
        time.sleep(min(wait, 1.0) + 0.01)


def build_targets(rules: Iterable[Rule]) -> Targets:
    """Gives what each action calls, by its name.

    Raises:
        ConfigError: A function cannot be imported, or the secret's variable is not set.
    """
    return {rule.name: (rule, _target_of(rule)) for rule in rules}


def deliver_next(outbox: Outbox, targets: Targets, say: Say) -> bool:
    """Tries the next delivery that is due for one of these actions; gives whether there was one."""
    delivery = outbox.due(list(targets))
    if delivery is None:
        return False
    rule, target = targets[delivery.rule]
    try:
        target(delivery)
    except RefusedError as error:
        outbox.failed(delivery, str(error), None)
        say(f"{rule.name}: refused, and not tried again: {error} (key {delivery.key[:12]})")
    except (Exception, SystemExit) as error:  # whatever somebody's function or network raises
        last = delivery.tries >= rule.retries
        outbox.failed(delivery, f"{type(error).__name__}: {error}", None if last else _wait(delivery.tries))
        if last:
            tries = delivery.tries + 1
            say(f"{rule.name}: given up after {tries} tries ({type(error).__name__}, key {delivery.key[:12]})")
    else:
        outbox.done(delivery)
    return True


def sign(secret: bytes, moment: int, body: bytes) -> str:
    """Gives the value of `Smallprint-Signature`."""
    return f"t={moment},v1={hmac.new(secret, str(moment).encode() + b'.' + body, hashlib.sha256).hexdigest()}"


def check_signature(secret: bytes, header: str, body: bytes, oldest_s: int = 300) -> bool:
    """Gives whether a receiver may trust a call: signed with the secret, and not older than `oldest_s`."""
    found = re.match(r"t=([0-9]{1,12}),", header)
    if found is None or abs(time.time() - int(found[1])) > oldest_s:
        return False
    return hmac.compare_digest(sign(secret, int(found[1]), body).encode(), header.encode(errors="replace"))


def _wait(tries: int) -> float:
    wait = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0**tries)
    return wait * (0.5 + random.random() / 2)  # spread, so that many do not come back at once


def _target_of(rule: Rule) -> Target:
    if rule.call is not None:
        function = import_part(rule.call, "action")
        return lambda delivery: function(delivery.body | {"key": delivery.key})
    if rule.command is not None:
        command = list(rule.command)
        return lambda delivery: _run(command, rule.timeout_s, delivery)
    secret = None
    if rule.secret is not None:
        secret = os.environ.get(rule.secret, "").encode()
        if not secret:
            raise ConfigError(
                f"The action '{rule.name}' signs with {rule.secret}, and that variable is not set.",
                "an environment variable with the secret",
                f"Set {rule.secret}, or take 'secret' out of the rule.",
            )
    return lambda delivery: _post(str(rule.webhook), secret, rule.timeout_s, delivery)


def _run(command: list[str], timeout: float, delivery: Delivery) -> None:
    done = subprocess.run(
        command,
        input=_body(delivery.body | {"key": delivery.key}),
        timeout=timeout,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"exit code {done.returncode}")


def _post(url: str, secret: bytes | None, timeout: float, delivery: Delivery) -> None:
    parts, body = urlsplit(url), _body(delivery.body)
    headers = {"Content-Type": "application/json", "Idempotency-Key": delivery.key}
    if secret is not None:
        headers["Smallprint-Signature"] = sign(secret, int(time.time()), body)
    host, port = parts.hostname or "", parts.port
    connection = (
        http.client.HTTPSConnection(host, port, timeout=timeout, context=ssl.create_default_context())
        if parts.scheme == "https"
        else http.client.HTTPConnection(host, port, timeout=timeout)
    )
    try:
        connection.request("POST", (parts.path or "/") + (f"?{parts.query}" if parts.query else ""), body, headers)
        status = connection.getresponse().status
    finally:
        connection.close()
    if 200 <= status < 300 or status == 409:  # 409: it has this key already
        return
    if status in (400, 401, 403, 404, 405, 410, 413, 422):
        raise RefusedError(f"HTTP {status}")
    raise RuntimeError(f"HTTP {status}")


def _body(finding: Mapping[str, Any]) -> bytes:
    return json.dumps(finding, ensure_ascii=False).encode()


__all__ = ["RefusedError", "Targets", "build_targets", "check_signature", "deliver", "deliver_next", "sign"]
