"""Records what PyTorch computes for tests/optim.cpp, tests/loss.cpp and tests/schedule.cpp.

Needs python3-torch; the tests read only the files that this writes: vectors/optim_*.txt and
vectors/loss_*.txt, "case NAME" and then lines of numbers. Inputs are formulas that both sides
compute exactly; PyTorch computes in double.
"""
import pathlib

import torch
import torch.nn.functional as F

FOLDER = pathlib.Path(__file__).parent / "vectors"
torch.set_default_dtype(torch.float64)


def write(name, cases):
    lines = []
    for case, rows in cases:
        lines.append(f"case {case}")
        lines += [" ".join(f"{float(v):.9g}" for v in row) for row in rows]
    (FOLDER / name).write_text("\n".join(lines) + "\n")


# ---- Optimizers: 50 steps of two parameters whose gradients are given ----

SIZES = (15, 7)
STEPS = 50


def gradient(step, index):
    return ((step * 37 + index * 101 + 13) % 97 - 48) / 32


def run(make, clip=lambda parameters: None):
    a = torch.tensor([1 + i / 8 for i in range(SIZES[0])]).reshape(3, 5).requires_grad_()
    b = torch.tensor([-2 + i / 4 for i in range(SIZES[1])]).requires_grad_()
    optimizer = make(a, b)
    rates = [group["lr"] for group in optimizer.param_groups]
    rows = []
    for step in range(STEPS):
        for group, rate in zip(optimizer.param_groups, rates):
            group["lr"] = rate if step < 25 else rate / 2
        a.grad = torch.tensor([gradient(step, i) for i in range(SIZES[0])]).reshape(3, 5)
        b.grad = torch.tensor([gradient(step, SIZES[0] + i) for i in range(SIZES[1])])
        clip([a, b])
        optimizer.step()
        if step in (0, 1, 9, 49):
            rows.append(a.flatten().tolist() + b.tolist())
    return rows


def rule(kind, **options):
    return lambda a, b: kind([a, b], **options)


def two_groups(a, b):
    return torch.optim.SGD(
        [{"params": [a]}, {"params": [b], "lr": 0.125 / 4, "momentum": 0.5, "weight_decay": 0.1}],
        lr=0.125, momentum=0.9)


def optimizers():
    o = torch.optim
    norm = lambda parameters: torch.nn.utils.clip_grad_norm_(parameters, 2.0)
    value = lambda parameters: torch.nn.utils.clip_grad_value_(parameters, 0.5)
    return [
        ("sgd", run(rule(o.SGD, lr=0.125))),
        ("sgd_momentum", run(rule(o.SGD, lr=0.125, momentum=0.9))),
        ("sgd_nesterov", run(rule(o.SGD, lr=0.125, momentum=0.9, nesterov=True,
                                  weight_decay=0.01))),
        ("sgd_dampening", run(rule(o.SGD, lr=0.125, momentum=0.9, dampening=0.3,
                                   weight_decay=0.01))),
        ("adam", run(rule(o.Adam, lr=0.015625))),
        ("adam_decay", run(rule(o.Adam, lr=0.015625, betas=(0.8, 0.95), eps=1e-6,
                                weight_decay=0.01))),
        ("adamw", run(rule(o.AdamW, lr=0.015625, weight_decay=0.1))),
        ("rmsprop", run(rule(o.RMSprop, lr=0.015625))),
        ("rmsprop_momentum", run(rule(o.RMSprop, lr=0.015625, alpha=0.9, momentum=0.5))),
        ("rmsprop_centered", run(rule(o.RMSprop, lr=0.015625, alpha=0.9, eps=1e-6, momentum=0.5,
                                      weight_decay=0.01, centered=True))),
        ("clip_norm", run(rule(o.SGD, lr=0.125, momentum=0.9), norm)),
        ("clip_value", run(rule(o.Adam, lr=0.015625), value)),
        ("groups", run(two_groups)),
    ]


# ---- Losses: the values, then the gradient of their sum ----


def numbers(count, multiplier, offset, scale):
    return torch.tensor([((i * multiplier + offset) % 41 - 20) / scale for i in range(count)])


def values_of(loss, x, *operands, **options):
    x = x.clone().requires_grad_()
    result = loss(x, *operands, **options)
    result.sum().backward()
    return [result.detach().reshape(-1), x.grad.reshape(-1)]


