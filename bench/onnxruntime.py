"""Inference of taper and ONNX Runtime in turns; bench/versus_onnxruntime.sh prepares what this
needs."""

import argparse
import os
import pathlib
import sys

import turns

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = ROOT / "build/onnxruntime"
# Model, batch, shape of an image, measured steps and steps before them.
CASES = [("cnn", 1, "1x28x28", 2000, 50), ("cnn", 256, "1x28x28", 20, 3),
         ("resnet18", 1, "3x224x224", 40, 5)]


def contestants(case, threads):
    model, batch, image, steps, warmup = case
    ours = [str(ROOT / "build/bench/bench/model_speed"), "--infer", "--model", model, "--batch",
            str(batch), "--threads", str(threads), "--steps", str(steps), "--warmup", str(warmup)]
    theirs = ["node", str(ROOT / "bench/onnxruntime_speed.js"), str(BUILD / f"{model}.onnx"),
              f"{batch}x{image}", str(threads), str(steps), str(warmup)]
    environment = dict(os.environ, NODE_PATH=str(BUILD / "node_modules"))
    return [turns.Contestant("taper", ours),
            turns.Contestant("ONNX Runtime", theirs, environment)]


def main():
    arguments = argparse.ArgumentParser(prog="bench/versus_onnxruntime.sh")
    arguments.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    arguments.add_argument("--pairs", type=int, default=5, help="rounds (%(default)s)")
    arguments.add_argument("--json", metavar="FILE", help="for every round of every program")
    options = arguments.parse_args()
    if min(options.pairs, *options.threads) < 1:
        arguments.error("numbers must be positive")

    print(f"{options.pairs} rounds: median (least..most)\n")
    print("| inference | threads | taper, images/s | ONNX Runtime, images/s | ratio |\n"
          "|---|---|---|---|---|", flush=True)
    lines = []
    for case in CASES:
        for threads in options.threads:
            results = turns.measure(contestants(case, threads), options.pairs)
            ratios = turns.ratios(results, "taper", "ONNX Runtime")
            speeds = [turns.summary(turns.values(results, name, "images_per_second"))
                      for name in results]
            print(f"| {case[0]}, batch {case[1]} | {threads} | {speeds[0]} | {speeds[1]} | "
                  f"{turns.summary(ratios, 2)} |", flush=True)
            lines.append({"name": case[0], "batch": case[1], "threads": threads,
                          "rounds": results, "ratios": ratios})
    turns.write_json(options.json, lines)


if __name__ == "__main__":
    sys.exit(main())
