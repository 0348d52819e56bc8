"""Prints PyTorch's training speed of a model in images/s, with the best settings known for it:
channels_last convolutions, one flat Adam, the data set in memory as f32, denormals flushed."""

import argparse
import pathlib
import time

import numpy
import torch
from torch import nn


def mlp():
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU(),
                         nn.Linear(64, 10))


def cnn():
    def conv(i, o):
        return nn.Conv2d(i, o, 3, padding=1)

    return nn.Sequential(
        conv(1, 32), nn.ReLU(), conv(32, 32), nn.ReLU(), nn.MaxPool2d(2),
        conv(32, 64), nn.ReLU(), conv(64, 64), nn.ReLU(), nn.MaxPool2d(2),
        conv(64, 128), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 10))


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


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--model", choices=["mlp", "cnn"], default="mlp")
    arguments.add_argument("--data", default="data/mnist")
    arguments.add_argument("--threads", type=int, default=2)
    arguments.add_argument("--steps", type=int, default=100)
    arguments.add_argument("--warmup", type=int, default=5)
    options = arguments.parse_args()

    torch.set_num_threads(options.threads)
    torch.set_flush_denormal(True)
    folder = pathlib.Path(options.data)
    images = numpy.fromfile(folder / "train-images-idx3-ubyte", dtype=numpy.uint8)[16:]
    labels = numpy.fromfile(folder / "train-labels-idx1-ubyte", dtype=numpy.uint8)[8:]
    x = (torch.from_numpy(images.reshape(-1, 1, 28, 28)).float() / 255 - 0.1307) / 0.3081
    y = torch.from_numpy(labels).long()

    model = mlp() if options.model == "mlp" else cnn()
    if options.model == "cnn":
        model = model.to(memory_format=torch.channels_last)
        x = x.contiguous(memory_format=torch.channels_last)
    whole = flatten_parameters(model)
    adam = torch.optim.Adam([whole], lr=1e-3)

    def run(steps):
        order = torch.randperm(len(x))
        at = 0
        for _ in range(steps):
            if at + 256 > len(x):
                order, at = torch.randperm(len(x)), 0
            batch = order[at:at + 256]
            at += 256
            whole.grad.zero_()
            loss = nn.functional.cross_entropy(model(x[batch]), y[batch])
            loss.backward()
            adam.step()
        return steps * 256

    run(options.warmup)
    start = time.perf_counter()
    done = run(options.steps)
    print(f"{done / (time.perf_counter() - start):.1f}")


main()
