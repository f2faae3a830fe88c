"""A disk whose n-th operation fails: every open, write, fsync, rename and mkdir below a folder.

Caught are Python's own calls, and by name the libraries that write without Python: safetensors and
tokenizers (Rust), onnxruntime (C++). They fail as they do on a real disk.
"""

from __future__ import annotations

import builtins
import errno
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


class Disk:
    """Counts the operations below `root` that change the disk and lets number `fails_at` fail."""

    def __init__(self, root: Path, fails_at: int, number: int = errno.ENOSPC) -> None:
        self.root, self.fails_at, self.number = os.fspath(root.resolve()), fails_at, number
        self.count = 0
        self.failed = ""  # the operation that did
        self._open: set[int] = set()  # descriptors of files below the root

    def tick(self, what: str, path: Any = None) -> None:
        """One more operation; the system names the path where it was given one."""
        self.count += 1
        if self.count == self.fails_at:
            self.failed = what
            named = [] if path is None or isinstance(path, int) else [os.fspath(path)]
            raise OSError(self.number, os.strerror(self.number), *named)

    def tick_rust(self, what: str, kind: type[Exception]) -> None:
        """One more operation of a library in Rust."""
        try:
            self.tick(what)
        except OSError as error:
            raise kind(f"I/O error: {error.strerror} (os error {error.errno})") from None

    def holds(self, path: Any) -> bool:
        """Whether a path, or an open descriptor, is below the root."""
        if isinstance(path, int):
            return path in self._open
        found = os.path.abspath(os.fspath(path))  # noqa: PTH100 - of what may be bytes
        return str(found).startswith(self.root)

    def install(self, patch: pytest.MonkeyPatch) -> None:
        """Put the disk under everything that runs in this process."""
        for name in ("rename", "replace", "mkdir"):
            patch.setattr(os, name, self._counted(getattr(os, name), name))
        for name in ("write", "fsync", "pwrite", "ftruncate"):
            patch.setattr(os, name, self._counted(getattr(os, name), name))
        patch.setattr(os, "open", self._os_open(os.open))
        opening = self._opening(io.open)
        patch.setattr(io, "open", opening)
        patch.setattr(builtins, "open", opening)
        self._patch_libraries(patch)

    def _counted(self, operation: Callable[..., Any], name: str) -> Callable[..., Any]:
        def call(first: Any, *rest: Any, **options: Any) -> Any:
            there = name == "mkdir" and os.path.isdir(first)  # noqa: PTH112 - nothing to make
            if self.holds(first) and not there:
                self.tick(name, first)
            return operation(first, *rest, **options)

        return call

    def _os_open(self, operation: Callable[..., int]) -> Callable[..., int]:
        def call(path: Any, flags: int, *rest: Any, **options: Any) -> int:
            inside = self.holds(path)
            if inside and flags & WRITING:
                self.tick("open", path)
            descriptor = operation(path, flags, *rest, **options)
            (self._open.add if inside else self._open.discard)(descriptor)
            return descriptor

        return call

    def _opening(self, operation: Callable[..., Any]) -> Callable[..., Any]:
        def call(path: Any, mode: str = "r", *rest: Any, **options: Any) -> Any:
            inside = self.holds(path)
            writes = inside and set(mode) & set("wax+")
            if writes:
                self.tick("open", path)
            file = operation(path, mode, *rest, **options)
            if not isinstance(path, int):
                (self._open.add if inside else self._open.discard)(file.fileno())
            return Counting(file, self) if writes else file

        return call

    def _patch_libraries(self, patch: pytest.MonkeyPatch) -> None:
        import onnxruntime
        import safetensors.torch
        import transformers.modeling_utils
        from safetensors import SafetensorError
        from transformers.tokenization_utils_tokenizers import TokenizersBackend

        import hfkit.train.checkpoint

        for module, name in [
            (safetensors.torch, "save_file"), (hfkit.train.checkpoint, "save_file"),
            (transformers.modeling_utils, "safe_save_file"),
        ]:  # fmt: skip
            save = getattr(module, name)

            def saving(tensors: Any, path: Any, *rest: Any, _save: Any = save, **named: Any) -> Any:
                if self.holds(path):
                    self.tick_rust("save_file", SafetensorError)
                return _save(tensors, path, *rest, **named)

            patch.setattr(module, name, saving)
        session, write = onnxruntime.InferenceSession, TokenizersBackend._save_pretrained

        def opened(path: Any, options: Any = None, *rest: Any, **named: Any) -> Any:
            target = getattr(options, "optimized_model_filepath", "")
            if target and self.holds(target):
                self.tick("optimise")
            return session(path, options, *rest, **named)

        def written(tokenizer: Any, save_directory: Any, *rest: Any, **named: Any) -> Any:
            if self.holds(save_directory):
                self.tick_rust("tokenizer.save", Exception)
            return write(tokenizer, save_directory, *rest, **named)

        patch.setattr(onnxruntime, "InferenceSession", opened)
        patch.setattr(TokenizersBackend, "_save_pretrained", written)


class Counting:
    """An open file, each of whose writes is an operation of the disk."""

    def __init__(self, file: Any, disk: Disk) -> None:
        self._file, self._disk = file, disk

    def write(self, data: Any) -> Any:
        self._disk.tick("write")
        return self._file.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> Counting:
        self._file.__enter__()
        return self

    def __exit__(self, *exception: object) -> Any:
        return self._file.__exit__(*exception)

    def __iter__(self) -> Any:
        return iter(self._file)
