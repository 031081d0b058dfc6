"""Any options of our layers together: through a stack, a file and back, with the same weights and the same bits."""

from pathlib import Path
from typing import Any

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import gatework
from gatework import weights
from tests.weights.stacks import alike, assert_same_bits

ACTIVATIONS = st.sampled_from(
    ["sigmoid", "tanh", "softsign", "hard_sigmoid", ("elu", 0.5), ("scaled_tanh", 1.7, 0.6)]
)
SHARED = {
    "bias": st.booleans(),
    "bidirectional": st.booleans(),
    "layer_norm": st.booleans(),
    "learned_state": st.booleans(),
    "zoneout_h": st.sampled_from([0.0, 0.3]),
    "masked_output": st.sampled_from(["zero", "carry"]),
    "precision": st.sampled_from(["float32", "int8_weights"]),
}
OWN: dict[str, dict[str, Any]] = {
    "LSTM": {
        "proj_size": st.sampled_from([0, 2]),
        "peephole": st.booleans(),
        "coupled": st.booleans(),
        "cell_clip": st.sampled_from([None, 0.7]),
        "zoneout_c": st.sampled_from([0.0, 0.2]),
        "activations": st.tuples(ACTIVATIONS, ACTIVATIONS, ACTIVATIONS),
    },
    "GRU": {"reset_after": st.booleans(), "activations": st.tuples(ACTIVATIONS, ACTIVATIONS)},
    "RNN": {"activations": st.tuples(ACTIVATIONS)},
}
LAYERS = st.sampled_from(list(OWN)).flatmap(
    lambda name: st.tuples(st.just(name), st.fixed_dictionaries(SHARED | OWN[name]))
)


@settings(max_examples=60)
@given(LAYERS, st.sampled_from([4, [4, 5], [3, 3, 6]]))
def test_everything_returns(
    tmp_path_factory: Any, layer: tuple[str, dict[str, Any]], hidden_size: Any
) -> None:
    name, options = layer
    torch.manual_seed(1)
    module = getattr(gatework, name)(3, hidden_size, **options)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter += 0.2 * torch.randn_like(parameter)
    stack = weights.from_torch(module).result
    path: Path = tmp_path_factory.mktemp("stack") / "a.safetensors"
    loaded = weights.load(weights.save(stack, path))
    alike(loaded, stack)
    made = gatework.from_stack(loaded)
    assert made.compared.alike
    for key, value in made.result.state_dict().items():
        assert torch.equal(value, module.state_dict()[key]), key
    back = weights.from_torch(made.result).result
    alike(back, stack)
    assert_same_bits(back, stack)
