"""A model to the Hugging Face Hub. In: a run or bundle, and OWNER/NAME. Out: one commit, or an error and nothing changed.

What goes up: the bundle under `bundle/`, the model card and the data sheet. Texts of examples do not, unless the report is
asked for. The token is found by huggingface_hub, and never shown.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from smallprint import papers
from smallprint.core.config import SVM
from smallprint.core.errors import ConfigError, ExportError, SmallprintError
from smallprint.core.files import sha256_file
from smallprint.core.progress import Say, say_nothing
from smallprint.core.run import Run, open_run
from smallprint.core.settings import load_config
from smallprint.packaging.bundle import find_bundle
from smallprint.packaging.card import CARD, SHEET, render_card, render_sheet
from smallprint.packaging.manifest import MANIFEST, SETTINGS, check_files, check_manifest, files_in, read_manifest

FOLDER, REPORT = "bundle", "report.html"
OURS = (CARD, SHEET, REPORT, ".gitattributes")
NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


def push_model(
    model: str | Path,
    repository: str,
    *,
    private: bool = True,
    with_report: bool = False,
    replace: bool = False,
    message: str = "Upload with smallprint",
    say: Say = say_nothing,
) -> dict[str, Any]:
    """Uploads a model with its card and gives `url`, `commit`, `files`, and whether the repository is `new`.

    A repository that holds an earlier upload is brought up to date; one that holds anything else is left alone.

    Args:
        model: Folder of a run or of a bundle.
        repository: OWNER/NAME.
        private: Whether a new repository is private; one that exists stays as it is.
        with_report: Upload the report of the run, which quotes texts of test.
        replace: Remove what else the repository holds.
        message: Of the commit.
        say: Takes lines for a person.

    Raises:
        BundleError: There is no bundle, or it is damaged.
        ConfigError: The name is not OWNER/NAME, or there is no report.
        ExportError: There is no token, the Hub refuses or does not answer, or the repository holds something else.
    """
    if not NAME.fullmatch(repository):
        raise ConfigError(
            f"'{repository}' names no repository.", "OWNER/NAME", "Give your name or your organisation's."
        )
    files = collect_files(Path(model), repository, with_report)
    for line in told_of_texts(find_bundle(model)):
        say(line)
    import huggingface_hub as hub

    token = hub.get_token()
    if token is None:
        raise ExportError("There is no token for the Hub.", "HF_TOKEN, or `hf auth login`", "Make one that may write.")
    client = hub.HfApi(token=token)
    parent, stale = None, []
    with _told(client.endpoint, repository, "Nothing was changed there."):
        new = not client.repo_exists(repository)
        if not new:
            info = client.model_info(repository)
            parent, present = info.sha, [file.rfilename for file in info.siblings or []]
            stale = _check_content(present, set(files), repository, replace)
        kind = f"a new {'private' if private else 'public'} repository" if new else "an update"
        say(f"{repository}: {kind}, {len(files)} files.")
        if new:
            client.create_repo(repository, private=private)
    after = "The new repository is empty; the same command goes on." if new else "What was there is as it was."
    with _told(client.endpoint, repository, after):
        operations: list[Any] = [hub.CommitOperationAdd(name, content) for name, content in files.items()]
        operations += [hub.CommitOperationDelete(name) for name in stale]
        done = client.create_commit(repository, operations, commit_message=message, parent_commit=parent)
    return {"url": f"{client.endpoint}/{repository}", "commit": done.oid, "files": sorted(files), "new": new}


def collect_files(model: Path, repository: str, with_report: bool = False) -> dict[str, str | bytes]:
    """Gives what goes up: by name in the repository a path, or the content itself.

    Raises:
        BundleError: There is no bundle, or it is damaged.
        ConfigError: A report is asked for, and there is none.
    """
    bundle = find_bundle(model)
    tree = read_manifest(bundle)
    check_files(bundle, check_manifest(tree, bundle).files, ())
    files: dict[str, str | bytes] = {f"{FOLDER}/{name}": str(bundle / name) for name in files_in(bundle)}
    run = next((open_run(place, clear=False) for place in (model, bundle.parent) if _is_run_of(place, bundle)), None)
    if run is None:
        facts, report = papers.facts_of_bundle(bundle, repository), None
    else:
        facts, report = papers.facts_of_run(run, repository), run.report
    for name, text in ((CARD, render_card(facts)), (SHEET, render_sheet(facts))):
        files[name] = text.encode()
    if run is not None and (edited := _edited_card(run)):
        files[CARD] = edited
    if with_report:
        if report is None or not report.exists():
            raise ConfigError("There is no report.", "a run with report.html", f"smallprint report {model}")
        files[REPORT] = str(report)
    return files


def told_of_texts(bundle: Path) -> list[str]:
    """Gives lines that say what of the training texts a bundle and those in it let others know, though no text is among their files."""
    told, names = [], {Path(name).name for name in files_in(bundle)}
    if "terms.json" in names:
        told.append(
            "terms.json holds words, runs of up to three words and word parts of the training texts, as any TF-IDF model does."
        )
    if "words.json" in names:
        told.append(
            "words.json holds words and word parts of the training texts, and the model beside it which words stand side by side."
        )
    if "train_texts.u64" in names:
        told.append("train_texts.u64 lets whoever has a text check whether it was trained on.")
    if "reference.safetensors" in names:
        told.append(
            "reference.safetensors lets whoever has a word check how often it stands in the training texts (if in two or more), "
            "and whoever has a text whether it was in validation."
        )
    if any(_has_kernel(manifest.parent) for manifest in bundle.rglob(MANIFEST)):
        told.append("The kernel head holds vectors of training texts.")
    return told


def _has_kernel(folder: Path) -> bool:
    tree = read_manifest(folder)
    if tree.get("family") == "onnx":  # whose manifest does not count them
        return load_config(folder / SETTINGS).model.head == SVM
    return bool(tree.get("n_support"))


def _is_run_of(place: Path, bundle: Path) -> bool:
    return (place / "run.json").is_file() and (place / "metrics.json").is_file() and (place / "bundle") == bundle


def _edited_card(run: Run) -> bytes | None:
    """The card in the run's folder, where somebody changed it by hand: it goes up as it is."""
    path = run.folder / CARD
    if not path.exists() or sha256_file(path) == run.state.get("card_sha256"):
        return None
    return path.read_bytes()


