"""Speed against the peers: agreement is checked first, then contenders are timed side by side.

`python -m benchmarks.lstm` measures whole sequences, `python -m benchmarks.overhead` what a call of a small layer
costs, `python -m benchmarks.page` makes docs/speed.md of the recorded runs. Why so: docs/why/speed.md. Not shipped.
"""
