"""Shares a run: python scripts/export.py run=RUN_DIR format=onnx|hub output=… [push=owner/name].

``format=onnx output=model.onnx`` writes a file that runs without PyTorch, once onnxruntime gives
with it what PyTorch gives. ``format=hub output=FOLDER`` writes a folder with the weights, the
config, what was measured and a model card, which `marketorch.load_run` loads; ``push=owner/name``
uploads it to the Hugging Face hub, where ``run=hf://owner/name`` finds it.
"""

from __future__ import annotations

from marketorch.command_line import arguments_or_help, split_option
from marketorch.errors import ConfigError, guard

OPTIONS = ("run", "format", "output", "push")


def main(arguments: list[str]) -> None:
    """Exports what ``run`` names."""
    from marketorch.sharing.hub_folder import export_hub  # with torch, which --help does not need
    from marketorch.sharing.onnx_export import export_onnx

    values: dict[str, str | None] = {}
    for name in OPTIONS:
        values[name], arguments = split_option(arguments, name)
    run, form, output, push = (values[name] for name in OPTIONS)
    if arguments or not (run and output):
        wrong = f"{arguments[0]}: unknown option" if arguments else "run=… or output=… is missing"
        raise ConfigError(f"{wrong}. {__doc__}")
    if form == "onnx" and push is None:
        export_onnx(run, output)
    elif form == "hub":
        export_hub(run, output, push)
    else:
        found = "push=… with format=onnx" if form == "onnx" else f"format={form or ''}"
        raise ConfigError(f"{found}: expected format=onnx, or format=hub with or without push=….")


if __name__ == "__main__":
    with guard():
        main(arguments_or_help(__doc__))
