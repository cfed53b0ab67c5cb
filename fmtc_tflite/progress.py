"""How far a run is, on stderr: stages as one bar on a terminal, and elsewhere as a line each if a tool wants that."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Sequence, Sized
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from tqdm import tqdm

_BAR = "{desc}: {percentage:3.0f} % |{bar}| {elapsed} so far, {remaining} left"
_COLUMNS = 80

Stage = tuple[str, int]  # its name, and how many passes over the samples, or steps of that length, it is about


class _Run:
    """Where a run is in its stages.

    Attributes:
      is_silent: nothing is shown, since a run that this one is a part of is.
    """

    def __init__(self, plan: Sequence[Stage], is_silent: bool = False) -> None:
        self._plan, self._stage, self._passes, self._reached = list(plan), -1, 0, 0.0
        self._says_lines = _announces and not is_silent and len(plan) > 1
        is_off = is_silent or not plan or not _on_terminal()
        options: dict[str, Any] = {"bar_format": _BAR, "leave": False, "smoothing": 0, "miniters": 0}
        total = sum(passes for _, passes in plan)
        self._bar = None if is_off else tqdm(total=total, ncols=_width(), **options)

    def begin(self, name: str) -> None:
        """A stage begins, unless it is the present one or behind it."""
        number = next((i for i, (own, _) in enumerate(self._plan) if own == name), -1)
        if number <= self._stage:
            return
        self._stage, self._passes = number, 0
        text = f"{number + 1} of {len(self._plan)}: {name}"
        if self._bar is not None:
            self._bar.set_description_str(name if len(self._plan) == 1 else text, refresh=False)
            self._move(sum(passes for _, passes in self._plan[:number]))
            self._bar.refresh()
        elif self._says_lines:
            print(f"stage {text}", file=sys.stderr)

    def advance(self, share: float) -> None:
        """A share of the present pass is done; 1 ends it."""
        if self._bar is not None and self._stage >= 0:
            expected = self._plan[self._stage][1]
            done = (self._passes + share) / max(expected, self._passes + 1)
            self._move(sum(passes for _, passes in self._plan[: self._stage]) + expected * min(done, 1.0))
        if share >= 1.0:
            self._passes += 1

    def _move(self, position: float) -> None:
        assert self._bar is not None
        if position > self._reached:
            self._bar.update(position - self._reached)
            self._reached = position

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()


_run: ContextVar[_Run | None] = ContextVar("run", default=None)
_announces = False


def announce_stages() -> None:
    """Has stages say a line each on stderr where that is no terminal: for tools, not for users of the package."""
    global _announces
    _announces = True


@contextmanager
def stages(*plan: Stage) -> Iterator[None]:
    """What a run goes through, in this order; inside of another run, nothing of it is shown."""
    run = _Run(plan, is_silent=_run.get() is not None)
    token = _run.set(run)
    try:
        yield
    finally:
        _run.reset(token)
        run.close()


def stage(name: str) -> None:
    """The stage of that name begins, if the run has it and is not further already."""
    run = _run.get()
    if run is not None:
        run.begin(name)


class progress:
    """A pass over items that moves the bar of the present stage; alone, it is a run of one stage."""

    def __init__(self, items: Iterable[Any] | None, label: str, total: int | None = None, initial: int = 0) -> None:
        """Begins a pass.

        Args:
          items: what to go through; None for a pass that `update` moves.
          label: what it is called if there is no stage.
          total: how many items there are, if that is not the length of `items`.
          initial: how many of them are done already.
        """
        self._items: Iterable[Any] = () if items is None else items
        self._total = len(items) if total is None and isinstance(items, Sized) else total
        self._done = initial
        run = _run.get()
        self._own = run is None
        self._run = _Run([(label, 1)]) if run is None else run
        if run is None:
            self._run.begin(label)

    def __iter__(self) -> Iterator[Any]:
        with self:
            for item in self._items:
                yield item
                self.update()

    def __enter__(self) -> progress:
        return self

    def __exit__(self, *exception: object) -> None:
        self._run.advance(1.0)
        if self._own:
            self._run.close()

    def update(self, count: int = 1) -> None:
        """So many more items are done."""
        self._done += count
        if self._total:
            self._run.advance(min(self._done / self._total, 1.0 - 1e-9))


def _width() -> int | None:
    """Columns of the bar; None for the terminal's, unless it says none, as one without a window does."""
    try:
        return None if os.get_terminal_size(sys.stderr.fileno()).columns else _COLUMNS
    except OSError:
        return _COLUMNS


def _on_terminal() -> bool:
    try:
        return sys.stderr is not None and sys.stderr.isatty()
    except ValueError:  # it was closed
        return False
