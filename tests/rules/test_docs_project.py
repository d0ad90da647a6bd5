"""Files for contributors say what is so: versions agree, the public workflow covers what is promised, every benchmark is told of."""

import re
import tomllib
from pathlib import Path

import yaml

import smallprint

ROOT = Path(__file__).parents[2]
WORKFLOW = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8"))


def test_the_citation_names_this_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == smallprint.__version__
    assert citation["license"] == "Apache-2.0"


def test_the_public_workflow_covers_systems_pythons_and_dependencies():
    matrix = WORKFLOW["jobs"]["test"]["strategy"]["matrix"]
    assert set(matrix["os"]) == {"ubuntu-latest", "macos-latest", "windows-latest"}
    assert matrix["python"] == ["3.11", "3.12", "3.13", "3.14"]
    assert {entry["dependencies"] for entry in matrix["include"]} | set(matrix["dependencies"]) == {
        "pinned",
        "lowest",
        "newest",
    }
    assert WORKFLOW["permissions"] == {"contents": "read"}
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    steps = [step.get("run", "") for job in WORKFLOW["jobs"].values() for step in job["steps"]]
    for target in re.findall(r"make ([a-z]+)", "\n".join(steps)):
        assert target in targets


def test_issue_templates_are_forms():
    for file in (ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"):
        form = yaml.safe_load(file.read_text(encoding="utf-8"))
        assert file.name == "config.yml" or {"name", "description", "body"} <= set(form)


def test_contributing_tells_of_every_benchmark():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    ours = {path.name for path in (ROOT / "benchmarks").glob("*.py") if "__main__" in path.read_text(encoding="utf-8")}
    assert {name for name in ours - {"pages.py"} if name not in text} == set()


def test_what_the_site_and_the_notebook_need_is_installed_for_tests_and_pinned():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    assert set(project["docs"]) <= set(project["dev"])
    pinned = {
        re.split("==", line)[0].lower() for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    }
    assert {re.split(r"[\[<>=]", entry)[0] for entry in project["docs"]} <= pinned
