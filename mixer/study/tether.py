"""Starts a program that dies with its parent: ``python tether.py PARENT SIGNAL PROGRAM ARG...``.

``PR_SET_PDEATHSIG`` could be set in a ``preexec_fn``, but that runs Python between fork and exec,
which can deadlock in a process with threads (gRPC has many). This file runs as a small program of
its own instead and becomes the program with ``exec``, so that the process id stays the same.
It imports nothing of the package: it must start in milliseconds.
"""

import ctypes
import os
import sys

_PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> None:
    """Ties this process to its parent, then becomes the program."""
    parent, death_signal, program, *rest = arguments
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    # The parent may have died before the line above, and then no signal would ever come.
    if os.getppid() != int(parent):
        sys.exit("the parent process is gone")
    os.execvp(program, [program, *rest])  # noqa: S606


if __name__ == "__main__":
    main(sys.argv[1:])
