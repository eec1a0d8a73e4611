"""Causes of checkpoints that cannot be saved or read, in one line each."""

DISK_FULL = "free some disk space"
ADVICE = {
    "No space left": DISK_FULL,
    "ENOSPC": DISK_FULL,
    "quota": f"{DISK_FULL}, or have the quota raised,",
    "File too large": "have the limit on the size of files raised (ulimit -f)",
    "Permission denied": "give this user the right to write there",
    "Operation not permitted": "give this user the right to write there",
    "Read-only": "mount it so that it can be written",
    "Too many open files": "have the limit on open files raised (ulimit -n)",
    "name too long": "use a shorter --workdir",
    "Input/output error": "check the disk",
    "Stale file handle": "check the network disk",
    "No such file": "leave that folder in place while the run is going,",
    "not found": "leave that folder in place while the run is going,",
}
"""What to do about a failed save, by words of the error."""


def advice(error: BaseException) -> str:
    """Returns what to do about a save that failed."""
    cause: BaseException | None = error
    while cause is not None:
        for words, action in ADVICE.items():
            if words.lower() in str(cause).lower():
                return action
        cause = cause.__cause__ or cause.__context__
    return "fix that"


def first_line(error: Exception) -> str:
    """Returns the cause of an error of Orbax or TensorStore in a line of 200 characters."""
    line = (str(error).strip() or type(error).__name__).split("\n")[0]
    # What Orbax and TensorStore add about their own objects helps nobody here.
    line = line.split(" See full TensorStore details")[0]
    # In TensorStore's own the cause stands after the paths, and before details in [].
    line = line.split(" [")[0]
    return line if len(line) <= 200 else f"{line[:60]} … {line[-140:]}"
