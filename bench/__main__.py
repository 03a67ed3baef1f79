"""Run benches: ``python -m bench [NAME] [--json] [--rounds N]``."""

import argparse
import importlib
import json
import os
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as pipeline.py does

from bench._timing import alternate, rows
from contracts.terminal import table

NAMES = sorted(p.stem for p in Path(__file__).parent.glob("[!_]*.py"))


def main() -> None:
    """Run the benches asked for and print their tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", nargs="*", choices=[*NAMES, []], help="none: all")
    parser.add_argument("--json", action="store_true", help="for other programs")
    parser.add_argument("--rounds", type=int, default=7, help="alternations")
    chosen = parser.parse_args()
    told = {}
    for name in chosen.name or NAMES:
        bench = importlib.import_module(f"bench.{name}")
        told[name] = bench.run(lambda c: rows(alternate(c, chosen.rounds)))
        if chosen.json:
            continue
        print(f"{name}: {(bench.__doc__ or '').splitlines()[0]}")
        cells = [_cells(r) for r in told[name]]
        print(table(["contender", "median s", "times as fast as the first"], cells))
        print()
    if chosen.json:
        print(json.dumps(told, indent=1))


def _cells(row: dict[str, float | str]) -> list[str]:
    """Lay out one contender."""
    spread = f"({row['speed_min']:.2f} to {row['speed_max']:.2f})"
    return [
        str(row["contender"]),
        f"{row['seconds']:.4f}",
        f"{row['speed']:.2f} {spread}",
    ]


if __name__ == "__main__":
    main()
