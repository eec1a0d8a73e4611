"""Makes a picture of TensorBoard.

    python -m experiments.screenshot --logdir=runs/sweep

Opens the real TensorBoard in a headless Chromium and shows time series of the chosen tags,
runs colored by their folder, beside the hyperparameters of the runs.
"""

import contextlib
import json
import logging
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.parse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from absl import flags

from regen_jax import extras, paths
from regen_jax.cli import commands
from regen_jax.errors import UserError

if TYPE_CHECKING:
    from playwright.sync_api import Page

LOGDIR = flags.DEFINE_string("logdir", None, "folder with runs")
OUT = flags.DEFINE_string("out", "tensorboard.png", "picture to write")
TAGS = flags.DEFINE_string("tags", "", "regular expression: the cards")
RUNS = flags.DEFINE_string("runs", "", "regular expression: the runs")
COLUMNS = flags.DEFINE_list("columns", [], "hyperparameters to list beside the runs")
WIDTH = flags.DEFINE_integer("width", 1400, "pixels", lower_bound=400)
HEIGHT = flags.DEFINE_integer("height", 900, "pixels", lower_bound=300)

START_SECONDS = 60
PAGE_SECONDS = 60

logger = logging.getLogger("regen_jax")


def chromium() -> str | None:
    """The path of a Chromium that is installed on this machine."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return next(filter(None, map(shutil.which, names)), None)


@contextlib.contextmanager
def tensorboard(logdir: Path) -> Iterator[str]:
    """The address of a TensorBoard on loopback that has read all of the folder.

    Raises:
      UserError: it does not start.
    """
    command = [sys.executable, "-m", "tensorboard.main", f"--logdir={logdir}"]
    command += ["--host=127.0.0.1", "--port=0"]
    # It reads everything before it answers, and then no more.
    command += ["--load_fast=false", "--reload_task=blocking", "--reload_interval=0"]
    with tempfile.TemporaryFile("w+") as output:
        server = subprocess.Popen(command, stdout=output, stderr=output)
        try:
            yield _address(server, output)
        finally:
            server.terminate()
            server.wait()


@contextlib.contextmanager
def browser(width: int = 1400, height: int = 900) -> Iterator["Page"]:
    """An empty page of a headless browser that reaches nothing but this machine.

    Raises:
      UserError: Chromium or Playwright is not installed.
    """
    playwright_api = extras.require("playwright.sync_api", "test", "a screenshot")
    if chromium() is None:
        raise UserError("install Chromium, as with: apt-get install chromium")
    arguments = [
        "--no-sandbox",  # which root, as in a container, cannot have
        "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
        "--disable-3d-apis",  # charts are drawn as SVG, without waiting for a GPU
    ]
    with playwright_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=chromium(), args=arguments)
        try:
            page = opened.new_page(viewport={"width": width, "height": height})
            page.set_default_timeout(1000 * PAGE_SECONDS)
            yield page
        finally:
            opened.close()


def show_time_series(
    page: "Page",
    address: str,
    tags: str = "",
    runs: str = "",
    columns: Sequence[str] = (),
    tables: bool = False,
) -> None:
    """The time series of tags and runs, which are regular expressions, without smoothing.

    `columns` are hyperparameters to list beside the runs, and `tables` has the last
    values under each chart. Runs are colored by the first folder of their names, so
    that the stages of a run have one color.

    Raises:
      UserError: there are none of them.
    """
    import playwright.sync_api

    listed = {"type": "HPARAM", "enabled": True, "removable": True, "sortable": True}
    settings = {
        "timeSeriesSettingsPaneOpened": False,
        "ignoreOutliers": False,
        "sideBarWidthInPercent": 28 + 12 * len(columns),
        "stepSelectorEnabled": tables,
        "dashboardDisplayedHparamColumns": [
            listed | {"name": name, "displayName": name} for name in columns
        ],
    }
    page.goto(address)
    page.evaluate(
        "settings => localStorage.setItem('_tb_global_settings', settings)",
        json.dumps(settings),
    )
    query = {
        "tagFilter": tags,
        "runFilter": runs,
        "smoothing": 0,
        "runColorGroup": "regex:^([^/]*)",
    }
    page.goto(f"{address}?{urllib.parse.urlencode(query)}#timeseries")
    try:
        page.locator("card-view").first.wait_for()
    except playwright.sync_api.TimeoutError as error:
        raise UserError(f"no run {runs!r} has a time series {tags!r}") from error
    page.wait_for_load_state("networkidle")


def _address(server: subprocess.Popen, output: Any) -> str:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        output.seek(0)
        text = output.read()
        if found := re.search(r"http://127\.0\.0\.1:\d+/", text):
            return found[0]
        if server.poll() is not None:
            break
        time.sleep(0.1)
    last = text.strip().rpartition("\n")[2]
    raise UserError(f"TensorBoard does not start: {last or 'it says nothing'}")


def main() -> None:
    """The command."""
    logdir = paths.local(LOGDIR.value, "--logdir") if LOGDIR.value else None
    if logdir is None or not logdir.is_dir():
        raise UserError("--logdir is needed: a folder with runs, such as runs")
    out = paths.local(OUT.value, "--out")
    with (
        browser(WIDTH.value, HEIGHT.value) as page,
        tensorboard(logdir) as address,
    ):
        show_time_series(page, address, TAGS.value, RUNS.value, COLUMNS.value)
        page.wait_for_timeout(1000)  # charts and runs fade in
        out.parent.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=out)
    logger.info("written to %s", out)


if __name__ == "__main__":
    commands.run(main)
