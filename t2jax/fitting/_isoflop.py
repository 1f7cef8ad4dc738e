"""Compute-optimal sizes straight from training runs, with no law of the loss: isoFLOP minima and the loss envelope.

Approaches 2 and 1 of Hoffmann et al. 2022 (arXiv:2203.15556). Both end in power laws N_opt = G·C^a and D_opt ∝ C^b.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from t2jax._io.text import aligned, human
from t2jax.fitting._table import POSITIVE, Column, Table, read_table

__all__ = ["Envelope", "Interpolation", "IsoFLOP", "Polynomial", "PowerLaw", "envelope", "isoflop"]

_COLUMNS = (
    Column("params", "N, model parameters", POSITIVE),
    Column("tokens", "D, training tokens", POSITIVE),
    Column("loss", "nats per token", POSITIVE),
    Column("flops", "C, training FLOPs", POSITIVE, optional=True),
)


# --- The minimum of one budget ----------------------------------------------------------------------------------------


class _Minimum(NamedTuple):
    log_params: float
    loss: float
    curvature: float
    log_params_se: float


@dataclass(frozen=True)
class Polynomial:
    """The minimum of the least-squares polynomial of the loss in log N: degree 2, Hoffmann's parabola, or 3.

    window: use only the sizes within this factor, above 1, of the one with the least loss; None uses all.

    Known biases, on a Chinchilla law without noise (compare Czech et al. 2026, arXiv:2603.22339):

    * Many sizes, evenly spaced in logs from N*/r to r·N*: a parabola finds ln N_opt ≈ ln N* + (α − β)·(ln r)²/10, a
      model too large where α > β, too small where α < β. It is the same at every budget, so the coefficient is off but
      the exponent exact. A cubic is off by the order (ln r)⁴.
    * Sizes not centred on N* shift the minimum, too. Where the centre drifts with the budget, as with the same sizes
      at all of them, so does the shift, and the exponent is off. Then set `window`; 3 or 4 suits sizes √2 apart.

    Real valleys are no Chinchilla laws: on Porian's runs, parabolas through all sizes move the exponent by up to .08
    against `Interpolation`, with a window of 3 by up to .04.
    """

    degree: int = 2
    window: float | None = None

    def __post_init__(self) -> None:
        if self.degree not in (2, 3):
            raise ValueError(f"degree must be 2 (a parabola) or 3 (a cubic), got {self.degree}")
        if self.window is not None and not self.window > 1:
            raise ValueError(f"window must be a factor above 1, or None for all sizes, got {self.window}")

    @property
    def sizes(self) -> int:
        """How many sizes it needs."""
        return self.degree + 1

    def __call__(self, log_params: Float[np.ndarray, " run"], loss: Float[np.ndarray, " run"]) -> _Minimum | str:
        """The minimum, or why there is none. Its standard error, by the delta method, is NaN if no run is to spare."""
        if self.window is not None:
            near = np.abs(log_params - log_params[np.argmin(loss)]) <= np.log(self.window) + 1e-9
            log_params, loss = log_params[near], loss[near]
        if (sizes := len(np.unique(log_params))) < self.sizes:
            return f"{sizes} of the {self.sizes} sizes needed{' in the window' if self.window else ''}"
        low, high = log_params.min(), log_params.max()
        middle, half = (high + low) / 2, (high - low) / 2
        powers = np.vander((log_params - middle) / half, self.sizes, increasing=True)  # of u, between −1 and 1
        inverse = np.linalg.pinv(powers)
        fitted = inverse @ loss
        at, bend = _valley(*np.append(fitted, 0.0)[1:4])
        curve = np.polynomial.Polynomial(fitted)
        if not np.isfinite(at):
            return "the fit has no minimum"
        if not (abs(at) < 1 and curve(at) < min(curve(-1), curve(1))):
            return f"the minimum is not between {human(np.exp(low))} and {human(np.exp(high))} parameters"
        spare = len(loss) - self.sizes
        variance = np.sum((loss - powers @ fitted) ** 2) / spare if spare else np.nan
        slope = np.arange(self.sizes) * at ** np.maximum(np.arange(self.sizes) - 1, 0) / bend  # of `at` in −`fitted`
        error = np.sqrt(variance) * np.linalg.norm(slope @ inverse)
        return _Minimum(middle + half * at, float(curve(at)), bend / half**2, half * error)


@dataclass(frozen=True)
class Interpolation:
    """The minimum of Akima's curve through log loss over log N; of several runs of one size, through the best.

    It assumes no shape of the valley, follows the errors of the runs nearest to the minimum and has no standard error
    (NaN). Porian et al. 2024 (arXiv:2406.19146) do so and then take the median of 1,000 minima, each with noise added
    to the losses, and weigh the budgets by the spread: left out here, which moves their exponents by less than .01.
    """

    sizes = 3

    def __call__(self, log_params: Float[np.ndarray, " run"], loss: Float[np.ndarray, " run"]) -> _Minimum | str:
        """The minimum, or why there is none."""
        x = np.unique(log_params)
        if len(x) < self.sizes:
            return f"{len(x)} of the {self.sizes} sizes needed"
        y = np.log([loss[log_params == one].min() for one in x])
        step, slopes = np.diff(x), _akima_slopes(x, y)
        start, end, rise = slopes[:-1] * step, slopes[1:] * step, np.diff(y)
        square, cube = 3 * rise - 2 * start - end, start + end - 2 * rise  # of u, from 0 to 1 between two sizes
        at, bend = _valley(start, square, cube)
        inside = (at > -1e-9) & (at < 1 + 1e-9)  # a minimum at a size may be rounded off both pieces
        at = np.where(inside, at, 0.0)
        value = np.where(inside, y[:-1] + at * (start + at * (square + at * cube)), np.inf)
        best = np.argmin(value)
        if not value[best] < min(y[0], y[-1]):
            return f"the minimum is not between {human(np.exp(x[0]))} and {human(np.exp(x[-1]))} parameters"
        least = np.exp(value[best])
        return _Minimum(x[best] + at[best] * step[best], least, least * bend[best] / step[best] ** 2, np.nan)


def _valley(slope: Any, square: Any, cube: Any) -> tuple[Any, Any]:
    """Where slope·u + square·u² + cube·u³ is least (NaN or infinite: nowhere), and the second derivative there."""
    with np.errstate(invalid="ignore", divide="ignore"):
        root = np.sqrt(np.asarray(square) ** 2 - 3 * slope * cube)
        at = np.where(square > 0, -slope / (square + root), (root - square) / (3 * cube))  # no cancellation
        return np.where(root > 0, at, np.nan), 2 * root


def _akima_slopes(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Slopes at the knots (Akima 1970, J. ACM 17:589): of the two secants beside, the steadier side's weighs more."""
    m = np.diff(y) / np.diff(x)
    m = np.concatenate([[3 * m[0] - 2 * m[1], 2 * m[0] - m[1]], m, [2 * m[-1] - m[-2], 3 * m[-1] - 2 * m[-2]]])
    left, right, change = m[1:-2], m[2:-1], np.abs(np.diff(m))
    total = change[2:] + change[:-2]
    bent = total > 1e-9 * total.max()  # elsewhere the curve is straight on both sides and the weights are 0/0
    return np.where(bent, (change[2:] * left + change[:-2] * right) / np.where(bent, total, 1), (left + right) / 2)


