"""Every option in every cell: against the reference, in both modes, and what must hold whatever the numbers are."""

import copy
import inspect
import re
from typing import Any

import pytest
import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import gatework
from tests.contracts.tree import ROOT
from tests.layers.drop_in import agree, outputs
from tests.layers.variants import CELLS, OPTIONS, SEED, TRACE, VARIANTS, build, gradients, judge
from tests.tolerances import assert_close

pytestmark = pytest.mark.filterwarnings("ignore::gatework.SlowPathWarning")
T, N = 6, 4
FLAGS = {
    "lengths": torch.tensor([6, 0, 3, 5]),
    "mask": torch.tensor([[1, 1, 0, 1], [0, 1, 1, 1]] * 3, dtype=torch.bool),
    "reset": torch.tensor([[0, 0, 0, 1], [0, 1, 0, 0], [1, 0, 0, 0]] * 2, dtype=torch.bool),
}
DRAWN = ("recurrent_dropout", "zoneout_h", "zoneout_c", "weight_dropout")


def _hx(module: Any, cell: str, D: int, dtype: torch.dtype) -> list[torch.Tensor] | None:
    if module.learned_state:
        return None
    sizes = (module.proj_size or 7, 7) if cell == "lstm" else (7,)
    return [torch.randn(D, N, size, dtype=dtype).requires_grad_() for size in sizes]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("D", [1, 2])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("cell", "options"), VARIANTS, ids=str)
def test_equals_the_reference(
    cell: str, options: dict[str, Any], training: bool, D: int, dtype: torch.dtype
) -> None:
    module = build(cell, dtype, D, **options).train(training)
    x = torch.randn(T, N, 3, dtype=dtype).requires_grad_()
    hx = _hx(module, cell, D, dtype)
    given = None if hx is None else (tuple(hx) if cell == "lstm" else hx[0])
    flags = FLAGS if D == 2 else {}
    torch.manual_seed(SEED)
    *plain, [trace] = module(x, given, **flags, return_trace=True)
    found = outputs(tuple(plain))
    judged = judge(module, cell, x, hx, flags)
    for name, value in (found | {f"trace {k}": v for k, v in trace._asdict().items()}).items():
        assert_close(value, judged.outputs[name], "forward", "reference", name)
    up = [torch.randn(v.shape, dtype=dtype) for v in found.values()]
    leaves = {"d x": x} | {f"d hx {k}": v for k, v in enumerate(hx or [])}
    leaves |= {f"d {name}": p for name, p in module.named_parameters()}
    grads = torch.autograd.grad(list(found.values()), list(leaves.values()), up)
    expected = gradients(module, cell, judged, [v.double().numpy() for v in up])
    for name, value in zip(leaves, grads, strict=True):
        assert_close(value, expected[name], "gradient", "reference", name)


def test_the_trace_has_the_fields_of_the_reference() -> None:
    kinds = {"lstm": gatework.LSTMTrace, "gru": gatework.GRUTrace, "rnn": gatework.RNNTrace}
    for cell, kind in kinds.items():
        assert kind._fields == tuple(TRACE[cell])
    assert gatework.Trace is gatework.LSTMTrace


@pytest.mark.parametrize(("cell", "options"), VARIANTS, ids=str)
def test_parameters_have_their_names_in_order_and_torchs_values(
    cell: str, options: dict[str, Any]
) -> None:
    torch.manual_seed(0)
    module = CELLS[cell](3, 7, num_layers=2, bidirectional=True, **options)
    names = _names(cell, **options)
    suffixes = ("_l0", "_l0_reverse", "_l1", "_l1_reverse")
    assert list(module.state_dict()) == [name + suffix for suffix in suffixes for name in names]
    again = CELLS[cell](3, 7, num_layers=2, bidirectional=True, **options)
    again.load_state_dict(module.state_dict())
    if names[:4] == ["weight_ih", "weight_hh", "bias_ih", "bias_hh"] and not module.coupled:
        torch.manual_seed(0)
        plain = CELLS[cell](3, 7, 2, bidirectional=True, **_only(options, "proj_size"))
        for name, value in plain.state_dict().items():
            assert torch.equal(module.state_dict()[name], value)
    for name, value in module.state_dict().items():
        if name.startswith("gain"):
            assert torch.equal(value, torch.ones_like(value))
        elif name.startswith(("learned", "bias_c")):
            assert not value.any()
        else:
            assert 0 < value.abs().max() <= 7**-0.5


