"""Ctrl-C as a request: the first one lets the step end and the best weights be kept, the second one aborts."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType, TracebackType

NOTICE = b"\nstopping after this step and keeping the best weights; Ctrl-C again aborts at once\n"


class Interrupt:
    """While entered, `asked` turns True at the first Ctrl-C; the handler found before is put back afterwards.

    Outside the main thread, or where SIGINT is ignored (nohup) or handled outside Python, nothing is changed.

    Args:
        notice: whether to say so on standard error at once.
    """

    def __init__(self, *, notice: bool = True):
        self.asked = False
        self._notice = notice
        self._before = signal.getsignal(signal.SIGINT)
        main = threading.current_thread() is threading.main_thread()
        self._ours = main and self._before not in (None, signal.SIG_IGN)

    def __enter__(self) -> Interrupt:
        if self._ours:
            signal.signal(signal.SIGINT, self._ask)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._ours:
            signal.signal(signal.SIGINT, self._before)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.asked = True
        signal.signal(signal.SIGINT, signal.default_int_handler)
        if self._notice:
            os.write(2, NOTICE)
