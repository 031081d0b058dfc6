"""g2p-en: a GRU that reads letters and a GRU cell that says sounds, both in NumPy, for words that no dictionary has.

Only the network is loaded; the dictionary and the tagger around it need corpora.
"""

import re
from typing import Any

import numpy as np
import torch
from torch import nn

import gatework
from benchmarks.networks import absent

_BESIDE = ("nltk", "nltk.corpus", "nltk.tokenize", "inflect", "distance")
_INVENTED = ("activationist", "gatework", "backpropagated", "zoneouts", "hochreiterian", "blorptastic", "snorfled",
             "xylophonograph", "mxyzptlk", "thrumbling", "vlogosphere", "deepfaked", "unfriendable")  # fmt: skip


def load() -> Any:
    """The package's object with its weights."""
    absent.folder("g2p_en", "g2p-en")
    return absent.module("g2p_en.g2p", _BESIDE).G2p()


def words() -> list[str]:
    """Invented words, and those of the list of homographs that the package ships."""
    text = (absent.folder("g2p_en", "g2p-en") / "homographs.en").read_text(encoding="utf-8")
    listed = [line.split("|")[0].lower() for line in text.splitlines() if not line.startswith("#")]
    return [*_INVENTED, *(word for word in listed if re.fullmatch("[a-z]+", word))]


def with_gatework(model: Any) -> Any:
    """Its two loops by gatework.GRU and gatework.GRUCell; everything else is the package's own."""
    H, E = model.enc_w_ih.shape[0] // 3, model.enc_w_ih.shape[1]
    encoder, decoder = gatework.GRU(E, H, batch_first=True), gatework.GRUCell(E, H)
    _fill(encoder, model.variables, "enc", "_l0")
    _fill(decoder, model.variables, "dec", "")

    def gru(x: np.ndarray, *_: Any, h0: np.ndarray) -> np.ndarray:
        return encoder(torch.from_numpy(x), torch.from_numpy(h0)[None])[0].numpy()

    def cell(x: np.ndarray, h: np.ndarray, *_: Any) -> np.ndarray:
        return decoder(torch.from_numpy(x), torch.from_numpy(np.ascontiguousarray(h))).numpy()

    model.gru, model.grucell = gru, cell
    return model


def _fill(module: nn.Module, variables: Any, start: str, end: str) -> None:
    names = {"weight_ih": "w_ih", "weight_hh": "w_hh", "bias_ih": "b_ih", "bias_hh": "b_hh"}
    module.load_state_dict(
        {k + end: torch.from_numpy(variables[f"{start}_{v}"]) for k, v in names.items()}
    )


def difference(a: Any, b: Any, word: str) -> float:
    """The largest between the states with which the two have read a word."""
    start = np.zeros((1, a.enc_w_hh.shape[1]), np.float32)
    weights = (a.enc_w_ih, a.enc_w_hh, a.enc_b_ih, a.enc_b_hh)
    states = [m.gru(m.encode(word), len(word) + 1, *weights, h0=start) for m in (a, b)]
    return float(np.abs(states[0] - states[1]).max())
