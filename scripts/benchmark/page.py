"""Measures the page's text tab: python scripts/benchmark/page.py sentiment=RUN [edits=200].

Types ``edits`` keys at the end of a text of ``words=50`` words, one at a time, and takes the time
from each key to the frame in which its answer is seen, in a headless browser (chromium or chrome,
if there is one on the PATH), and that of the answer alone, without page and browser. The first
tenth of the edits warms up and is not counted.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from marketorch.app.answers import Answers
from marketorch.app.runs import loaded
from marketorch.command_line import arguments_or_help, split_option, whole_number
from marketorch.console import say, table
from marketorch.data.synthetic.reviews import generate_reviews
from marketorch.errors import ConfigError, guard

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
NUMBERS = {"edits": 200, "words": 50}
APP = Path(__file__).parents[1] / "app.py"
WATCH = """() => {
  const box = [...document.querySelectorAll("textarea")].find(own => own.offsetParent);
  const shown = () => [...document.querySelectorAll(".said")].find(own => own.offsetParent);
  document.addEventListener("keydown", () => { window.pressed = performance.now(); }, true);
  new MutationObserver(() => {
    const said = shown();
    if (!window.pressed || !said || said.textContent !== box.value) return;
    const began = window.pressed;
    window.pressed = 0;
    requestAnimationFrame(() => setTimeout(() => {
      window.took = performance.now() - began;
    }, 0));
  }).observe(document.body, { subtree: true, childList: true, characterData: true });
}"""


def text_of(words: int) -> str:
    """A text of so many words, of drawn reviews."""
    found = " ".join(generate_reviews(words, seed=1).texts).split()
    return " ".join(found[:words])


def edits_of(text: str, number: int) -> list[tuple[str, str]]:
    """Keys at the end of a text, and the text after each: a letter, then its deletion."""
    letters = "aeionrst"
    keys = [("Backspace" if i % 2 else letters[i // 2 % len(letters)]) for i in range(number)]
    return [(key, text if key == "Backspace" else text + key) for key in keys]


def alone(answers: Answers, edits: Sequence[tuple[str, str]]) -> list[float]:
    """Milliseconds of each answer by itself."""
    took = []
    for _, text in edits:
        started = time.perf_counter()
        answers.text(text)
        took.append(1000 * (time.perf_counter() - started))
    return took


def in_browser(run: str, text: str, edits: Sequence[tuple[str, str]], browser: str) -> list[float]:
    """Milliseconds from each key to the frame in which its answer is seen."""
    from playwright.sync_api import sync_playwright

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, str(APP), f"sentiment={run}", f"port={port}"]
    page_process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert page_process.stdout
        next(line for line in page_process.stdout if line.startswith("page"))
        with sync_playwright() as engine:
            opened = engine.chromium.launch(executable_path=browser, args=["--no-sandbox"])
            page = opened.new_page()
            page.goto(f"http://127.0.0.1:{port}")
            page.get_by_role("tab", name="Text").click()
            box = page.locator("textarea").filter(visible=True)
            box.fill(text)
            page.locator(".said", has_text=text[-30:]).wait_for()
            page.evaluate(WATCH)
            box.press("End")
            took = []
            for key, _ in edits:
                page.evaluate("window.took = 0")
                page.keyboard.press(key)
                took.append(page.wait_for_function("window.took", polling=20).json_value())
            opened.close()
        return took
    finally:
        page_process.terminate()
        page_process.wait()


def row(name: str, took: Sequence[float]) -> tuple[object, ...]:
    """A row of the table, without what warms up."""
    counted = np.array(took[len(took) // 10 :])
    return name, len(counted), *np.percentile(counted, [50, 95, 100]).round().astype(int).tolist()


def main(arguments: list[str]) -> None:
    """Measures both ways and prints the table."""
    options: dict[str, str] = {}
    for name in ("sentiment", *NUMBERS):
        value, arguments = split_option(arguments, name)
        options |= {name: value} if value else {}
    if arguments or "sentiment" not in options:
        wrong = f"{arguments[0]}: unknown option" if arguments else "sentiment=RUN is missing"
        raise ConfigError(f"{wrong}. {__doc__}")
    number, words = (whole_number(key, options.get(key, str(n))) for key, n in NUMBERS.items())
    text = text_of(words)
    edits = edits_of(text, max(10, number))
    cores = len(os.sched_getaffinity(0))
    say(f"{cores} cores, {torch.get_num_threads()} threads, load {os.getloadavg()[0]:.1f}")
    answers = Answers(loaded({"sentiment": options["sentiment"]}))
    rows = [row("the answer alone", alone(answers, edits))]
    if browser := next(filter(None, map(shutil.which, BROWSERS)), None):
        took = in_browser(options["sentiment"], text, edits, browser)
        rows.append(row("from the key to the screen", took))
    else:
        say(f"no browser ({', '.join(BROWSERS)}): the answer alone is measured")
    title = f"{len(text.split())} words, {len(text)} characters, milliseconds"
    table(title, ("", "edits", "p50", "p95", "most"), rows)


if __name__ == "__main__":
    with guard():
        main(arguments_or_help(__doc__))
