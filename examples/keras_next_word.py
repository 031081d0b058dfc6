"""The classic Keras text model with one import changed: the next word of a sentence of the Penn Treebank.

from keras.layers import LSTM   became   from gatework.keras import LSTM
"""

import os

os.environ.setdefault("KERAS_BACKEND", "torch")

import keras
import numpy as np
from keras.layers import Dense, Dropout, Embedding, Input, Masking

from gatework.data import catalogue
from gatework.keras import LSTM

STEPS, WORDS, SENTENCES = 12, 500, 1500

keras.utils.set_random_seed(1)
text = catalogue.get("penn_treebank", "ptb.train.txt").read_text(encoding="utf-8")
sentences = [line.split() for line in text.splitlines()[:SENTENCES]]
counted: dict[str, int] = {}
for sentence in sentences:
    for word in sentence:
        counted[word] = counted.get(word, 0) + 1
known = sorted(counted, key=lambda word: (-counted[word], word))[: WORDS - 2]
number = {word: k + 2 for k, word in enumerate(known)}  # 0 is padding, 1 any other word

inputs, targets = [], []
for sentence in sentences:
    coded = [number.get(word, 1) for word in sentence]
    for end in range(3, len(coded)):
        before = coded[max(0, end - STEPS) : end]
        inputs.append([0] * (STEPS - len(before)) + before)
        targets.append(coded[end])
x, y = np.array(inputs), keras.utils.to_categorical(targets, WORDS)
held_out = len(x) * 9 // 10

model = keras.Sequential(
    [
        Input((STEPS,)),
        Embedding(WORDS, 50, mask_zero=True),
        Masking(mask_value=0.0),
        LSTM(64, return_sequences=False, dropout=0.1, recurrent_dropout=0.1),
        Dense(64, activation="relu"),
        Dropout(0.5),
        Dense(WORDS, activation="softmax"),
    ]
)
model.compile(
    optimizer=keras.optimizers.Adam(3e-3), loss="categorical_crossentropy", metrics=["accuracy"]
)
model.fit(x[:held_out], y[:held_out], batch_size=64, epochs=5, verbose=0)
loss, accuracy = model.evaluate(x[held_out:], y[held_out:], batch_size=512, verbose=0)

share = y[:held_out].mean(0)  # of each word
by_share = -np.log(np.maximum(share, 1e-6))[y[held_out:].argmax(1)].mean()
print(
    f"the next of {WORDS} words: LSTM {loss:.2f} nats, {accuracy:.1%} right; "
    f"frequencies alone {by_share:.2f} nats, {y[held_out:, share.argmax()].mean():.1%} right"
)
