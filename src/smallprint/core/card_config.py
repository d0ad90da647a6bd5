"""Settings of the model card, a section of `Config`."""

from __future__ import annotations

from pydantic import Field

from smallprint.core.section import Section


class CardConfig(Section):
    """What only the owner knows; the model card says of what is left out that the owner has not stated it."""

    licence: str | None = Field(
        None, min_length=1, description="Licence of the model: the Hub's short name, such as apache-2.0, or words."
    )
    data_licence: str | None = Field(None, min_length=1, description="Licence of the data.")
    language: str | None = Field(None, pattern="^[a-z]{2,3}$", description="Language of the texts, such as en.")
    use: str | None = Field(None, min_length=1, description="What the model is meant for, in a sentence or more.")
    out_of_scope: str | None = Field(None, min_length=1, description="What it must not be used for.")
    data_origin: str | None = Field(
        None, min_length=1, description="Where the texts come from, who labelled them, and how."
    )
    contact: str | None = Field(None, min_length=1, description="Whom to ask.")


__all__ = ["CardConfig"]
