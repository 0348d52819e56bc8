"""Training steps of taper and PyTorch in turns; bench/step.sh prepares what this needs."""

import argparse
import glob
import os
import pathlib
import sys

import turns

ROOT = pathlib.Path(__file__).resolve().parent.parent
# Batch, measured steps and steps before them.
RUNS = {"mlp": (256, 1000, 5), "cnn": (256, 20, 5), "resnet18": (16, 6, 2),
        "mobilenet_v2": (16, 6, 2)}
MIB = 1 / (1 << 20)


def contestants(model, options):
    batch, steps, warmup = RUNS[model]
    common = ["--model", model, "--batch", str(batch), "--steps", str(options.steps or steps),
              "--warmup", str(warmup), "--threads", str(options.threads),
              "--data", str(ROOT / "data/mnist")]
    # OpenBLAS with its own threads fights PyTorch's OpenMP threads for the cores; the OpenMP build
    # does not.
    blas = glob.glob("/usr/lib/*/openblas-openmp/libopenblas.so.0")
    environment = dict(os.environ, OMP_NUM_THREADS=str(options.threads))
    if blas:
        environment["LD_PRELOAD"] = blas[0]
    torch = ["/usr/bin/python3", str(ROOT / "bench/torch_speed.py"), *common]
    found = [turns.Contestant("taper", [str(ROOT / "build/bench/bench/model_speed"), *common]),
             turns.Contestant("PyTorch", torch, environment)]
    if options.bf16 and model == "cnn":
        found.append(turns.Contestant("PyTorch, bf16", [*torch, "--bf16"], environment))
    return found


def row(model, results, peer):
    def speed(name):
        return turns.summary(turns.values(results, name, "images_per_second"))

    def peak(name):
        return turns.summary(turns.values(results, name, "peak_bytes"), 1, MIB)

    share = turns.ratios(results, "taper", peer, "peak_bytes")
    return (f"| {model}, batch {RUNS[model][0]} | {peer} | {speed('taper')} | {speed(peer)} | "
            f"{turns.summary(turns.ratios(results, 'taper', peer), 2)} | {peak('taper')} | "
            f"{peak(peer)} | {turns.summary(share, 0, 100)} |")


def main():
    arguments = argparse.ArgumentParser(prog="bench/step.sh")
    arguments.add_argument("models", nargs="*", metavar="MODEL", help=", ".join(RUNS))
    arguments.add_argument("--threads", type=int, default=2)
    arguments.add_argument("--pairs", type=int, default=5, help="rounds (%(default)s)")
    arguments.add_argument("--steps", type=int, help="measured steps of a round")
    arguments.add_argument("--bf16", action="store_true",
                           help="also PyTorch's autocast to bfloat16, of the cnn")
    arguments.add_argument("--json", metavar="FILE", help="for every round of every program")
    options = arguments.parse_args()
    unknown = [model for model in options.models if model not in RUNS]
    if unknown or min(options.threads, options.pairs, options.steps or 1) < 1:
        arguments.error(f"there is no model {unknown[0]}" if unknown else "numbers must be positive")

    print(f"{options.threads} threads, {options.pairs} rounds: median (least..most)\n")
    print("| training step | peer | taper, images/s | peer, images/s | ratio | taper, peak MiB | "
          "peer, peak MiB | share, % |\n|---|---|---|---|---|---|---|---|", flush=True)
    lines = []
    for model in options.models or RUNS:
        found = contestants(model, options)
        results = turns.measure(found, options.pairs)
        for peer in found[1:]:
            print(row(model, results, peer.name), flush=True)
        lines.append({"name": model, "batch": RUNS[model][0], "threads": options.threads,
                      "rounds": results,
                      "ratios": {peer.name: turns.ratios(results, "taper", peer.name)
                                 for peer in found[1:]}})
    turns.write_json(options.json, lines)


if __name__ == "__main__":
    sys.exit(main())
