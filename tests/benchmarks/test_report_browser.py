"""The page in a real browser: it loads in silence, sorts and filters."""

import re
import shutil
import subprocess
from html import unescape
from pathlib import Path

import pytest

from benchmarks.report import page
from tests.benchmarks.reports import experiment, image, imitation, source, study

BROWSER = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), ""
)
WINDOWS = {"desktop": "1280,1800", "phone": "400,1800"}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1800),  # a browser on a busy machine takes its time
    pytest.mark.skipif(not BROWSER, reason="there is no chromium here; install one (Debian: apt-get install chromium)"),
]

# What a person would do, through the page's own elements; what came of it is left in the document.
VISITOR = r"""
const said = [];
const say = (name, value) => said.push(`${name}=${JSON.stringify(value)}`);
const table = document.getElementById("table-images-nats");
const visible = () => [...table.tBodies[0].rows].filter((row) => !row.hidden);
const names = () => visible().map((row) => row.cells[0].textContent.split(";")[0]);
const heads = [...table.tHead.rows[0].cells];
const figures = heads[1].querySelector("button"), label = heads[0].querySelector("button");
say("before", names());
figures.click();
say("ascending", [names(), heads[1].getAttribute("aria-sort")]);
figures.focus();
say("focused", document.activeElement === figures);
figures.click();
say("descending", [names(), heads[1].getAttribute("aria-sort")]);
label.click();
say("by name", [names(), heads.map((head) => head.getAttribute("aria-sort")).slice(0, 2)]);
const choose = (id, value, event) => {
  const control = document.getElementById(id);
  control.value = value;
  control.dispatchEvent(new Event(event));
};
const sections = () => [...document.querySelectorAll("main > section")].filter((s) => s.offsetParent).map((s) => s.id);
say("all sections", sections());
choose("family", "flows", "change");
say("flows", [names(), sections(), document.getElementById("shown").textContent]);
document.getElementById("reset").click();
choose("task", "Hopper-v4", "change");
say("hopper", sections());
document.getElementById("reset").click();
choose("text", "zzz-commit", "input");
say("text", [names(), sections()]);
document.getElementById("reset").click();
say("reset", [sections(), document.getElementById("reset").hidden]);
say("wide", document.documentElement.scrollWidth <= window.innerWidth);
document.title = said.join("\n");
"""


def browse(*arguments: str, profile: Path) -> subprocess.CompletedProcess[str]:
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--enable-logging=stderr"]
    command = [BROWSER, *flags, f"--user-data-dir={profile}", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True)


@pytest.fixture
def report() -> page.Report:
    return page.make(
        [
            source("imitation", imitation()),
            source("imitation", imitation(env="Hopper-v4")),
            source("images", image("made", nats=90.0)),
            source("images", image("fvsbn", nats=100.0, commit="zzz-commit")),
            source("images", image("maf", nats=9.5)),
            source("experiments", experiment()),
            source("studies", study(failed=["gail, seed 1 (exit code 1)"])),
        ]
    )


def test_the_page_loads_in_silence_sorts_and_filters(report, tmp_path):
    html = page.html(report)
    policy = re.search(r"script-src '[^']*'", html)
    assert policy is not None
    visited = html.replace(policy[0], "script-src 'unsafe-inline'").replace(
        "</body>", f"<script>{VISITOR}</script></body>"
    )
    path = tmp_path / "visited.html"
    path.write_text(visited)
    done = browse("--window-size=1280,900", "--dump-dom", path.as_uri(), profile=tmp_path / "profile")
    assert "CONSOLE" not in done.stderr, done.stderr
    title = re.search(r"<title>(.*?)</title>", done.stdout, re.DOTALL)
    assert title is not None
    said = dict(line.split("=", 1) for line in unescape(title[1]).splitlines())
    n_rows = sum(len(grid.lines) for _, grid in report.grids())
    everything = '["imitation","studies","images","experiments"]'
    assert said == {
        "before": '["MAF","MADE","FVSBN"]',
        "ascending": '[["MAF","MADE","FVSBN"],"ascending"]',
        "focused": "true",
        "descending": '[["FVSBN","MADE","MAF"],"descending"]',  # by number: as texts 9.5 would be the greatest
        "by name": '[["FVSBN","MADE","MAF"],["ascending","none"]]',
        "all sections": everything,
        "flows": f'[["MAF"],["images"],"3 of {n_rows} rows"]',  # its own, and two beside the ceilings
        "hopper": '["imitation"]',
        "text": '[["FVSBN"],["images"]]',
        "reset": f"[{everything},true]",
        "wide": "true",
    }


@pytest.mark.parametrize("window", WINDOWS)
def test_the_page_itself_shows_without_an_error(report, tmp_path, window):
    """Its screenshot is kept in the test's folder."""
    path = tmp_path / "report.html"
    path.write_text(page.html(report))
    picture = tmp_path / f"{window}.png"
    shown = [f"--window-size={WINDOWS[window]}", f"--screenshot={picture}", path.as_uri()]
    done = browse(*shown, profile=tmp_path / "profile")
    assert "CONSOLE" not in done.stderr, done.stderr
    assert picture.read_bytes().startswith(b"\x89PNG")
