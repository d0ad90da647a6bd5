"""Pushing a model, against a stand-in for the Hub on this machine that answers the calls huggingface_hub makes."""

import base64
import hashlib
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from smallprint import api, papers, publish
from smallprint.core.errors import BundleError, ConfigError, ExportError
from smallprint.core.run import open_run

pytestmark = pytest.mark.usefixtures("loopback")
TOKEN = "hf_" + "s3cret" * 5


class StandIn:
    """Repositories as {path: content}; `fail` maps a part of a call's path to the status it answers."""

    def __init__(self):
        self.repositories, self.private, self.blobs, self.calls, self.fail = {}, {}, {}, [], {}
        self.heads = {}
        stand_in = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                self.answer("GET")

            def do_POST(self):
                self.answer("POST")

            def do_PUT(self):
                self.answer("PUT")

            def answer(self, method):
                if "chunked" in self.headers.get("Transfer-Encoding", ""):
                    body = b""
                    while size := int(self.rfile.readline(), 16):
                        body += self.rfile.read(size)
                        self.rfile.readline()
                    self.rfile.readline()
                else:
                    body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                stand_in.calls.append((method, self.path, self.headers.get("Authorization"), body))
                status, tree, headers = stand_in.reply(method, self.path, self.headers, body)
                content = json.dumps(tree).encode()
                self.send_response(status)
                for name, value in {
                    "Content-Type": "application/json",
                    "Content-Length": len(content),
                    **headers,
                }.items():
                    self.send_header(name, str(value))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def hold(self, name, files):
        self.repositories[name], self.heads[name] = dict(files), hashlib.sha1(name.encode()).hexdigest()

    def reply(self, method, path, headers, body):
        for part, (status, message) in self.fail.items():
            if part in path:
                return status, {"error": message}, {"X-Error-Message": message}
        if path == "/api/repos/create":
            tree = json.loads(body)
            name = f"{tree['organization']}/{tree['name']}"
            self.hold(name, {".gitattributes": b""})
            self.private[name] = tree.get("private", tree.get("visibility") == "private")
            return 200, {"url": f"{self.url}/{name}"}, {}
        if path == "/api/validate-yaml":
            return 200, {"errors": [], "warnings": []}, {}
        if found := re.fullmatch(r"/api/models/([^/]+/[^/?]+)(/revision/main)?(\?.*)?", path):
            name = found[1]
            if name not in self.repositories:
                return 404, {"error": "Repository not found"}, {"X-Error-Code": "RepoNotFound"}
            files = [{"rfilename": file} for file in self.repositories[name]]
            return 200, {"id": name, "sha": self.heads[name], "siblings": files, "private": True, "tags": []}, {}
        if found := re.fullmatch(r"/api/models/([^/]+/[^/]+)/preupload/main", path):
            files = json.loads(body)["files"]
            modes = [
                {
                    "path": f["path"],
                    "uploadMode": "lfs" if f["path"].endswith(".safetensors") else "regular",
                    "shouldIgnore": False,
                }
                for f in files
            ]
            return 200, {"files": modes}, {}
        if path.endswith(".git/info/lfs/objects/batch"):
            objects = [
                {**each, "actions": {"upload": {"href": f"{self.url}/blob/{each['oid']}", "header": {}}}}
                for each in json.loads(body)["objects"]
            ]
            return 200, {"transfer": "basic", "objects": objects}, {}
        if path.startswith("/blob/"):
            self.blobs[path.removeprefix("/blob/")] = body
            return 200, {}, {}
        if found := re.fullmatch(r"/api/models/([^/]+/[^/]+)/commit/main", path):
            return self.commit(found[1], [json.loads(line) for line in body.splitlines()])
        return 404, {"error": f"no route {path}"}, {}

    def commit(self, name, lines):
        files = self.repositories[name]
        assert lines[0]["value"].get("parentCommit") in (None, self.heads[name])
        for line in lines[1:]:
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = self.blobs[value["oid"]]
            elif line["key"] == "deletedFile":
                del files[value["path"]]
        self.heads[name] = hashlib.sha1(str(lines).encode()).hexdigest()
        return (
            200,
            {
                "success": True,
                "commitOid": self.heads[name],
                "commitUrl": f"{self.url}/{name}/commit/{self.heads[name]}",
            },
            {},
        )

    def called(self, method, part):
        return [call for call in self.calls if call[0] == method and part in call[1]]


@pytest.fixture
def hub(monkeypatch):
    from huggingface_hub import constants

    stand_in = StandIn()
    monkeypatch.setattr(constants, "ENDPOINT", stand_in.url)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    yield stand_in
    stand_in.server.shutdown()
    stand_in.server.server_close()


def download(hub, name, folder):
    for path, content in hub.repositories[name].items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    return folder


