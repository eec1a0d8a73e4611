"""Behaves as `regen_jax.train` does towards a launcher: stand_in.py FOLDER [STEPS].

Each process keeps its step in FOLDER, goes on from there, and saves and exits with 75 at
SIGTERM. ENDS in the environment, as in `1:5:3,0:7:KILL`, has process 1 exit with code 3
at step 5, and process 0 be killed at step 7. Those in SILENT ignore SIGTERM.
"""

import os
import signal
import sys
import time
from pathlib import Path


def main() -> None:
    folder, steps = Path(sys.argv[1]), int([*sys.argv, "20"][2])
    index = os.environ.get("JAX_PROCESS_ID") or os.environ.get("SLURM_PROCID", "0")
    saved = folder / f"step-{index}"
    ends = [end.split(":") for end in os.environ.get("ENDS", "").split(",") if end]
    signals = []
    silent = index in os.environ.get("SILENT", "").split(",")
    signal.signal(signal.SIGTERM, lambda n, _: silent or signals.append(n))
    step = int(saved.read_text()) if saved.exists() else 0
    print(f"from step {step}", file=sys.stderr, flush=True)
    while step < steps:
        step += 1
        time.sleep(0.02)
        for process, at, code in ends:
            if (process, int(at)) == (index, step):
                if code == "KILL":
                    os.kill(os.getpid(), signal.SIGKILL)
                sys.exit(int(code))
        print(f"step {step}/{steps}", flush=True)
        if signals:
            saved.write_text(str(step))
            print(f"saved step {step}", flush=True)
            sys.exit(75)
    saved.write_text(str(step))
    print("done", flush=True)


if __name__ == "__main__":
    main()
