"""Programs that measure the same thing, run in turns so that a slow minute of the machine hits all,
and what is said of their results. A program prints one line of JSON last."""

import json
import statistics
import subprocess


class Contestant:
    def __init__(self, name, command, environment=None):
        self.name, self.command, self.environment = name, command, environment

    def run(self):
        result = subprocess.run(self.command, env=self.environment, stdout=subprocess.PIPE, text=True)
        if result.returncode != 0:
            raise SystemExit(f"taper: {' '.join(map(str, self.command))} failed")
        return json.loads(result.stdout.splitlines()[-1])


def measure(contestants, rounds):
    """The results of every contestant, by name, in the order of the rounds."""
    results = {contestant.name: [] for contestant in contestants}
    for _ in range(rounds):
        for contestant in contestants:
            results[contestant.name].append(contestant.run())
    return results


def values(results, name, field):
    return [result[field] for result in results[name]]


def ratios(results, ours, theirs, field="images_per_second"):
    """Of each round."""
    return [a / b for a, b in zip(values(results, ours, field), values(results, theirs, field))]


def summary(numbers, digits=0, scale=1.0):
    """Median (least..most)."""
    scaled = sorted(number * scale for number in numbers)
    shown = [f"{number:,.{digits}f}" for number in (statistics.median(scaled), scaled[0], scaled[-1])]
    return f"{shown[0]} ({shown[1]}..{shown[2]})"


def write_json(path, lines):
    if path:
        with open(path, "w") as file:
            json.dump(lines, file, indent=1)
            file.write("\n")
