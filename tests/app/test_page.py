"""The page in a browser: what people do on it, and what they then see.

With ``MARKETORCH_SCREENSHOTS=FOLDER`` the runs are those of FOLDER/runs/demo instead of tiny ones,
and the pictures of docs/app.md are taken anew; otherwise pictures go to a temporary folder.
"""

from __future__ import annotations

import csv
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from archives import zipped
from conftest import ROOT
from drawings import png
from PIL import Image
from red_spots import red_spot

pytest.importorskip("gradio", reason="gradio is not installed")
httpx = pytest.importorskip("httpx", reason="httpx, which gradio needs, is not installed")
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

from marketorch.app.uploads import FILE  # noqa: E402
from marketorch.data.synthetic.posts import write_posts  # noqa: E402
from marketorch.listening import SCHEMA_VERSION  # noqa: E402
from marketorch.listening.report.brand_report import CAUTION  # noqa: E402

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
BROWSER = next(filter(None, map(shutil.which, BROWSERS)), None)
REAL = os.environ.get("MARKETORCH_SCREENSHOTS")
SHORTLY = 60_000  # milliseconds that a busy machine may take
AREA = {"x": 0, "y": 0, "width": 1280}
HOSTILE = "<img src=x onerror=\"document.title='hacked'\">"
pytestmark = pytest.mark.skipif(BROWSER is None, reason=f"no browser: {', '.join(BROWSERS)}")


class Served(NamedTuple):
    """A page that is served, where its process puts its files, and the process."""

    address: str
    temporary: Path
    process: subprocess.Popen[str]

    def left(self) -> list[str]:
        """Files with content that lie in the temporary folder."""
        every = (path for path in self.temporary.rglob("*") if path.is_file())
        return [path.name for path in every if path.stat().st_size]


