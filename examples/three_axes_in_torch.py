"""torch's own first lesson on LSTMs with one name changed: three axes, steps one by one or all at once, then a tagger.

lstm = nn.LSTM(...)   became   lstm = gatework.LSTM(...)
"""

import torch
from torch import nn

import gatework
from gatework.data import catalogue

torch.manual_seed(1)

# The axes of the input: step of the sequence, row of the batch, feature.
lstm = gatework.LSTM(3, 3)
steps = [torch.randn(1, 3) for _ in range(5)]
hidden = (torch.randn(1, 1, 3), torch.randn(1, 1, 3))
state = hidden
for step in steps:
    out, state = lstm(step.view(1, 1, -1), state)
everything, last = lstm(torch.cat(steps).view(len(steps), 1, -1), hidden)
print(
    "one by one is all at once:",
    torch.allclose(everything[-1], out[0], atol=1e-6),
    list(everything.shape),
)


class Tagger(nn.Module):
    """A part of speech for each word."""

    def __init__(self, words, tags):
        super().__init__()
        self.embedding = nn.Embedding(words, 32)
        self.lstm = gatework.LSTM(32, 48)
        self.head = nn.Linear(48, tags)

    def forward(self, sentence, lengths):
        """[T, N] word numbers to [T, N, tags] scores."""
        return self.head(self.lstm(self.embedding(sentence), lengths=lengths)[0])


def sentences(file, count):
    """The first sentences of a CoNLL-U file: words and universal tags."""
    blocks = catalogue.get("ud_english_ewt", file).read_text(encoding="utf-8").split("\n\n")[:count]
    rows = [
        [line.split("\t") for line in block.splitlines() if line[:1].isdigit()] for block in blocks
    ]
    return [
        [(row[1].lower(), row[3]) for row in block if row[0].isdigit()] for block in rows if block
    ]


def numbered(batch):
    """[T, N] words, [T, N] tags with -100 behind the end, [N] lengths."""
    lengths = torch.tensor([len(s) for s in batch])
    words = torch.zeros(int(lengths.max()), len(batch), dtype=torch.int64)
    tags = torch.full_like(words, -100)
    for n, sentence in enumerate(batch):
        for t, (word, tag) in enumerate(sentence):
            words[t, n], tags[t, n] = number.get(word, 0), kinds.index(tag)
    return words, tags, lengths


train, test = (
    sentences(f"en_ewt-ud-{part}.conllu", n) for part, n in (("dev", 2000), ("test", 400))
)
number = {word: k + 1 for k, word in enumerate(sorted({word for s in train for word, _ in s}))}
kinds = sorted({tag for s in (*train, *test) for _, tag in s})
model = Tagger(len(number) + 1, len(kinds))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
for _ in range(3):
    for first in range(0, len(train), 50):
        words, tags, lengths = numbered(train[first : first + 50])
        optimizer.zero_grad()
        nn.functional.cross_entropy(
            model(words, lengths).flatten(0, 1), tags.flatten(), ignore_index=-100
        ).backward()
        optimizer.step()

words, tags, lengths = numbered(test)
with torch.no_grad():
    right = (model(words, lengths).argmax(-1) == tags)[tags >= 0].double().mean()
common = torch.bincount(tags[tags >= 0]).max() / (tags >= 0).sum()
print(f"tags of unseen sentences: {right:.1%} right, always the commonest one {common:.1%}")
