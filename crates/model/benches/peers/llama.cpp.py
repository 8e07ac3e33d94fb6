"""llama.cpp beside the benchmark `inference`: the same weights, prompts, and numbers of tokens.

`xllamacpp` is a prebuilt wheel of llama.cpp's server, called in this process, so that
`time.process_time` sees all of its threads; it computes with one. The folder MODEL_WEIGHTS holds
the weights. Prints one JSON row per benchmark, medians over the rounds:
{"name": …, "seconds": …, "cpu_seconds": …, "items": tokens}.

prefill: a prompt that is in no cache, and one token. decode: the tokens after the first one, by
the difference to a call that asks for one token. decode8: the same for eight answers to one
prompt, in eight slots at once.
"""

import json
import os
import statistics
import sys
import threading
import time

import xllamacpp

N_PROMPT, N_NEW, N_SLOTS, ROUNDS = 67, 99, 8, 5
MODELS = {
    "smollm2": "SmolLM2-135M-Instruct.Q4_1.gguf",
    "gemma3": "gemma-3-270m-q4_k_m.gguf",
}


# Plain words in both vocabularies; `benches/inference.rs` has the same. What they say does not
# matter to the time.
PROMPT = [1000 + i * 97 % 9000 for i in range(N_PROMPT)]


def server(path, n_slots):
    params = xllamacpp.CommonParams()
    params.model.path = path
    params.n_ctx = n_slots * 512
    params.n_parallel = n_slots
    params.cpuparams.n_threads = 1
    params.cpuparams_batch.n_threads = 1
    params.verbosity = -1
    return xllamacpp.Server(params)


def complete(engine, n_new):
    answer = engine.handle_completions({
        "prompt": PROMPT, "max_tokens": n_new, "temperature": 0.0, "ignore_eos": True,
        "cache_prompt": False,
    })
    answer = json.loads(answer) if isinstance(answer, str) else answer
    n = answer["usage"]["completion_tokens"]
    assert n == n_new, f"{n} tokens, not {n_new}: {answer}"


def timed(call):
    start, start_cpu = time.perf_counter(), time.process_time()
    call()
    return time.perf_counter() - start, time.process_time() - start_cpu


def at_once(calls):
    threads = [threading.Thread(target=call) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def row(name, times, items):
    wall, cpu = zip(*times)
    print(json.dumps({
        "name": name,
        "seconds": statistics.median(wall),
        "cpu_seconds": statistics.median(cpu),
        "items": items,
    }), flush=True)


def less(whole, part):
    return tuple(a - b for a, b in zip(whole, part))


def measure(model, path):
    engine = server(path, 1)
    complete(engine, 4)
    prefill = [timed(lambda: complete(engine, 1)) for _ in range(ROUNDS)]
    row(f"inference/{model}/prefill", prefill, N_PROMPT)
    first = tuple(map(statistics.median, zip(*prefill)))
    decode = [less(timed(lambda: complete(engine, 1 + N_NEW)), first) for _ in range(ROUNDS)]
    row(f"inference/{model}/decode", decode, N_NEW)
    del engine
    engine = server(path, N_SLOTS)

    def slots(n_new):
        at_once([lambda: complete(engine, n_new) for _ in range(N_SLOTS)])

    slots(1)
    decode8 = [less(timed(lambda: slots(1 + N_NEW)), timed(lambda: slots(1)))
               for _ in range(ROUNDS)]
    row(f"inference/{model}/decode8", decode8, N_NEW * N_SLOTS)


def main():
    folder = os.environ.get("MODEL_WEIGHTS")
    if not folder:
        sys.exit("MODEL_WEIGHTS names no folder with the weights")
    found = 0
    for model, file in MODELS.items():
        path = os.path.join(folder, file)
        if os.path.exists(path):
            measure(model, path)
            found += 1
        else:
            print(f"NOT MEASURED: `{path}` is not there", file=sys.stderr)
    if not found:
        sys.exit(f"none of the weights is in `{folder}`")


if __name__ == "__main__":
    main()
