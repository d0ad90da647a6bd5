"""The families of models: an encoder with a head, TF-IDF with a linear SVM (`model.backbone=tfidf`), tables of words
(`model.backbone=static`), a stack of several.

In: train and validation examples, settings, own parts. Out: a function that fits them and gives what was `Fitted`.
Building and fitting are two steps: what cannot be built fails before a run is tracked. Test is not seen here.
"""

from smallprint.families.build import build_fit
from smallprint.families.checks import check_backbones, check_family
from smallprint.families.fitted import Fit, Fitted, score_unseen

__all__ = ["Fit", "Fitted", "build_fit", "check_backbones", "check_family", "score_unseen"]
