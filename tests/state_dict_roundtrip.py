#!/usr/bin/python3
"""Weights between taper and PyTorch, both ways, for the CNNs of examples/models.cpp.

    tests/state_dict_roundtrip.py [build/release/examples/state_dict]

Needs python3-torch. A model's weights go from taper to PyTorch and from PyTorch to taper; each time
both programs must give the same logits to 1e-5 of the largest.
"""
import json
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from torch import nn

DTYPES = {"F32": torch.float32, "F16": torch.float16, "I64": torch.int64}


def load(path):
    data = Path(path).read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    header.pop("__metadata__", None)
    tensors = {}
    for name, entry in header.items():
        begin, end = (8 + length + offset for offset in entry["data_offsets"])
        flat = torch.frombuffer(bytearray(data[begin:end]), dtype=DTYPES[entry["dtype"]])
        tensors[name] = flat.reshape(entry["shape"])
    return tensors


def save(path, tensors):
    names = {dtype: name for name, dtype in DTYPES.items()}
    header, blobs, position = {}, [], 0
    for name, tensor in tensors.items():
        blob = tensor.contiguous().numpy().tobytes()
        header[name] = {"dtype": names[tensor.dtype], "shape": list(tensor.shape),
                        "data_offsets": [position, position + len(blob)]}
        blobs.append(blob)
        position += len(blob)
    text = json.dumps(header).encode()
    Path(path).write_bytes(struct.pack("<Q", len(text)) + text + b"".join(blobs))


def conv(inputs, outputs):
    return nn.Conv2d(inputs, outputs, 3, padding=1)


def normed(inputs, outputs):
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
                         nn.BatchNorm2d(outputs), nn.ReLU())


def cnn():
    return nn.Sequential(
        conv(1, 32), nn.ReLU(), conv(32, 32), nn.ReLU(), nn.MaxPool2d(2),
        conv(32, 64), nn.ReLU(), conv(64, 64), nn.ReLU(), nn.MaxPool2d(2),
        conv(64, 128), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 10))


def batchnorm_cnn():
    return nn.Sequential(
        normed(1, 32), normed(32, 32), nn.MaxPool2d(2), normed(32, 64), normed(64, 64),
        nn.MaxPool2d(2), normed(64, 128), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(128, 10))


def randomised(model):
    torch.manual_seed(1)
    for name, tensor in model.state_dict().items():
        if name.endswith("running_mean"):
            tensor.normal_(0, 0.1)
        elif name.endswith("running_var"):
            tensor.uniform_(0.5, 2)
        elif tensor.dim() > 1:
            nn.init.kaiming_normal_(tensor, nonlinearity="relu")
    return model


def compare(program, folder, title, name, model, weights):
    """Logits of `model` and of taper with the weights of the file."""
    images = np.random.default_rng(0).integers(0, 256, (8, 1, 28, 28), dtype=np.uint8)
    np.save(folder / "images.npy", images)
    subprocess.run([program, "logits", name, weights, folder / "images.npy", folder / "logits.npy"],
                   check=True)
    model.eval()
    with torch.no_grad():
        x = torch.from_numpy(images).to(torch.float32)
        expected = model((x / 255 - 0.1307) / 0.3081).numpy()
    found = np.load(folder / "logits.npy")
    scale = np.abs(expected).max()
    error = np.abs(found - expected).max() / scale
    print(f"{name}, {title}: logits up to {scale:.3g}, largest difference {error:.2g} of that")
    return error <= 1e-5 and found.shape == expected.shape


def main():
    root = Path(__file__).resolve().parent.parent
    program = sys.argv[1] if len(sys.argv) > 1 else root / "build/release/examples/state_dict"
    good = True
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        weights = folder / "weights.safetensors"
        for model in (cnn, batchnorm_cnn):
            subprocess.run([program, "save", model.__name__, weights], check=True)
            loaded = model()
            loaded.load_state_dict(load(weights), strict=True)
            good &= compare(program, folder, "taper to PyTorch", model.__name__, loaded, weights)
            original = randomised(model())
            save(weights, original.state_dict())
            good &= compare(program, folder, "PyTorch to taper", model.__name__, original, weights)
    sys.exit(0 if good else "state_dict_roundtrip: the logits differ")


main()
