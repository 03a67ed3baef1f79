"""Tables for a paper: CSV for programs, LaTeX (booktabs) for print."""

import csv
from collections.abc import Sequence
from pathlib import Path

_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
}


def save(
    heads: Sequence[str],
    rows: Sequence[Sequence[object]],
    stem: Path,
    about: str,
) -> list[Path]:
    """Write a table as CSV and LaTeX.

    Args:
        heads: of the columns
        rows: cells; None: nothing
        stem: the path without its ending
        about: the command that makes it again, a comment in the LaTeX
    """
    plain, print_ = (stem.with_name(f"{stem.name}.{e}") for e in ("csv", "tex"))
    with plain.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(heads)
        writer.writerows([["" if c is None else c for c in row] for row in rows])
    print_.write_text(latex(heads, rows, about), encoding="utf-8")
    return [plain, print_]


def latex(
    heads: Sequence[str], rows: Sequence[Sequence[object]], about: str = ""
) -> str:
    """Return a tabular; text is escaped, numbers stand right."""
    numeric = [all(_is_number(row[i]) for row in rows) for i in range(len(heads))]
    lines = [f"% {' '.join(about.split())}"] if about else []
    lines += [
        r"\begin{tabular}{" + "".join("r" if n else "l" for n in numeric) + "}",
        r"\toprule",
        " & ".join(map(_cell, heads)) + r" \\",
        r"\midrule",
        *(" & ".join(map(_cell, row)) + r" \\" for row in rows),
        r"\bottomrule",
        r"\end{tabular}",
    ]
    return "\n".join(lines) + "\n"


def _is_number(cell: object) -> bool:
    return cell is None or isinstance(cell, int | float)


def _cell(cell: object) -> str:
    if cell is None:
        return "--"
    said = f"{cell:g}" if isinstance(cell, float) else str(cell)
    return "".join(_LATEX.get(sign, sign) for sign in " ".join(said.split()))
