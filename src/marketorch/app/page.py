"""The page itself. gradio lays it out and serves it, to this machine alone.

Nothing is loaded from elsewhere and nothing is told to anybody: no shared address, no analytics, no
fonts or scripts of others, and the browser is forbidden to ask for any. Uploads lie in a temporary
folder of this process, where an answer deletes them; the folder goes when the page is closed.
"""

from __future__ import annotations

import os
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from importlib import import_module
from typing import Any

from marketorch.app import uploads
from marketorch.app.answers import EMPTY_TEXT, Answers
from marketorch.app.markup import ACCENT, STYLE, html
from marketorch.app.runs import RECOMMENDER
from marketorch.console import console, say
from marketorch.errors import ConfigError, UserError
from marketorch.listening.report.brand_report import CAUTION

HOST = "127.0.0.1"
PORT = 7860
KEPT = 600  # seconds that an upload is kept at most which nobody asks about
CONSENT = "Use photos only of people who have agreed to it. "
FONTS = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif"]
CODE = ["ui-monospace", "Consolas", "monospace"]
POSTS = (
    "A CSV with a column text and, if there are any, time and author; a zip of a CSV and the "
    "photos that its column image names; or a zip of photos alone."
)
DARKER = "#275d78"  # than `ACCENT`
LEAD = "Models for marketing, on this machine: nothing that you put in leaves it or is kept."
POLICY = (
    b"default-src 'self' data: blob:; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; "
    b"style-src 'self' 'unsafe-inline'; frame-ancestors 'none'; form-action 'none'"
)
AT_ONCE = {"queue": False, "trigger_mode": "always_last", "show_progress": "hidden"}
UNSEEN = {"api_visibility": "private"}


def serve(answers: Answers, port: int = PORT) -> None:
    """Shows the page until it is interrupted, and then deletes what was uploaded.

    Raises:
        ConfigError: gradio is not installed, or the port is taken.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # it is tidied up all the same
    with temporary_folder():
        gradio = imported()
        answers.warm_up()
        console.quiet = True  # what people upload is nobody's concern, on the terminal either
        page = laid_out(gradio, answers)
        try:
            page.launch(**settings(gradio, port))
        except OSError as error:
            raise ConfigError(f"port={port} is taken: choose another.") from error
        console.quiet = False
        say(f"page      http://{HOST}:{port} (Ctrl-C closes it)")
        console.quiet = True
        try:
            threading.Event().wait()
        finally:
            page.close(verbose=False)


@contextmanager
def temporary_folder() -> Iterator[str]:
    """Where gradio puts uploads until the end, and settings that it reads when it is imported."""
    with tempfile.TemporaryDirectory(prefix="marketorch-app-") as folder:
        os.environ |= {"GRADIO_TEMP_DIR": folder, "GRADIO_ANALYTICS_ENABLED": "False"}
        os.environ |= {"HF_HUB_DISABLE_TELEMETRY": "1"}
        os.environ.pop("GRADIO_ALLOWED_PATHS", None)
        yield folder


def imported() -> Any:
    """gradio, without what would fetch an address that is sent in the place of a file.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        import gradio

        fetching: Any = import_module("safehttpx")
    except ImportError as error:
        raise ConfigError('The page needs gradio: pip install "marketorch[app]"') from error

    async def refuse(hostname: str) -> str:
        raise ValueError("this page fetches nothing")

    fetching.async_validate_url = refuse
    return gradio


def settings(gradio: Any, port: int) -> dict[str, Any]:
    """How the page is served: to this machine, under its own names, with a bound on uploads."""
    from starlette.middleware import Middleware
    from starlette.middleware.trustedhost import TrustedHostMiddleware

    own_names = Middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "localhost"])
    theme = gradio.themes.Base(primary_hue="sky", neutral_hue="slate", font=FONTS, font_mono=CODE)
    theme.set(button_primary_background_fill=ACCENT, button_primary_background_fill_hover=DARKER)
    return {
        **{"server_name": HOST, "server_port": port, "share": False, "inbrowser": False},
        **{"prevent_thread_lock": True, "quiet": True, "show_error": False, "num_workers": 0},
        **{"ssr_mode": False, "pwa": False, "mcp_server": False, "enable_monitoring": False},
        **{"max_file_size": uploads.FILE, "allowed_paths": [], "run_history": False},
        **{"footer_links": [], "theme": theme, "css": STYLE},
        "app_kwargs": {"middleware": [own_names, Middleware(StayHome)]},
    }


