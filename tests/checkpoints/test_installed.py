"""Weight files of other packages."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch

from speakerdiar.checkpoints.installed import check_sha256, installed_file, load_weights
from speakerdiar.errors import MissingExtraError, WeightsError


def test_a_file_of_an_installed_package_is_found() -> None:
    found = installed_file("numpy", "numpy/__init__.py", extra="x", purpose="A test", install="pip install numpy")
    assert found.name == "__init__.py"


def test_an_absent_package_is_named_with_its_pip_line() -> None:
    with pytest.raises(MissingExtraError, match=r"A test needs no-such-package: pip install --no-deps x==1"):
        installed_file("no-such-package", "x", extra="x", purpose="A test", install="pip install --no-deps x==1")


def test_an_absent_file_is_named() -> None:
    with pytest.raises(WeightsError, match=r"has no file 'numpy/none\.pt'"):
        installed_file("numpy", "numpy/none.pt", extra="x", purpose="A test", install="pip install numpy")


def test_altered_files_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "weights"
    file.write_bytes(b"weights")
    digest = hashlib.sha256(b"weights").hexdigest()
    check_sha256(file, digest, "get it anew")
    file.write_bytes(b"Weights")
    with pytest.raises(WeightsError, match=f"not {digest}.*get it anew"):
        check_sha256(file, digest, "get it anew")


def test_every_weight_that_does_not_fit_is_named() -> None:
    network = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Linear(3, 1))
    weights = dict(network.state_dict())
    load_weights(network, weights, Path("good"))
    del weights["0.bias"]
    weights["1.weight"] = torch.zeros(1, 4)
    weights["2.weight"] = torch.zeros(1)
    with pytest.raises(WeightsError) as caught:
        load_weights(network, weights, Path("bad.pt"))
    for part in ("bad.pt", r"0.bias (3,) is missing", "2.weight (1,) is unknown", "1.weight is (1, 4), not (1, 3)"):
        assert part in str(caught.value)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_weights_take_on_the_precision_of_the_network(dtype: torch.dtype) -> None:
    network = torch.nn.BatchNorm1d(2)
    weights = {name: torch.full_like(value, 0.5 if value.ndim else 3) for name, value in network.state_dict().items()}
    cast = {name: value.to(dtype) for name, value in weights.items()}
    load_weights(network, cast, Path("half"))
    for name, value in network.state_dict().items():
        torch.testing.assert_close(value, weights[name], rtol=0, atol=0)
