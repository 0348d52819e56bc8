#!/usr/bin/python3
"""Records what PyTorch computes for every layer into tests/vectors/layers_*.txt.

    tests/record_layers.py        (Debian: python3-torch; the tests themselves need no Python)

A file is a list of cases. "case NAME" begins one; every other line is "KEY rank extents values",
row-major. Inputs and weights are eighths, so that they are exact and short; the rest is computed in
double. Keys: x, g (gradient of the result), param.NAME and buffer.NAME before, and for each mode
train and eval: y, dx, d.NAME, after.NAME (buffers; eval starts from those after training).
"""
import pathlib
import torch
from torch import nn

FOLDER = pathlib.Path(__file__).parent / "vectors"
torch.manual_seed(1)


def eighths(shape, limit=16):
    return torch.randint(-limit, limit + 1, tuple(shape)).double() / 8


def line(key, tensor):
    values = tensor.detach().double().reshape(-1).tolist()
    shape = [tensor.dim(), *tensor.shape]
    return " ".join([key, *map(str, shape), *(f"{v:.8g}" for v in values)])


def run(module, mode, x, g):
    module.train(mode == "train")
    module.zero_grad()
    y = module(x)
    if g is None:
        g = eighths(y.shape)
    y.backward(g)
    lines = [line(f"{mode}.y", y)]
    if x.grad is not None:
        lines.append(line(f"{mode}.dx", x.grad))
        x.grad = None
    lines += [line(f"{mode}.d.{n}", p.grad) for n, p in module.named_parameters()]
    lines += [line(f"{mode}.after.{n}", b) for n, b in module.named_buffers()]
    return g, lines


def case(name, module, shape, x=None):
    module = module.double()
    with torch.no_grad():
        for p in module.parameters():
            p.copy_(eighths(p.shape, 8))
        for n, b in module.named_buffers():
            if n.endswith("running_mean"):
                b.copy_(eighths(b.shape))
            elif n.endswith("running_var"):
                b.copy_(eighths(b.shape).abs() + 0.5)
    if x is None:
        x = eighths(shape).requires_grad_()
    lines = [f"case {name}", line("x", x)]
    lines += [line(f"param.{n}", p) for n, p in module.named_parameters()]
    lines += [line(f"buffer.{n}", b) for n, b in module.named_buffers()]
    g, trained = run(module, "train", x, None)
    _, evaluated = run(module, "eval", x, g)
    return "\n".join(lines + [line("g", g)] + trained + evaluated) + "\n"


class Residual(nn.Module):
    def __init__(self, body, shortcut=None):
        super().__init__()
        self.body = body
        if shortcut is not None:
            self.shortcut = shortcut
        self.has_shortcut = shortcut is not None

    def forward(self, x):
        return self.body(x) + (self.shortcut(x) if self.has_shortcut else x)


def write(topic, cases):
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / f"layers_{topic}.txt").write_text("".join(cases))


