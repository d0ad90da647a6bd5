"""Every file of the source can be read in one go."""

from collections import Counter
from pathlib import Path

SOURCE = Path(__file__).parents[2] / "src" / "smallprint"
FILES = [path for suffix in ("*.py", "*.j2") for path in SOURCE.rglob(suffix)]
LINES = 350


def test_every_file_is_under_350_lines():
    assert len(FILES) > 40
    sizes = {str(path.relative_to(SOURCE)): len(path.read_text(encoding="utf-8").splitlines()) for path in FILES}
    assert {name: size for name, size in sizes.items() if size >= LINES} == {}


def test_folders_are_counted(record_property, capsys):
    counts = Counter(str(path.parent.relative_to(SOURCE)) for path in FILES)
    for folder, count in sorted(counts.items()):
        record_property(folder, count)
        print(f"{folder:<16}{count:3}")
    assert sum(counts.values()) == len(FILES)
