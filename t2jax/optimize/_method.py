"""Which method answered, what its answer is worth, and why no faster one was taken."""

import equinox as eqx

from t2jax.optimize._problem import Problem

__all__ = ["SEPARABLE", "Method", "searched"]


class Method(eqx.Module):
    """How a problem was solved. `print` says it in a sentence.

    name: "separable": one equation in the budget's multiplier; "interior point": Newton's method on what binds, and a
    barrier where that fails; "neighbours" of one whole number; "branch and bound" of several. optimum: is it
    known to be global, or the best of how many searches? passed_over: faster methods, each with why it was not taken.
    """

    name: str = eqx.field(static=True)
    optimum: str = eqx.field(static=True)
    passed_over: tuple[tuple[str, str], ...] = eqx.field(static=True, default=())

    def __str__(self) -> str:
        said = [f"{self.name} ({self.optimum})", *(f"not {name}: {why}" for name, why in self.passed_over)]
        return "; ".join(said)


SEPARABLE = Method("separable", "global")


def searched(problem: Problem, not_separable: str) -> Method:
    """The method of a problem that is searched. not_separable: why it has not the separable shape."""
    passed_over = [("separable", not_separable)]
    name = "interior point"
    if problem.whole:
        name = "neighbours" if len(problem.whole) == 1 else "branch and bound"
        passed_over.append(("interior point", "whole numbers were asked for"))
    if problem.convex:
        return Method(name, "global", tuple(passed_over))
    starts, _ = problem.options.spread(problem.few_optima)
    count = f"up to {starts + 1}" if problem.few_optima and not problem.whole else f"{starts + (not problem.whole)}"
    bent = ", ".join(dict.fromkeys(problem.not_convex()))
    return Method(name, f"best of {count} searches: not known to be convex for {bent}", tuple(passed_over))
