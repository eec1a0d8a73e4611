"""Becomes a command that is killed when its parent dies: tied.py PARENT COMMAND …

So no process is left behind by a launcher that was itself killed. On Linux; elsewhere
it only becomes the command. A program of its own, as what runs between the fork and the
exec of a threaded process must not be Python.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    """The command."""
    parent, *command = sys.argv[1:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != int(parent):  # it died before it could be noticed
            sys.exit(1)
    os.execvp(command[0], command)


if __name__ == "__main__":
    main()
