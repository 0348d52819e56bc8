"""Writes a network of torch_models.py, in evaluation mode, to an ONNX file whose batch is free."""

import sys

import torch

import torch_models

name, path = sys.argv[1:]
torch.manual_seed(0)
model = torch_models.make(name).eval()
torch.onnx.export(model, torch.zeros(1, *torch_models.image_shape(name)), path, opset_version=13,
                  input_names=["images"], output_names=["logits"],
                  dynamic_axes={"images": {0: "N"}, "logits": {0: "N"}})
