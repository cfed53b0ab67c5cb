"""What the tools do with a file, each in a process of its own that costs no start of Python.

`Driver` starts robustness_program.py, which loads the package once, and forks for every job that it is given.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType

PROGRAM = Path(__file__).with_name("robustness_program.py")


@dataclass(frozen=True)
class Job:
    """One file for one tool.

    Attributes:
      tool: of TOOLS.
      model: the file.
      folder: empty; outputs go there.
      original: what `model` was made from, where there is such a thing.
      data: samples for it, .npz.
      seed: of whatever is random.
    """

    tool: str
    model: str
    folder: str
    original: str | None = None
    data: str | None = None
    seed: int = 0


@dataclass(frozen=True)
class Outcome:
    """How it ended.

    Attributes:
      code: the exit code; None if it hung.
      errors: lines on stderr that start with 'error: '.
      output: everything on stdout and stderr.
      written: files that were not there before.
    """

    code: int | None
    errors: list[str]
    output: str
    written: list[str]

    @property
    def is_refusal(self) -> bool:
        """Bad input or nothing to do, said in one line, without a trace of Python, and nothing was written."""
        refused = self.code in (2, 3) and len(self.errors) == 1 and not self.written
        return refused and "Traceback" not in self.output and "Fatal Python error" not in self.output

    @property
    def is_clean(self) -> bool:
        """A refusal, or success; tools that promise equal outputs have checked them."""
        return self.is_refusal or (self.code == 0 and not self.errors and "Traceback" not in self.output)


class Driver:
    """The process that works on jobs, one after another."""

    def __enter__(self) -> Driver:
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            [sys.executable, PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()

    def run(self, job: Job) -> Outcome:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(asdict(job)) + "\n")
        self._process.stdin.flush()
        return Outcome(**json.loads(self._process.stdout.readline()))
