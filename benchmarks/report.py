"""The latest saved results of every benchmark as Markdown tables: `python benchmarks/report.py > table.md`."""

import json

from common import RESULTS, Row, headline, table


def main() -> None:
    if not RESULTS.exists():
        raise SystemExit(f"No {RESULTS.name} yet: run the benchmarks with --save first.")
    lines = [json.loads(line) for line in RESULTS.read_text(encoding="utf-8").splitlines() if line.strip()]
    latest = {line["benchmark"]: line for line in lines}
    for benchmark, line in latest.items():
        rows = [Row(**{**row, "bar": row["bar"] and tuple(row["bar"])}) for row in line["rows"]]
        where = line["environment"]
        failed = sum(row.passes is False for row in rows)
        held = sum(row.passes is not None for row in rows)
        print(f"## {benchmark}\n\n{headline(where)}; {where['time']}. {held - failed} of {held} bars hold.\n")
        print(f"{table(rows)}\n")


if __name__ == "__main__":
    main()
