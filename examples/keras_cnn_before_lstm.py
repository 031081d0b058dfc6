"""A CNN in front of an LSTM, both ways of writing it, with one import changed: a digit seen through a moving slit.

Each picture is four strips of 28 by 7 pixels from left to right, one strip a step.
"""

import os

os.environ.setdefault("KERAS_BACKEND", "torch")

import keras
import numpy as np
from keras.layers import Conv2D, Dense, Flatten, Input, MaxPooling2D, TimeDistributed

from gatework.data import catalogue, read_idx
from gatework.keras import LSTM


def strips(part, count):
    """[count, 4 steps, 28, 7, 1 channel] and the labels."""
    images = read_idx(catalogue.get("mnist", f"{part}-images-idx3-ubyte"), count)
    labels = read_idx(catalogue.get("mnist", f"{part}-labels-idx1-ubyte"), count)
    cut = images.reshape(count, 28, 4, 7).transpose(0, 2, 1, 3)[..., None]
    return cut.astype("float32") / 255, labels.astype("int64")


def layer_by_layer():
    """Every layer of the CNN in a TimeDistributed of its own."""
    model = keras.Sequential([Input((4, 28, 7, 1))])
    model.add(TimeDistributed(Conv2D(8, 3, activation="relu", padding="same")))
    model.add(TimeDistributed(MaxPooling2D(2)))
    model.add(TimeDistributed(Flatten()))
    model.add(LSTM(64))
    model.add(Dense(10, activation="softmax"))
    return model


def a_model_at_once():
    """The CNN as a model, and one TimeDistributed around it."""
    cnn = keras.Sequential()
    cnn.add(Conv2D(8, 3, activation="relu", padding="same", input_shape=(28, 7, 1)))
    cnn.add(MaxPooling2D(2))
    cnn.add(Flatten())
    model = keras.Sequential([Input((4, 28, 7, 1))])
    model.add(TimeDistributed(cnn))
    model.add(LSTM(64))
    model.add(Dense(10, activation="softmax"))
    return model


x, y = strips("train", 4000)
x_test, y_test = strips("t10k", 1000)
most = np.bincount(y_test).max() / len(y_test)
for build in (layer_by_layer, a_model_at_once):
    keras.utils.set_random_seed(1)
    model = build()
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x, y, batch_size=64, epochs=3, verbose=0)
    accuracy = model.evaluate(x_test, y_test, batch_size=500, verbose=0)[1]
    print(f"{build.__name__}: {accuracy:.1%} right, always the commonest one {most:.1%}")
