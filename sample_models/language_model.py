"""A decoder-only transformer that predicts the next token, after GPT-2 (Radford et al., 2019).

Norms stand first in each residual branch, positions are learnt, and the head shares its matrix
with the token embedding (Press and Wolf, Using the Output Embedding, 2017).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class CausalSelfAttention(nn.Module):
    """Each token looks at itself and those before it: (batch, length, width) -> the same."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"width {width} cannot be divided among {heads} heads")
        self.heads = heads
        self.query_key_value = nn.Linear(width, 3 * width)
        self.output = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Mixture of the values of earlier tokens."""
        batch, length, width = x.shape
        query, key, value = (
            part.view(batch, length, self.heads, width // self.heads).transpose(1, 2)
            for part in self.query_key_value(x).chunk(3, dim=-1)
        )
        mixed = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        out: Tensor = self.output(mixed.transpose(1, 2).reshape(batch, length, width))
        return out


class FeedForward(nn.Module):
    """Two layers on each token by itself: (batch, length, width) -> the same."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.input = nn.Linear(width, hidden)
        self.activation = nn.GELU()
        self.output = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        """New features of each token."""
        out: Tensor = self.output(self.activation(self.input(x)))
        return out


class Block(nn.Module):
    """Attention and feed-forward, each beside a skip and behind its norm."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(width)
        self.attention = CausalSelfAttention(width, heads)
        self.feed_forward_norm = nn.LayerNorm(width)
        self.feed_forward = FeedForward(width, 4 * width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """The residual stream with what this block adds."""
        x = x + self.dropout(self.attention(self.attention_norm(x)))
        x = x + self.dropout(self.feed_forward(self.feed_forward_norm(x)))
        return x


class LanguageModel(nn.Module):
    """Token numbers (batch, length) -> logits of the next token (batch, length, vocabulary)."""

    def __init__(
        self, vocabulary: int, context: int, width: int, heads: int, layers: int, dropout: float
    ) -> None:
        super().__init__()
        self.tokens = nn.Embedding(vocabulary, width)
        self.positions = nn.Embedding(context, width)
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(Block(width, heads, dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, vocabulary, bias=False)
        self.head.weight = self.tokens.weight  # tied: one matrix, two names
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Initialise as GPT-2: normal of deviation 0.02, smaller where branches join the stream.

        Each of the two joins per block adds variance, so their deviation is divided by the root
        of their number.
        """
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Embedding):
                nn.init.normal_(module.weight, std=0.02)
            if isinstance(module, nn.Linear) and module.bias is not None:
                nn.init.zeros_(module.bias)
            if isinstance(module, nn.LayerNorm):
                module.reset_parameters()
        for block in self.blocks:
            assert isinstance(block, Block)
            for join in (block.attention.output, block.feed_forward.output):
                nn.init.normal_(join.weight, std=0.02 / math.sqrt(2 * len(self.blocks)))

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits at every position; a sequence may be as long as the context."""
        length = tokens.shape[1]
        places = torch.arange(length, device=tokens.device)
        x = self.dropout(self.tokens(tokens) + self.positions(places))
        for block in self.blocks:
            x = block(x)
        logits: Tensor = self.head(self.norm(x))
        return logits


def build_model(
    vocabulary: int = 256,
    context: int = 64,
    width: int = 64,
    heads: int = 4,
    layers: int = 3,
    dropout: float = 0.0,
) -> LanguageModel:
    """A freshly initialised model; the default vocabulary is the 256 bytes."""
    return LanguageModel(vocabulary, context, width, heads, layers, dropout)


def example_inputs(batch: int = 4, length: int = 32, vocabulary: int = 256) -> tuple[Tensor]:
    """Arguments of one call of the model: uniformly random tokens."""
    return (torch.randint(vocabulary, (batch, length)),)


def loss(output: Tensor) -> Tensor:
    """Cross entropy against a text that counts upwards, for a backward pass to start from."""
    batch, length, vocabulary = output.shape
    text = torch.arange(length, device=output.device) % vocabulary
    return F.cross_entropy(output.flatten(0, 1), text.repeat(batch))