def losses():
    x = numbers(30, 53, 7, 8).reshape(6, 5)
    target = numbers(30, 17, 3, 8).reshape(6, 5) + 0.0625
    chance = torch.tensor([((i * 53 + 7) % 41 + 12) / 64 for i in range(30)]).reshape(6, 5)
    truth = torch.tensor([((i * 7) % 5) / 4 for i in range(30)]).reshape(6, 5)
    labels = torch.tensor([i * 3 % 5 for i in range(6)])
    some = torch.tensor([0, 3, -100, 4, -100, 2])
    weight = torch.tensor([1, 0.5, 2, 0, 1.5])
    wide = numbers(60, 53, 7, 8).reshape(2, 5, 3, 2)
    places = torch.tensor([i * 3 % 5 for i in range(12)]).reshape(2, 3, 2)
    cases = []
    for reduction in ("mean", "sum", "none"):
        def add(name, *arguments, **options):
            cases.append((f"{name}_{reduction}", values_of(*arguments, reduction=reduction,
                                                           **options)))
        add("mse", F.mse_loss, x, target)
        add("l1", F.l1_loss, x, target)
        add("smooth_l1", F.smooth_l1_loss, x, target)
        add("smooth_l1_beta", F.smooth_l1_loss, x, target, beta=0.25)
        add("bce", F.binary_cross_entropy, chance, truth)
        add("bce_logits", F.binary_cross_entropy_with_logits, x, truth)
        add("bce_logits_weight", F.binary_cross_entropy_with_logits, x, truth,
            pos_weight=torch.tensor([1, 2, 0.5, 3, 1.25]))
        add("cross_entropy", F.cross_entropy, x, labels)
        add("cross_entropy_weight", F.cross_entropy, x, labels, weight=weight)
        add("cross_entropy_smooth", F.cross_entropy, x, labels, label_smoothing=0.1)
        add("cross_entropy_ignore", F.cross_entropy, x, some, ignore_index=-100)
        add("cross_entropy_ignore_class", F.cross_entropy, x, labels, ignore_index=3)
        add("cross_entropy_all", F.cross_entropy, x, some, weight=weight, label_smoothing=0.2,
            ignore_index=-100)
        add("cross_entropy_wide", F.cross_entropy, wide, places, weight=weight,
            label_smoothing=0.1)
        add("nll", lambda s, *a, **o: F.nll_loss(F.log_softmax(s, 1), *a, **o), x, labels)
        add("nll_all", lambda s, *a, **o: F.nll_loss(F.log_softmax(s, 1), *a, **o), x, some,
            weight=weight, ignore_index=-100)
    return cases


# ---- Schedules: the rates of steps 0 to 59 ----


def rates(make, metric=None):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.5)
    schedule = make(optimizer)
    result = []
    for step in range(60):
        if metric is None:
            result.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if metric is None:
            schedule.step()
        else:
            schedule.step(metric(step))
            result.append(optimizer.param_groups[0]["lr"])
    return [result]


def schedules():
    s = torch.optim.lr_scheduler
    plateau = lambda step: 1 / (1 + step) if step < 12 else 0.07 + (step % 5) / 64
    sequence = lambda o: s.SequentialLR(
        o, [s.LinearLR(o, 0.1, 1.0, 10), s.ExponentialLR(o, 0.9), s.StepLR(o, 7, 0.5)], [10, 30])
    return [
        ("step", rates(lambda o: s.StepLR(o, 7, 0.3))),
        ("multi_step", rates(lambda o: s.MultiStepLR(o, [5, 20, 21, 40], 0.5))),
        ("exponential", rates(lambda o: s.ExponentialLR(o, 0.95))),
        ("cosine", rates(lambda o: s.CosineAnnealingLR(o, 59, 0.01))),
        ("restarts", rates(lambda o: s.CosineAnnealingWarmRestarts(o, 8, 2, 0.01))),
        ("restarts_even", rates(lambda o: s.CosineAnnealingWarmRestarts(o, 9))),
        ("warmup", rates(lambda o: s.LinearLR(o, 0.2, 1.0, 25))),
        ("one_cycle", rates(lambda o: s.OneCycleLR(o, 0.75, total_steps=61))),
        ("sequence", rates(sequence)),
        ("plateau", rates(lambda o: s.ReduceLROnPlateau(
            o, factor=0.5, patience=3, threshold=0.01, cooldown=2, min_lr=0.02), plateau)),
        ("plateau_max", rates(lambda o: s.ReduceLROnPlateau(
            o, mode="max", factor=0.1, patience=1, threshold=0.05, threshold_mode="abs"),
            lambda step: -plateau(step))),
    ]


write("optim_rules.txt", optimizers())
write("optim_schedules.txt", schedules())
write("loss_values.txt", losses())
