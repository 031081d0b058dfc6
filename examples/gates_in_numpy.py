"""The equations at work: one unit that is told to remember a value until it is told to forget, in NumPy alone."""

import numpy as np

from gatework.reference.lstm import Weights, forward

STORE, FORGET = 0, 1  # the two features: "store what stands here", "forget"

w_ih = np.array([[8.0, 0.0], [0.0, -12.0], [8.0, 0.0], [0.0, 0.0]])  # [4H, I]: rows i, f, g, o
bias = np.array(
    [-4.0, 6.0, 0.0, 4.0]
)  # closed input, open forget gate (that is: keep), open output
weights = Weights(w_ih, np.zeros((4, 1)), bias, np.zeros(4))

x = np.zeros((10, 1, 2))  # [T, N, I]
x[2, 0, STORE] = 1.0
x[7, 0, FORGET] = 1.0
run = forward(x, np.zeros((1, 1)), np.zeros((1, 1)), weights)

print("  t   i     f     g     o     c     h")
for t in range(10):
    values = [gate[t, 0, 0] for gate in (run.i, run.f, run.g, run.o, run.c, run.h)]
    print(f"{t:3d} " + " ".join(f"{value:5.2f}" for value in values))
