"""Training of the open model itself: an edit, whose old values are kept before the first step."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import nn

from inspector_app.backend.edits import MISSING, AttributeChange, InitializeEdit
from inspector_app.backend.modules import modules_of, tensors_of
from inspector_app.backend.recipes import TrainRecipe
from inspector_app.backend.snapshots import Snapshot, SnapshotStore, stored_size
from inspector_app.backend.summary import bytes_text
from inspector_app.backend.tensors import is_plain
from inspector_app.backend.tree import Tree
from inspector_app.backend.walking import instance_dict
from inspector_app.protocol.errors import RefusedError


class BeforeTraining:
    """What training of a model changes, as it was: values, gradients, which tensors are buffers.

    Raises RefusedError where not all of it can be kept: it must be possible to undo.
    """

    def __init__(self, model: nn.Module, snapshots: SnapshotStore) -> None:
        self._tensors = list({id(tensor): tensor for _, tensor in tensors_of(model)}.values())
        for path, tensor in tensors_of(model):
            if not is_plain(tensor):
                raise RefusedError(
                    f"The old values of {path} cannot be kept, so training could not be undone: "
                    "train a copy of the model."
                )
        size = sum(stored_size(tensor) for tensor in self._tensors)
        snapshot = snapshots.reserve(size)
        if snapshot is None:
            raise RefusedError(
                f"The old values of the model ({bytes_text(size)}) are more than is set aside for "
                "undo: train a copy of the model."
            )
        self._snapshot: Snapshot = snapshot
        try:
            for tensor in self._tensors:
                snapshot.put(tensor)
        except OSError as error:
            snapshot.drop()
            raise RefusedError(f"The old values could not be kept: {error}.") from error
        self._gradients = [(tensor, tensor.grad) for tensor in self._tensors if tensor.is_leaf]
        self._buffers: list[tuple[dict[str, Any], dict[str, Any]]] = []
        for _, module in modules_of(model):
            held = instance_dict(module).get("_buffers")
            if isinstance(held, dict):
                self._buffers.append((held, dict(held)))

    def edit(self, tree: Tree) -> InitializeEdit:
        """What the training has changed."""
        self._give_gradients_back()
        changes = [
            AttributeChange(held, name, before.get(name, MISSING), held.get(name, MISSING))
            for held, before in self._buffers
            for name in {**before, **held}
            if before.get(name, MISSING) is not held.get(name, MISSING)
        ]
        changed = {
            id(tensor)
            for index, tensor in enumerate(self._tensors)
            if not self._snapshot.same(index, tensor)
        }
        positions = [at for at, thing in enumerate(tree.objects) if id(thing) in changed]
        return InitializeEdit(
            self._tensors,
            self._snapshot,
            tree.table.ids[np.asarray(positions, np.int64)],
            len(changed) + len(changes),
            refused=[],
            notes=[],
            attributes=changes,
            recipe=TrainRecipe(),
        )

    def take_back(self) -> None:
        """Make everything as it was, because of an error."""
        self._give_gradients_back()
        for held, before in self._buffers:
            held.clear()
            held.update(before)
        self._snapshot.exchange(self._tensors)
        self._snapshot.drop()

    def _give_gradients_back(self) -> None:
        for tensor, gradient in self._gradients:
            tensor.grad = gradient
