"""A sweep as people see it: in the real TensorBoard, in a real browser."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from experiments.screenshot import browser, chromium, show_time_series, tensorboard

ROOT = Path(__file__).parent.parent
SWEEP = """
from launch.algebra import over

def get_sweep():
    return over("prior.guidance", 1.0, 3.0)
"""
NAMES = ["guidance=1.0", "guidance=3.0"]

pytestmark = pytest.mark.skipif(chromium() is None, reason="needs chromium")


@pytest.fixture(scope="module")
def sweep(shared, tiny_flags, trained):
    """The workdir of a sweep that trained the prior of two runs, for all workers."""
    config, *flags = tiny_flags
    flags += [
        f"--config.train.{stage}.init_from={trained}"
        for stage in ("judge", "abstraction")
    ]
    with shared("sweep") as folder:
        if not (folder / "done").exists():
            (folder / "two.py").write_text(SWEEP)
            done = subprocess.run(
                [sys.executable, "-m", "launch.sweep", config, "--parallel=2"]
                + [
                    f"--sweep={folder}/two.py",
                    f"--workdir={folder}/runs",
                    "--",
                    *flags,
                ],
                cwd=ROOT,
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, done.stdout + done.stderr
            (folder / "done").touch()
    return folder / "runs"


@pytest.fixture(scope="module")
def page():
    with browser() as page:
        yield page


@pytest.fixture(scope="module")
def address(sweep):
    with tensorboard(sweep) as address:
        yield address


ROW = "tb-data-table-content-row"


def open_tab(page, address, name):
    page.goto(address)
    page.get_by_role("tab", name=name).click()
    page.wait_for_load_state("networkidle")


def test_scalars_of_runs_stand_side_by_side(page, address, sweep):
    show_time_series(
        page, address, "^prior/loss$", "/prior$", ["prior.guidance"], tables=True
    )
    (card,) = page.locator("scalar-card").all()
    assert card.locator("line-chart path").count() >= len(NAMES)

    shown = [row.split() for row in card.locator(ROW).all_inner_texts()]
    listed = [
        row.split() for row in page.locator(f"runs-data-table {ROW}").all_inner_texts()
    ]
    for name, guidance, row, run in zip(NAMES, ("1", "3"), shown, listed, strict=True):
        events = EventAccumulator(str(sweep / name / "prior")).Reload()
        last = events.Scalars("prior/loss")[-1]
        assert row[0] == run[0] == f"{name}/prior"
        assert guidance in row[1:] and guidance == run[1]
        assert f"{last.value:.4f}" in row and str(last.step) in row


def test_images_of_runs_stand_side_by_side(page, address):
    open_tab(page, address, "Images")
    sizes = []
    for name in NAMES:
        samples = page.locator("tf-image-loader").filter(has_text="samples")
        (picture,) = samples.filter(has_text=name).locator("img").all()
        sizes.append(
            picture.evaluate("image => [image.naturalWidth, image.naturalHeight]")
        )
    assert sizes[0] == sizes[1] and min(sizes[0]) > 28


def test_configs_are_texts(page, address, sweep):
    open_tab(page, address, "Text")
    texts = page.locator("tf-text-loader pre code")
    texts.nth(1).wait_for()
    expected = [
        json.loads((sweep / name / "config.json").read_text()) for name in NAMES
    ]
    shown = [json.loads(text) for text in texts.all_inner_texts()]
    assert sorted(shown, key=json.dumps) == sorted(expected, key=json.dumps)


def test_hparams_are_a_row_a_run(page, address, sweep):
    open_tab(page, address, "HParams")
    page.locator("#sessionGroupsTable").get_by_text(NAMES[1]).wait_for()
    cells = page.locator("vaadin-grid-cell-content").all_inner_texts()
    columns = cells[: cells.index("")]
    assert columns[2] == "prior.guidance"  # what differs comes first
    for name, guidance in zip(NAMES, ("1.0000", "3.0000"), strict=True):
        start = cells.index(name)
        row = dict(zip(columns, cells[start:], strict=False))
        assert row["prior.guidance"] == guidance
        metrics = json.loads((sweep / name / "metrics.json").read_text())
        use = float(row["abstraction/codebook_use"])
        assert use == pytest.approx(metrics["abstraction/codebook_use"], rel=1e-4)


def test_sounds_can_be_played(page, synthesis):
    with tensorboard(synthesis) as address:
        open_tab(page, address, "Audio")
        sound = page.locator("tf-audio-loader audio").first
        sound.wait_for()
        sound.evaluate("sound => sound.play()")
        seconds = sound.evaluate("sound => sound.duration")
    assert 0.2 < seconds <= 1.024


def test_the_command_makes_a_picture(sweep, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "experiments.screenshot", f"--logdir={sweep}"]
        + [f"--out={tmp_path}/new/a.png", "--tags=^prior/", "--width=800"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    with Image.open(tmp_path / "new/a.png") as picture:
        assert picture.size == (800, 900)
        assert len(picture.convert("RGB").getcolors(2**24)) > 100
