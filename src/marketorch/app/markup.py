"""What is shown, as HTML. Jinja escapes all that comes from people and from runs.

Pictures and files to keep lie in the HTML itself, as `data:` addresses, so that no file of an
answer is left for anybody to fetch.
"""

from __future__ import annotations

import base64
from functools import cache
from typing import Any

from jinja2 import Environment, StrictUndefined, Template

from marketorch.listening.report.page import cell

ACCENT, ORANGE = "#2f6f8f", "#d98c3f"  # for and against
STYLE = f"""
.mo {{ --for: 47 111 143; --against: 217 140 63; font-size: .95rem; line-height: 1.55; }}
.mo h3 {{ margin: 1.1rem 0 .4rem; font-size: 1rem; }}
.mo h3:first-child {{ margin-top: 0; }}
.mo .answer {{ font-size: 1.5rem; font-weight: 600; margin: 0 0 .6rem; color: {ACCENT}; }}
.dark .mo .answer {{ color: #7fb6d0; }}
.mo .answer small {{ font-size: 1rem; font-weight: 400; color: #64748b; }}
.mo .bar {{ display: grid; grid-template-columns: 8.5rem 1fr 3.6rem; gap: .7rem;
  align-items: center; margin: .15rem 0; font-size: .9rem; }}
.mo .bar bdi {{ overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }}
.mo .bar i {{ display: block; height: .7rem; border-radius: .2rem; overflow: hidden;
  background: var(--border-color-primary); }}
.mo .bar i b {{ display: block; height: 100%; background: {ACCENT}; }}
.mo .bar span {{ text-align: right; font-variant-numeric: tabular-nums; }}
.mo .said {{ white-space: pre-wrap; overflow-wrap: anywhere; font-size: 1.05rem; line-height: 2;
  max-height: 20rem; overflow-y: auto; margin: .2rem 0; }}
.mo mark {{ color: inherit; border-radius: .25rem; padding: .1rem .2rem; }}
.mo mark.for {{ background: rgb(var(--for) / var(--share)); }}
.mo mark.against {{ background: rgb(var(--against) / var(--share)); }}
.mo .quiet {{ color: #64748b; font-size: .88rem; }}
.dark .mo .quiet {{ color: #9fb0c3; }}
.mo .quiet mark {{ color: var(--body-text-color); }}
.mo .note {{ border-left: 4px solid {ORANGE}; border-radius: 0 .3rem .3rem 0; padding: .55rem .9rem;
  background: rgb(var(--against) / .1); font-size: .88rem; margin: .2rem 0; }}
.mo img {{ max-width: 100%; height: auto; border-radius: .3rem; display: block; }}
.mo .cards {{ display: grid; grid-template-columns: repeat(auto-fill, minmax(19rem, 1fr));
  gap: .9rem; }}
.mo .card {{ border: 1px solid var(--border-color-primary); border-radius: .5rem;
  padding: .8rem 1rem; min-width: 0; }}
.mo .card p {{ margin: .2rem 0; }}
.mo .wide {{ overflow-x: auto; }}
.mo table {{ border-collapse: collapse; width: 100%; font-size: .9rem; margin: 0;
  border: 0 !important; font-variant-numeric: tabular-nums; }}
.mo thead, .mo tbody, .mo tr {{ border: 0 !important; }}
.mo th, .mo td {{ padding: .3rem .8rem .3rem 0 !important; text-align: right; border: 0 !important;
  border-bottom: 1px solid var(--border-color-primary) !important; }}
.mo th:first-child, .mo td:first-child, .mo td.text {{ text-align: left; }}
.mo th.text {{ text-align: left; }}
.mo pre {{ white-space: pre-wrap; overflow-wrap: anywhere; max-height: 26rem; overflow-y: auto;
  font-size: .8rem; line-height: 1.4; }}
.mo summary {{ cursor: pointer; font-weight: 600; margin-top: .9rem; }}
.mo .files a {{ display: inline-block; margin: 0 .5rem .5rem 0; padding: .3rem .8rem;
  border: 1px solid var(--border-color-primary); border-radius: .4rem; text-decoration: none; }}
"""

MACROS = """
{% macro bars(answer) %}
{% for own in answer.probabilities | sort(attribute="probability", reverse=true) %}
<div class="bar"><bdi title="{{ own.label }}">{{ own.label }}</bdi>
<i><b style="width: {{ (100 * own.probability) | round(1) }}%"></b></i>
<span>{{ own.probability | cell }}</span></div>
{% endfor %}
{% for own in answer.scores %}
<p class="quiet"><bdi>{{ own.name }}</bdi> {{ "%+.2f" | format(own.value) }}</p>
{% endfor %}
{% endmacro %}
{% macro said(pieces) %}
<p class="said" dir="auto">
{%- for piece in pieces -%}
{%- if piece.strength -%}
<mark class="{{ 'for' if piece.strength > 0 else 'against' }}"
 style="--share: {{ (0.15 + 0.5 * piece.strength | abs) | round(2) }}">{{ piece.text }}</mark>
{%- else -%}{{ piece.text }}{%- endif -%}
{%- endfor -%}
</p>
<p class="quiet"><mark class="for" style="--share: .45">blue</mark> speaks for the answer,
<mark class="against" style="--share: .45">orange</mark> against it: by how much the answer changes
without the word.</p>
{% endmacro %}
"""