def _check_content(present: list[str], files: set[str], repository: str, replace: bool) -> list[str]:
    """Gives the files of an earlier upload that are no longer there; refuses a repository with other content."""
    earlier = f"{FOLDER}/{MANIFEST}" in present
    other = [name for name in present if not (earlier and (name in OURS or name.startswith(f"{FOLDER}/")))]
    other = [name for name in other if name != ".gitattributes"]
    if other and not replace:
        raise ExportError(
            f"{repository} holds other files: {', '.join(other[:5])}{', ...' if len(other) > 5 else ''}.",
            "a new repository, or one that `push` wrote",
            "Name another repository, or replace what it holds with --replace.",
        )
    return [name for name in present if name not in files and name != ".gitattributes"]


@contextmanager
def _told(endpoint: str, repository: str, after: str) -> Iterator[None]:
    """Turns what the Hub's client raises into words; none of them holds the token."""
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    try:
        yield
    except SmallprintError:
        raise
    except OfflineModeIsEnabled:
        raise ExportError("The Hub may not be asked.", "HF_HUB_OFFLINE unset", "Unset it and try again.") from None
    except Exception as error:  # its client has no common root of what it raises: files, requests, and Xet's own
        cause = error.__cause__ if type(error) is RuntimeError and error.__cause__ else error
        response = cause.response if isinstance(cause, HfHubHTTPError) else None
        status = None if response is None else response.status_code
        if status is None:
            found = f"The Hub ({endpoint}) did not take the upload ({type(cause).__name__}: {_first_line(cause)})."
            do = "Check the network and HF_ENDPOINT."
        elif status == 401:
            found = f"The Hub ({endpoint}) does not take the token."
            do = "Make a new one that may write, and `hf auth login`."
        elif status == 403:
            found = f"The token may not write to {repository}."
            do = "Take one that may write there, or another owner."
        elif status in (409, 412):
            found, do = f"{repository} changed while it was looked at.", "Try again."
        else:
            found, do = f"The Hub ({endpoint}) answers {status}: {_first_line(cause)}", "Try again later."
        raise ExportError(found, "a Hub that can be reached and takes it", f"{do} {after}") from None


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:200] if lines else type(error).__name__


__all__ = ["collect_files", "push_model"]
