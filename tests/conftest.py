"""What all tests share: no network, a tiny backbone built on the spot, and toy tables that can be told apart."""

import os
import socket
import string
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # tiny models are fastest on one core
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # onnxruntime reports from C++, which the guard below does not see
os.environ.pop("MLFLOW_TRACKING_URI", None)

import hypothesis
import pytest

hypothesis.settings.register_profile("smallprint", deadline=None)  # a first import takes longer on a busy machine
hypothesis.settings.load_profile("smallprint")
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
WORDS = [
    *("the", "a", "an", "and", "or", "not", "we", "you", "may", "will", "can", "your", "our", "to", "of", "in", "for"),
    *("with", "without", "notice", "at", "any", "time", "this", "agreement", "terms", "service", "account", "content"),
    *(
        "close",
        "end",
        "leave",
        "cancel",
        "change",
        "pay",
        "court",
        "law",
        "late",
        "rude",
        "good",
        "bad",
        "fine",
        "hello",
    ),
]
COLOURS = {"red": ("scarlet", "crimson"), "green": ("leaf", "moss"), "blue": ("ocean", "sky")}
FILLER = ("we may", "the service", "you will", "our terms", "this agreement", "your account")


LOOPBACK = {"open": False}  # the `loopback` fixture opens it


class NetworkBlockedError(RuntimeError):
    """A test tried to reach the network."""


@pytest.fixture(scope="session", autouse=True)
def _no_network():
    """Blocks every connection but those to Unix sockets."""
    real = {name: getattr(socket.socket, name) for name in ("connect", "connect_ex", "sendto")}

    def guard(name):
        def blocked(self, *arguments):
            own = LOOPBACK["open"] and str(arguments[-1][0]) in ("127.0.0.1", "::1")
            if self.family != getattr(socket, "AF_UNIX", None) and not own:
                raise NetworkBlockedError(f"socket.{name}{arguments!r}: tests use no network")
            return real[name](self, *arguments)

        return blocked

    real_lookup = socket.getaddrinfo

    def no_lookup(host, *rest, **more):
        if LOOPBACK["open"] and host in ("127.0.0.1", "localhost", "::1"):
            return real_lookup(host, *rest, **more)
        raise NetworkBlockedError(f"look-up of {host!r}: tests use no network")

    with pytest.MonkeyPatch.context() as patch:
        for name in real:
            patch.setattr(socket.socket, name, guard(name))
        patch.setattr(socket, "getaddrinfo", no_lookup)
        yield


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory):
    """Keeps what trainings keep for the next one away from the developer's own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SMALLPRINT_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(autouse=True)
def _cache_of_one_test(_own_cache, monkeypatch, request):
    """Gives each test a cache of its own: none finds what another has read."""
    monkeypatch.setenv("SMALLPRINT_CACHE", f"{os.environ['SMALLPRINT_CACHE']}/{abs(hash(request.node.nodeid))}")


@pytest.fixture(scope="module")
def loopback():
    """Lets the module's tests reach servers that they started on this machine."""
    LOOPBACK["open"] = True
    yield
    LOOPBACK["open"] = False


@pytest.fixture(scope="session")
def damage():
    """Changes one bit in the middle of a file."""

    def change(path: Path) -> None:
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)

    return change


@pytest.fixture(scope="session")
def toy_run(tmp_path_factory, labelled_frame):
    """Folder of a run of TF-IDF and a linear model on the multilabel toy table, for tests that change nothing in it."""
    from smallprint import api
    from smallprint.core.settings import build_config

    root = tmp_path_factory.mktemp("toy")
    labelled_frame("multilabel", 160).write_parquet(root / "d.parquet")
    config = build_config({"model": {"backbone": "tfidf"}, "tracking": {"enabled": False}})
    return api.train(str(root / "d.parquet"), config=config, out=root / "run").run


@pytest.fixture(scope="session")
def tiny_backbone(tmp_path_factory) -> Path:
    """A folder with a random BERT (2 layers, width 32, 2 heads), its fast tokenizer and safetensors weights."""
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("backbone") / "tiny"
    characters = [*string.ascii_lowercase, *string.digits]
    words = [*WORDS, *(word for pair in COLOURS.values() for word in pair)]
    known = dict.fromkeys([*SPECIAL, *characters, *(f"##{c}" for c in characters), *string.punctuation, *words])
    vocabulary = {token: i for i, token in enumerate(known)}
    tokens = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokens.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokens.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    ends = [(name, vocabulary[name]) for name in ("[CLS]", "[SEP]")]
    tokens.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", "[CLS] $A [SEP] $B [SEP]", ends)
    named = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token", "mask_token"), SPECIAL, strict=True))
    PreTrainedTokenizerFast(tokenizer_object=tokens, model_max_length=128, **named).save_pretrained(folder)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=128,
        pad_token_id=0,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        BertModel(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def toy_words() -> list[str]:
    """Every word of the toy tables, but for numbers."""
    return [*WORDS, *(word for pair in COLOURS.values() for word in pair)]


@pytest.fixture(scope="session")
def labelled_frame():
    """`labelled_frame(task, rows=90)`: a Polars frame whose labels follow from single words of its texts."""
    import polars as pl

    def make(task: str, rows: int = 90) -> pl.DataFrame:
        names = list(COLOURS)
        texts, labels = [], []
        for i in range(rows):
            wanted = {
                "binary": [names[i % 2]],
                "multiclass": [names[i % 3]],
                "multilabel": [name for bit, name in enumerate(names) if i >> bit & 1],
            }[task]
            words = [COLOURS[name][i // 3 % 2] for name in wanted]
            texts.append(" ".join([FILLER[i % len(FILLER)], *words, FILLER[i // 2 % len(FILLER)], str(i)]))
            labels.append(wanted)
        if task == "multilabel":
            return pl.DataFrame({"text": texts, "labels": labels}, schema_overrides={"labels": pl.List(pl.String)})
        return pl.DataFrame({"text": texts, "label": [row[0] for row in labels]})

    return make
