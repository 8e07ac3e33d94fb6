"""llama.cpp beside the benchmark `sharing`: nine samples of each of twelve few-shot questions.

`xllamacpp` is a prebuilt wheel of llama.cpp's server, called in this process, so that
`time.process_time` sees all of its threads; it computes with one. The folder MODEL_WEIGHTS holds
the weights. Three ways to nine samples: `separate` calls without the cache of prompts; separate
calls with it (`cached`, the server's default); one call with `n` = 9 (`together`), for which the
server computes the prompt in one slot and copies it to eight others.

Prints one JSON row per way and measure, medians over the rounds, each on a server that has seen no
prompt before: `tokens/…` has the prompt tokens evaluated in the place of seconds (`prompt_n` of
the server's timings), `cpu/…` processor seconds; both for all questions (`items`).
"""

import json
import os
import pathlib
import statistics
import sys
import time

import xllamacpp

FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
K, ROUNDS = 9, 3
READ = json.loads(pathlib.Path(__file__).with_name("questions.json").read_text())
SHOTS = "".join(f"Q: {shot['input']}\nA: {shot['output']}\n\n" for shot in READ["shots"])
PROMPTS = [f"{SHOTS}Q: {question}\nA:" for question in READ["questions"]]


def server(path, n_slots):
    params = xllamacpp.CommonParams()
    params.model.path = path
    params.n_ctx = n_slots * 512
    params.n_parallel = n_slots
    params.cpuparams.n_threads = 1
    params.cpuparams_batch.n_threads = 1
    params.verbosity = -1
    return xllamacpp.Server(params)


def ask(engine, prompt, seed, n, cache):
    answer = engine.handle_completions({
        "prompt": prompt, "max_tokens": 10, "temperature": 0.5, "top_k": 0, "top_p": 1.0,
        "min_p": 0.0, "seed": seed, "stop": ["\n"], "n": n, "cache_prompt": cache,
    })
    answer = json.loads(answer) if isinstance(answer, str) else answer
    assert len(answer["choices"]) == n, answer
    timings, usage = answer["timings"], answer["usage"]
    n_cached = usage["prompt_tokens_details"]["cached_tokens"]
    # Where a whole prompt is in the cache, its last token is computed again.
    assert timings["prompt_n"] == usage["prompt_tokens"] - n_cached, answer
    return timings["prompt_n"]


def separate(engine, prompt):
    return sum(ask(engine, prompt, seed, 1, False) for seed in range(K))


def cached(engine, prompt):
    return sum(ask(engine, prompt, seed, 1, True) for seed in range(K))


def together(engine, prompt):
    return ask(engine, prompt, 0, K, True)


def main():
    folder = os.environ.get("MODEL_WEIGHTS")
    path = os.path.join(folder or "", FILE)
    if not folder or not os.path.exists(path):
        sys.exit(f"MODEL_WEIGHTS names no folder with `{FILE}`")
    for way, n_slots in [(separate, 1), (cached, 1), (together, K)]:
        tokens, cpu = [], []
        for _ in range(ROUNDS):
            engine = server(path, n_slots)
            start = time.process_time()
            tokens.append(sum(way(engine, prompt) for prompt in PROMPTS))
            cpu.append(time.process_time() - start)
            del engine
        items = len(PROMPTS)
        name = way.__name__
        print(json.dumps({"name": f"tokens/{name}", "seconds": statistics.median(tokens),
                          "items": items}), flush=True)
        print(json.dumps({"name": f"cpu/{name}", "cpu_seconds": statistics.median(cpu),
                          "items": items}), flush=True)


if __name__ == "__main__":
    main()