TEXT = """
<p class="answer"><bdi>{{ answer.label }}</bdi>
<small>{{ answer.probability | cell }} sure</small></p>
{{ bars(answer) }}
<h3>Words that told</h3>
{{ said(pieces) }}
"""

PHOTO = """
{% for fault in post.faults %}
<p class="note">{{ fault.reason[:1] | upper }}{{ fault.reason[1:] }}.</p>
{% endfor %}
{% if picture %}<img alt="the photo with what was found" src="{{ picture }}">{% endif %}
<h3>{{ summary }}</h3>
<div class="cards">
{% if post.brands %}
<div class="card"><h3>Brands</h3><table>
<tr><th>brand</th><th>score</th><th>of the photo</th></tr>
{% for brand in post.brands %}
<tr><td><bdi>{{ brand.brand }}</bdi></td><td>{{ brand.score | cell }}</td>
<td>{{ brand.area | cell }}</td></tr>
{% endfor %}
</table>
{% for name, face in near %}
<p class="quiet"><bdi>{{ name }}</bdi> is near face {{ face }}.</p>
{% endfor %}
</div>
{% endif %}
{% for face in faces %}
{% if face.emotion %}
<div class="card"><h3>Face {{ loop.index }} looks <bdi>{{ face.emotion.label }}</bdi></h3>
{{ bars(face.emotion) }}</div>
{% endif %}
{% if face.smile %}
<div class="card"><h3>Smile of face {{ loop.index }}</h3>{{ bars(face.smile) }}</div>
{% endif %}
{% endfor %}
{% for name, own in (post.photo or {}).items() %}
<div class="card"><h3>{{ name | capitalize }}: <bdi>{{ own.label }}</bdi></h3>{{ bars(own) }}</div>
{% endfor %}
{% if post.text and post.text.sentiment %}
{% set own = post.text.sentiment %}
<div class="card"><h3>Caption: <bdi>{{ own.label }}</bdi></h3>
{{ bars(own) }}{{ said(pieces) }}</div>
{% endif %}
</div>
<details><summary>The record as JSON</summary><pre>{{ json }}</pre></details>
"""

TITLES = """
<p class="quiet">After
{% for name in history %}<bdi>{{ name }}</bdi>{{ ", " if not loop.last }}{% endfor %}:</p>
<div class="wide"><table>
<tr><th>rank</th><th class="text">title</th><th>score</th></tr>
{% for row in rows %}
<tr><td>{{ loop.index }}</td><td class="text"><bdi>{{ row.title }}</bdi></td>
<td>{{ "%.2f" | format(row.score) }}</td></tr>
{% endfor %}
</table></div>
<p class="quiet">The best of {{ number }} in the whole catalogue. Scores order these titles; they
are no probabilities.</p>
"""

REPORT = """
<h3>{{ posts }} posts{% if bad %}, {{ bad }} of them with a fault{% endif %}</h3>
<img alt="overview of the report" src="{{ picture }}">
<h3>To keep</h3>
<p class="files">{% for file in files %}<a download="{{ file.name }}"
 href="{{ file.data }}">{{ file.name }}</a>{% endfor %}</p>
<p class="quiet">The posts, the report and its tables are deleted here already; these links hold the
only copy, until the page is left.</p>
"""

RUNS = """
<div class="cards">
{% for own in runs %}
<div class="card"><h3>{{ own.name }}</h3>
<p class="quiet"><bdi>{{ own.experiment }}</bdi> in <bdi>{{ own.run }}</bdi></p>
{% if own["values"] %}
<table>
<tr><th>test split</th><th>{{ own.metric }}</th></tr>
{% for model, value in own["values"].items() %}
<tr><td><bdi>{{ model }}</bdi></td><td>{% if loop.first %}<b>{% endif %}{{ "%.3f" | format(value) }}
{%- if loop.first %}</b>{% endif %}</td></tr>
{% endfor %}
</table>
<p class="quiet">{{ own.examples | cell }} examples. The run comes first, then its baselines.</p>
{% else %}
<p>Not evaluated on its test split. This does it:</p>
<pre>python scripts/evaluate.py run={{ own.run }}</pre>
{% endif %}
</div>
{% endfor %}
</div>
"""

NOTICE = """<p class="note">{{ message }}</p>"""
HINT = """<p class="quiet">{{ message }}</p>"""
TEMPLATES = {"text": TEXT, "photo": PHOTO, "titles": TITLES, "report": REPORT, "runs": RUNS}
TEMPLATES |= {"notice": NOTICE, "hint": HINT}


@cache
def template(name: str) -> Template:
    """One of `TEMPLATES`, ready."""
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["cell"] = cell
    return environment.from_string(f'{MACROS}<div class="mo">{TEMPLATES[name]}</div>')


def html(name: str, **content: Any) -> str:
    """What is shown, from one of `TEMPLATES` and what it names; a missing name is an error."""
    return template(name).render(**content).strip()


def data_address(kind: str, value: bytes) -> str:
    """A file as an address that holds all of it; ``kind`` is its media type."""
    return f"data:{kind};base64,{base64.b64encode(value).decode()}"