def test_what_was_pushed_predicts_as_the_original(hub, toy_run, tmp_path):
    lines = []
    pushed = publish.push_model(toy_run, "me/colours", say=lines.append)
    assert pushed["new"]
    assert pushed["url"] == f"{hub.url}/me/colours"
    assert hub.private["me/colours"]
    assert len(hub.called("POST", "/commit/main")) == 1
    folder = download(hub, "me/colours", tmp_path / "colours")
    texts = ["we may use scarlet ink", "moss at any time"]
    assert (api.predict(folder, texts).scores == api.predict(toy_run, texts).scores).all()
    files = set(hub.repositories["me/colours"])
    assert {"README.md", "DATASHEET.md", "bundle/manifest.json", "bundle/model.safetensors"} <= files
    card = (folder / "README.md").read_text()
    assert "hf download me/colours --local-dir colours" in card
    assert any("word parts of the training texts" in line for line in lines)
    assert TOKEN not in "".join(lines)


def test_no_text_of_an_example_goes_up_unless_asked_for(hub, toy_run):
    import polars as pl

    texts = [
        text
        for split in ("test", "validation")
        for text in pl.read_parquet(toy_run / f"{split}_scores.parquet")["text"]
    ]
    publish.push_model(toy_run, "me/quiet")
    everything = b"".join(hub.repositories["me/quiet"].values()).decode("utf-8", "replace")
    assert "report.html" not in hub.repositories["me/quiet"]
    assert not [text for text in texts if text in everything]
    publish.push_model(toy_run, "me/open", with_report=True, private=False)
    assert b"Made by smallprint" in hub.repositories["me/open"]["report.html"]
    assert not hub.private["me/open"]


def test_a_second_push_brings_it_up_to_date_in_one_commit(hub, toy_run):
    publish.push_model(toy_run, "me/again", with_report=True)
    hub.repositories["me/again"]["bundle/old.bin"] = b"of an older version"
    pushed = publish.push_model(toy_run, "me/again")
    assert not pushed["new"]
    assert "bundle/old.bin" not in hub.repositories["me/again"]
    assert "report.html" not in hub.repositories["me/again"]
    assert len(hub.called("POST", "/api/repos/create")) == 1
    assert len(hub.called("POST", "/commit/main")) == 2
    header = json.loads(hub.called("POST", "/commit/main")[1][3].splitlines()[0])
    assert len(header["value"]["parentCommit"]) == 40


def test_other_content_is_left_alone_unless_replacing_is_asked_for(hub, toy_run):
    hub.hold("me/others", {".gitattributes": b"", "README.md": b"mine", "weights.bin": b"1"})
    with pytest.raises(ExportError, match=r"holds other files: README.md, weights.bin[\s\S]*--replace"):
        publish.push_model(toy_run, "me/others")
    assert hub.repositories["me/others"]["README.md"] == b"mine"
    assert not hub.called("POST", "")
    publish.push_model(toy_run, "me/others", replace=True)
    assert "weights.bin" not in hub.repositories["me/others"]
    hub.hold("me/empty", {".gitattributes": b""})
    assert not publish.push_model(toy_run, "me/empty")["new"]


@pytest.mark.parametrize(
    ("part", "status", "message", "told"),
    [
        ("/api/models", 401, "Invalid credentials in Authorization header", "does not take the token"),
        ("/api/repos/create", 401, "Unauthorized", "does not take the token"),
        ("/api/repos/create", 403, "Forbidden", "may not write to me/x"),
        ("/preupload/", 403, "Forbidden", "may not write to me/x"),
        ("/commit/", 412, "Precondition", "changed while it was looked at"),
        ("/blob/", 403, "Forbidden", "may not write to me/x"),
        ("/commit/", 400, "Bad", "answers 400"),
    ],
)
def test_refusals_are_told_and_leave_nothing_half_done(hub, toy_run, part, status, message, told):
    hub.fail[part] = (status, message)
    with pytest.raises(ExportError, match=told) as error:
        publish.push_model(toy_run, "me/x")
    assert TOKEN not in str(error.value)
    made = bool(hub.called("POST", "/api/repos/create")) and part != "/api/repos/create"
    assert ("The new repository is empty" in str(error.value)) == made
    assert set(hub.repositories.get("me/x", {})) <= {".gitattributes"}
    hub.fail.clear()
    publish.push_model(toy_run, "me/x")  # the same command goes on
    assert "bundle/manifest.json" in hub.repositories["me/x"]


def test_without_a_token_or_a_hub(hub, toy_run, monkeypatch, tmp_path):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(ExportError, match=r"did not take the upload[\s\S]*Nothing was changed"):
        publish.push_model(toy_run, "me/x")
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "none"))
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    with pytest.raises(ExportError, match="no token"):
        publish.push_model(toy_run, "me/x")
    assert hub.calls == []


