import errno
import os

import pytest

from smallprint.core.errors import ConfigError, SmallprintError
from smallprint.core.files import (
    atomic_folder,
    atomic_path,
    check_output,
    csv_text,
    remove_leftovers,
    sha256_file,
    write_json,
    write_text,
)


def test_a_file_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "a.txt"
    write_text(path, "old")
    with pytest.raises(ValueError, match="stop"), atomic_path(path) as temporary:
        temporary.write_text("half")
        raise ValueError("stop")
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_a_folder_is_written_whole_or_not_at_all(tmp_path):
    folder = tmp_path / "f"
    with atomic_folder(folder) as temporary:
        (temporary / "x").write_text("1")
    with pytest.raises(ValueError, match="stop"), atomic_folder(folder) as temporary:
        (temporary / "y").write_text("2")
        raise ValueError("stop")
    assert [p.name for p in folder.iterdir()] == ["x"]
    with atomic_folder(folder) as temporary:
        (temporary / "y").write_text("2")
    assert [p.name for p in folder.iterdir()] == ["y"]
    assert [p.name for p in tmp_path.iterdir()] == ["f"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_a_full_or_forbidden_disk_is_a_message(tmp_path, number):
    with pytest.raises(SmallprintError, match="could not be written"), atomic_path(tmp_path / "a"):
        raise OSError(number, "no")
    assert list(tmp_path.iterdir()) == []


def test_other_system_errors_stay_what_they_are(tmp_path):
    with pytest.raises(OSError, match="no") as error, atomic_path(tmp_path / "a"):
        raise OSError(errno.EIO, "no")
    assert not isinstance(error.value, SmallprintError)


def test_leftovers_of_a_killed_process_are_cleared(tmp_path):
    (tmp_path / ".a.json.x1.tmp").write_text("half")
    (tmp_path / ".bundle.x2.tmp").mkdir()
    (tmp_path / ".bundle.x3.old").mkdir()
    (tmp_path / "kept").write_text("1")
    remove_leftovers(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bundle", "kept"]


def test_json_refuses_what_is_no_number(tmp_path):
    with pytest.raises(ValueError, match="Out of range"):
        write_json(tmp_path / "a.json", {"x": float("nan")})
    assert list(tmp_path.iterdir()) == []


def test_sha256_is_the_standard_one(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert sha256_file(tmp_path / "a").startswith("ba7816bf8f01cfea")


def test_rows_as_csv_quote_what_needs_it():
    assert csv_text([("a", "b"), ('x, "y"', None), ("z\n", 1)]) == 'a,b\n"x, ""y""",\n"z\n",1\n'


def test_an_output_that_is_an_input_is_refused_by_any_path(tmp_path):
    file = tmp_path / "terms.html"
    file.write_text("x")
    (tmp_path / "link").symlink_to(file)
    for output in (file, tmp_path / "." / "terms.html", tmp_path / "link"):
        with pytest.raises(ConfigError, match="would be written over"):
            check_output(output, ["-", tmp_path / "absent", str(file)])
    check_output(tmp_path / "new.html", [file])
    check_output(None, [file])


def test_a_place_where_nothing_can_be_written_is_told_before_the_work_and_after_it(tmp_path):
    file, folder = tmp_path / "a.txt", tmp_path / "f"
    file.write_text("x")
    folder.mkdir()
    too_long = [] if os.name == "nt" else [tmp_path / ("x" * 300)]  # Windows has no number of its own for it
    for place in (folder, file / "x.json", *too_long):
        for refuses in (check_output, lambda place: write_text(place, "new")):
            with pytest.raises(SmallprintError, match="could not be written"):
                refuses(place)
    with pytest.raises(ConfigError, match="could not be written"):
        check_output(file / "deep" / "x.json")
    with pytest.raises(ConfigError, match="could not be written"):
        check_output(file, folder=True)
    for place in (file, tmp_path / "new" / "x.json", "-"):
        check_output(place)
    for place in (folder, tmp_path / "new"):
        check_output(place, folder=True)
    assert sorted(tmp_path.iterdir()) == [file, folder]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes with a name")
def test_a_pipe_or_device_is_no_place_for_a_file(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ConfigError, match="is no ordinary file"):
        check_output(tmp_path / "pipe")


def test_a_link_stays_and_what_it_leads_to_is_written(tmp_path):
    (tmp_path / "there.txt").write_text("old")
    (tmp_path / "link.txt").symlink_to(tmp_path / "there.txt")
    write_text(tmp_path / "link.txt", "new")
    assert (tmp_path / "link.txt").is_symlink()
    assert (tmp_path / "there.txt").read_text() == "new"
