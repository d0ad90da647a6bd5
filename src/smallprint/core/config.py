"""Settings: one frozen value with a sentence per field. In: YAML and overrides. Out: `Config`, or every problem at once.

It reads no data and builds nothing. Precedence: defaults < one YAML file < `section.key=value` overrides.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from smallprint.core.card_config import CardConfig as CardConfig
from smallprint.core.data_config import DataConfig as DataConfig
from smallprint.core.section import Section as Section
from smallprint.core.static_config import StaticConfig as StaticConfig
from smallprint.core.sweep_config import SweepConfig

Task = Literal["binary", "multiclass", "multilabel"]
Family = Literal["encoder", "linear", "static", "stack"]
TFIDF, STATIC, STACK = "tfidf", "static", "stack"  # backbones that are none
TFIDF_NAMES = (TFIDF, "tfidf-svm")
SVM = "svm"  # the head that no gradient trains
USUAL_TOKENS = 1024  # of a batch on a processor, which learning rates were chosen at


class LoraConfig(Section):
    """Low-rank adapters (PEFT)."""

    r: int = Field(16, ge=1, le=512, description="Rank of the adapters.")
    alpha: int = Field(32, ge=1, description="Scale of the adapters; alpha / r multiplies their output.")
    dropout: float = Field(0.05, ge=0, lt=1, description="Dropout inside the adapters.")
    target_modules: str | list[str] = Field("all-linear", description="Modules that get an adapter, or 'all-linear'.")
    rslora: bool = Field(False, description="Scale by alpha / sqrt(r), so that high ranks learn as fast (rsLoRA).")
    dora: bool = Field(False, description="Learn each weight's length apart from its direction (DoRA); slower.")
    merge: bool = Field(
        True,
        description="Bundle with the adapters merged into the backbone; else with adapters and head alone, a hundredth of the "
        "size, which needs the backbone at hand and shares it with other such bundles.",
    )


class TfidfConfig(Section):
    """TF-IDF with a linear SVM."""

    cost: float = Field(1.0, gt=0, description="Cost of an example on the wrong side of the SVM's margin (C).")
    words: int = Field(3, ge=0, le=5, description="Longest run of words that is a term; 0: no words.")
    characters: int = Field(5, ge=0, le=8, description="Longest run of characters that is a term, 2 at least; 0: none.")
    class_weights: Literal["balanced", "none"] = Field("balanced", description="Weigh rare labels up.")

    @model_validator(mode="after")
    def _check(self) -> TfidfConfig:
        if self.characters == 1:
            raise ValueError("characters is 1: 2 to 8, or 0 for none")
        if not self.words and not self.characters:
            raise ValueError("words and characters are both 0: nothing is left to be a term")
        return self


class SvmConfig(Section):
    """The kernel SVM of head 'svm'; both defaults were chosen on validation."""

    cost: float = Field(5.0, gt=0, description="Cost of an example on the wrong side of the margin (C).")
    spread: float = Field(
        1.5, gt=0, description="Width of the kernel: exp(-spread * squared distance / mean squared distance)."
    )


class ModelConfig(Section):
    """The encoder and what stands on it, or TF-IDF."""

    backbone: str = Field(
        "minilm",
        description=(
            "A name that `smallprint backbones` lists ('minilm' is embedded), a folder, a .gguf file, or a Hugging Face Hub name; or "
            "'tfidf': no encoder, but TF-IDF with a linear SVM, fitted in seconds, which takes of this section `tfidf` alone; or "
            "'static': tables of words, learned in a minute, for millions of texts, which takes `static` alone; or 'stack': several "
            "models, see `stack`."
        ),
    )
    revision: str | None = Field(
        None, description="Commit or tag of a Hub backbone; pin it to be able to repeat a run."
    )
    adapter: Literal["full", "lora", "qlora", "frozen"] = Field(
        "full", description="What of the backbone is trained; 'qlora': LoRA over weights of four bits, on a GPU."
    )
    pooling: Literal["auto", "mean", "cls", "max", "last"] = Field(
        "auto",
        description="How token vectors become one vector; 'auto' is 'mean', for a decoder 'last': the last real token's.",
    )
    layers: list[int] | None = Field(
        None,
        min_length=1,
        description="Layers whose pooled token vectors stand side by side, 1 is the lowest, 0 the word vectors; the last when left out.",
    )
    train_layers: int | None = Field(
        None,
        ge=1,
        description=(
            "Train the uppermost layers alone, this many, or with lora their adapters: those below read each text once, which saves "
            "their time. All when left out."
        ),
    )
    head: str = Field(
        "linear",
        description="'linear', 'mlp', 'dense' (BERT's own classifier), 'svm' (a kernel SVM, for adapter 'frozen'), or "
        "'package.module:Name' of your own.",
    )
    loss: str = Field(
        "auto",
        description="'auto', 'bce', 'cross_entropy', 'focal', 'asymmetric', or 'package.module:Name' of your own.",
    )
    class_weights: Literal["none", "balanced"] = Field("none", description="Weigh rare labels up in the loss.")
    dropout: float = Field(0.1, ge=0, lt=1, description="Dropout before the head.")
    max_length: int = Field(
        256, ge=8, description="Longest input in tokens; longer texts are cut, and the count is said."
    )
    long_text: Literal["cut", "windows"] = Field(
        "cut",
        description="Texts beyond max_length: 'cut', or when scored read whole in overlapping 'windows', the highest score of "
        "each label kept. In training they are cut.",
    )
    lora: LoraConfig = Field(default_factory=LoraConfig, description="Settings of adapter 'lora'.")
    tfidf: TfidfConfig = Field(default_factory=TfidfConfig, description="Settings of backbone 'tfidf'.")
    static: StaticConfig = Field(default_factory=StaticConfig, description="Settings of backbone 'static'.")
    svm: SvmConfig = Field(default_factory=SvmConfig, description="Settings of head 'svm'.")
    weights: Literal["fp32", "int8"] = Field(
        "fp32",
        description="How a bundle stores an encoder's matrices; int8 makes it a quarter of the size, but no faster. What is "
        "measured is what is stored.",
    )

    @property
    def family(self) -> Family:
        """The family of models that the backbone chooses."""
        if self.backbone in TFIDF_NAMES:
            return "linear"
        return self.backbone if self.backbone in (STATIC, STACK) else "encoder"  # type: ignore[return-value]


MemberName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]  # it names folders


class StackConfig(Section):
    """Several models whose scores are combined (`model.backbone=stack`)."""

    members: dict[MemberName, list[str]] = Field(
        default_factory=lambda: {
            "linear": [f"model.backbone={TFIDF}"],
            "kernel": ["model.adapter=frozen", "model.layers=[2,4,6]", f"model.head={SVM}"],
            "encoder": ["model.train_layers=3", "training.learning_rate=1e-4", "training.epochs=5"],
        },
        min_length=1,
        description=(
            "Name of each member (letters, digits, - and _), and its own settings as section.key=value, which win over those "
            "of the run."
        ),
    )
    folds: int = Field(
        3,
        ge=2,
        le=20,
        description="Parts of train and validation, groups whole: each is scored by models that the other parts trained.",
    )
    weights: list[float] | None = Field(
        None, description="Of the members of a blend. `smallprint blend` writes them; a blend is not trained."
    )


class TrainingConfig(Section):
    """How the model is fitted."""

    epochs: int = Field(8, ge=1, description="Longest training in epochs; early stopping may end it before.")
    patience: int = Field(3, ge=1, description="Epochs without a better validation score before it stops.")
    monitor: Literal["average_precision", "lexglue_f1_micro"] = Field(
        "average_precision",
        description="Validation score by which epochs are compared; 'lexglue_f1_micro' as LexGLUE does, at 0.5, multilabel only.",
    )
    learning_rate: float | None = Field(
        None,
        gt=0,
        description="Peak learning rate of the backbone or its adapters; chosen by adapter and size when left out.",
    )
    head_learning_rate: float = Field(1e-3, gt=0, description="Peak learning rate of the head.")
    layer_decay: float = Field(1.0, gt=0, le=1, description="Factor on the learning rate for each layer further down.")
    weight_decay: float = Field(0.01, ge=0, description="Decoupled weight decay (AdamW), not on biases and norms.")
    warmup_ratio: float = Field(0.1, ge=0, lt=1, description="Share of steps in which the learning rate rises.")
    averaging: float = Field(
        0.99, ge=0, lt=1, description="Weight of the past in the moving average of weights that is kept; 0 is none."
    )
    r_drop: float = Field(
        0.0, ge=0, description="Weight of R-Drop: two dropout passes shall agree; doubles the time. 0 is off."
    )
    adversarial: float = Field(
        0.0,
        ge=0,
        description="Length by which word vectors are moved against the model (FGM); doubles the time. 0 is off.",
    )
    teacher: str | None = Field(
        None,
        description="Run of a stack: its held-out scores of the training examples are learned beside the labels (distilling).",
    )
    teacher_weight: float = Field(
        0.5, gt=0, le=1, description="Weight of the teacher's scores; the rest is the labels'."
    )
    gradient_clip: float = Field(1.0, gt=0, description="Largest norm of the gradient.")
    batch_tokens: Annotated[int, Field(ge=16)] | Literal["auto"] = Field(
        "auto",
        description="Token budget of a batch, padding counted; 'auto' is 1,024 on a processor, and on a GPU what its memory "
        "and the data allow: batch_size then grows alike, and a learning rate that is left out with its square root.",
    )
    batch_size: int = Field(64, ge=1, description="Most examples in a batch, whatever their length.")
    precision: Literal["auto", "fp32", "bf16"] = Field("auto", description="bf16 where the processor or GPU has it.")
    seed: int = Field(42, ge=0, lt=2**32, description="One seed for everything.")
    checkpoint_minutes: float = Field(5.0, gt=0, description="Longest time between two resumable checkpoints.")
    cache_mb: int = Field(
        2000,
        ge=0,
        description="Most megabytes that ~/.cache/smallprint keeps of token ids, and of vectors that a frozen encoder gave, for "
        "the next training on the same texts; 0 keeps none.",
    )
    accumulate: int = Field(
        1, ge=1, le=4096, description="Batches whose gradients make one step: larger steps in less memory."
    )
    gradient_checkpointing: bool = Field(
        False,
        description="Compute layers again in the backward pass instead of keeping what they gave: less memory, more time.",
    )
    devices: Annotated[int, Field(ge=1)] | Literal["auto"] = Field(
        "auto",
        description="Processes of this machine that train together, one a GPU; 'auto' is all GPUs, and one on a processor.",
    )
    num_nodes: int = Field(
        1, ge=1, description="Machines that train together; start their processes by torchrun or SLURM."
    )
    strategy: Literal["auto", "ddp", "fsdp"] = Field(
        "auto", description="How they share the work: 'ddp' the batches, 'fsdp' the model too (GPUs only)."
    )


class EvaluationConfig(Section):
    """Calibration, thresholds, metrics and the report."""

    threshold: Literal["auto", "shrunk", "f1", "fixed"] = Field(
        "auto",
        description="'shrunk': per label, best F1 on validation, drawn towards one for all labels where positives are few; "
        "'auto': these where they do better than 0.5 on held-out parts of validation, else 0.5; "
        "'f1': each label's own; 'fixed': 0.5 for every label.",
    )
    calibration: Literal["none", "platt"] = Field(
        "none",
        description="'platt': scores become shares: Platt scaling per label, one temperature for multiclass, fitted on the "
        "examples that thresholds are tuned on; 'none': scores stay as the model gives them.",
    )
    worst_errors: int = Field(25, ge=0, le=1000, description="Errors shown with their text in the report.")
    doubtful: int = Field(10, ge=0, le=1000, description="Texts nearest to a threshold shown in the report.")
    evidence: Literal["auto", "on", "off"] = Field(
        "auto",
        description="Mark in the report which words carried the scores of the errors shown: 'auto' for TF-IDF, where it costs "
        "seconds; 'on' for every model (an encoder reads each text some hundred times); 'off'.",
    )
    baseline: Literal["linear", "none"] = Field(
        "linear",
        description="What the report holds a model against: 'linear' fits TF-IDF with a linear SVM beside it, in seconds; "
        "'none': the best constant answer alone.",
    )
    reference: bool = Field(
        True,
        description="Keep numbers of the validation texts in the bundle (scores, lengths, sketches of words; no text), with which "
        "`smallprint monitor` compares new texts.",
    )


class TrackingConfig(Section):
    """MLflow."""

    enabled: bool = Field(True, description="Log to MLflow.")
    uri: str | None = Field(
        None, description="Tracking store; else MLFLOW_TRACKING_URI, else a SQLite file in the run root."
    )
    experiment: str = Field("smallprint", min_length=1, description="Name of the experiment.")
    root: str = Field("runs", min_length=1, description="Run root: the folder of runs and of the tracking store.")
    log_plots: bool = Field(True, description="Log the report's plots.")
    log_report: bool = Field(
        False, description="Log the HTML report, without the texts that it quotes unless log_examples is on."
    )
    log_bundle: bool = Field(
        False, description="Log the bundle too; one of TF-IDF holds words of the training texts, in short sequences."
    )
    log_examples: bool = Field(
        False,
        description="Let texts of examples leave this machine: those that the report quotes, and test with its scores.",
    )
    system_metrics: bool = Field(False, description="Log how busy processor, memory and GPU are, every ten seconds.")


class Config(Section):
    """Every setting."""

    data: DataConfig = Field(
        default_factory=DataConfig, description="Where text, labels and splits stand in the table."
    )
    model: ModelConfig = Field(default_factory=ModelConfig, description="The encoder and what stands on it, or TF-IDF.")
    stack: StackConfig = Field(default_factory=StackConfig, description="The members of a stack.")
    training: TrainingConfig = Field(default_factory=TrainingConfig, description="How the model is fitted.")
    evaluation: EvaluationConfig = Field(
        default_factory=EvaluationConfig, description="Calibration, thresholds, metrics and the report."
    )
    tracking: TrackingConfig = Field(default_factory=TrackingConfig, description="MLflow.")
    card: CardConfig = Field(
        default_factory=CardConfig,
        description="What only the owner knows; the model card says of what is left out that the owner has not stated it.",
    )
    sweep: SweepConfig = Field(default_factory=SweepConfig, description="What `smallprint sweep` searches, and how.")