@pytest.mark.parametrize("name", ["x", "a/b/c", "../up/x", "me/x y", "https://hub/me/x"])
def test_a_name_that_is_none(hub, toy_run, name):
    with pytest.raises(ConfigError, match="OWNER/NAME"):
        publish.push_model(toy_run, name)


def test_a_damaged_bundle_is_not_pushed(hub, toy_run, tmp_path):
    import shutil

    shutil.copytree(toy_run, tmp_path / "run")
    (tmp_path / "run" / "bundle" / "terms.json").write_text("{}")
    with pytest.raises(BundleError, match="changed or damaged"):
        publish.push_model(tmp_path / "run", "me/x")
    assert hub.calls == []


def test_a_card_that_was_edited_goes_up_as_it_is(hub, toy_run, tmp_path):
    import shutil

    run = shutil.copytree(toy_run, tmp_path / "run")
    papers.write_card(open_run(run), ["card.licence=mit"])
    publish.push_model(run, "me/plain")
    assert b"hf download me/plain" in hub.repositories["me/plain"]["README.md"]
    text = (run / "README.md").read_text() + "\n## By hand\n"
    (run / "README.md").write_text(text)
    publish.push_model(run / "bundle", "me/hand")
    assert hub.repositories["me/hand"]["README.md"].decode() == text


def test_a_policy_that_was_stored_later_is_in_the_card(hub, toy_run, tmp_path):
    import shutil

    from smallprint.evaluation.policy import Policy
    from smallprint.packaging.bundle import store_policy

    run = shutil.copytree(toy_run, tmp_path / "run")
    store_policy(run / "bundle", Policy(None, None))
    publish.push_model(run, "me/policy")
    card = hub.repositories["me/policy"]["README.md"].decode()
    assert "what its stored policy promises" in card
    assert "hf download me/policy" in card


def test_a_bundle_without_its_run_has_a_card_too(hub, toy_run, tmp_path):
    import shutil

    publish.push_model(shutil.copytree(toy_run / "bundle", tmp_path / "alone"), "me/alone")
    card = hub.repositories["me/alone"]["README.md"].decode()
    assert "Intervals are not known to the bundle alone." in card
    assert "model-index" in card


def test_the_command_prints_the_address_and_never_the_token(hub, toy_run, capfd):
    from smallprint.cli.app import main

    with pytest.raises(SystemExit) as end:
        main(["push", str(toy_run), "me/shell", "--public"])
    out, err = capfd.readouterr()
    assert not end.value.code
    assert out == f"{hub.url}/me/shell\n"
    assert "a new public repository" in err
    assert not hub.private["me/shell"]
    hub.fail["/api/models"] = (403, "Forbidden")
    with pytest.raises(SystemExit) as end:
        main(["push", str(toy_run), "me/shell"])
    assert end.value.code == 7
    assert TOKEN not in out + err + "".join(capfd.readouterr())


def test_what_the_files_let_others_check_is_told(hub, toy_run):
    said = []
    publish.push_model(toy_run, "me/x", say=said.append)
    assert any("reference.safetensors lets whoever has a word check" in line for line in said)
    assert "hashes of the training texts and of their words" in hub.repositories["me/x"]["README.md"].decode()


def test_what_members_of_a_stack_let_others_know_is_told(hub, tmp_path):
    """Files and manifests stand for bundles: what is told goes by their names, and by what the manifests say."""
    members = {"linear-1": "terms.json", "static-1": "words.json", "known-1": "train_texts.u64"}
    for name, file in members.items():
        (tmp_path / name / "members" / name).mkdir(parents=True)
        (tmp_path / name / "members" / name / file).touch()
        (line,) = publish.told_of_texts(tmp_path / name)
        assert line.startswith(file)


@pytest.mark.parametrize("manifest", [{"family": "encoder", "n_support": 7}, {"family": "onnx"}])
def test_a_kernel_head_is_told_wherever_it_stands(hub, tmp_path, manifest):
    for place in (tmp_path / "alone", tmp_path / "stack" / "members" / "kernel-1"):
        place.mkdir(parents=True)
        (place / "manifest.json").write_text(json.dumps(manifest))
        (place / "config.yaml").write_text("model: {adapter: frozen, head: svm}")
    (tmp_path / "stack" / "manifest.json").write_text(json.dumps({"family": "stack"}))
    for name in ("alone", "stack"):
        assert publish.told_of_texts(tmp_path / name) == ["The kernel head holds vectors of training texts."]
    (tmp_path / "alone" / "manifest.json").write_text(json.dumps({"family": "encoder", "n_support": None}))
    assert publish.told_of_texts(tmp_path / "alone") == []
