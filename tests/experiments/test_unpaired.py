import json

from PIL import Image

from tests.studies import run_study


def test_the_study_runs_and_goes_on(command, speech_dir, tmp_path):
    flags = [f"--workdir={tmp_path}", f"--data_dir={speech_dir}"]
    flags += ["--seeds=1", "--size=tiny", "--share=0.2"]
    flags += [f"--{stage}_steps=5" for stage in ("prior", "decoder", "direct")]
    outputs = []
    for _ in range(2):
        done = run_study(command, "unpaired", *flags)
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
