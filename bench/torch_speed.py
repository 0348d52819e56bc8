"""Prints the speed of PyTorch's training step of a model as a line of JSON, with the best settings
known for it: channels_last convolutions, one flat Adam, the data in memory as f32, denormals
flushed. --bf16: under autocast to bfloat16."""

import argparse
import json
import pathlib
import time

import numpy
import torch
from torch import nn

import torch_models


def flatten_parameters(model):
    """All parameters and gradients as views of two flat tensors, so that Adam is a few kernels."""
    parameters = list(model.parameters())
    count = sum(p.numel() for p in parameters)
    flat, gradient = torch.empty(count), torch.zeros(count)
    offset = 0
    for p in parameters:
        strides = p.stride()
        value = flat.as_strided(p.shape, strides, offset)
        value.copy_(p.data)
        p.data = value
        p.grad = gradient.as_strided(p.shape, strides, offset)
        offset += p.numel()
    whole = nn.Parameter(flat)
    whole.data = flat
    whole.grad = gradient
    return whole


def peak_of_memory():
    """The peak of resident memory in bytes since reset_peak()."""
    for line in open("/proc/self/status"):
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise SystemExit("torch_speed: /proc/self/status does not tell the peak of resident memory")


def reset_peak():
    """Makes the present size the peak, and returns it."""
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")
    return peak_of_memory()


def mnist(folder):
    folder = pathlib.Path(folder)
    images = numpy.fromfile(folder / "train-images-idx3-ubyte", dtype=numpy.uint8)[16:]
    labels = numpy.fromfile(folder / "train-labels-idx1-ubyte", dtype=numpy.uint8)[8:]
    x = (torch.from_numpy(images.reshape(-1, 1, 28, 28)).float() / 255 - 0.1307) / 0.3081
    return x, torch.from_numpy(labels).long()


def batches(x, y, size):
    """Shuffled batches without end; the only batch there is as it is."""
    while len(x) == size:
        yield x, y
    while True:
        order = torch.randperm(len(x))
        for at in range(0, len(x) - size + 1, size):
            chosen = order[at:at + size]
            yield x[chosen], y[chosen]


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--model", choices=list(torch_models.MODELS), default="mlp")
    arguments.add_argument("--data", default="data/mnist")
    arguments.add_argument("--batch", type=int, default=256)
    arguments.add_argument("--threads", type=int, default=2)
    arguments.add_argument("--steps", type=int, default=100)
    arguments.add_argument("--warmup", type=int, default=5)
    arguments.add_argument("--bf16", action="store_true")
    options = arguments.parse_args()

    torch.set_num_threads(options.threads)
    torch.set_flush_denormal(True)
    of_mnist = options.model in ("mlp", "cnn")
    if of_mnist:
        x, y = mnist(options.data)
    else:
        x = torch.randn(options.batch, *torch_models.image_shape(options.model))
        y = torch.arange(options.batch) * 7 % 1000
    if options.model != "mlp":
        x = x.contiguous(memory_format=torch.channels_last)
    start_bytes = reset_peak()

    model = torch_models.make(options.model)
    if options.model != "mlp":
        model = model.to(memory_format=torch.channels_last)
    whole = flatten_parameters(model)
    adam = torch.optim.Adam([whole], lr=1e-3 if of_mnist else 1e-4)
    data = batches(x, y, options.batch)

    def run(steps):
        for _ in range(steps):
            images, labels = next(data)
            whole.grad.zero_()
            with torch.autocast("cpu", torch.bfloat16, enabled=options.bf16):
                loss = nn.functional.cross_entropy(model(images).float(), labels)
            loss.backward()
            adam.step()

    run(options.warmup)
    start = time.perf_counter()
    run(options.steps)
    seconds = time.perf_counter() - start
    print(json.dumps({"images_per_second": round(options.batch * options.steps / seconds, 1),
                      "peak_bytes": peak_of_memory() - start_bytes}))


main()