def _only(options: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: options[name] for name in names if name in options}


def _names(cell: str, **options: Any) -> list[str]:
    bias, normed = options.get("bias", True), options.get("layer_norm", False)
    names = ["weight_ih", "weight_hh"] + (["bias_ih"] if bias else [])
    names += ["bias_hh"] if bias and (not normed or cell == "gru") else []
    names += ["weight_hr"] if options.get("proj_size") else []
    names += ["weight_peephole"] if options.get("peephole") else []
    if normed:
        names += (["gain_ih"] if cell != "rnn" else []) + ["gain_hh"]
        names += (["gain_c", "bias_c"] if bias else ["gain_c"]) if cell == "lstm" else []
    if options.get("learned_state"):
        names += ["learned_h", "learned_c"] if cell == "lstm" else ["learned_h"]
    return names


@pytest.mark.parametrize(("cell", "options"), VARIANTS, ids=str)
def test_repr_copies_and_seeds(cell: str, options: dict[str, Any]) -> None:
    module = build(cell, torch.float64, 2, num_layers=2, **options)
    said = repr(module)
    for name, value in options.items():
        assert name == "nonlinearity" or f"{name}={value!r}" in said
    x = torch.randn(T, N, 3, dtype=torch.float64)
    results = []
    for other in (module, copy.deepcopy(module)):
        torch.manual_seed(3)
        results.append(outputs(other(x)))
    for name, value in results[0].items():
        assert torch.equal(value, results[1][name])
    chance = any(name in options for name in DRAWN)
    assert torch.equal(module(x)[0], module(x)[0]) != chance
    module.eval()
    before = torch.get_rng_state()
    assert torch.equal(module(x)[0], module(x)[0])
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("name", ["recurrent_dropout", "weight_dropout"])
def test_dropout_is_the_identity_in_eval_mode_and_at_rate_0(cell: str, name: str) -> None:
    plain, x = build(cell, torch.float64, 1), torch.randn(T, N, 3, dtype=torch.float64)
    dropped = build(cell, torch.float64, 1, **{name: 0.5})
    assert not torch.equal(dropped(x)[0], plain(x)[0])
    assert torch.equal(dropped.eval()(x)[0], plain(x)[0])
    setattr(dropped.train(), name, 0.0)
    assert torch.equal(dropped(x)[0], plain(x)[0])


@pytest.mark.parametrize("cell", CELLS)
def test_zoneout_keeps_its_share_and_eval_mode_takes_the_expectation(cell: str) -> None:
    p, rows = 0.3, 20000
    module = build(cell, torch.float64, 1, zoneout_h=p)
    x = torch.randn(1, 1, 3, dtype=torch.float64).expand(1, rows, 3)
    h0 = torch.randn(1, 1, 7, dtype=torch.float64).expand(1, rows, 7)
    hx = (h0, torch.zeros_like(h0)) if cell == "lstm" else h0
    y = module(x, hx)[0]
    kept = (y == h0).double().mean()
    assert abs(kept - p) < 0.01
    spread = y.std(dim=1) / rows**0.5
    assert ((y.mean(dim=1) - module.eval()(x, hx)[0][:, 0]).abs() < 6 * spread).all()


@pytest.mark.parametrize("cell", CELLS)
def test_a_mask_of_h_is_drawn_once_per_call_and_kept_over_resets(cell: str) -> None:
    """With W_hh alone at work, what is dropped at one step is dropped at all."""
    module = build(cell, torch.float64, 1, recurrent_dropout=0.5)
    torch.manual_seed(5)
    whole = module(torch.zeros(T, 1, 3, dtype=torch.float64), reset=torch.ones(T, 1) > 0)[0]
    torch.manual_seed(5)
    again = module(torch.zeros(2 * T, 1, 3, dtype=torch.float64), reset=torch.ones(2 * T, 1) > 0)[0]
    assert torch.equal(again[:T], whole) and torch.equal(again[T:], whole)


