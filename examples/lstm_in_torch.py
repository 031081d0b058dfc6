"""gatework.LSTM where torch.nn.LSTM stood: the same results, and beyond them lengths, resets and the gates."""

import torch

import gatework

torch.manual_seed(0)
theirs = torch.nn.LSTM(input_size=8, hidden_size=16, num_layers=2, batch_first=True)
ours = gatework.LSTM(input_size=8, hidden_size=16, num_layers=2, batch_first=True)
ours.load_state_dict(theirs.state_dict())

x = torch.randn(4, 20, 8)  # [N, T, I]
difference = (ours(x)[0] - theirs(x)[0]).abs().max().item()
print(f"largest difference from torch: {difference:.1e}")

lengths = torch.tensor([20, 7, 0, 13])
output, (h_n, c_n) = ours(x, lengths=lengths)
print("padded steps put out zeros:", bool((output[1, 7:] == 0).all()))

reset = torch.zeros(4, 20, dtype=torch.bool)
reset[:, 10] = True  # a new sequence starts in the middle of each row
print(
    "second half alone, same result:",
    torch.allclose(ours(x, reset=reset)[0][:, 10:], ours(x[:, 10:])[0]),
)

output, _, trace = ours(x, return_trace=True)
for name, gate in zip("ifgo", trace[0][:4], strict=True):
    print(f"gate {name} of layer 0, mean over everything: {gate.mean().item():+.3f}")
print(gatework.explain_path(ours, x))
