"""The six classes as modules beside torch's: hooks, state_dict, parametrizations, pruning, copies, fx, files."""

import copy
import io
import pickle
from typing import Any

import pytest
import torch
from torch import fx, nn
from torch.func import functional_call
from torch.nn.utils import parametrizations, parametrize, prune

import gatework
from tests.layers.side_by_side import (
    NAMES,
    each,
    is_cell,
    loss,
    of_stacks,
    pair,
    same,
    tensors,
    trained,
    x_of,
)

pytestmark = [
    pytest.mark.filterwarnings("ignore::gatework.SlowPathWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


def weight(name: str) -> str:
    return "weight_hh" if is_cell(name) else "weight_hh_l0"


def _spectral(module: nn.Module, name: str) -> None:
    # one step of the power iteration would show how often a layer reads its weight, which is torch's own business
    parametrizations.spectral_norm(module, name, n_power_iterations=60)


def _older_spectral(module: nn.Module, name: str) -> None:
    nn.utils.spectral_norm(module, name, n_power_iterations=60)


REPARAMETRIZED: dict[str, tuple[Any, Any]] = {
    "weight norm": (parametrizations.weight_norm, parametrize.remove_parametrizations),
    "spectral norm": (_spectral, parametrize.remove_parametrizations),
    "orthogonal": (parametrizations.orthogonal, parametrize.remove_parametrizations),
    "older weight norm": (nn.utils.weight_norm, nn.utils.remove_weight_norm),
    "older spectral norm": (_older_spectral, nn.utils.remove_spectral_norm),
    "pruned": (lambda m, name: prune.l1_unstructured(m, name, 0.5), prune.remove),
    "pruned at random": (lambda m, name: prune.random_unstructured(m, name, 0.5), prune.remove),
}


@pytest.mark.parametrize("kind", REPARAMETRIZED)
@each
def test_reparametrized(name: str, kind: str) -> None:
    apply, remove = REPARAMETRIZED[kind]
    x = x_of(name)

    def act(module: nn.Module) -> Any:
        apply(module, weight(name))
        during = [sorted(module.state_dict()), *trained(module, x)]
        remove(module, weight(name))
        return [during, sorted(module.state_dict()), trained(module, x)]

    same(name, act)


@each
def test_copies_and_caches_of_a_parametrized_module(name: str) -> None:
    x = x_of(name)

    def copied(module: nn.Module) -> Any:
        parametrizations.weight_norm(module, weight(name))
        return trained(copy.deepcopy(module), x)

    def cached(module: nn.Module) -> Any:
        parametrizations.weight_norm(module, weight(name))
        with parametrize.cached():
            return module(x)

    same(name, copied)
    same(name, cached)
    same(name, lambda m: pickle.dumps(parametrizations.weight_norm(m, weight(name))))


@each
def test_hooks(name: str) -> None:
    def forward(module: nn.Module) -> Any:
        seen: list[Any] = []
        module.register_forward_hook(lambda _, given, y: seen.append((given, y)))
        module.register_forward_pre_hook(lambda _, given: (2 * given[0],))
        return [module(x_of(name)), seen]

    def backward(module: nn.Module) -> Any:
        seen: list[Any] = []
        module.register_full_backward_hook(lambda _, *grads: seen.append(grads))
        module.register_full_backward_pre_hook(lambda _, grads: seen.append(grads))
        loss(module(x_of(name).requires_grad_())).backward()
        return seen

    def of_state(module: nn.Module) -> Any:
        seen: list[Any] = []
        module.register_state_dict_post_hook(lambda m, d, prefix, _: d.update({prefix + "own": 1}))
        module.register_state_dict_pre_hook(lambda m, prefix, keep: seen.append((prefix, keep)))
        module.register_load_state_dict_pre_hook(lambda m, d, *_: seen.append(sorted(d)))
        module.register_load_state_dict_post_hook(lambda m, k: seen.append(k.unexpected_keys[:]))
        module.load_state_dict(module.state_dict(), strict=False)
        return seen

    for act in (forward, backward, of_state):
        same(name, act)


@each
def test_loading(name: str) -> None:
    x = x_of(name)

    def loaded(module: nn.Module, assign: bool, change: Any = lambda d: None) -> Any:
        given = {key: 2 * value for key, value in module.state_dict().items()}
        change(given)
        return [str(module.load_state_dict(given, assign=assign)), module(x), *module.parameters()]

    wrong = {weight(name): torch.ones(2, 3)}
    for assign in (False, True):
        same(name, lambda m, a=assign: loaded(m, a))
        same(name, lambda m, a=assign: loaded(m, a, lambda d: d.pop(weight(name))))
        same(name, lambda m, a=assign: loaded(m, a, lambda d: d.update(own=torch.ones(1))))
        same(name, lambda m, a=assign: loaded(m, a, lambda d: d.update(wrong)))


@each
def test_files(name: str) -> None:
    def state(module: nn.Module) -> Any:
        file = io.BytesIO()
        torch.save(module.state_dict(), file)
        file.seek(0)
        module.load_state_dict(torch.load(file, weights_only=True))
        return module(x_of(name))

    def whole(module: nn.Module, allowed: list[type]) -> Any:
        file = io.BytesIO()
        torch.save(module, file)
        file.seek(0)
        with torch.serialization.safe_globals(allowed):
            return torch.load(file, weights_only=True)(x_of(name))

    same(name, state)
    same(name, lambda module: whole(module, [type(module)]))
    assert isinstance(same(name, lambda module: whole(module, [])), pickle.UnpicklingError)


@each
def test_an_older_file_of_ours_lacks_newer_options(name: str) -> None:
    module = getattr(gatework, name)(3, 5)
    state = {k: v for k, v in module.__getstate__().items() if k not in ("zoneout_h", "precision")}
    again = type(module).__new__(type(module))
    again.__setstate__(state)
    assert repr(again) == repr(module)
    assert torch.equal(tensors(again(x_of(name)))[0], tensors(module(x_of(name)))[0])


@each
def test_copies_and_words(name: str) -> None:
    same(name, lambda module: [repr(copy.copy(module)), copy.copy(module)(x_of(name))])
    same(name, lambda module: [repr(module), str(module), module.extra_repr()], bias=False)
    same(name, lambda module: [n for n, _ in module.named_parameters()])
    same(name, lambda module: module.share_memory()(x_of(name)))
    same(name, lambda module: [p.is_shared() for p in module.share_memory().parameters()])
    same(name, lambda module: module.half().float()(x_of(name)))


@each
def test_torchs_functions_of_parameters(name: str) -> None:
    x = x_of(name)

    def vector(module: nn.Module) -> Any:
        found = nn.utils.parameters_to_vector(module.parameters())
        nn.utils.vector_to_parameters(2 * found, module.parameters())
        return [found, module(x)]

    def clipped(module: nn.Module) -> Any:
        loss(module(x)).backward()
        norm = nn.utils.clip_grad_norm_(module.parameters(), 0.1)
        return [norm, *(p.grad for p in module.parameters())]

    def called(module: nn.Module) -> Any:
        return functional_call(module, {k: 2 * p for k, p in module.named_parameters()}, (x,))

    for act in (vector, clipped, called):
        same(name, act)


@each
def test_default_dtype(name: str) -> None:
    made = []
    torch.set_default_dtype(torch.float64)
    try:
        made = [module(x_of(name, torch.float64)) for module in pair(name)]
    finally:
        torch.set_default_dtype(torch.float32)
    for a, b in zip(*map(tensors, made), strict=True):
        assert a.dtype == b.dtype == torch.float64
        torch.testing.assert_close(a, b)


class Holds(nn.Module):
    """Reads what a layer gives without looking at it, as a symbolic trace demands."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: torch.Tensor) -> Any:
        return self.inner(x)[0] * 2


@each
def test_a_symbolic_trace_keeps_the_layer_as_a_leaf(name: str) -> None:
    def act(module: nn.Module) -> Any:
        traced = fx.symbolic_trace(Holds(module))
        return [[(n.op, str(n.target)) for n in traced.graph.nodes][:2], traced(x_of(name))]

    same(name, act)


@of_stacks
def test_a_symbolic_trace_keeps_our_arguments(name: str) -> None:
    class Masked(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = getattr(gatework, name)(3, 5)

        def forward(self, x: torch.Tensor, lengths: torch.Tensor) -> Any:
            return self.inner(x, lengths=lengths)[0]

    module, lengths = Masked(), torch.tensor([4, 1])
    traced = fx.symbolic_trace(module)
    x = x_of(name)
    assert torch.equal(traced(x, lengths), module(x, lengths))


@each
def test_a_users_subclass(name: str) -> None:
    kind = getattr(gatework, name)

    class Own(kind):
        def __init__(self, width: int) -> None:
            super().__init__(3, width)
            self.head = nn.Linear(width, 1)

        def forward(self, *given: Any, **more: Any) -> Any:
            return self.head(tensors(super().forward(*given, **more))[0])

    module = Own(5)
    assert module(x_of(name)).shape[-1] == 1 and "Own" in repr(module)
    again = copy.deepcopy(module)
    again.load_state_dict(module.state_dict())
    assert torch.equal(again(x_of(name)), module(x_of(name)))


@pytest.mark.parametrize("name", NAMES)
def test_no_attribute_has_a_name_that_opacus_uses(name: str) -> None:
    module = getattr(gatework, name)(3, 5)
    for taken in ("activations", "max_batch_len", "ft_compute_sample_grad"):
        assert not hasattr(module, taken)
