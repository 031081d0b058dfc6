"""Training a module of one's own: say where a noisy wave of unknown frequency will be in its next step."""

import torch
from torch import nn

import gatework
from gatework.train import Batches, TrainOptions, train


class Next(nn.Module):
    """An LSTM and a line on top."""

    def __init__(self):
        super().__init__()
        self.lstm = gatework.LSTM(1, 32, batch_first=True)
        self.head = nn.Linear(32, 1)

    def forward(self, x):
        """[N, T, 1] to the next value after each step, [N, T, 1]."""
        return self.head(self.lstm(x)[0])


def waves(count: int, seed: int) -> dict[str, torch.Tensor]:
    """Waves of 50 steps with frequency and phase of their own."""
    draw = torch.Generator().manual_seed(seed)
    frequency, phase = 0.1 + 0.4 * torch.rand(2, count, 1, 1, generator=draw)
    clean = torch.sin(frequency * torch.arange(51.0)[:, None] + 6.0 * phase)  # [N, 51, 1]
    noisy = clean + 0.05 * torch.randn(clean.shape, generator=draw)
    return {"x": noisy[:, :-1], "y": clean[:, 1:]}


def loss(module, batch):
    """Mean squared error."""
    return nn.functional.mse_loss(module(batch["x"]), batch["y"])


torch.manual_seed(0)
module = Next()
history = train(
    module,
    loss,
    Batches(waves(512, seed=1), 64, shuffle=True),
    Batches(waves(128, seed=2), 128),
    options=TrainOptions(max_epochs=8, learning_rate=1e-2),
)
test = waves(128, seed=3)
with torch.no_grad():
    learned = loss(module, test).sqrt().item()
repeated = (test["x"] - test["y"]).square().mean().sqrt().item()
print(f"RMSE of the next step: LSTM {learned:.3f}, repeating the last value {repeated:.3f}")
