"""Any `transformers` text checkpoint with a linear head, by hub name or local folder.

The tokenizer is the checkpoint's own, so nothing is fitted. Ids are shifted up by one, because
marketorch pads with 0 and checkpoints pad with whatever they like.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from marketorch.data.ragged import PAD, Ragged
from marketorch.errors import ConfigError
from marketorch.models.texts.tokenizer import Words


class CheckpointTokenizer:
    """The tokenizer that came with a checkpoint, as a text model's ``tokenizer``."""

    fitted = True

    def __init__(self, name: str, max_length: int) -> None:
        from transformers import AutoTokenizer  # seconds, and others only ask for this class

        self.tokenizer: Any = AutoTokenizer.from_pretrained(name, use_fast=True)
        self.max_length = max_length
        own = self.tokenizer
        hidden = own.unk_token_id if own.mask_token_id is None else own.mask_token_id
        self.blank = (own.eos_token_id if hidden is None else hidden) + 1
        self.special = torch.tensor([PAD, *(i + 1 for i in own.all_special_ids)])

    def fit(self, texts: Sequence[str]) -> None:
        """Nothing to learn."""

    def encode(self, texts: Sequence[str]) -> Ragged:
        """Token ids of each text plus one, special tokens included, cut to ``max_length``."""
        encoded = self.tokenizer(list(texts), truncation=True, max_length=self.max_length)
        return Ragged.of([[i + 1 for i in ids] for ids in encoded["input_ids"]])

    def is_word(self, tokens: Tensor) -> Tensor:
        """True where ``tokens`` are neither padding nor special."""
        return ~torch.isin(tokens, self.special.to(tokens.device))

    def words(self, text: str) -> Words:
        """The tokens of one text with the words they come from, as written."""
        encoded = self.tokenizer(
            text, truncation=True, max_length=self.max_length, return_offsets_mapping=True
        )
        owners = [-1 if word is None else word for word in encoded.word_ids()]
        spans: dict[int, list[int]] = {}
        for word, span in zip(owners, encoded["offset_mapping"], strict=True):
            if word >= 0:
                spans.setdefault(word, []).extend(span)
        words = [
            text[min(s) : max(s)] if (s := spans.get(i)) else "" for i in range(max(owners) + 1)
        ]
        return [i + 1 for i in encoded["input_ids"]], owners, words


class PretrainedText(nn.Module):
    """A pretrained encoder, mean pooling over the text, dropout and a linear head.

    Args:
        name: hub id (``distilbert-base-uncased``) or local folder.
        freeze: train the head only; the backbone then stays in eval mode.
        max_length: tokens a text is cut to.
    """

    starts_from, needs_start = "name", True  # see `marketorch.sharing.hub_folder.portable`

    def __init__(
        self,
        *,
        num_classes: int,
        name: str,
        freeze: bool = False,
        max_length: int = 256,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        from transformers import AutoModel

        try:
            self.tokenizer = CheckpointTokenizer(name, max_length)
            self.backbone: Any = AutoModel.from_pretrained(name)
        except (OSError, ValueError) as error:
            raise ConfigError(
                f"model.name '{name}' is neither a local folder with a transformers checkpoint nor "
                f"to be had from the hub: {str(error).splitlines()[0]}"
            ) from error
        self.freeze = freeze
        # A pooler is a head for another task; ours takes the mean, so its weights would idle.
        if getattr(self.backbone, "pooler", None) is not None:
            self.backbone.pooler = None
        self.backbone.requires_grad_(not freeze)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(self.backbone.config.hidden_size, num_classes)

    def train(self, mode: bool = True) -> PretrainedText:
        """A frozen backbone keeps its dropout off."""
        super().train(mode)
        if self.freeze:
            self.backbone.eval()
        return self

    def forward(self, tokens: Tensor) -> Tensor:
        """Shifted ids ``(B, L)`` to logits ``(B, C)``."""
        mask, ids = tokens != PAD, (tokens - 1).clamp_min(0)
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.freeze):
            hidden = self.backbone(input_ids=ids, attention_mask=mask.long())[0]
        mean = (hidden * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
        return self.head(self.dropout(mean))