# --- Results ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class PowerLaw:
    """`coefficient · C^exponent` by least squares in logs; its standard error takes the points as independent."""

    coefficient: float
    exponent: float
    exponent_se: float  # NaN with two points

    def __str__(self) -> str:
        return f"{self.coefficient:.3g} · C^{self.exponent:.4f} ± {self.exponent_se:.4f}"


@dataclass(frozen=True, eq=False)
class _Optima:
    """Compute-optimal points by rising budget, and the power laws through them."""

    flops: Float[np.ndarray, " point"]  # C
    params: Float[np.ndarray, " point"]  # N_opt
    tokens: Float[np.ndarray, " point"]  # D_opt
    loss: Float[np.ndarray, " point"]  # nats per token
    params_law: PowerLaw
    tokens_law: PowerLaw
    left_out: tuple[tuple[float, str], ...]  # FLOPs and the reason

    @property
    def exponent(self) -> float:
        """a in N_opt = G·C^a."""
        return self.params_law.exponent

    @property
    def exponent_se(self) -> float:
        """Standard error of `exponent`."""
        return self.params_law.exponent_se

    @property
    def coefficient(self) -> float:
        """G in N_opt = G·C^a."""
        return self.params_law.coefficient

    def __str__(self) -> str:
        points = zip(self.flops, self.params, self.tokens, self.tokens / self.params, self.loss, strict=True)
        rows = [("FLOPs", "params", "tokens", "tokens/param", "loss")]
        rows += [(f"{c:.3g}", human(n), human(d), human(ratio), f"{loss:.4f}") for c, n, d, ratio, loss in points]
        lines = [f"N_opt = {self.params_law}", f"D_opt = {self.tokens_law}", aligned(rows)]
        lines += [f"  left out: {flops:.3g} FLOPs, {why}" for flops, why in self.left_out[:5]]
        return "\n".join(lines + [f"  … and {len(self.left_out) - 5} more in left_out"] * (len(self.left_out) > 5))


