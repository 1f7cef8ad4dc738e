"""What a person waits for: importing, the first optimum of a fresh process, the next one, and the command line.

Every number is the median of several fresh processes with nothing cached but Python's bytecode.
"""

import json
import statistics

from common import Row, arguments, finish, in_fresh_process, needs, seconds

THEIR_IMPORTS = "import jax, equinox, optax"
OUR_IMPORTS = "import t2jax; t2jax.minimize"
IMPORT = """
import time
start = time.perf_counter()
{imports}
print(time.perf_counter() - start)
"""
# The problem is built inside the clock, as a person who types it waits for that, too.
MINIMIZE = """
import json, statistics, time
import jax
import t2jax as t2
t2.minimize, t2.published, t2.T2Loss, t2.T2Accuracy, t2.TrainingFLOPs, t2.InferenceFLOPs
jax.config.update("jax_enable_x64", {x64})

def timed(fn):
    start = time.perf_counter()
    jax.block_until_ready(fn())
    return time.perf_counter() - start

def build():
    cost = t2.TrainingFLOPs() + t2.InferenceFLOPs(queries=1e9, output_tokens=500)
    return cost, {problem}

def solve(budget):
    cost, (optimum, task, caps) = problem
    return optimum(task, [cost <= budget, *caps])

start = time.perf_counter()
problem = build()
jax.block_until_ready(solve(1e23))
first = time.perf_counter() - start
later = [timed(lambda: solve(1e23 * 1.1**i)) for i in range(1, 21)]
print(json.dumps([first, statistics.median(later)]))
"""
PROBLEMS = {
    "T2Loss, 1 budget, 3 caps": '(t2.minimize, t2.T2Loss(t2.published("besiroglu2024"), 1.0, 0.3), '
    "[t2.params <= 8e9, t2.tokens <= 15e12, t2.samples <= 256])",
    "T2Accuracy, 1 budget": '(t2.maximize, t2.published("pythia-gsm8k"), [])',
}
PLAN = ("plan", "--total-flops", "1e24", "--queries", "1e9", "--output-tokens", "500")


def main() -> None:
    options = arguments(__doc__).parse_args()
    needs("tyro", "cli")
    runs = 1 if options.quick else 5
    rows = [import_time(2 * runs + 1)]
    for problem, code in PROBLEMS.items():
        for x64 in (False,) if options.quick else (False, True):
            rows += first_and_next(f"{problem}, {'float64' if x64 else 'float32'}", code, x64, runs)
    rows.append(command_line("t2jax --help", ("--help",), 0.5, 2 * runs + 1))
    rows.append(command_line(f"t2jax {' '.join(PLAN)}", PLAN, 6.0, runs))
    finish("startup", rows, options)


def import_time(runs: int) -> Row:
    def one(imports: str) -> float:
        return float(in_fresh_process("-c", IMPORT.format(imports=imports)).stdout)

    one(OUR_IMPORTS), one(THEIR_IMPORTS)  # writes the bytecode
    pairs = [(one(OUR_IMPORTS), one(THEIR_IMPORTS)) for _ in range(runs)]
    ours, theirs = (statistics.median(column) for column in zip(*pairs, strict=True))
    return Row(f"`{OUR_IMPORTS}`", ours, "s", theirs, f"`{THEIR_IMPORTS}`", ("ratio", "<=", 1.3))


def first_and_next(name: str, code: str, x64: bool, runs: int) -> list[Row]:
    script = MINIMIZE.format(problem=code, x64=x64)
    pairs = [json.loads(in_fresh_process("-c", script).stdout) for _ in range(runs)]
    first, later = (statistics.median(column) for column in zip(*pairs, strict=True))
    return [
        Row(f"first optimum, {name}", first, "s", bar=("value", "<=", 3.0)),
        Row(f"next, new numbers, {name}", 1e3 * later, "ms", bar=("value", "<=", 2.0)),
    ]


def command_line(name: str, command: tuple[str, ...], limit: float, runs: int) -> Row:
    """The whole process, interpreter and all."""
    taken = [seconds(lambda: in_fresh_process("-m", "t2jax.cli", *command)) for _ in range(runs)]
    return Row(f"`{name}`", statistics.median(taken), "s", bar=("value", "<=", limit))


if __name__ == "__main__":
    main()
