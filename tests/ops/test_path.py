"""Which path is chosen, and that a slow one announces itself once."""

import warnings

import pytest
import torch
from torch.autograd import forward_ad
from torch.func import grad, jvp, vmap

from gatework import native
from gatework.errors import SlowPathWarning
from gatework.ops import path
from gatework.ops.activations import activation
from gatework.ops.family import Options, Weights, plain
from gatework.ops.recurrent import choose, layer
from tests.ops import cases

PLAIN = plain("lstm")
built = pytest.mark.skipif(not native.available(), reason="kernels are not built")


def _call(dtype: torch.dtype = torch.float32, device: str = "cpu") -> tuple[object, ...]:
    options = {"dtype": dtype, "device": device}
    w = Weights(torch.randn(20, 3, **options), torch.randn(20, 5, **options))
    return torch.randn(4, 2, 3, **options), None, None, [w]


def _chosen(*call: object, options: Options = PLAIN, **more: object) -> path.Path:
    return choose(*call, options, **more)


@built
def test_float32_on_the_cpu_is_native() -> None:
    assert _chosen(*_call()).name == "native"
    assert _chosen(*_call(), trace=True).name == "native"


def test_bfloat16_is_native_and_says_so() -> None:
    way = _chosen(*_call(torch.bfloat16))
    assert way.name == "native" and "bfloat16" in way.reason


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16])
def test_other_dtypes_are_composed(dtype: torch.dtype) -> None:
    way = _chosen(*_call(dtype))
    assert way.name == "composed" and "float32" in way.reason and "float()" in way.repair


def test_meta_is_composed_without_a_warning() -> None:
    way = _chosen(*_call(device="meta"))
    assert way.name == "composed" and not way.warn


SWITCHED_ON = [
    (PLAIN._replace(zoneout_h=0.1), "zoneout"),
    (PLAIN._replace(zoneout_c=0.1), "zoneout"),
    (PLAIN._replace(candidate_dropout=0.1, training=True), "candidate dropout"),
    (PLAIN._replace(cell_clip=1.0), "clipped"),
    (PLAIN._replace(coupled=True), "coupled"),
    (PLAIN._replace(layer_norm=True), "layer normalisation"),
    (PLAIN._replace(activations=(activation("relu"),) * 3), "activations"),
    (plain("gru")._replace(reset_after=False), "reset before"),
]


@built
@pytest.mark.parametrize("variant", cases.VARIANTS, ids=str)
def test_every_option_is_native(variant: cases.Variant) -> None:
    t = cases.tensors(cases.make(4, 2, 3, 5, variant=variant, steps="lengths"), torch.float32)
    for trace in (False, True):
        way = choose(*t[:4], t.options, drop=t.drop, **t.steps, trace=trace)
        assert way.name == "native" and "one thread" in way.reason
    with warnings.catch_warnings():
        warnings.simplefilter("error", SlowPathWarning)
        t.layer()


@pytest.mark.parametrize(("options", "words"), SWITCHED_ON)
def test_what_torch_lacks_is_said(options: Options, words: str) -> None:
    assert words in path._beyond_torch(_call()[3][0], options)


@pytest.mark.parametrize("name", ["peephole", "learned_h", "learned_c"])
def test_weights_that_torch_lacks_are_said(name: str) -> None:
    w = _call()[3][0]._replace(**{name: torch.randn(5)})
    assert name.partition("_")[0] in path._beyond_torch(w, PLAIN)


def test_a_factor_that_requires_a_gradient_is_composed() -> None:
    factor = torch.ones(2, 5, requires_grad=True)
    way = _chosen(*_call(), drop=[factor])
    assert way.name == "composed" and "detach" in way.repair
    with pytest.warns(SlowPathWarning, match="factor"):
        layer(*_call(), PLAIN, drop=[factor]).y.sum().backward()
    assert factor.grad is not None and factor.grad.any()


SHARED = [  # T, N, H, threads, words
    ((1, 1, 8, 4), "one thread: there is too little to share"),
    ((400, 64, 64, 1), "one thread: no more are allowed"),
    ((400, 64, 64, 2), "2 threads, each with its own rows"),
    ((400, 1, 512, 2), "2 threads share the units of each step"),
    ((400, 8, 512, 8), "8 threads"),
]


@built
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize(("sizes", "words"), SHARED)
def test_how_threads_share_a_call_is_said(
    cell: str, batch_first: bool, sizes: tuple[int, ...], words: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    T, N, H, threads = sizes
    monkeypatch.setattr(native, "get_num_threads", lambda: threads)
    x = torch.empty((N, T, 64) if batch_first else (T, N, 64))
    rows = H * {"lstm": 4, "gru": 3, "rnn": 1}[cell]
    w = Weights(torch.empty(rows, 64), torch.empty(rows, H))
    way = choose(x, None, None, [w], plain(cell), batch_first=batch_first)
    assert words in path.sentence(way)
    layout = native.Layout(T, N, 64, H, 0, N * 64, 64, N * H, H)
    groups, parts = native.split(cell, layout, native.Options(), threads)
    assert (groups * parts > 1) == ("one thread" not in way.reason)


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
        y = layer(forward_ad.make_dual(x, tangent), None, None, weights, PLAIN).y
        found = forward_ad.unpack_dual(y.sum()).tangent
    x.requires_grad_()
    layer(x, None, None, weights, PLAIN).y.sum().backward()
    torch.testing.assert_close(found, (x.grad * tangent).sum())


def test_a_subclass_is_composed() -> None:
    class Own(torch.Tensor):
        pass

    x, h, c, weights = _call()
    way = _chosen(x.as_subclass(Own), h, c, weights)
    assert way.name == "composed" and "Own" in way.reason


def test_missing_kernels_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(path, "WHY_NO_KERNELS", "libgatework.so is not there")
    way = _chosen(*_call())
    assert way.name == "composed" and "libgatework.so is not there" in path.sentence(way)


def test_a_slow_path_warns_once_per_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(path, "_announced", set())
    with pytest.warns(SlowPathWarning, match=r"float64.*\.float\(\)") as first:
        layer(*_call(torch.float64), PLAIN)
        layer(*_call(torch.float64), PLAIN)
    assert len(first) == 1 and first[0].filename == __file__
    with pytest.warns(SlowPathWarning, match="float16"):
        layer(*_call(torch.float16), PLAIN)


@pytest.mark.parametrize(
    ("option", "restricted", "name"),
    [("", False, "cudnn"), ("", True, "composed"), ("zoneout", False, "composed")],
)
def test_cuda_goes_to_cudnn_where_it_can(
    option: str, restricted: bool, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class OnCuda:
        device = torch.device("cuda")
        dtype = torch.float32

    monkeypatch.setattr(torch.backends.cudnn, "is_acceptable", lambda _: True)
    way = path._on_device(OnCuda(), option, restricted)
    assert way is not None and way.name == name and option in way.reason


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn", "rnn relu"])
def test_what_torch_has_goes_to_cudnn(cell: str) -> None:
    name, *relu = cell.split()
    options = plain(name)
    if relu:
        options = options._replace(activations=(activation("relu"),))
    assert not path._beyond_torch(_call()[3][0], options)


def test_a_slow_path_is_announced_while_compiling(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.compiler.reset()
    monkeypatch.setattr(path, "_announced", set())
    compiled = torch.compile(
        lambda *call: layer(*call, PLAIN).y, fullgraph=True, backend="aot_eager"
    )
    with pytest.warns(SlowPathWarning, match="float64"):
        compiled(*_call(torch.float64))
