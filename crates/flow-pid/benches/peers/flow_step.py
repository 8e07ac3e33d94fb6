"""One training step of Flow-PID in PyTorch with normflows, as a peer for the benchmark `flow_step`.

Three RealNVP flows of 6 blocks (affine coupling with multilayer perceptrons [d, d/2, 64, d], then
ActNorm), two GaussianPCA bases, batch 128, Adam; forward, backward, and step. Prints one JSON row per
size: {"name": ..., "seconds": ..., "cpu_seconds": ...}, medians of 100 steps.
"""

import json
import statistics
import time

import normflows as nf
import torch

torch.set_num_threads(1)


def flow(dim, blocks=6):
    mask = torch.tensor([1.0 if k % 2 == 0 else 0.0 for k in range(dim)])
    layers = []
    for block in range(blocks):
        sizes = [dim, max(dim // 2, 1), 64, dim]
        scale = nf.nets.MLP(sizes, init_zeros=True)
        shift = nf.nets.MLP(sizes, init_zeros=True)
        kept = mask if block % 2 == 0 else 1 - mask
        layers += [nf.flows.MaskedAffineFlow(kept, shift, scale), nf.flows.ActNorm(dim)]
    return torch.nn.ModuleList(layers)


def to_latent(layers, x):
    log_det = torch.zeros(len(x))
    for layer in reversed(layers):
        x, part = layer.inverse(x)
        log_det = log_det + part
    return x, log_det


def measure(d1, d2, dy, steps=100, batch=128):
    torch.manual_seed(0)
    flows = [flow(d) for d in (dy, d1, d2)]
    bases = [nf.distributions.GaussianPCA(d + dy, dy, sigma=0.1) for d in (d1, d2)]
    params = [p for part in (*flows, *bases) for p in part.parameters()]
    optimiser = torch.optim.Adam(params, lr=1e-3, weight_decay=1e-5)
    data = [torch.randn(1280, d) for d in (dy, d1, d2)]
    wall, cpu = [], []
    for step in range(steps + 10):
        rows = torch.randint(0, 1280, (batch,))
        start, start_cpu = time.perf_counter(), time.process_time()
        (y, ly), (x1, l1), (x2, l2) = (to_latent(f, d[rows]) for f, d in zip(flows, data))
        first = bases[0].log_prob(torch.cat([x1, y], 1)) + l1 + ly
        second = bases[1].log_prob(torch.cat([x2, y], 1)) + l2 + ly
        loss = -(first + second).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if step >= 10:
            wall.append(time.perf_counter() - start)
            cpu.append(time.process_time() - start_cpu)
    return statistics.median(wall), statistics.median(cpu)


if __name__ == "__main__":
    for d1, d2, dy in ((2, 2, 2), (16, 16, 2)):
        seconds, cpu_seconds = measure(d1, d2, dy)
        name = f"flow_step/{d1}x{d2}x{dy}"
        print(json.dumps({"name": name, "seconds": seconds, "cpu_seconds": cpu_seconds}))
