"""Which path is chosen, and that a slow one announces itself once."""

import warnings

import pytest
import torch
from torch.autograd import forward_ad
from torch.func import grad, jvp, vmap

from gatework import native
from gatework.errors import SlowPathWarning
from gatework.ops import path
from gatework.ops.composed import Weights
from gatework.ops.lstm import choose, lstm

built = pytest.mark.skipif(not native.available(), reason="kernels are not built")


def _call(dtype: torch.dtype = torch.float32, device: str = "cpu") -> tuple[object, ...]:
    options = {"dtype": dtype, "device": device}
    w = Weights(torch.randn(20, 3, **options), torch.randn(20, 5, **options))
    return torch.randn(4, 2, 3, **options), None, None, [w]


def _chosen(*call: object, trace: bool = False) -> path.Path:
    return choose(*call, None, None, None, trace)


@built
def test_float32_on_the_cpu_is_native() -> None:
    assert _chosen(*_call()).name == "native"
    assert _chosen(*_call(), trace=True).name == "native"


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_other_dtypes_are_composed(dtype: torch.dtype) -> None:
    way = _chosen(*_call(dtype))
    assert way.name == "composed" and "float32" in way.reason and "float()" in way.repair


def test_meta_is_composed_without_a_warning() -> None:
    way = _chosen(*_call(device="meta"))
    assert way.name == "composed" and not way.warn


def test_projection_is_composed() -> None:
    x, h, c, [w] = _call()
    assert _chosen(x, h, c, [w._replace(w_hr=torch.randn(2, 5))]).name == "composed"


def test_transforms_are_composed() -> None:
    x, h, c, weights = _call()
    seen: list[str] = []

    def run(x: torch.Tensor) -> torch.Tensor:
        seen.append(_chosen(x, h, c, weights).name)
        return x.sum()

    grad(run)(x)
    vmap(run)(x)
    jvp(run, (x,), (x,))
    with forward_ad.dual_level():
        run(forward_ad.make_dual(x, x))
    assert seen == ["composed"] * 4


@built
def test_a_dual_level_without_dual_tensors_is_native() -> None:
    with forward_ad.dual_level():
        assert _chosen(*_call()).name == "native"


def test_forward_mode_tangents_equal_backward_mode() -> None:
    x, _, _, weights = _call()
    tangent = torch.randn_like(x)
    with forward_ad.dual_level(), warnings.catch_warnings():
        warnings.simplefilter("ignore", SlowPathWarning)
        y = lstm(forward_ad.make_dual(x, tangent), None, None, weights).y
        found = forward_ad.unpack_dual(y.sum()).tangent
    x.requires_grad_()
    lstm(x, None, None, weights).y.sum().backward()
    torch.testing.assert_close(found, (x.grad * tangent).sum())


def test_a_subclass_is_composed() -> None:
    class Own(torch.Tensor):
        pass

    x, h, c, weights = _call()
    way = _chosen(x.as_subclass(Own), h, c, weights)
    assert way.name == "composed" and "Own" in way.reason


def test_missing_kernels_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(path, "_WHY_NO_KERNELS", "libgatework.so is not there")
    way = _chosen(*_call())
    assert way.name == "composed" and "libgatework.so is not there" in path.sentence(way)


def test_a_slow_path_warns_once_per_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(path, "_announced", set())
    with pytest.warns(SlowPathWarning, match=r"float64.*\.float\(\)") as first:
        lstm(*_call(torch.float64))
        lstm(*_call(torch.float64))
    assert len(first) == 1 and first[0].filename == __file__
    with pytest.warns(SlowPathWarning, match="float16"):
        lstm(*_call(torch.float16))


@pytest.mark.parametrize(
    ("beyond", "dtype", "name"),
    [(False, torch.float32, "cudnn"), (True, torch.float32, "composed")],
)
def test_cuda_goes_to_cudnn_where_it_can(
    beyond: bool, dtype: torch.dtype, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class OnCuda:
        device = torch.device("cuda")

    x = OnCuda()
    x.dtype = dtype
    monkeypatch.setattr(torch.backends.cudnn, "is_acceptable", lambda _: True)
    way = path._on_device(x, beyond)
    assert way is not None and way.name == name


def test_a_slow_path_is_announced_while_compiling(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.compiler.reset()
    monkeypatch.setattr(path, "_announced", set())
    compiled = torch.compile(lambda *call: lstm(*call).y, fullgraph=True, backend="aot_eager")
    with pytest.warns(SlowPathWarning, match="float64"):
        compiled(*_call(torch.float64))
