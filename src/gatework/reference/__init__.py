"""The equations in NumPy float64, written to be read; tests and docs lean on them, nothing that ships imports them.

Start with `lstm`; `gru` and `rnn` are built alike. What they share: `steps` (which steps happen), `products` (dropout
of h, layer norm), `activations`, `random` (the numbers that chance needs), `weights` and `options` (names and shapes).
"""