class StayHome:
    """Tells the browser to load nothing from elsewhere, as a layer around an ASGI app."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Hands a request on and adds the policy to its answer."""

        async def with_policy(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [
                    *message.get("headers", []),
                    (b"content-security-policy", POLICY),
                ]
            await send(message)

        await self.app(scope, receive, with_policy)


def in_words(answer: Callable[..., str]) -> Callable[..., str]:
    """The same, with what is wrong as a note on the page."""

    @wraps(answer)
    def said(*inputs: Any) -> str:
        try:
            return answer(*inputs)
        except UserError as error:
            return html("notice", message=str(error))

    return said


# -- layout -----------------------------------------------------------------------------------


def laid_out(gradio: Any, answers: Answers) -> Any:
    """The page, with a tab for each thing that there is a run for."""
    tabs = {
        "Photo": (photo_tab, answers.sees),
        "Text": (text_tab, "sentiment" in answers.runs),
        "Recommender": (titles_tab, RECOMMENDER in answers.runs),
        "Report": (report_tab, answers.listener is not None),
    }
    with gradio.Blocks(
        title="marketorch", analytics_enabled=False, delete_cache=(60, KEPT)
    ) as page:
        gradio.Markdown(f"# marketorch\n{LEAD}")
        with gradio.Tabs():
            for name, (fill, has_run) in tabs.items():
                if has_run:
                    with gradio.Tab(name):
                        fill(gradio, answers)
        with gradio.Accordion("Runs: which models answer here, and how good they are"):
            gradio.HTML(answers.about())
    page.queue(max_size=16, default_concurrency_limit=1, api_open=False)
    return page


def photo_tab(gradio: Any, answers: Answers) -> None:
    """A photo and its caption in; what it shows out."""
    with gradio.Row():
        with gradio.Column(scale=1, min_width=280):
            photo = gradio.File(label="Photo", height=150)
            caption = gradio.Textbox(
                label="Caption, if it has one", lines=2, visible="sentiment" in answers.runs
            )
            button = gradio.Button("Analyse", variant="primary")
            gradio.HTML(html("notice", message=CONSENT + CAUTION), padding=False)
        with gradio.Column(scale=2, min_width=480):
            shown = gradio.HTML(html("hint", message="What is found in the photo stands here."))
    _deleting(button, in_words(answers.photo), [photo, caption], shown)


def text_tab(gradio: Any, answers: Answers) -> None:
    """A text in; its sentiment out, as it is typed."""
    with gradio.Row():
        with gradio.Column(min_width=320):
            text = gradio.Textbox(label="Text", lines=6, max_lines=16, placeholder=EMPTY_TEXT)
        with gradio.Column(min_width=320):
            shown = gradio.HTML(html("hint", message=EMPTY_TEXT))
    text.change(in_words(answers.text), text, shown, **AT_ONCE, **UNSEEN)


def titles_tab(gradio: Any, answers: Answers) -> None:
    """Titles in, picked or typed; what comes next out."""
    with gradio.Row():
        with gradio.Column(min_width=320):
            picked = gradio.Dropdown(
                answers.choices(), value=[], multiselect=True, label="Titles, the oldest first"
            )
            typed = gradio.Textbox(
                label="Or type a history: ids or titles, the oldest first",
                placeholder="commas between them; Enter shows what comes next",
            )
        with gradio.Column(min_width=320):
            shown = gradio.HTML(answers.titles([]))
    answer = in_words(answers.titles)
    for event in (picked.input, typed.submit):
        event(answer, [picked, typed], shown, **AT_ONCE, **UNSEEN)


def report_tab(gradio: Any, answers: Answers) -> None:
    """Posts in; a report on their brands out, to look at and to keep."""
    with gradio.Row():
        with gradio.Column(scale=1, min_width=280):
            posts = gradio.File(label="CSV, zip or photo", height=150)
            gradio.HTML(html("hint", message=POSTS), padding=False)
            button = gradio.Button("Report", variant="primary")
            gradio.HTML(html("notice", message=CONSENT + CAUTION), padding=False)
        with gradio.Column(scale=2, min_width=480):
            shown = gradio.HTML(html("hint", message="The report stands here."))
    _deleting(button, in_words(answers.report), [posts], shown)


def _deleting(button: Any, answer: Callable[..., str], inputs: list[Any], shown: Any) -> None:
    """Answers when the button is pressed, and takes away the file that was answered."""

    def answered(*values: Any) -> tuple[str, None]:
        return answer(*values), None

    button.click(answered, inputs, [shown, inputs[0]], show_progress_on=shown, **UNSEEN)
