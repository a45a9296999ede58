"""The text task on tiny data: it learns, explains and calibrates."""

import pytest
import torch

from marketorch.data.cuts import UNLABELLED
from marketorch.data.texts.source import TextDataset
from marketorch.data.texts.tokens import TokenDataset
from marketorch.engine.trainer import Trainer
from marketorch.models.texts.ngrams import NgramLogistic
from marketorch.models.texts.text_transformer import TextTransformer
from marketorch.optim import optimizers as optim
from marketorch.tasks.masked_language import MaskedLanguage, mask_tokens
from marketorch.tasks.text_classification import TextClassification

SCHEMA = {"classes": ["negative", "positive"]}
TEXTS = ["a good day", "a bad day", "not good", "not bad", "good", "bad", "so good", "so bad"]
LABELS = torch.tensor([1, 0, 0, 1, 1, 0, 1, 0])
DATA = TextDataset(TEXTS, LABELS)


def transformer(**options):
    arguments = {"vocab_size": 60, "dim": 16, "depth": 1, "num_heads": 2, "tokenizer": "word"}
    return lambda num_classes: TextTransformer(num_classes=num_classes, **(arguments | options))


def task_of(model, **options):
    torch.manual_seed(0)
    return TextClassification(model=model, schema=SCHEMA, **options)


def prepared(**options):
    task = task_of(transformer(ngrams={"max_order": 2}), **options)
    task.prepare(DATA)
    return task.eval()


def test_overfits_eight_examples(tmp_path):
    task = task_of(transformer(dropout=0.0, embedding_dropout=0.0))
    trainer = Trainer(run_dir=tmp_path, device="cpu", precision="fp32", epochs=60, batch_size=8)
    report = trainer.fit(task, DATA, DATA, lambda module: optim.adamw(module, lr=1e-2))
    assert report["metrics"]["val/accuracy"] == 1.0
    assert report["metrics"]["val/log_loss"] < 0.1


def test_masked_language_overfits_eight_examples(tmp_path):
    torch.manual_seed(0)
    model = transformer(dropout=0.0, embedding_dropout=0.0)
    task = MaskedLanguage(model=model, schema={"classes": []}, mask_rate=0.4)
    trainer = Trainer(run_dir=tmp_path, device="cpu", precision="fp32", epochs=150, batch_size=8)
    report = trainer.fit(task, DATA, DATA, lambda module: optim.adamw(module, lr=1e-2))
    assert report["metrics"]["val/log_loss"] < 1.5


def test_masking_spares_padding_and_special_tokens():
    torch.manual_seed(0)
    tokens = torch.randint(4, 60, (64, 32))
    tokens[:, 0], tokens[:, 20:] = 2, 0
    masked, hidden = mask_tokens(tokens, 0.2, 60)
    assert not hidden[:, 0].any()
    assert not hidden[:, 20:].any()
    assert torch.equal(masked[~hidden], tokens[~hidden])
    assert 0.16 < hidden[:, 1:20].float().mean() < 0.24
    assert 0.7 < (masked[hidden] == 3).float().mean() < 0.9


def test_unlabelled_examples_weigh_nothing():
    task = prepared(label_smoothing=0.1)
    labels = LABELS.clone()
    labels[4:] = UNLABELLED
    data = task.encode(TextDataset(TEXTS, labels))
    some, every = data.__getitems__([0, 1, 2, 3]), data.__getitems__(list(range(8)))
    few, all_ = task.train()(some), task.eval() and task(every)
    assert few.weight == all_.weight == 4
    task.eval()
    torch.testing.assert_close(task(some).loss_sum, all_.loss_sum, rtol=1e-4, atol=1e-5)


def test_telling_words_are_what_the_answer_loses_without_them():
    task = task_of(lambda num_classes: NgramLogistic(num_classes=num_classes, max_order=1))
    task.prepare(DATA)
    task.eval()
    words = task.word_importance("so good", 1, 5)
    assert [w["word"] for w in words] == ["good", "so"]
    assert task.word_importance("so good", 0, 5)[0]["weight"] == -words[0]["weight"]
    rows = task.encode(TextDataset(["so good", "so ?"])).tokens.pad(torch.tensor([0, 1]))
    with_it, without = task.model(rows).diff(dim=1)[:, 0].tolist()
    assert words[0]["weight"] == pytest.approx(with_it - without, abs=1e-3)


def test_telling_words_are_spelled_as_written_and_punctuation_never_shows():
    words = prepared().word_importance("So GOOD, a Day!", 1, 10)
    assert {w["word"] for w in words} == {"So", "GOOD", "a", "Day"}
    assert prepared().word_importance("?!", 1, 10) == []


def test_the_telling_word_of_a_long_text_is_found():
    task = prepared()
    text = " ".join(["a", "day", "so"] * 70 + ["good"] + ["a", "day"] * 60)
    task.model.tokenizer.max_length = 400
    task.model.window = 400
    member = task.model.ngrams
    task.model.forward = lambda tokens: member(tokens)
    assert task.word_importance(text, 1, 3)[0]["word"] == "good"


def test_calibration_lowers_the_log_loss_and_keeps_weights_positive():
    task = prepared()
    data = task.encode(DATA)
    batch = data.__getitems__(list(range(8)))
    before = task.predict(batch)
    loss = torch.nn.functional.nll_loss(before["probabilities"].log(), LABELS)
    assert task.calibrate(before, data)
    after = task.predict(batch)["probabilities"]
    assert torch.nn.functional.nll_loss(after.log(), LABELS) <= loss
    assert (task.head.mix > 0).all()
    assert len(task.head.mix) == 2
    assert not prepared(calibration=False).calibrate(before, data)


def test_prepare_sees_only_what_it_is_given():
    task = task_of(transformer())
    task.prepare(TextDataset(["alpha alpha beta beta"], torch.tensor([0])))
    vocabulary = task.model.tokenizer.tokenizer.get_vocab()
    assert set(vocabulary) == {"[PAD]", "[UNK]", "[CLS]", "[MASK]", "alpha", "beta"}
    assert isinstance(task.encode(DATA), TokenDataset)


@pytest.mark.parametrize("kind", ["word", "bpe"])
def test_tokenizers_cut_contractions_and_long_texts(kind):
    task = task_of(transformer(tokenizer=kind, max_length=7))
    task.prepare(TextDataset(["I don't like it, it's bad <br /> really bad"] * 3, torch.zeros(3)))
    ids, owners, words = task.model.tokenizer.words("I don't like it")
    assert words[:3] == ["I", "do", "n't"]
    assert len(ids) == len(owners) <= 7
    assert task.model.tokenizer.encode(["bad " * 50]).lengths.tolist() == [7]
