"""A tagger: embedding, LSTM in both directions, one label for each token.

After Huang et al., Bidirectional LSTM-CRF Models for Sequence Tagging (2015), without the CRF.  The
LSTM holds four gates in each weight, one below the other: input, forget, cell and output.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

PADDING = 0  # the token that fills short sentences


class Tagger(nn.Module):
    """Tokens (batch, length) -> logits (batch, length, labels)."""

    def __init__(self, vocabulary: int, width: int, hidden: int, layers: int, labels: int) -> None:
        super().__init__()
        self.embed = nn.Embedding(vocabulary, width, padding_idx=PADDING)
        self.lstm = nn.LSTM(width, hidden, layers, batch_first=True, bidirectional=True)
        self.head = nn.Linear(2 * hidden, labels)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Let the forget gates begin open, after Jozefowicz et al. (2015), section 2.2."""
        for name, bias in self.lstm.named_parameters():
            if name.startswith("bias_ih"):
                forget = slice(self.lstm.hidden_size, 2 * self.lstm.hidden_size)
                with torch.no_grad():
                    bias[forget] = 1.0

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits of the label of each token."""
        states, _ = self.lstm(self.embed(tokens))
        logits: Tensor = self.head(states)
        return logits


def build_model(
    vocabulary: int = 50, width: int = 16, hidden: int = 24, layers: int = 2, labels: int = 5
) -> Tagger:
    """A freshly initialised model."""
    return Tagger(vocabulary, width, hidden, layers, labels)


def example_inputs(batch: int = 8, length: int = 12, vocabulary: int = 50) -> tuple[Tensor]:
    """Arguments of one call of the model: random sentences, every second one half as long."""
    tokens = torch.randint(PADDING + 1, vocabulary, (batch, length))
    tokens[::2, length // 2 :] = PADDING
    return (tokens,)


def loss(output: Tensor) -> Tensor:
    """Cross entropy against a fixed assignment of labels, for a backward pass to start from."""
    labels = output.shape[-1]
    logits = output.flatten(0, 1)
    return F.cross_entropy(logits, torch.arange(len(logits), device=output.device) % labels)
