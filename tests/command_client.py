"""`command_client.py socket python …` does what `python …` does, by a fork.

The fork writes to the outputs of this process, gets the signals that this one gets, and
dies where this one is killed.
"""

import json
import os
import signal
import socket
import sys


def main(address: str, python: str, *arguments: str) -> None:
    """Has the server of `command_server.py` run the command, and ends as it does."""
    # A module or code; a script is run as it is.
    if arguments[:1] not in (("-m",), ("-c",)):
        os.execv(python, [python, *arguments])
    with socket.socket(socket.AF_UNIX) as server:
        server.connect(address)
        numbers = {signal.SIGINT, signal.SIGTERM}
        signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
        request = {
            "option": arguments[0],
            "program": arguments[1],
            "arguments": arguments[2:],
            "environment": dict(os.environ),
            "folder": os.getcwd(),
        }
        socket.send_fds(server, [b"x"], [0, 1, 2])
        server.sendall(json.dumps(request).encode() + b"\n")
        lines = server.makefile()
        pid = int(lines.readline())
        for number in numbers:
            signal.signal(number, lambda number, _: os.kill(pid, number))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, numbers)
        status = int(lines.readline())
    if status < 0:
        signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    # Without what Python does at its end.
    os._exit(status)


main(*sys.argv[1:])
