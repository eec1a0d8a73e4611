import json

from tests.studies import run_study


def test_study_reports_the_gap_of_each_cure(digits_dir, tmp_path):
    results = tmp_path / "results.json"
    flags = [f"--workdir={tmp_path}/runs", f"--data_dir={digits_dir}", "--size=tiny"]
    done = run_study("gap", *flags, f"--results={results}")
    assert done.returncode == 0, done.stderr
    [titles, *rows] = json.loads(results.read_text())["tables"]["cures"]
    assert [row[0].removesuffix(", seed 0") for row in rows] == [
        *("baseline", "noise", "flips", "finetune", "all three")
    ]
    columns = dict(zip(titles, zip(*rows, strict=True), strict=True))
    # Reconstructions from true codes are those of the decoder, whatever the prior.
    from_true = [row[2] for row in rows]
    assert from_true[0] == from_true[2]
    assert all(cell.startswith(("+", "-")) for cell in columns["gap"])
    # Parameters that train further count once.
    assert len(set(columns["parameters"])) == 1
