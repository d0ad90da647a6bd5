import subprocess

from smallprint.core.commit import find_commit


def git(folder, *words):
    identity = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
    subprocess.run(["git", "-C", str(folder), *identity, *words], check=True, capture_output=True)


def test_the_commit_and_whether_files_differ_from_it(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert find_commit(tmp_path) is None
    assert find_commit(tmp_path / "none") is None
    (tmp_path / "a").write_text("1")
    git(tmp_path, "init")
    assert find_commit(tmp_path) is None
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "x")
    git(tmp_path, "tag", "v1")
    clean = find_commit(tmp_path)
    assert len(clean) == 40
    (tmp_path / "a").write_text("2")
    assert find_commit(tmp_path) == f"{clean}-dirty"


def test_without_git(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_commit(tmp_path) is None
