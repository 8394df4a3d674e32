"""A fresh model, built as the open one was."""

from __future__ import annotations

import os
from pathlib import Path

from torch import nn

from inspector_app.backend.exporting.proving import Unfit
from inspector_app.backend.opening.factory import build, find_factory, seed_everything
from inspector_app.backend.opening.hugging_face import open_hugging_face, read_config
from inspector_app.backend.opening.model import OpenModel


def fresh_model(opened: OpenModel, device: str) -> nn.Module:
    """Call the same factory with the same arguments and seed, or read the same configuration.

    The factory's file is not run again.  Raises Unfit with the reason where there is no way to
    build another one, TargetError where building fails.
    """
    if opened.kind == "hugging_face":
        folder = Path(opened.path)
        config = read_config(folder)
        if config is None:
            raise Unfit("the folder has no config.json any more")
        return open_hugging_face(folder, config, opened.target, device, opened.seed).model
    namespace = opened.namespace
    if namespace is None or not opened.factory_name:
        raise Unfit("it was unpickled, and no factory is known that builds it")
    folder_name = os.path.dirname(opened.path)
    where = os.path.basename(opened.path) or namespace.__name__
    name, factory = find_factory(namespace, opened.factory_name, where, folder_name)
    if isinstance(factory, nn.Module):
        raise Unfit("the target is a model itself, not a factory that builds one")
    seed_everything(opened.seed)
    return build(factory, name, opened.arguments, device, folder_name)