@dataclass(frozen=True, eq=False)
class IsoFLOP(_Optima):
    """What `isoflop` found: one point per budget. Prints as a table."""

    curvature: Float[np.ndarray, " point"]  # d²L/d(ln N)² at the minimum
    log_params_se: Float[np.ndarray, " point"]  # standard error of ln N_opt


@dataclass(frozen=True, eq=False)
class Envelope(_Optima):
    """What `envelope` found: one point per run on the envelope. Prints as a table."""


# --- The two approaches -----------------------------------------------------------------------------------------------

_PARABOLA = Polynomial()


def isoflop(data: Any, *, minimum: Polynomial | Interpolation = _PARABOLA, tolerance: float = 0.01) -> IsoFLOP:
    """Approach 2: at each compute budget the size of least loss, then power laws through these sizes.

    data: columns `params` N, `tokens` D and `loss` in nats per token, one row per run, and `flops` C, if it is not
        6·N·D; a mapping, a dataframe or a file (`read_table`).
    minimum: how the minimum of a budget is found, and with which biases: `Polynomial` or `Interpolation`.
    tolerance: runs are of one budget if their FLOPs, sorted, follow each other within this share (0.01 is 1 %).

    D_opt is C/(κ·N_opt), with κ the geometric mean of C/(N·D) over the budget: 6 by default. A budget without a minimum
    between its sizes is left out, and `left_out` says why. The budgets weigh alike. Points of one training run at
    several budgets err alike, of which the standard errors know nothing.

    Raises `ValueError` on bad data, too few sizes at all budgets, and fewer than two budgets with a minimum.
    Source: Hoffmann et al. 2022 (arXiv:2203.15556), section 3.2.
    """
    if not tolerance >= 0:
        raise ValueError(f"tolerance must be zero or more, got {tolerance}")
    table, flops = _runs(data)
    params, loss = table["params"], table["loss"]
    order = np.argsort(flops, kind="stable")
    budgets = np.split(order, 1 + np.flatnonzero(np.diff(np.log(flops[order])) > np.log1p(tolerance)))
    if len(budgets) < 2:
        span = f"{flops.min():.3g} to {flops.max():.3g} FLOPs"
        raise ValueError(f"an exponent needs two compute budgets, but all runs are of one: {span}")
    most = max(len(np.unique(params[runs])) for runs in budgets)
    if most < minimum.sizes:
        raise ValueError(f"{minimum} needs {minimum.sizes} sizes at a budget, but no budget has more than {most}")
    found, left_out = [], []
    for runs in budgets:
        budget = float(np.exp(np.mean(np.log(flops[runs]))))
        point = minimum(np.log(params[runs]), loss[runs])
        if isinstance(point, str):
            left_out.append((budget, point))
        else:
            size = np.exp(point.log_params)
            per_token = np.exp(np.mean(np.log(flops[runs] / (params[runs] * table["tokens"][runs]))))
            found.append((budget, size, budget / (per_token * size), *point[1:]))
    if len(found) < 2:
        reasons = "; ".join(f"{budget:.3g} FLOPs: {why}" for budget, why in left_out)
        raise ValueError(f"an exponent needs two budgets with a minimum, but {len(found)} have one ({reasons})")
    points = np.array(found).T
    return IsoFLOP(**_results(points, left_out), curvature=points[4], log_params_se=points[5])


