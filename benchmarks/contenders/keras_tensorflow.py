"""Keras 3 on TensorFlow under tf.function, without XLA, which took up to seven times as long to train."""

import os
from typing import Any

os.environ["KERAS_BACKEND"] = "tensorflow"

import keras
import tensorflow

from benchmarks import environment
from benchmarks.cases import Case
from benchmarks.contenders import Arrays, Prepared, keras_layer
from benchmarks.race import timed

tensorflow.config.threading.set_intra_op_parallelism_threads(environment.threads())
tensorflow.config.threading.set_inter_op_parallelism_threads(1)


def names(case: Case) -> tuple[str, ...]:
    return ("keras, tensorflow",) if case.kind == "dense" else ()


def version() -> str:
    return f"keras {keras.__version__} on tensorflow {tensorflow.__version__}"


def prepare(case: Case, name: str) -> Prepared:
    layer = keras_layer.layer(case)
    x = tensorflow.constant(keras_layer.batch_first(case.x))
    dy = tensorflow.constant(keras_layer.batch_first(case.dy))
    wanted = [x, *(each.value for each in layer.trainable_variables)]

    def evaluate(x: Any) -> Any:
        return layer(x, training=False)

    def gradient(x: Any, dy: Any) -> Any:
        with tensorflow.GradientTape() as tape:
            tape.watch(x)
            y = layer(x, training=True)[0]
        return tape.gradient(y, [x, *wanted[1:]], output_gradients=dy)

    run, pull = tensorflow.function(evaluate), tensorflow.function(gradient)

    def forward() -> list[Any]:
        return [each.numpy() for each in run(x)]

    def train() -> list[Any]:
        return [each.numpy() for each in pull(x, dy)]

    def outputs() -> Arrays:
        return keras_layer.outputs(*forward())

    def gradients() -> Arrays:
        return keras_layer.gradients(*train())

    return Prepared({"forward": timed(forward), "train": timed(train)}, outputs, gradients)
