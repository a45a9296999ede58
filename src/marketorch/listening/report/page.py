"""The page of a report: one file that needs no other, and in which nothing can run.

What people write is hostile until proved otherwise. Jinja escapes all of it, there are no scripts,
and the page forbids its browser to load anything: its pictures are in it. Text whose direction is
not known is kept to itself, so that it cannot turn its surroundings around.
"""

from __future__ import annotations

import math
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

STYLE = """
:root { color-scheme: light; --ink: #1f2933; --accent: #2f6f8f; --quiet: #c7d3da; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 62rem; padding: 2.5rem 1.5rem 4rem; color: var(--ink);
  background: #fff; font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .3rem; }
h2 { font-size: 1.25rem; margin: 3rem 0 .4rem; padding-top: 1rem;
  border-top: 1px solid var(--quiet); }
p { max-width: 46rem; margin: .4rem 0 .8rem; } .lead { color: #52606d; margin-bottom: 1.4rem; }
.numbers { display: flex; flex-wrap: wrap; gap: .8rem; }
.numbers div { flex: 1 1 7.5rem; padding: .7rem .9rem; border: 1px solid var(--quiet);
  border-radius: .5rem; }
.numbers b { display: block; font-size: 1.5rem; line-height: 1.2; color: var(--accent); }
.numbers span { font-size: .85rem; color: #52606d; }
.note { border-left: 4px solid #d98c3f; border-radius: 0 .4rem .4rem 0; background: #fdf6ec;
  padding: .7rem 1rem; margin: 1.5rem 0 0; max-width: none; font-size: .95rem; }
.pair { display: grid; gap: 0 1rem; grid-template-columns: repeat(auto-fill, minmax(24rem, 1fr)); }
figure { margin: 1rem 0; } img { max-width: 100%; height: auto; }
figcaption { font-weight: 600; font-size: .95rem; margin-bottom: .3rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .9rem; margin: .6rem 0;
  font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .8rem .3rem 0; text-align: right; border-bottom: 1px solid #e4eaee;
  vertical-align: top; } th { font-weight: 600; border-bottom: 2px solid var(--quiet); }
th:first-child, td:first-child, td.text { text-align: left; } td.text { min-width: 9rem; }
.post { border: 1px solid var(--quiet); border-left: 5px solid var(--tone, var(--quiet));
  border-radius: .4rem; padding: .7rem 1rem; margin: .7rem 0; overflow-wrap: anywhere; }
.best { --tone: #2f6f8f; } .worst { --tone: #d98c3f; }
.post p { margin: 0 0 .35rem; white-space: pre-line; max-width: none; }
.post small, .more { color: #52606d; font-size: .85rem; }
"""

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ title }}</title>
<style>{{ style }}</style>
</head>
<body>
{% macro table(rows, heads) %}
{% if rows %}
<div class="wide"><table>
<tr>{% for head in heads.values() %}<th>{{ head }}</th>{% endfor %}</tr>
{% for row in rows[:shown] %}
<tr>{% for key in heads %}<td{% if row[key] is string %} class="text"{% endif %}>
<bdi>{{ row[key] | cell(key) }}</bdi></td>{% endfor %}</tr>
{% endfor %}
</table></div>
{% if rows | length > shown %}
<p class="more">{{ rows | length - shown }} more in the CSV beside this page.</p>
{% endif %}
{% endif %}
{% endmacro %}
{% macro picture(key, caption="") %}
{% if key in pictures %}
<figure>{% if caption %}<figcaption>{{ caption }}</figcaption>{% endif %}
<img alt="{{ pictures[key].title }}" src="data:image/png;base64,{{ pictures[key].data }}"></figure>
{% endif %}
{% endmacro %}
<h1>{{ title }}</h1>
<p class="lead">{{ lead }}</p>
<div class="numbers">
{% for name, value in numbers.items() %}<div><b>{{ value }}</b><span>{{ name }}</span></div>
{% endfor %}
</div>
<p class="note">{{ caution }}</p>
<h2>Share of voice</h2>
{% if voices %}
<p>How often each brand is seen, whoever posts it. A large mark fills more of a photo than a small
one, so its share of the room differs from its share of the sightings.</p>
{{ picture("voices") }}
{{ table(voices, heads.voices) }}
{% else %}
<p>No brand was found in these posts.</p>
{% endif %}
{% if sentiment %}
<h2>What people write</h2>
<p>Of the posts in which a brand is seen: the mean probability of each sentiment of their captions.
The tone is the probability of positive less that of negative; where the two bounds of one brand lie
apart from another's, the difference is hardly chance.</p>
{{ picture("sentiment") }}
{{ table(sentiment, heads.sentiment) }}
{% endif %}
{% if emotions or smiles %}
<h2>How people look</h2>
<p>The faces that stand near a brand, an arm's length from it or so: the mean probability of what
each shows.</p>
{{ picture("emotions") }}
{{ table(emotions, heads.emotions) }}
{% if smiles %}
<p>Their smiles, by the mean probability of each kind. Where emotions are told and happiness is one,
only the faces that show it above all count.</p>
{{ picture("smiles") }}
{{ table(smiles, heads.smiles) }}
{% endif %}
{% endif %}
{% if over_time %}
<h2>Over time</h2>
<p>The brands with the most posts. A dot is what one period holds, the larger, the more that is;
small dots jump about by chance. From {{ steady }} periods on, lines of tones and faces are means of
three.</p>
<div class="pair">
{% for key in over_time %}
{{ picture(key, pictures[key].title | replace(" over time", "")) }}
{% endfor %}
</div>
<p class="more">All brands, and all emotions, are in the CSV beside this page.</p>
{% endif %}
{% if "scenes" in pictures %}
<h2>Where brands are seen</h2>
<p>The scene of each photo with the brand, as a share of the brand's photos.</p>
{{ picture("scenes") }}
{% endif %}
{% if posts %}
<h2>Best and worst posts</h2>
{% for post in posts %}
<article class="post {{ post.kind }}">
<p dir="auto">{{ post.text | truncate(limit, False, "…") }}</p>
<small>{{ post.sentiment }}, tone {{ post.tone | cell("tone") }}
{% for word in post.words %}{{ " · " if loop.first else ", " }}<bdi>{{ word }}</bdi>{% endfor %}
{% if post.brands %} · <bdi>{{ post.brands }}</bdi>{% endif %}
 · <bdi>{{ post.id or "–" }}</bdi>
{% if post.author %} by <bdi>{{ post.author }}</bdi>{% endif %}
{% if post.time %} · {{ post.time }}{% endif %}</small>
</article>
{% endfor %}
<p class="more">+ marks a word that speaks for the sentiment, − one that speaks against it.</p>
{% endif %}
{% if faults %}
<h2>Posts that could not be used whole</h2>
{{ table(faults, heads.faults) }}
{% endif %}
</body>
</html>
"""


def page(**content: Any) -> str:
    """The page as HTML.

    Args:
        content: what the template `PAGE` names; a missing name is an error.
    """
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["cell"] = cell
    # The style is this module's own; everything else is escaped.
    return environment.from_string(PAGE).render(style=Markup(STYLE), **content)


def cell(value: Any, key: str = "") -> str:
    """What stands in a cell of a table: shares in per cent, a tone with its sign."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–"
    if isinstance(value, float):
        if key in ("tone", "low", "high"):
            return f"{value:+.2f}".replace("-", "−")
        if key.startswith("mean_"):
            return f"{value:,.2f}".replace("-", "−")
        return f"{value:.1%}"
    return f"{value:,}" if isinstance(value, int) else str(value)