def envelope(data: Any, *, run: str | None = None, bins: int = 1500) -> Envelope:
    """Approach 1: the runs whose loss curves are the lowest at some compute, then power laws through them.

    data: as for `isoflop`, but one row per checkpoint, with what it had cost up to there.
    run: the column that tells runs apart; by default, checkpoints of one size are of one run.
    bins: how many FLOP counts, evenly spaced in logs over the data.

    At each FLOP count the curves of all runs that reach it, straight in logs between checkpoints, are compared. A run
    that is lowest somewhere gives one point, at the mean log C of the counts where it is; Hoffmann's fit has all 1,500
    counts instead, which repeat a run and weigh it by its share. The runs at both ends are left out: a smaller or a
    larger model would have cut their share. A run of one checkpoint has no curve.

    Known biases: a checkpoint before the end of its learning-rate decay has a higher loss than a run planned to end
    there. Curves planned too long make short training look worse and the exponent too large (Hoffmann et al. on Kaplan
    et al., section 2; Porian et al. 2024 find little of it): include decays of several lengths, told apart by
    `run`. The least of several noisy losses is too low. Sizes are only those tried.

    Raises `ValueError` on bad data and fewer than two runs on the envelope beside those at its ends.
    Source: Hoffmann et al. 2022 (arXiv:2203.15556), section 3.1.
    """
    if bins < 2:
        raise ValueError(f"bins must be 2 or more, got {bins}")
    table, flops = _runs(data, (run,) if run else ())
    logs = np.log([flops, table["params"], table["tokens"], table["loss"]])
    grid = np.linspace(logs[0].min(), logs[0].max(), bins)
    names = table.labels[run] if run else table["params"]
    rows_of = (np.flatnonzero(names == one) for one in np.unique(names))
    curves = [logs[:, rows[np.argsort(flops[rows])]] for rows in rows_of]
    curves = [curve for curve in curves if curve[0, 0] < curve[0, -1]]
    if not curves:
        raise ValueError("envelope needs loss curves, but every run has one checkpoint only")
    losses = np.array([np.interp(grid, x, y, left=np.inf, right=np.inf) for x, _, _, y in curves])
    reached = np.isfinite(losses.min(axis=0))
    grid, lowest = grid[reached], losses[:, reached].argmin(axis=0)
    points = []
    for one in set(lowest) - {lowest[0], lowest[-1]}:
        at = grid[lowest == one].mean()
        points.append(np.exp([at, *(np.interp(at, curves[one][0], y) for y in curves[one][1:])]).tolist())
    if len(points) < 2:
        raise ValueError(f"an exponent needs two runs on the envelope beside those at its ends, got {len(points)}")
    ends = [(float(np.exp(grid[lowest == one].mean())), "an end of the envelope") for one in lowest[[0, -1]]]
    return Envelope(**_results(np.array(sorted(points)).T, ends))


def _runs(data: Any, labels: tuple[str, ...] = ()) -> tuple[Table, np.ndarray]:
    table = read_table(data, _COLUMNS, labels=labels)
    given = table.columns.get("flops")
    return table, 6 * table["params"] * table["tokens"] if given is None else given


def _results(points: np.ndarray, left_out: list[tuple[float, str]]) -> dict[str, Any]:
    """The fields of `_Optima`, from rows of C, N, D and loss."""
    flops, params, tokens, loss = points[:4]
    laws = {"params_law": _power_law(flops, params), "tokens_law": _power_law(flops, tokens)}
    return {"flops": flops, "params": params, "tokens": tokens, "loss": loss, **laws, "left_out": tuple(left_out)}


def _power_law(flops: np.ndarray, values: np.ndarray) -> PowerLaw:
    x, y = np.log(flops), np.log(values)
    centred, spare = x - x.mean(), len(x) - 2
    slope = centred @ y / (centred @ centred)
    rest = y - y.mean() - slope * centred
    error = np.sqrt(rest @ rest / spare / (centred @ centred)) if spare else np.nan
    return PowerLaw(float(np.exp(y.mean() - slope * x.mean())), float(slope), float(error))
