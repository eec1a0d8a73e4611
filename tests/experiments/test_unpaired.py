import json
import os
import subprocess
import sys
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).parent.parent.parent


def test_the_study_runs_and_goes_on(speech_dir, tmp_path):
    command = [
        sys.executable,
        "-m",
        "experiments.unpaired.run",
        f"--workdir={tmp_path}",
    ]
    command += [f"--data_dir={speech_dir}", "--seeds=1", "--size=tiny", "--share=0.2"]
    command += [f"--{stage}_steps=5" for stage in ("prior", "decoder", "direct")]
    outputs = []
    for _ in range(2):
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=os.environ,
            check=False,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        outputs.append(done.stdout)
    assert outputs[0] == outputs[1]
    lines = outputs[0].splitlines()
    assert [line.split(" | ")[0].rstrip() for line in lines[2:4]] == [
        "| direct",
        "| regeneration",
    ]
    assert [line.split(":")[0] for line in lines[5:]] == ["seed 0, WER", "seed 0, CER"]
    rows = json.loads((tmp_path / "unpaired.json").read_text())
    assert [row["method"] for row in rows] == ["direct", "regeneration"]
    found = rows[1]["against_direct"]["wer"]
    assert (found["baseline"], found["system"]) == (rows[0]["wer"], rows[1]["wer"])
    with Image.open(tmp_path / "unpaired.png") as picture:
        assert picture.size == (720, 360)
