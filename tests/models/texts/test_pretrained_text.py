"""A transformers checkpoint, made here with random weights, as a text model."""

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from marketorch.errors import ConfigError
from marketorch.models.texts.pretrained_text import PretrainedText


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bert")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "good", "bad", "film", "not", "a"]
    tokenizer = Tokenizer(models.WordLevel({w: i for i, w in enumerate(words)}, "[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    special = {"unk_token": "[UNK]", "pad_token": "[PAD]", "cls_token": "[CLS]"}
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, sep_token="[SEP]", **special)
    fast.save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(vocab_size=10, hidden_size=16, num_hidden_layers=2, num_attention_heads=2)
    config.intermediate_size = 32
    BertModel(config).save_pretrained(folder)
    return str(folder)


def test_states_equal_the_checkpoint_run_by_transformers(checkpoint):
    ours = PretrainedText(num_classes=2, name=checkpoint).eval()
    reference = BertModel.from_pretrained(checkpoint).eval()
    tokens = ours.tokenizer.encode(["not a good film", "bad"]).pad(torch.tensor([0, 1]))
    ids, mask = (tokens - 1).clamp_min(0), (tokens > 0).long()
    with torch.no_grad():
        states = reference(input_ids=ids, attention_mask=mask).last_hidden_state
        mean = (states * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
        torch.testing.assert_close(ours(tokens), ours.head(mean), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("freeze", [False, True])
def test_gradients_reach_what_is_trained(checkpoint, freeze):
    model = PretrainedText(num_classes=3, name=checkpoint, freeze=freeze).train()
    tokens = model.tokenizer.encode(["not a good film"]).pad(torch.tensor([0]))
    model(tokens).sum().backward()
    for name, parameter in model.named_parameters():
        trained = name.startswith("head") or not freeze
        assert parameter.requires_grad == trained, name
        if trained and "word_embeddings" not in name:
            assert parameter.grad is not None, name
            assert parameter.grad.isfinite().all(), name


def test_words_and_what_stands_for_one_left_out(checkpoint):
    tokenizer = PretrainedText(num_classes=2, name=checkpoint, freeze=True).tokenizer
    ids, owners, words = tokenizer.words("not a film")
    assert words == ["not", "a", "film"]
    assert len(owners) == len(ids)
    tokens = torch.tensor([*ids, 0])
    assert tokenizer.is_word(tokens).tolist() == [*(owner >= 0 for owner in owners), False]
    assert tokenizer.blank - 1 == tokenizer.tokenizer.unk_token_id  # it has no [MASK]
    assert not tokenizer.is_word(torch.tensor([tokenizer.blank]))


def test_an_unknown_name_is_a_clear_error():
    with pytest.raises(ConfigError, match="neither a local folder"):
        PretrainedText(num_classes=2, name="no/such-checkpoint")