@pytest.mark.parametrize("cell", CELLS)
def test_layers_and_directions_draw_their_own(cell: str) -> None:
    for name in ("recurrent_dropout", "weight_dropout", "zoneout_h"):
        module = build(cell, torch.float64, 2, num_layers=2, **{name: 0.5})
        single = dict(build(cell, torch.float64, 1).named_parameters())
        for suffix in ("l0", "l0_reverse"):
            for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
                getattr(module, f"{kind}_{suffix}").data = single[f"{kind}_l0"].data
        x = torch.randn(1, N, 3, dtype=torch.float64).expand(T, N, 3)
        y = module(x, return_trace=True)[2][0].h
        assert not torch.equal(y[0], y[1].flip(0))


@pytest.mark.parametrize("cell", CELLS)
def test_learned_state_is_where_a_sequence_starts_and_a_passed_state_wins(cell: str) -> None:
    module = build(cell, torch.float64, 1, learned_state=True)
    x = torch.randn(T, N, 3, dtype=torch.float64)
    parts = [module.learned_h_l0, module.learned_c_l0] if cell == "lstm" else [module.learned_h_l0]
    learned = [v.detach().expand(1, N, 7) for v in parts]
    hx = tuple(learned) if cell == "lstm" else learned[0]
    assert torch.equal(module(x, hx)[0], module(x)[0])
    zeros = tuple(torch.zeros_like(v) for v in learned)
    assert not torch.equal(module(x, zeros if cell == "lstm" else zeros[0])[0], module(x)[0])
    reset = torch.zeros(T, N, dtype=torch.bool)
    reset[3] = True
    later = module(x, zeros if cell == "lstm" else zeros[0], reset=reset)[0][3:]
    assert_close(later, module(x[3:])[0].detach(), "forward", "torch")
    unbatched = module(x[:, 0])[0]
    assert_close(unbatched, module(x)[0][:, 0].detach(), "forward", "torch")


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_several_sizes_equal_layers_one_by_one(cell: str, batch_first: bool) -> None:
    sizes = [4, 6, 5]
    kind = CELLS[cell]
    options: dict[str, Any] = {"bidirectional": True, "batch_first": batch_first}
    module = kind(3, sizes, dtype=torch.float64, **options)
    assert module.num_layers == 3 and repr(module).startswith(f"{kind.__name__}(3, [4, 6, 5]")
    x = torch.randn(N, T, 3, dtype=torch.float64)
    x = x if batch_first else x.transpose(0, 1)
    each = [torch.randn(2, N, size, dtype=torch.float64) for size in sizes]
    hx = (each, [v + 1 for v in each]) if cell == "lstm" else each
    y, last = module(x, hx, lengths=FLAGS["lengths"])
    assert y.shape[2] == 10
    below = x
    for k, size in enumerate(sizes):
        alone = kind(below.shape[2], size, dtype=torch.float64, **options)
        own = {
            n.replace(f"_l{k}", "_l0"): v for n, v in module.state_dict().items() if f"_l{k}" in n
        }
        alone.load_state_dict(own)
        start = (each[k], each[k] + 1) if cell == "lstm" else each[k]
        below, end = alone(below, start, lengths=FLAGS["lengths"])
        for found, expected in zip(
            (last[0][k], last[1][k]) if cell == "lstm" else (last[k],),
            end if cell == "lstm" else (end,),
            strict=True,
        ):
            assert torch.equal(found, expected)
    assert torch.equal(y, below)
    again = module(x, last)[1]
    assert isinstance(again if cell != "lstm" else again[0], list)


@pytest.mark.parametrize("cell", CELLS)
def test_several_sizes_unbatched_and_packed(cell: str) -> None:
    module = CELLS[cell](3, [4, 6], dtype=torch.float64)
    x, lengths = torch.randn(T, N, 3, dtype=torch.float64), torch.tensor([2, 6, 1, 4])
    rows = pack_padded_sequence(x, lengths, enforce_sorted=False)
    hx = [torch.randn(1, N, size, dtype=torch.float64) for size in (4, 6)]
    given = (hx, hx) if cell == "lstm" else hx
    y, last = module(rows, given)
    z, other = module(x, given, lengths=lengths)
    assert_close(pad_packed_sequence(y)[0], z.detach(), "forward", "torch")
    last, other = (last[0], other[0]) if cell == "lstm" else (last, other)
    for a, b in zip(last, other, strict=True):
        assert_close(a, b.detach(), "forward", "torch")
    one = [v[:, 0] for v in hx]
    y, last = module(x[:, 0], (one, one) if cell == "lstm" else one)
    assert (last[0] if cell == "lstm" else last)[1].shape == (1, 6)


