"""A layer leaves torch: one file, then named streams on NumPy and the kernels alone, with a state that can be kept."""

import numpy as np
import torch

import gatework
from gatework import runtime, weights

torch.manual_seed(0)
layer = gatework.GRU(3, 32, num_layers=2)
print(weights.from_torch(layer))
weights.save(weights.from_torch(layer).result, "layer.safetensors")

answering = runtime.load("layer.safetensors")
x = np.random.default_rng(0).standard_normal((50, 2, 3)).astype(np.float32)
whole, _ = answering(x)
streams = answering.stream(["left", "right"])
for t in range(25):
    streams.step(x[t])
streams.state["left"].save("left.safetensors")

alone = answering.stream(["left"])
alone.state = runtime.State.load("left.safetensors")
for t in range(25, 50):
    y = alone.step({"left": x[t, 0]})["left"]
print("the last step, in two pieces and at once, the same bits:", np.array_equal(y, whole[-1, 0]))
