"""With this folder in PYTHONPATH, every Python process has AMX's tiles in software (``software_tiles``)."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

# Processes that are started in other folders find it too.
os.environ["PYTHONPATH"] = os.pathsep.join(map(os.path.abspath, os.environ["PYTHONPATH"].split(os.pathsep)))


class _Finder:
    """Puts them into place when the module that they replace has been imported, and imports nothing before."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name != "rnnlm.kernels.matmul.amx":
            return None
        spec = PathFinder.find_spec(name, path, target)
        assert spec
        assert spec.loader
        loader: Any = spec.loader
        execute = loader.exec_module

        def exec_module(module: ModuleType) -> None:
            execute(module)
            import software_tiles

            software_tiles.install()

        loader.exec_module = exec_module
        return spec


sys.meta_path.insert(0, _Finder)
