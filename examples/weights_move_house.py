"""Weights go from torch into one file, to Keras and back into a layer of ours; each step says how near it is."""

import os

os.environ.setdefault("KERAS_BACKEND", "torch")

import torch

import gatework
from gatework import weights

encoder = torch.nn.LSTM(8, 16, num_layers=2, bidirectional=True)
moved = weights.from_torch(encoder)
print("from torch", moved, sep="\n")

path = weights.save(moved.result, "encoder.safetensors")
stack = weights.load(path)  # answers as it did when it was saved, or this is an error

model = weights.to_keras(stack)
print("to Keras", model, sep="\n")
model.result.save("encoder.keras")

layers = weights.from_keras("encoder.keras")  # by name; nothing in the file is executed
whole = weights.Stack("lstm", tuple(each.result.layers[0] for each in layers.values()))
print("back, into a layer of ours", gatework.from_stack(whole), sep="\n")

x = torch.randn(5, 3, 8)
before, after = stack(x.numpy()).y, whole(x.numpy()).y
print("the same bits after the journey:", bool((before == after).all()))
