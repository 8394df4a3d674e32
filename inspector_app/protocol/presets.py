"""Selections that people ask for again and again, ready to be used as a pattern.

``preset:norms`` and ``class:Conv2d`` stand wherever a selection takes a pattern: in the window, on
the command line (``--freeze preset:body``) and in the journal.  Plain data: which rows they mean
is said by :mod:`inspector_app.backend.presets`.
"""

from __future__ import annotations

import msgspec

PRESET = "preset:"
CLASS = "class:"  # followed by the name of a class or a glob over such names
INITIAL = PRESET + "initial"  # rows that a checkpoint laid on did not write


class PresetInfo(msgspec.Struct, frozen=True, kw_only=True):
    """One ready selection."""

    name: str
    title: str  # as a list or a title of an edit says it
    summary: str
    nothing: str  # why it selects nothing, where it does

    @property
    def pattern(self) -> str:
        """The pattern that means it."""
        return PRESET + self.name


PRESETS: dict[str, PresetInfo] = {
    info.pattern: info
    for info in (
        PresetInfo(
            name="body",
            title="all but the last module",
            summary="Every parameter but those of the last module that has any: the head, mostly.",
            nothing="the model has no parameters, or all are those of one module",
        ),
        PresetInfo(
            name="norms",
            title="normalisation layers",
            summary="Batch, layer, group, instance and RMS norms, and classes named like them.",
            nothing="no module is a normalisation layer with parameters or statistics",
        ),
        PresetInfo(
            name="biases",
            title="biases",
            summary="Parameters named bias, bias_..., or ..._bias.",
            nothing="no parameter is named like a bias",
        ),
        PresetInfo(
            name="embeddings",
            title="embeddings",
            summary="Embedding, EmbeddingBag and classes derived from them.",
            nothing="no module is an embedding",
        ),
        PresetInfo(
            name="initial",
            title="what is still initial",
            summary="What was neither loaded nor initialised since a checkpoint was laid on.",
            nothing="no checkpoint was laid on, or all was loaded or initialised since",
        ),
    )
}


def spoken(pattern: str) -> str:
    """A pattern as a title says it: ready selections by what they mean."""
    if pattern in PRESETS:
        return PRESETS[pattern].title
    if pattern.startswith(CLASS):
        return f"every {pattern[len(CLASS) :]}"
    return pattern or "the whole model"
