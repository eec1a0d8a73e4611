"""Runs of a sweep as TensorBoard displays them in a browser."""

import json
import shutil

import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from experiments.screenshot import browser, chromium, show_time_series, tensorboard
from regen_jax.cli import workdir

NAMES = ["learning_rate=0.001", "learning_rate=0.002"]
FIELD = "train.prior.schedule.learning_rate"

pytestmark = pytest.mark.skipif(chromium() is None, reason="needs chromium")


@pytest.fixture(scope="module")
def sweep(swept, tmp_path_factory):
    """A copy of the sweep's workdir, without the run that fails and is started again."""
    failed = shutil.ignore_patterns("*1e+20")
    with swept() as folder:
        return shutil.copytree(
            folder / "runs", tmp_path_factory.mktemp("sweep") / "runs", ignore=failed
        )


@pytest.fixture(scope="module")
def page():
    with browser() as page:
        yield page


@pytest.fixture(scope="module")
def address(sweep):
    with tensorboard(sweep) as address:
        yield address


def rows(table, *columns):
    """Waits for a row per run and its values, which come later; returns their words.

    Args:
      table: of runs.
      *columns: a value of each run.
    """
    found = table.locator("tb-data-table-content-row")
    for values in columns:
        for index, value in enumerate(values):
            found.nth(index).get_by_text(value, exact=True).first.wait_for()
    return [row.split() for row in found.all_inner_texts()]


def open_tab(page, address, name):
    page.goto(address)
    page.get_by_role("tab", name=name).click()
    page.wait_for_load_state("networkidle")


def test_scalars_of_all_runs_share_a_card(page, address, sweep):
    show_time_series(page, address, "^prior/loss$", "/prior$", [FIELD], tables=True)
    card = page.locator("scalar-card")
    card.wait_for()
    card.locator("line-chart .series-view circle").nth(len(NAMES) - 1).wait_for()
    last = [
        EventAccumulator(str(sweep / name / "prior")).Reload().Scalars("prior/loss")[-1]
        for name in NAMES
    ]
    rates = ("0.001", "0.002")
    # TensorBoard shows no zeros at the end.
    losses = [f"{x.value:.4f}".rstrip("0").rstrip(".") for x in last]
    steps = [str(x.step) for x in last]
    shown = rows(card, rates, losses, steps)
    listed = rows(page.locator("runs-data-table"), rates)
    for index, name in enumerate(NAMES):
        assert shown[index][0] == listed[index][0] == f"{name}/prior"
        assert listed[index][1] == rates[index]
        assert {rates[index], losses[index], steps[index]} <= set(shown[index][1:])


def test_images_of_all_runs_are_displayed(page, address):
    open_tab(page, address, "Images")
    sizes = []
    for name in NAMES:
        samples = page.locator("tf-image-loader").filter(has_text="samples")
        picture = samples.filter(has_text=name).locator("img")
        picture.wait_for()
        size = "image => [image.naturalWidth, image.naturalHeight]"
        sizes.append(
            picture.evaluate(f"image => image.decode().then(() => ({size})(image))")
        )
    assert sizes[0] == sizes[1] and min(sizes[0]) > 28


def test_config_of_each_run_is_displayed_as_json(page, address, sweep):
    open_tab(page, address, "Text")
    texts = page.locator("tf-text-loader pre code")
    expected = [workdir.read(path.parent) for path in sweep.rglob("config.json")]
    assert len(expected) == len(NAMES) + 1  # and what they share
    texts.nth(len(expected) - 1).wait_for()
    shown = [json.loads(text) for text in texts.all_inner_texts()]
    assert sorted(shown, key=json.dumps) == sorted(expected, key=json.dumps)


def test_hparams_have_one_row_per_run(page, address, sweep):
    open_tab(page, address, "HParams")
    page.locator("#sessionGroupsTable").get_by_text(NAMES[1]).wait_for()
    cells = page.locator("vaadin-grid-cell-content").all_inner_texts()
    columns = cells[: cells.index("")]
    assert columns[2] == FIELD  # what differs comes first
    for name, rate in zip(NAMES, ("0.0010000", "0.0020000"), strict=True):
        start = cells.index(name)
        row = dict(zip(columns, cells[start:], strict=False))
        assert row[FIELD] == rate
        path = sweep / name / "metrics_validation.json"
        metrics = json.loads(path.read_text())
        # Five metrics are shown before the others: those of the last report come first.
        loss = float(row["prior.prior/loss"])
        assert loss == pytest.approx(metrics["prior/loss"], rel=1e-4)


def test_audio_of_a_run_is_played(page, synthesis):
    with tensorboard(synthesis) as address:
        open_tab(page, address, "Audio")
        sound = page.locator("tf-audio-loader audio").first
        sound.wait_for()
        sound.evaluate("sound => sound.play()")
        seconds = sound.evaluate("sound => sound.duration")
    assert 0.2 < seconds <= 1.024


def test_screenshot_command_writes_an_image(command, sweep, tmp_path):
    done = command.run(
        *("experiments.screenshot", f"--logdir={sweep}", f"--out={tmp_path}/new/a.png"),
        *("--tags=^prior/", "--width=800"),
    )
    assert done.returncode == 0, done.stderr
    with Image.open(tmp_path / "new/a.png") as picture:
        assert picture.size == (800, 900)
        assert len(picture.convert("RGB").getcolors(2**24)) > 100
