"""The latest saved results of every benchmark as Markdown tables: `python benchmarks/report.py > table.md`.

With --readme the README's table of speeds is written anew from them: every float64 row with a baseline of its own run.
"""

import argparse
import json
from typing import Any

from common import HERE, RESULTS, Row, headline, table

README = HERE.parent / "README.md"
BEGIN, END = "<!-- benchmarks/report.py --readme -->\n", "<!-- end -->\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--readme", action="store_true", help="write the table of README.md between its two marks")
    options = parser.parse_args()
    if not RESULTS.exists():
        raise SystemExit(f"No {RESULTS.name} yet: run the benchmarks with --save first.")
    lines = [json.loads(line) for line in RESULTS.read_text(encoding="utf-8").splitlines() if line.strip()]
    latest = {line["benchmark"]: line for line in lines}
    if options.readme:
        before, rest = README.read_text(encoding="utf-8").split(BEGIN)
        after = rest.split(END)[1]
        README.write_text(f"{before}{BEGIN}{speeds(latest)}{END}{after}", encoding="utf-8")
        return
    for benchmark, line in latest.items():
        rows, where = rows_of(line), line["environment"]
        failed = sum(row.passes is False for row in rows)
        held = sum(row.passes is not None for row in rows)
        print(f"## {benchmark}\n\n{headline(where)}; {where['time']}. {held - failed} of {held} bars hold.\n")
        print(f"{table(rows)}\n")


def speeds(latest: dict[str, Any]) -> str:
    """What has a baseline, one line each, and the kind of machine that each number is of."""
    lines = ["| what | t2jax | baseline of the same run | ratio |", "|---|--:|--:|--:|"]
    for benchmark, line in latest.items():
        for row in rows_of(line):
            if row.unit.endswith("/s") and row.baseline and "float32" not in row.what:
                ours, theirs, ratio = (f"{float(f'{one:.3g}'):,.10g}" for one in (row.value, row.baseline, row.ratio))
                baseline = f"{theirs} {row.unit}, {row.against}"
                lines.append(f"| {benchmark}: {row.what} | {ours} {row.unit} | {baseline} | {ratio}× |")
    kinds = {f"{one['processor']}, {one['cores']} cores" for one in (line["environment"] for line in latest.values())}
    return "\n".join([*lines, "", f"Measured on: {'; '.join(sorted(kinds))}.", ""])


def rows_of(line: dict[str, Any]) -> list[Row]:
    return [Row(**{**row, "bar": row["bar"] and tuple(row["bar"])}) for row in line["rows"]]


if __name__ == "__main__":
    main()
