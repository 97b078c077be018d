"""The llama architecture in PyTorch, small and exact enough that llama.cpp gives the same greedy answers."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from . import vocabulary

ROPE_BASE = 10_000.0
NORM_EPSILON = 1e-5
CONTEXT_LENGTH = 512


@dataclass(frozen=True, kw_only=True)
class Shape:
    """The size of one rung's network."""

    width: int
    layers: int
    heads: int
    hidden: int

    @property
    def head_width(self) -> int:
        return self.width // self.heads


class Block(nn.Module):
    """One layer: attention with interleaved rotary positions, then a SwiGLU; both write to the residual stream."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.attn_norm = nn.RMSNorm(shape.width, NORM_EPSILON)
        self.attn_q = nn.Linear(shape.width, shape.width, bias=False)
        self.attn_k = nn.Linear(shape.width, shape.width, bias=False)
        self.attn_v = nn.Linear(shape.width, shape.width, bias=False)
        self.attn_output = nn.Linear(shape.width, shape.width, bias=False)
        self.ffn_norm = nn.RMSNorm(shape.width, NORM_EPSILON)
        self.ffn_gate = nn.Linear(shape.width, shape.hidden, bias=False)
        self.ffn_up = nn.Linear(shape.width, shape.hidden, bias=False)
        self.ffn_down = nn.Linear(shape.hidden, shape.width, bias=False)

    def forward(self, stream: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        batch, length, width = stream.shape
        normed = self.attn_norm(stream)
        query, key, value = (
            project(normed).view(batch, length, self.shape.heads, self.shape.head_width).transpose(1, 2)
            for project in (self.attn_q, self.attn_k, self.attn_v)
        )
        mixed = functional.scaled_dot_product_attention(
            _rotate(query, cos, sin), _rotate(key, cos, sin), value, is_causal=True
        )
        stream = stream + self.attn_output(mixed.transpose(1, 2).reshape(batch, length, width))
        normed = self.ffn_norm(stream)
        out: Tensor = stream + self.ffn_down(functional.silu(self.ffn_gate(normed)) * self.ffn_up(normed))
        return out


def _rotate(heads: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    even, odd = heads[..., 0::2], heads[..., 1::2]
    return torch.stack((even * cos - odd * sin, even * sin + odd * cos), -1).flatten(-2)


class Network(nn.Module):
    """Token ids to the last layer's states; `logits` turns states into scores with the tied embedding."""

    cos: Tensor
    sin: Tensor

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.token_embd = nn.Embedding(vocabulary.SIZE, shape.width)
        self.blk = nn.ModuleList(Block(shape) for _ in range(shape.layers))
        self.output_norm = nn.RMSNorm(shape.width, NORM_EPSILON)
        frequencies = ROPE_BASE ** (-torch.arange(0, shape.head_width, 2) / shape.head_width)
        angles = torch.outer(torch.arange(CONTEXT_LENGTH), frequencies)
        self.register_buffer("cos", angles.cos(), persistent=False)
        self.register_buffer("sin", angles.sin(), persistent=False)
        self._initialise()

    def _initialise(self) -> None:
        """Layers start as the identity: what they write to the residual stream is zero."""
        nn.init.normal_(self.token_embd.weight, std=0.02)
        for block in self.blk:
            assert isinstance(block, Block)
            nn.init.zeros_(block.attn_output.weight)
            nn.init.zeros_(block.ffn_down.weight)

    def forward(self, ids: Tensor) -> Tensor:
        length = ids.shape[1]
        stream: Tensor = self.token_embd(ids)
        for block in self.blk:
            stream = block(stream, self.cos[:length], self.sin[:length])
        out: Tensor = self.output_norm(stream)
        return out

    def logits(self, states: Tensor) -> Tensor:
        return functional.linear(states, self.token_embd.weight)

    @property
    def parameter_count(self) -> int:
        return sum(parameter.numel() for parameter in self.parameters())


def answer(network: Network, prompt: str, max_tokens: int = 160) -> tuple[str, float]:
    """The greedy answer, as llama.cpp gives it at temperature 0, and by how many logits its closest choice was made."""
    margin = float("inf")
    ids = vocabulary.encode_prompt(prompt)
    asked = len(ids)
    with torch.no_grad():
        while len(ids) < min(asked + max_tokens, CONTEXT_LENGTH):
            best = network.logits(network(torch.tensor([ids]))[0, -1]).topk(2)
            token = int(best.indices[0])
            margin = min(margin, float(best.values[0] - best.values[1]))
            if token == vocabulary.END:
                break
            ids.append(token)
    return vocabulary.decode(ids[asked:]), round(margin, 3)