@pytest.mark.parametrize("D", [1, 2])
@pytest.mark.parametrize("masked_output", ["zero", "carry"])
@pytest.mark.parametrize("cell", CELLS)
def test_residual_adds_what_each_layer_reads(cell: str, masked_output: str, D: int) -> None:
    kind = CELLS[cell]
    options: dict[str, Any] = {"bidirectional": D == 2, "dtype": torch.float64}
    module = kind(4 * D, 4, num_layers=2, residual=True, masked_output=masked_output, **options)
    x = torch.randn(T, N, 4 * D, dtype=torch.float64)
    y, last, traces = module(x, return_trace=True, **FLAGS)
    prefix = torch.arange(T)[:, None] < FLAGS["lengths"]
    happens = (prefix & FLAGS["mask"])[..., None]
    below = x
    for k in range(2):
        alone = kind(4 * D, 4, **options)
        own = {
            n.replace(f"_l{k}", "_l0"): v for n, v in module.state_dict().items() if f"_l{k}" in n
        }
        alone.load_state_dict(own)
        out, end, [trace] = alone(below, return_trace=True, **FLAGS)
        below = torch.where(happens, out + below, 0.0)
        assert torch.equal(trace.h, traces[k].h)
    if masked_output == "zero":
        assert torch.equal(y, below)
    else:
        assert torch.equal(torch.where(happens, y, 0.0), below) and not torch.equal(y, below)
    flat = outputs((y, last))
    assert torch.equal(flat["h_n"][-D:], outputs((y, end))["h_n"])


def test_residual_works_packed_unbatched_and_batch_first() -> None:
    gru = gatework.GRU(5, 5, 2, residual=True, batch_first=True)
    x, lengths = torch.randn(N, T, 5), torch.tensor([2, 6, 1, 4])
    y = gru(x, lengths=lengths)[0]
    rows = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
    padded = pad_packed_sequence(gru(rows)[0], batch_first=True)[0]
    assert_close(padded, y.detach(), "forward", "torch")
    assert_close(gru(x[1])[0], y[1].detach(), "forward", "torch")


def test_a_changed_attribute_acts_at_the_next_call() -> None:
    lstm, x = gatework.LSTM(3, 5), torch.randn(T, N, 3)
    plain = lstm(x)[0]
    lstm.zoneout_h = 1.0
    assert not lstm(x)[0].any() and plain.any()


@pytest.mark.parametrize("options", [{"recurrent_dropout": 0.4}, {"zoneout_h": 0.3}, {}], ids=str)
@pytest.mark.parametrize("cell", CELLS)
def test_explain_path_draws_nothing_and_names_a_path(cell: str, options: dict[str, Any]) -> None:
    module, x = CELLS[cell](3, 5, **options), torch.randn(T, N, 3)
    before = torch.get_rng_state()
    said = gatework.explain_path(module, x, lengths=FLAGS["lengths"])
    assert said.startswith(("native", "composed")) and torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("which", ["plain", "everything"])
def test_compile_in_one_graph(cell: str, which: str) -> None:
    torch.compiler.reset()
    options = OPTIONS[cell][-1] if which == "everything" else {}
    module = CELLS[cell](3, 5, **options)
    x = torch.randn(T, N, 3)
    compiled = torch.compile(module, fullgraph=True, backend="aot_eager")
    torch.manual_seed(1)
    expected = outputs(module(x, lengths=FLAGS["lengths"]))
    torch.manual_seed(1)
    agree(outputs(compiled(x, lengths=FLAGS["lengths"])), expected)


def test_the_page_lists_every_option_of_every_module() -> None:
    page = (ROOT / "docs" / "api" / "layers.md").read_text(encoding="utf-8")
    head, *rows = (line.strip("|").split("|") for line in page.splitlines() if "|" in line)
    names = [word.strip() for word in head[1:7]]
    listed = {name: set() for name in names}
    for row in rows:
        option = re.fullmatch(r" `(\w+)` ", row[0])
        if option and len(row) == 8:
            for name, has in zip(names, row[1:7], strict=True):
                listed[name] |= {option[1]} if has.strip() == "yes" else set()
    for name, options in listed.items():
        own = inspect.signature(getattr(gatework, name)).parameters.values()
        assert options == {p.name for p in own if p.kind is p.KEYWORD_ONLY}, name
