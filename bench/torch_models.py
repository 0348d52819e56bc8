"""The networks of examples/ in PyTorch; ResNet-18, MobileNetV2 and VGG-11 are torchvision's."""

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


class BasicBlock(nn.Module):
    def __init__(self, i, o, stride):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(i, o, 3, stride, 1, bias=False), nn.BatchNorm2d(o), nn.ReLU(inplace=True),
            nn.Conv2d(o, o, 3, 1, 1, bias=False), nn.BatchNorm2d(o))
        self.shortcut = nn.Identity() if i == o and stride == 1 else nn.Sequential(
            nn.Conv2d(i, o, 1, stride, bias=False), nn.BatchNorm2d(o))

    def forward(self, x):
        y = self.body(x)
        y += self.shortcut(x)
        return nn.functional.relu(y, inplace=True)


def resnet18():
    layers = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(inplace=True),
              nn.MaxPool2d(3, 2, 1)]
    for i, o, stride in ((64, 64, 1), (64, 128, 2), (128, 256, 2), (256, 512, 2)):
        layers += [BasicBlock(i, o, stride), BasicBlock(o, o, 1)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 1000))


class InvertedResidual(nn.Module):
    def __init__(self, i, o, stride, expansion):
        super().__init__()
        wide = i * expansion
        layers = [] if expansion == 1 else conv_norm_relu6(i, wide)
        layers += conv_norm_relu6(wide, wide, 3, stride, wide)
        self.conv = nn.Sequential(*layers, nn.Conv2d(wide, o, 1, bias=False), nn.BatchNorm2d(o))
        self.adds_input = i == o and stride == 1

    def forward(self, x):
        return x + self.conv(x) if self.adds_input else self.conv(x)


def conv_norm_relu6(i, o, kernel=1, stride=1, groups=1):
    return [nn.Conv2d(i, o, kernel, stride, (kernel - 1) // 2, groups=groups, bias=False),
            nn.BatchNorm2d(o), nn.ReLU6(inplace=True)]


def mobilenet_v2():
    layers = conv_norm_relu6(3, 32, 3, 2)
    i = 32
    for expansion, o, blocks, stride in ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2),
                                         (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)):
        for block in range(blocks):
            layers.append(InvertedResidual(i, o, stride if block == 0 else 1, expansion))
            i = o
    return nn.Sequential(*layers, *conv_norm_relu6(i, 1280), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                         nn.Dropout(0.2), nn.Linear(1280, 1000))


def vgg11():
    layers, i = [], 3
    for o in (64, 0, 128, 0, 256, 256, 0, 512, 512, 0, 512, 512, 0):
        if o == 0:
            layers.append(nn.MaxPool2d(2))
            continue
        layers += [nn.Conv2d(i, o, 3, padding=1), nn.ReLU(inplace=True)]
        i = o
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(7), nn.Flatten(),
                         nn.Linear(25088, 4096), nn.ReLU(inplace=True), nn.Dropout(),
                         nn.Linear(4096, 4096), nn.ReLU(inplace=True), nn.Dropout(),
                         nn.Linear(4096, 1000))


MODELS = {"mlp": mlp, "cnn": cnn, "resnet18": resnet18, "mobilenet_v2": mobilenet_v2,
          "vgg11": vgg11}


def image_shape(name):
    return (1, 28, 28) if name in ("mlp", "cnn") else (3, 224, 224)


def make(name):
    model = MODELS[name]()
    if name not in ("mlp", "cnn"):
        # Random data would drive other weights to numbers that are slow to compute with.
        for module in model.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return model
