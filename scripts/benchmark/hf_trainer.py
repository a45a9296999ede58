"""The Hugging Face side of the text benchmark: a BERT-shaped checkpoint and its Trainer.

The checkpoint has random weights and a WordPiece vocabulary fitted on the training texts, so the
benchmark needs no network. The Trainer is used as its documentation shows: tokenised once into a
`datasets.Dataset`, padded by its default collator to the longest text of each batch, shuffled,
AdamW. Only logging and saving are off, which would cost it time.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import datasets
import torch
import transformers
from rounds import WARM_UP, Meter, Speed
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from transformers import AutoModelForSequenceClassification, AutoTokenizer, TrainerCallback
from transformers.trainer_callback import PrinterCallback

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
VOCABULARY = 8000


def save_checkpoint(texts: Sequence[str], folder: Path, max_length: int) -> None:
    """Writes a random BERT (4 layers, width 256) with a tokenizer of its own to ``folder``."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(
        vocab_size=VOCABULARY, special_tokens=SPECIAL, show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    ends = [(token, SPECIAL.index(token)) for token in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", None, ends)
    names = {f"{token[1:-1].lower()}_token": token for token in SPECIAL}
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, model_max_length=max_length, **names
    ).save_pretrained(folder)
    config = transformers.BertConfig(
        vocab_size=VOCABULARY,
        hidden_size=256,
        num_hidden_layers=4,
        num_attention_heads=4,
        intermediate_size=1024,
        max_position_embeddings=max_length,
        hidden_dropout_prob=0.1,
        attention_probs_dropout_prob=0.1,
    )
    torch.manual_seed(0)
    transformers.BertModel(config).save_pretrained(folder)


class Stamps(TrainerCallback):
    """Tells the meter of every step."""

    def __init__(self, meter: Meter) -> None:
        self.meter = meter

    def on_step_end(self, args: Any, state: Any, control: Any, **others: Any) -> None:
        """After the optimizer's step, before anything is logged."""
        self.meter.stamp(state.global_step, args.max_steps)


def train_with_trainer(
    checkpoint: Path,
    texts: Sequence[str],
    labels: Sequence[int],
    *,
    batch_size: int,
    lr: float,
    steps: int,
    seed: int,
    device: torch.device,
    bf16: bool,
) -> Speed:
    """One round of ``transformers.Trainer``: its speed over ``steps`` steps after the warm-up."""
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    model = AutoModelForSequenceClassification.from_pretrained(
        checkpoint, num_labels=len(set(labels))
    )
    encoded = tokenizer(list(texts), truncation=True)
    meter = Meter(model.base_model, device)
    with tempfile.TemporaryDirectory() as folder:
        arguments = transformers.TrainingArguments(
            output_dir=folder,
            max_steps=WARM_UP + steps,
            per_device_train_batch_size=batch_size,
            learning_rate=lr,
            bf16=bf16,
            use_cpu=device.type == "cpu",
            seed=seed,
            save_strategy="no",
            logging_strategy="no",
            report_to=[],
            disable_tqdm=True,
        )
        trainer = transformers.Trainer(
            model=model,
            args=arguments,
            train_dataset=datasets.Dataset.from_dict({**encoded, "labels": list(labels)}),
            processing_class=tokenizer,
            callbacks=[Stamps(meter)],
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train()
    return meter.speed()