@pytest.fixture(scope="module")
def served(request: Any, tmp_path_factory: Any) -> Iterator[Served]:
    """The real page, as scripts/app.py shows it."""
    temporary = tmp_path_factory.mktemp("temporary")
    if REAL:
        folder, arguments = Path(REAL), []
    else:
        folder = request.getfixturevalue("tiny_runs")
        names = ("logo", "emotion", "smile", "scene", "sentiment", "recommender")
        arguments = [f"{name}={name}" for name in names]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "scripts" / "app.py"), *arguments, f"port={port}"],
        cwd=folder,
        env=os.environ | {"TMPDIR": str(temporary)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    lines = []
    for line in process.stdout:  # ends when the process does
        lines.append(line)
        if line.startswith("page"):
            break
    assert lines, "the page was not served"
    assert f"http://127.0.0.1:{port}" in lines[-1]
    yield Served(f"http://127.0.0.1:{port}", temporary, process)
    process.kill()
    process.wait()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as engine:
        found = engine.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture
def page(browser: Any, served: Served) -> Iterator[Any]:
    """The open page. Whatever it asks of other machines is refused and counts as a failure."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    context.set_default_timeout(SHORTLY)
    elsewhere: list[str] = []
    refused: list[str] = []

    def check(route: Any) -> None:
        url = route.request.url
        if url.startswith((f"{served.address}/", "data:", "blob:")):
            route.continue_()
        else:
            elsewhere.append(url)
            route.abort()

    context.route("**/*", check)
    opened = context.new_page()
    opened.on(
        "console", lambda said: refused.append(said.text) if "Content Secur" in said.text else None
    )
    opened.goto(served.address)
    opened.get_by_role("heading", name="marketorch").wait_for()
    yield opened
    context.close()
    assert elsewhere == []
    assert refused == []


@pytest.fixture
def picture(page: Any, tmp_path: Path) -> Any:
    """``picture("text")`` takes a picture of the page, down to the runs or with them."""

    def take(name: str, with_runs: bool = False) -> None:
        file = (ROOT / "docs" / "images" if REAL else tmp_path) / f"app_{name}.png"
        page.mouse.move(0, 0)
        page.wait_for_function("document.fonts.ready.then(() => true)")
        panel = page.get_by_role("tabpanel").filter(visible=True).bounding_box()
        end = {} if with_runs else {"clip": AREA | {"height": panel["y"] + panel["height"]}}
        page.screenshot(path=file, full_page=True, animations="disabled", **end)
        with Image.open(file) as shown:  # few colours do, but in photos
            small = shown.convert("RGB").quantize(255, dither=Image.Dither.FLOYDSTEINBERG)
        small.save(file, optimize=True)
        assert 5_000 < file.stat().st_size < 250_000

    return take


def see(where: Any, text: str) -> None:
    """Waits until a text can be seen."""
    where.get_by_text(text).first.wait_for()


def open_tab(page: Any, name: str) -> Any:
    """The tab, once it is open."""
    page.get_by_role("tab", name=name, exact=True).click()
    panel = page.get_by_role("tabpanel").filter(visible=True)
    panel.wait_for()
    return panel


def drop(tab: Any, path: Path) -> None:
    """Uploads a file in a tab."""
    tab.locator("input[type=file]").set_input_files(path)
    see(tab, path.suffix)


def test_the_tabs_and_the_runs_are_shown(page: Any) -> None:
    names = ["Photo", "Text", "Recommender", "Report"]
    playwright.expect(page.get_by_role("tab")).to_have_text(names, timeout=SHORTLY)
    see(page, "Runs: which models answer here")
    if not REAL:
        see(page, "python scripts/evaluate.py run=sentiment")
    for name in ("Photo", "Report"):
        tab = open_tab(page, name)
        see(tab, CAUTION)
        see(tab, "Use photos only of people who have agreed to it.")


def test_a_text_is_answered_as_it_is_typed(page: Any, picture: Any) -> None:
    tab = open_tab(page, "Text")
    text = tab.locator("textarea")
    text.press_sequentially("Everyone told me the delivery was slow, and they were wrong.")
    see(tab, "Words that told")
    tab.locator(".said", has_text="wrong").wait_for()
    assert tab.locator(".bar").count() == 2
    assert tab.locator("mark").count() > 2
    picture("text", with_runs=True)
    text.fill("שלום 😀 \0 fine")
    tab.locator(".said", has_text="שלום").wait_for()
    text.fill(f"{HOSTILE} fine")
    tab.locator(".said", has_text="onerror").wait_for()
    assert tab.locator(".said img").count() == 0
    text.fill("x" * 30_000)
    see(tab, "at most 20,000 are read here")
    text.fill("")
    see(tab.locator(".mo"), "Write something")
    assert page.title() == "marketorch"


def test_a_photo_is_shown_with_what_was_found(
    page: Any, picture: Any, served: Served, tmp_path: Path
) -> None:
    photo, caption = tmp_path / "a.png", "The new cup is not bad at all."
    photo.write_bytes(png(red_spot()))
    if REAL:
        posts = write_posts(tmp_path / "posts", 23, size=640, seed=3)
        row = list(csv.DictReader(posts.read_text(encoding="utf-8").splitlines()))[-1]
        photo, caption = posts.parent / row["image"], row["text"]
    tab = open_tab(page, "Photo")
    drop(tab, photo)
    tab.locator("textarea").fill(caption)
    tab.get_by_role("button", name="Analyse").click()
    see(tab, "The record as JSON")
    shown = tab.get_by_alt_text("the photo with what was found")
    assert shown.evaluate("image => image.complete && image.naturalWidth") == (640 if REAL else 600)
    for part in ("Scene:", "Caption:", "looks"):
        see(tab, part)
    picture("photo")
    tab.get_by_text("The record as JSON").click()
    see(tab, f'"schema_version": {SCHEMA_VERSION}')
    assert served.left() == []
    assert tab.locator(".note").filter(visible=True).count() == 1


def test_bad_photos_are_named_and_the_page_goes_on(
    page: Any, served: Served, tmp_path: Path
) -> None:
    tab = open_tab(page, "Photo")
    tab.get_by_role("button", name="Analyse").click()
    see(tab, "Choose a photo first")
    for name, data, message in (
        ("noise.png", b"no photo", "is not a photo that Pillow can read"),
        ("cut.png", png(red_spot())[:2_000], "is damaged or cut short"),
    ):
        (tmp_path / name).write_bytes(data)
        drop(tab, tmp_path / name)
        tab.get_by_role("button", name="Analyse").click()
        see(tab, message)
    assert served.left() == []


def test_titles_are_picked_or_typed(page: Any, picture: Any) -> None:
    tab = open_tab(page, "Recommender")
    see(tab, "Pick some titles")
    box = tab.get_by_role("combobox")
    for place in (4, 0):
        box.click()
        page.get_by_role("option").nth(place).click()
    see(tab, "in the whole catalogue")
    tab.locator(".quiet", has_text=",").first.wait_for()  # the answer to both
    assert tab.locator("td.text").count() == 10
    box.press("Escape")
    picture("recommender")
    typed = tab.locator("textarea")
    typed.fill("no such title")
    typed.press("Enter")
    see(tab, "the catalogue has no item")


def test_a_table_and_a_zip_become_reports(
    page: Any, picture: Any, served: Served, tmp_path: Path
) -> None:
    tab = open_tab(page, "Report")
    (tmp_path / "captions.csv").write_text(f'text\nNot bad.\n"{HOSTILE.replace(chr(34), "")}"\n')
    drop(tab, tmp_path / "captions.csv")
    tab.get_by_role("button", name="Report").click()
    see(tab, "2 posts")
    posts = write_posts(tmp_path / "posts", 120 if REAL else 6, size=320)
    files = [posts, *(posts.parent / "photos").iterdir()]
    names = {path.relative_to(posts.parent).as_posix(): path.read_bytes() for path in files}
    drop(tab, zipped(tmp_path / "posts.zip", names))
    tab.get_by_role("button", name="Report").click()
    see(tab, "120 posts" if REAL else "6 posts")
    shown = tab.get_by_alt_text("overview of the report")
    assert shown.evaluate("image => image.complete && image.naturalWidth") > 300
    picture("report")
    for name, start in (("report.html", "<!doctype html>"), ("voices.csv", "\ufeffbrand,")):
        with page.expect_download() as download:
            tab.get_by_role("link", name=name, exact=True).click()
        kept = Path(download.value.path()).read_text(encoding="utf-8")
        assert kept.startswith((start, start.lstrip("\ufeff")))
        assert download.value.suggested_filename == name
    assert served.left() == []


def test_a_hostile_zip_is_refused_and_the_page_goes_on(
    page: Any, served: Served, tmp_path: Path
) -> None:
    tab = open_tab(page, "Report")
    drop(tab, zipped(tmp_path / "evil.zip", {"../../evil.png": png(red_spot())}))
    tab.get_by_role("button", name="Report").click()
    see(tab, "is a name that leads out of the folder")
    drop(tab, zipped(tmp_path / "bomb.zip", {"a.png": bytes(2**24)}))
    tab.get_by_role("button", name="Report").click()
    see(tab, "is packed more than 100 times")
    assert served.left() == []
    assert not list(tmp_path.rglob("evil.png"))


def test_other_names_and_other_addresses_are_refused(page: Any, served: Served) -> None:
    """A page elsewhere cannot reach this one under a name of its own, nor send it to fetch."""
    ask = page.request.get
    assert ask(served.address, headers={"Host": "evil.example"}).status == 400
    answer = ask(f"{served.address}/gradio_api/file=http://example.com/a.png")
    assert answer.status == 403
    assert ask(f"{served.address}/gradio_api/file=/etc/passwd").status == 403
    assert "default-src 'self'" in ask(served.address).headers["content-security-policy"]
    assert ask(f"{served.address}/gradio_api/info").json()["named_endpoints"] == {}


def test_what_is_too_large_is_not_taken(served: Served) -> None:
    large = {"files": ("a.zip", bytes(FILE + 1), "application/zip")}
    answer = httpx.post(f"{served.address}/gradio_api/upload", files=large, timeout=60)
    assert answer.status_code == 413
    assert served.left() == []


def test_a_port_that_is_taken_is_named(served: Served, tiny_runs: Path) -> None:
    port = served.address.rpartition(":")[2]
    words = [str(ROOT / "scripts" / "app.py"), f"sentiment={tiny_runs / 'sentiment'}"]
    second = subprocess.run(
        [sys.executable, *words, f"port={port}"], capture_output=True, text=True, timeout=600
    )
    assert second.returncode == 1
    assert second.stderr.splitlines()[-1] == f"error: port={port} is taken: choose another."


def test_when_it_is_closed_nothing_is_left(served: Served) -> None:
    """The last test of this file, because it ends the page."""
    assert list(served.temporary.iterdir())
    served.process.terminate()
    assert served.process.wait(60) == 130
    assert not list(served.temporary.iterdir())
