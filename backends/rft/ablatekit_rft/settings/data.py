"""What is trained on what."""

from __future__ import annotations

from pydantic import Field

from ablatekit_rft.settings.base import Part


class DataSettings(Part):
    """Base model, task and train set."""

    model: str = Field(default="tiny-llama", min_length=1)
    """Base model: a shipped name, a Hugging Face directory, or a name on the hub, `owner/name` or
    `owner/name@revision`."""
    dataset: str = Field(default="letter-sort", min_length=1)
    """Task: queries, their verifier, and the split into train and test items."""
    train_items: int = Field(default=256, ge=1)
    """Size of the train set: the first items of the context's train order, so that smaller sets lie
    inside larger ones."""
