"""A run's ``config.yaml`` may come from anybody, so it is read as values and nothing else.

A config that was saved is written out: it has no tags, no aliases, no interpolations. One that has
them was made by hand. Tags name Python objects, aliases grow a short file without end, and an
interpolation such as ``${oc.env:TOKEN}`` puts what the reader's environment holds into an address
that is then asked for. So the events of the YAML parser are looked at, one after the other,
before anything is built of them.
"""

from __future__ import annotations

from pathlib import Path

import yaml

from marketorch.errors import ConfigError

OWN = "${data_dir}"  # of the config itself: what `sharing.hub_folder` writes instead of a path
DEEPEST = 50  # mappings and lists within one another
PATHS = "tag:yaml.org,2002:python/object/apply:pathlib."  # how a config saves a pathlib.Path


def read_plain(path: Path) -> str:
    """Returns the text of a YAML file that holds values only.

    Raises:
        ConfigError: naming the file and the line that holds something else, or is no YAML.
    """
    depth = 0
    try:
        text = path.read_text(encoding="utf-8")
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            if fault := "it is nested too deeply" if depth > DEEPEST else _fault(event):
                line = event.start_mark.line + 1 if event.start_mark else 1
                raise ConfigError(f"{path}, line {line}: {fault}.")
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"{path} is no YAML of a run: {reason}") from error
    return text


def _fault(event: yaml.Event) -> str:
    """What a config that was saved does not have; empty if there is none of it."""
    if isinstance(event, yaml.AliasEvent):
        return f"*{event.anchor} stands for another part; a saved config is written out"
    tag = getattr(event, "tag", None) or "!"
    if tag != "!" and not tag.startswith(PATHS):
        return f"it has the tag {tag}; expected plain values"
    if isinstance(event, yaml.ScalarEvent) and "${" in event.value.replace(OWN, ""):
        return f"{event.value[:60]!r} asks for another value; a saved config is written out"
    return ""
