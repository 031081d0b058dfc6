"""Handwritten digits read row by row by two Keras LSTMs, with one import changed: 28 steps of 28 pixels.

from keras.layers import LSTM   became   from gatework.keras import LSTM
"""

import os

os.environ.setdefault("KERAS_BACKEND", "torch")

import keras
import numpy as np
from keras.layers import Dense, Dropout, Input

from gatework.data import catalogue, read_idx
from gatework.keras import LSTM


def digits(part, count):
    """The first images [count, 28, 28] from 0 to 1 and their labels."""
    images = read_idx(catalogue.get("mnist", f"{part}-images-idx3-ubyte"), count)
    labels = read_idx(catalogue.get("mnist", f"{part}-labels-idx1-ubyte"), count)
    return images.astype("float32") / 255, labels.astype("int64")


keras.utils.set_random_seed(1)
x, y = digits("train", 8000)
x_test, y_test = digits("t10k", 2000)

model = keras.Sequential(
    [
        Input((28, 28)),
        LSTM(128, return_sequences=True),
        Dropout(0.2),
        LSTM(128),
        Dense(32, activation="relu"),
        Dropout(0.2),
        Dense(10, activation="softmax"),
    ]
)
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(x, y, batch_size=64, epochs=2, verbose=0)
accuracy = model.evaluate(x_test, y_test, batch_size=500, verbose=0)[1]
most = np.bincount(y_test).max() / len(y_test)
print(f"digits row by row: {accuracy:.1%} right, always the commonest one {most:.1%}")
