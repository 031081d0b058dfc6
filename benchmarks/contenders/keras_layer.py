"""keras.layers.LSTM with the weights of a case, for whichever backend is chosen; not a contender itself.

Keras is batch first, has the gates in our order, transposed weights and one bias; its gradient is that of both of ours.
"""

from typing import Any

import keras
import numpy as np

from benchmarks.cases import Case
from benchmarks.contenders import Arrays


def layer(case: Case) -> Any:
    """The built layer; it gives y [N, T, H], h_n and c_n [N, H]."""
    made = keras.layers.LSTM(case.shape.H, return_sequences=True, return_state=True)
    made.build((case.shape.N, case.shape.T, case.shape.I))
    w = case.weights
    made.set_weights([w["w_ih"].T.copy(), w["w_hh"].T.copy(), w["b_ih"] + w["b_hh"]])
    return made


def batch_first(array: Any) -> Any:
    """[T, N, .] as [N, T, .], or back."""
    return np.ascontiguousarray(np.swapaxes(np.asarray(array), 0, 1))


def outputs(y: Any, h_n: Any, c_n: Any) -> Arrays:
    """What the layer gave, in the words of `Prepared`."""
    return {"y": batch_first(y), "h_n": np.asarray(h_n), "c_n": np.asarray(c_n)}


def gradients(dx: Any, dkernel: Any, drecurrent: Any, dbias: Any) -> Arrays:
    """Its gradients, in the words of `Prepared`."""
    db = np.asarray(dbias)
    weights = {"dw_ih": np.asarray(dkernel).T, "dw_hh": np.asarray(drecurrent).T}
    return {"dx": batch_first(dx), **weights, "db_ih": db, "db_hh": db}