write("norm", [
    case("batch_norm1d", nn.BatchNorm1d(5), [6, 5]),
    case("batch_norm1d_of_sequences", nn.BatchNorm1d(3), [4, 3, 5]),
    case("batch_norm1d_momentum", nn.BatchNorm1d(4, eps=1e-2, momentum=0.3), [5, 4]),
    case("batch_norm2d", nn.BatchNorm2d(3), [3, 3, 4, 2]),
    case("batch_norm2d_wide", nn.BatchNorm2d(18), [3, 18, 2, 2]),
    case("batch_norm2d_plain", nn.BatchNorm2d(4, affine=False), [3, 4, 2, 3]),
    case("batch_norm2d_cumulative", nn.BatchNorm2d(2, momentum=None), [3, 2, 3, 3]),
    case("layer_norm", nn.LayerNorm(7), [4, 7]),
    case("layer_norm_of_sequences", nn.LayerNorm(20), [3, 4, 20]),
    case("layer_norm_of_images", nn.LayerNorm([3, 2, 4], eps=1e-3), [3, 3, 2, 4]),
    case("layer_norm_plain", nn.LayerNorm([6], elementwise_affine=False), [4, 2, 6]),
])
write("conv", [
    case("conv2d", nn.Conv2d(3, 4, 3, stride=2, padding=1), [2, 3, 6, 5]),
    case("conv1d", nn.Conv1d(3, 4, 3), [3, 3, 8]),
    case("conv1d_everything", nn.Conv1d(4, 6, 3, stride=2, padding=2, dilation=2, groups=2),
         [3, 4, 9]),
    case("conv1d_depthwise", nn.Conv1d(5, 5, 3, padding=1, groups=5, bias=False), [2, 5, 7]),
    case("conv_transpose2d", nn.ConvTranspose2d(3, 4, 3), [2, 3, 4, 3]),
    case("conv_transpose2d_everything",
         nn.ConvTranspose2d(4, 6, 3, stride=2, padding=1, output_padding=1, groups=2, dilation=2),
         [2, 4, 3, 4]),
    case("conv_transpose2d_upsampling",
         nn.ConvTranspose2d(18, 3, 2, stride=2, bias=False), [2, 18, 2, 3]),
    case("linear", nn.Linear(5, 4), [6, 5]),
    case("residual", Residual(nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3),
                                            nn.ReLU())), [3, 3, 4, 3]),
    case("residual_shortcut", Residual(nn.Linear(4, 3), nn.Linear(4, 3, bias=False)), [5, 4]),
])
write("pool", [
    case("max_pool2d", nn.MaxPool2d(3, 2, 1, ceil_mode=True), [2, 3, 6, 6]),
    case("avg_pool2d", nn.AvgPool2d(2), [2, 3, 5, 4]),
    case("avg_pool2d_ceil", nn.AvgPool2d(3, 2, 1, ceil_mode=True), [2, 3, 6, 5]),
    case("avg_pool2d_exclusive", nn.AvgPool2d(3, 2, 1, count_include_pad=False), [2, 3, 5, 5]),
    case("adaptive_avg_pool2d_global", nn.AdaptiveAvgPool2d(1), [2, 3, 4, 5]),
    case("adaptive_avg_pool2d_even", nn.AdaptiveAvgPool2d(2), [2, 3, 4, 6]),
    case("adaptive_avg_pool2d_uneven", nn.AdaptiveAvgPool2d((3, 2)), [2, 3, 7, 5]),
    case("adaptive_avg_pool2d_larger", nn.AdaptiveAvgPool2d((5, 3)), [2, 3, 3, 2]),
    case("flatten", nn.Flatten(), [2, 3, 2, 2]),
    case("flatten_from_2", nn.Flatten(2), [2, 3, 2, 2]),
])
wide = torch.cat([torch.linspace(-6, 6, 97), torch.tensor([0., 1e-3, -1e-3])]).double()
signed = (wide.reshape(4, 25) * 64).round() / 64
activation = lambda name, module: case(name, module, None, signed.clone().requires_grad_())
write("activation", [
    activation("relu", nn.ReLU()),
    activation("relu6", nn.ReLU6()),
    activation("leaky_relu", nn.LeakyReLU()),
    activation("leaky_relu_steep", nn.LeakyReLU(0.25)),
    activation("gelu", nn.GELU()),
    activation("gelu_tanh", nn.GELU(approximate="tanh")),
    activation("sigmoid", nn.Sigmoid()),
    activation("tanh", nn.Tanh()),
    activation("silu", nn.SiLU()),
    case("softmax", nn.Softmax(-1), [4, 6]),
    case("softmax_of_channels", nn.Softmax(1), [2, 5, 3, 2]),
])
tokens = torch.tensor([[0, 3, 3], [6, 1, 3], [0, 0, 5], [2, 6, 6]])
write("embedding", [
    case("embedding", nn.Embedding(7, 5), None, tokens),
    case("embedding_of_words", nn.Embedding(7, 18), None, tokens[:, 1].contiguous()),
])
