"""Vocabularies are functions of the training texts."""

import os
import random
import subprocess
import sys

import pytest

from marketorch.errors import ConfigError
from marketorch.models.texts.tokenizer import SubwordTokenizer

pytestmark = pytest.mark.numbers

FIT = """
import sys
from marketorch.models.texts.tokenizer import SubwordTokenizer
for kind in ("word", "bpe"):
    tokenizer = SubwordTokenizer(kind=kind, size=120)
    tokenizer.fit(sys.argv[1:])
    print(tokenizer.dump())
"""


def test_one_vocabulary_in_every_process_and_with_any_number_of_threads():
    """The hash maps of `tokenizers` have another order in each process, and ties abound here."""
    draw = random.Random(0)
    texts = ["".join(draw.choice("aeinrst ") for _ in range(60)) for _ in range(300)]
    dumps = []
    for kind in ("word", "bpe"):
        tokenizer = SubwordTokenizer(kind=kind, size=120)
        tokenizer.fit(texts)
        dumps.append(tokenizer.dump())
    for threads in ("1", "2", "2"):
        environment = os.environ | {"RAYON_NUM_THREADS": threads}
        command = [sys.executable, "-c", FIT, *texts]
        done = subprocess.run(command, env=environment, capture_output=True, check=True, text=True)
        assert done.stdout.splitlines() == "\n".join(dumps).splitlines()


def test_word_pieces_are_not_offered():
    """Their trainer breaks ties in the order of a hash map: no run could be repeated."""
    with pytest.raises(ConfigError, match="expected word or bpe"):
        SubwordTokenizer(kind="wordpiece")
