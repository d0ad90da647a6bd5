"""Servers that tests start on this machine: MLflow's, and PostgreSQL, whose files belong to a user who is not root."""

import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import pytest

from ending import end_all

# MLflow starts uvicorn, and Spark its workers, by name: as in an environment that is activated
HERE = {
    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
    "PYSPARK_PYTHON": sys.executable,
}


def free_port():
    """Gives a port that nobody has, below those that a system lends to outgoing calls: it is still free later, and at a restart."""
    while True:
        port = random.SystemRandom().randrange(20_000, 32_000)
        with socket.socket() as found, contextlib.suppress(OSError):
            found.bind(("127.0.0.1", port))
            return port


class Process:
    """A server of MLflow's command line, in a session of its own."""

    def __init__(self, *words, port, health, folder):
        self.log = (folder / f"{port}.log").open("a")
        quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "PYTHONWARNINGS": "ignore"}
        command = [sys.executable, "-m", "mlflow", *map(str, words), "--host", "127.0.0.1", "--port", str(port)]
        self.process = subprocess.Popen(
            command,
            stdout=self.log,
            stderr=self.log,
            start_new_session=True,
            cwd=folder,
            env={**os.environ, **HERE, **quiet},
        )
        self.url = f"http://127.0.0.1:{port}"
        for _ in range(600):
            try:
                if urllib.request.urlopen(f"{self.url}/{health}", timeout=30).status == 200:
                    return
            except OSError:
                assert self.process.poll() is None, (folder / f"{port}.log").read_text()
                time.sleep(0.3)
        raise AssertionError((folder / f"{port}.log").read_text())

    def kill(self):
        end_all(self.process)
        self.log.close()


class PostgreSQL:
    """A database of its own, which listens on a socket in its folder alone: no port, and nobody else may enter the folder."""

    def __init__(self):
        if os.name == "nt":
            pytest.skip("Windows has no sockets that are files")
        debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"))[-1:]
        places = [*debian, *(Path(found).parent for found in [shutil.which("initdb")] if found)]
        self.bin = next(
            (place for place in places if (place / "initdb").exists() and (place / "postgres").exists()), None
        )
        if self.bin is None:
            pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
        self.driver = pytest.importorskip("psycopg2", reason="pip install psycopg2-binary")
        self.as_user = self._user()
        self.folder = Path(tempfile.mkdtemp(prefix="pg", dir="/tmp"))  # a socket's path is short
        if self.as_user:
            shutil.chown(self.folder, **self.as_user)
        data = self.folder / "data"
        words = ["-D", data, "-U", "mlflow", "--auth=trust", "--no-sync", "-E", "UTF8", "--locale=C"]
        subprocess.run(
            [self.bin / "initdb", *words], check=True, capture_output=True, cwd=self.folder, timeout=300, **self.as_user
        )
        self.log = (self.folder / "log").open("w")
        words = ["-c", "fsync=off", "-c", "listen_addresses=", "-k", self.folder, "-D", data]
        self.process = subprocess.Popen(
            [self.bin / "postgres", *words], stdout=self.log, stderr=self.log, cwd=self.folder, **self.as_user
        )
        try:
            self._make_database()
        except BaseException:
            self.stop()
            raise
        self.uri = f"postgresql+psycopg2://mlflow@/mlflow?host={self.folder}"

    def _make_database(self):
        for _ in range(600):
            try:
                connection = self.driver.connect(host=str(self.folder), user="mlflow", dbname="postgres")
                break
            except self.driver.OperationalError:
                assert self.process.poll() is None, (self.folder / "log").read_text()
                time.sleep(0.1)
        connection.autocommit = True
        connection.cursor().execute("create database mlflow")
        connection.close()

    def stop(self):
        self.process.send_signal(signal.SIGINT)  # ends what is open, and writes all
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    @staticmethod
    def _user():
        """Root may not run it: then its own user does, or nobody."""
        if os.getuid():
            return {}
        import pwd

        known = {entry.pw_name: entry for entry in pwd.getpwall()}
        user = known.get("postgres") or known["nobody"]
        return {"user": user.pw_uid, "group": user.pw_gid}
