"""What the source may never say: no pickle, no code that comes with a model, no name that says nothing."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "smallprint"
MODULES = {"pickle", "cPickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"}
CALLS = {"eval", "exec", "torch.load", "torch.save", "yaml.load", "yaml.unsafe_load", "os.system"}
EMPTY_NAMES = re.compile(r"^_?(get|process|handle)_|Manager$|Helper$|^utils?$|^helpers?$")


def problems(code: str) -> Iterator[str]:
    """Gives what a piece of source does that is not allowed."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            yield from (f"import {a.name}" for a in node.names if a.name.split(".")[0] in MODULES)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in MODULES:
            yield f"import {node.module}"
        elif isinstance(node, ast.Call):
            if ast.unparse(node.func) in CALLS:
                yield ast.unparse(node.func)
            for keyword in node.keywords:
                if (
                    keyword.arg in ("trust_remote_code", "allow_pickle", "shell")
                    and ast.unparse(keyword.value) != "False"
                ):
                    yield f"{keyword.arg}={ast.unparse(keyword.value)}"
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) and EMPTY_NAMES.search(node.name):
            yield f"name {node.name}"


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=lambda path: str(path.relative_to(SOURCE)))
def test_the_source_keeps_to_it(path):
    assert list(problems(path.read_text(encoding="utf-8"))) == []
    assert not EMPTY_NAMES.search(path.stem)


@pytest.mark.parametrize(
    "code",
    [
        "import pickle",
        "import os, joblib",
        "from joblib import dump",
        "f(trust_remote_code=True)",
        "f(trust_remote_code=switch)",
        "np.load(p, allow_pickle=True)",
        "torch.load(p)",
        "yaml.load(t)",
        "subprocess.run(c, shell=True)",
        "def get_rows(): ...",
        "class RunManager: ...",
    ],
)
def test_the_rule_sees_each(code):
    assert len(list(problems(code))) == 1


def test_the_rule_lets_the_rest_pass():
    code = "f(trust_remote_code=False)\nmodel.eval()\ntext = 'pickle'\ndef load_rows(): ...\nyaml.safe_load(t)"
    assert list(problems(code)) == []
