"""PyTorch beside the benchmarks `training` and `ops`: the same decoders, shapes, and optimiser.

One step is forward, backward, clipping to norm 1, and AdamW, on a batch of 32 sequences of 128
tokens; the attention is `scaled_dot_product_attention` with its causal flag. `training/moe/1` is
forward and backward of the `transformers` library's Qwen3MoeSparseMoeBlock on 4096 tokens.
The operations `ops/…` are measured by `tests/fixtures/ops/peer.py`, in CPU time alone.
Prints one JSON row per benchmark, medians: {"name": …, "seconds": …, "cpu_seconds": …}.
Optional arguments select benchmarks by name; `ops` stands for all operations.
"""

import json
import pathlib
import statistics
import subprocess
import sys
import time

import torch
import torch.nn.functional as F
from torch import nn

BATCH, TOKENS, VOCABULARY = 32, 128, {192: 512, 64: 256}


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x):
        batch, tokens, width = x.shape
        qkv = self.qkv(self.norm1(x)).view(batch, tokens, 3, self.heads, width // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        seen = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(seen.transpose(1, 2).reshape(batch, tokens, width))
        return x + self.down(F.gelu(self.up(self.norm2(x)), approximate="tanh"))


class Decoder(nn.Module):
    def __init__(self, width, layers, heads):
        super().__init__()
        vocabulary = VOCABULARY[width]
        self.tokens, self.places = nn.Embedding(vocabulary, width), nn.Embedding(TOKENS, width)
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(layers))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, vocabulary, bias=False)

    def forward(self, ids):
        x = self.tokens(ids) + self.places.weight
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


def decoder_step(width, heads):
    torch.manual_seed(0)
    decoder = Decoder(width, 6, heads)
    optimizer = torch.optim.AdamW(decoder.parameters(), lr=1e-3)
    ids = torch.randint(VOCABULARY[width], (BATCH, TOKENS))

    def step():
        logits = decoder(ids)[:, :-1]
        loss = F.cross_entropy(logits.reshape(-1, logits.shape[-1]), ids[:, 1:].reshape(-1))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(decoder.parameters(), 1.0)
        optimizer.step()

    return step


def experts_step():
    from transformers import Qwen3MoeConfig
    from transformers.models.qwen3_moe.modeling_qwen3_moe import Qwen3MoeSparseMoeBlock

    torch.manual_seed(0)
    config = Qwen3MoeConfig(
        hidden_size=192, moe_intermediate_size=128, num_experts=16, num_experts_per_tok=2,
        norm_topk_prob=True, hidden_act="silu",
    )
    block = Qwen3MoeSparseMoeBlock(config)
    for parameter in block.parameters():
        nn.init.normal_(parameter, std=0.02)
    x = torch.randn(BATCH, TOKENS, 192, requires_grad=True)

    def step():
        block.zero_grad()
        x.grad = None
        output = block(x)
        output = output[0] if isinstance(output, tuple) else output
        output.square().mean().backward()

    return step


def measure(name, threads, step, steps):
    torch.set_num_threads(threads)
    step()
    wall, cpu = [], []
    for _ in range(steps):
        start, start_cpu = time.perf_counter(), time.process_time()
        step()
        wall.append(time.perf_counter() - start)
        cpu.append(time.process_time() - start_cpu)
    row = {"seconds": statistics.median(wall), "cpu_seconds": statistics.median(cpu)}
    print(json.dumps({"name": name, **row}), flush=True)


def operations():
    """Each operation forward and backward on one thread, by the script beside its tests."""
    folder = pathlib.Path(__file__).resolve().parents[2]
    script = folder / "tests" / "fixtures" / "ops" / "peer.py"
    if not script.is_file():
        print(f"NOT MEASURED: `{script}` is not there", file=sys.stderr)
        return
    answer = subprocess.run(
        [sys.executable, script, "1"], check=True, stdout=subprocess.PIPE, text=True
    )
    measured = json.loads(answer.stdout.splitlines()[-1])
    for name, milliseconds in measured["results"].items():
        print(json.dumps({"name": name, "cpu_seconds": milliseconds / 1e3}), flush=True)


def main():
    print(f"torch {torch.__version__}", file=sys.stderr)
    cases = [
        ("training/2.9M/1", 1, lambda: decoder_step(192, 6), 7),
        ("training/2.9M/2", 2, lambda: decoder_step(192, 6), 7),
        ("training/0.34M/1", 1, lambda: decoder_step(64, 4), 15),
        ("training/0.34M/2", 2, lambda: decoder_step(64, 4), 15),
        ("training/moe/1", 1, experts_step, 15),
    ]
    for name, threads, make, steps in cases:
        if len(sys.argv) < 2 or name in sys.argv[1:]:
            torch.set_num_threads(threads)
            measure(name, threads, make(), steps)
    if len(sys.argv) < 2 or "ops" in sys.argv[1:]:
        operations()


if __name__ == "__main__":
    main()
