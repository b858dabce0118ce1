"""What a pickle asks for, seen before it is read.

PyTorch's restricted unpickler keeps code out, but its list is wider than a state dict needs (`bytearray(10**11)` fills
the memory), and any package in the process may add to it. So names in a pickle are held against a list of our own.
"""

from __future__ import annotations

import pickletools
from collections.abc import Iterator
from typing import IO, Any

import torch

from speakerdiar.errors import WeightsError

MAX_STEPS = 5_000_000  # a tensor takes about 40
MAX_ARGUMENT = 2**16  # bytes; the longest is the name of a tensor

_REBUILD = ("tensor_v2", "tensor_v3", "sparse_tensor", "parameter", "meta_tensor_no_storage")
_ALLOWED = {f"torch._utils _rebuild_{kind}" for kind in _REBUILD}
_ALLOWED |= {"collections OrderedDict", "torch.storage UntypedStorage", "torch.serialization _get_layout", "torch Size"}
_OTHER_WAYS = {"STACK_GLOBAL", "INST", "OBJ", "EXT1", "EXT2", "EXT4"}  # to name a class; torch.save takes none of them


def check_names(file: IO[bytes], name: str) -> None:
    """Raise WeightsError if the pickle that begins here names anything that tensors aren't made of.

    The file stands behind the pickle afterwards. Nothing is built of what the pickle says.
    """
    for operation, argument in operations(file, name):
        if operation == "GLOBAL" and not _is_allowed(str(argument)):
            raise _refused(name, f"asks for {str(argument).replace(' ', '.')}")
        if operation in _OTHER_WAYS:
            raise _refused(name, f"uses {operation}")


def operations(file: IO[bytes], name: str) -> Iterator[tuple[str, Any]]:
    """Yield name and argument of each operation of the pickle that begins here; nothing is done of what they say.

    Raises:
        WeightsError: it is cut or broken, or has more steps or longer arguments than a pickle of tensors.
    """
    short: Any = _Short(file)
    try:
        for step, (operation, argument, _) in enumerate(pickletools.genops(short)):
            if step > MAX_STEPS:
                raise _refused(name, f"has more than {MAX_STEPS:,} steps")
            yield operation.name, argument
    except (ValueError, LookupError, OverflowError, OSError, EOFError) as error:
        reason = " ".join(str(error).split())[:200]
        raise WeightsError(f"{name} isn't a whole pickle ({reason}): get it anew.") from error


class _Short:
    """A file that gives short pieces only, as `pickletools` reads whatever length a pickle states."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file

    def read(self, size: int) -> bytes:
        if size > MAX_ARGUMENT:
            raise ValueError(f"an argument of {size:,} bytes")
        return self.file.read(size)

    def readline(self) -> bytes:
        return self.file.readline(MAX_ARGUMENT)


def _is_allowed(wanted: str) -> bool:
    """Whether a name, written `module name`, is one of those that plain tensors are made of."""
    module, _, attribute = wanted.partition(" ")
    is_kind = module == "torch" and (
        isinstance(getattr(torch, attribute, None), torch.dtype) or attribute.endswith("Storage")
    )
    return is_kind or wanted in _ALLOWED


def _refused(name: str, reason: str) -> WeightsError:
    return WeightsError(f"{name} is refused, as its pickle {reason[:200]}: only plain tensors are read, never code.")
