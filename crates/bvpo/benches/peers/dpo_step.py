"""One DPO step on SmolLM2-135M in PyTorch and in TRL, beside the benchmark `dpo_step`.

The same weights (de-quantised to single precision), ids, cached reference log-probabilities, and
optimiser; one thread. `plain` is a loop as people write it; `trl` is `DPOTrainer` with reference
log-probabilities in its data set, timed from the beginning of a step to its end by a callback. Prints one JSON row
per benchmark, medians over the steps: {"name": ..., "seconds": ..., "cpu_seconds": ...}. The loss of
the first step must be the one in `dpo_step.json` to 1e-4, or the script fails.

    python dpo_step.py --make       writes the loss into `dpo_step.json` (torch 2.15.0,
                                    transformers 5.23.0)
"""

import json
import os
import pathlib
import statistics
import sys
import tempfile
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

HERE = pathlib.Path(__file__).parent
WEIGHTS = "SmolLM2-135M-Instruct.Q4_1.gguf"
RATE, STEPS, WARM = 1e-6, 5, 2
torch.set_num_threads(1)


def pair():
    return json.loads((HERE / "dpo_step.json").read_text())


def load():
    folder = os.environ["MODEL_WEIGHTS"]
    read = AutoModelForCausalLM.from_pretrained(folder, gguf_file=WEIGHTS, dtype=torch.float32)
    # A model read from GGUF counts as quantised, which trainers refuse, although its weights are
    # single precision by now: so they go into a fresh one.
    config = read.config
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    model = type(read)(config).to(torch.float32)
    model.load_state_dict(read.state_dict())
    return model, AutoTokenizer.from_pretrained(folder, gguf_file=WEIGHTS)


def check(loss, what):
    expected = pair()["loss"]
    assert abs(loss - expected) < 1e-4, f"{what}: loss {loss}, not {expected}"
    print(f"{what}: loss {loss:.6f}, expected {expected:.6f}", file=sys.stderr)


def loss_of(model, ids, mask, case):
    logits = model(input_ids=ids, attention_mask=torch.ones_like(ids), use_cache=False).logits
    logps = torch.log_softmax(logits[:, :-1], -1).gather(2, ids[:, 1:, None])[..., 0]
    chosen, rejected = (logps * mask[:, 1:]).sum(1)
    margin = (chosen - case["reference"][0]) - (rejected - case["reference"][1])
    return -torch.nn.functional.logsigmoid(case["beta"] * margin)


def timed(call):
    start, start_cpu = time.perf_counter(), time.process_time()
    result = call()
    return result, (time.perf_counter() - start, time.process_time() - start_cpu)


def row(name, times):
    wall, cpu = zip(*times)
    print(json.dumps({
        "name": name, "seconds": statistics.median(wall), "cpu_seconds": statistics.median(cpu),
    }), flush=True)


def plain():
    case = pair()
    model, _ = load()
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0.0)
    ids = torch.tensor([case["chosen"], case["rejected"]])
    mask = torch.zeros_like(ids, dtype=torch.float32)
    mask[:, case["start"]:] = 1.0

    def step():
        optimizer.zero_grad(set_to_none=True)
        loss = loss_of(model, ids, mask, case)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return loss.item()

    times = []
    for number in range(WARM + STEPS):
        loss, spent = timed(step)
        if number == 0:
            check(loss, "plain loop")
        if number >= WARM:
            times.append(spent)
    row("dpo_step/pytorch", times)


def trl():
    from datasets import Dataset
    from transformers import TrainerCallback
    from trl import DPOConfig, DPOTrainer

    case = pair()
    model, tokenizer = load()
    n, start = WARM + STEPS, case["start"]
    example = {
        "prompt_ids": case["chosen"][:start],
        "chosen_ids": case["chosen"][start:],
        "rejected_ids": case["rejected"][start:],
        "ref_chosen_logps": case["reference"][0],
        "ref_rejected_logps": case["reference"][1],
    }
    data = Dataset.from_list([example] * n)

    class Prepared(DPOTrainer):
        """The data are ids and cached log-probabilities already: nothing is left to prepare."""

        def _prepare_dataset(self, dataset, *args):
            return dataset

        def _precompute_ref_logps(self, dataset, *args):
            return dataset

    class Clock(TrainerCallback):
        times, losses = [], []

        def on_step_begin(self, *args, **kwargs):
            self.start = time.perf_counter(), time.process_time()

        def on_step_end(self, *args, **kwargs):
            self.times.append((time.perf_counter() - self.start[0],
                               time.process_time() - self.start[1]))

        def on_log(self, args, state, control, logs=None, **kwargs):
            if logs and "loss" in logs:
                self.losses.append(logs["loss"])

    with tempfile.TemporaryDirectory() as folder:
        config = DPOConfig(
            folder, beta=case["beta"], learning_rate=RATE, max_steps=n, warmup_steps=0,
            lr_scheduler_type="constant", per_device_train_batch_size=1, weight_decay=0.0,
            max_grad_norm=1.0, logging_steps=1, save_strategy="no", report_to=[], use_cpu=True,
            bf16=False, gradient_checkpointing=False, precompute_ref_log_probs=True,
            max_length=None, disable_tqdm=True, dataloader_num_workers=0,
        )
        clock = Clock()
        trainer = Prepared(model, args=config, train_dataset=data, processing_class=tokenizer,
                           callbacks=[clock])
        stdout, sys.stdout = sys.stdout, sys.stderr
        trainer.train()
        sys.stdout = stdout
    check(float(clock.losses[0]), "TRL")
    row("dpo_step/trl", clock.times[WARM:])


def make():
    """The loss of the first step: ids from a formula, references a little off the policy's."""
    ids = lambda offset: [1000 + (i * 97 + offset) % 9000 for i in range(116)]
    chosen, rejected = ids(0), ids(0)[:60] + ids(4321)[60:]
    case = {"chosen": chosen, "rejected": rejected, "start": 60, "beta": 0.1,
            "reference": [-560.0, -570.0], "loss": 0.0}
    model, _ = load()
    model.eval()
    batch = torch.tensor([chosen, rejected])
    mask = torch.zeros_like(batch, dtype=torch.float32)
    mask[:, 60:] = 1.0
    with torch.no_grad():
        logits = model(input_ids=batch).logits
        logps = torch.log_softmax(logits[:, :-1], -1).gather(2, batch[:, 1:, None])[..., 0]
        sums = (logps * mask[:, 1:]).sum(1).tolist()
        case["reference"] = [round(sums[0]) - 3.0, round(sums[1]) + 4.0]
        case["loss"] = loss_of(model, batch, mask, case).item()
    (HERE / "dpo_step.json").write_text(json.dumps(case) + "\n")
    print(case["reference"], case["loss"], sums, file=sys.stderr)


if __name__ == "__main__":
    if "--make" in sys.argv:
        make()
    else:
        for measure in (plain, trl):
            measure()
