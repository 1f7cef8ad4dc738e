"""The last step of a fit by least absolute deviations: onto the rows that it goes through.

With p coefficients such a fit goes through p rows, as a rule. Descents end within a small δ of them; where exactly is
p equations in p unknowns, and whether it is the optimum the multipliers of these rows tell.
"""

import numpy as np

from t2jax.fitting.errors import linearised
from t2jax.fitting.search import Found, Problem

__all__ = ["onto_rows"]


def onto_rows(problem: Problem, found: Found, weights: np.ndarray, width: float) -> tuple[Found, bool]:
    """(the fit through the p nearest rows if that is better, else `found`; is it optimal there?).

    Optimal: −Σ w·sign(r)·∂r over the other rows is Σ λ·∂r over these with |λ| ≤ w, so that 0 is a subgradient.
    """
    z, p = found.z, len(found.z)
    linear = linearised(problem, z, weights, width)
    through = np.argsort(np.where(weights > 0, np.abs(linear.residuals), np.inf))[:p]
    before = np.sum(weights * np.abs(linear.residuals))
    try:
        for _ in range(6):
            z = z - np.linalg.solve(linear.rows[through], linear.residuals[through])
            linear = linearised(problem, z, weights, width)
        others = weights * np.sign(linear.residuals)
        others[through] = 0.0
        multipliers = np.linalg.solve(linear.rows[through].T, -linear.rows.T @ others)
    except np.linalg.LinAlgError:  # two of these rows are one run
        return found, False
    after = np.sum(weights * np.abs(linear.residuals))
    if not after <= before * (1 + 1e-12):
        return found, False
    optimal = np.all(np.abs(multipliers) <= weights[through] * (1 + 1e-6))
    return Found(z, float(linear.value), found.share), bool(optimal)
