"""Finding the minimum of the criterion: Newton steps, L-BFGS-B, zero-variance tests, restarts.

theta is searched without bounds: G = L L' does not depend on the sign of a column of L. theta = 0
is always stationary, so every candidate is tested in G: with N = dF/dG, a minimum over positive
semidefinite G needs N >= 0 on the null space of G (N v v' is the slope towards G + v v').
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ablatekit.analysis.core.arrays import Floats
from ablatekit.analysis.core.schema.vocabulary import Statement, statement
from ablatekit.analysis.core.threads import one_thread
from ablatekit.analysis.engine.criterion import EXACT_MESSAGE, Criterion, Factors, Slope, State
from ablatekit.analysis.engine.curvature import average_information, bend, jacobian
from ablatekit.errors import NotEstimableError

EVERY_START = (1.0, 0.1, 5.0)
"""Diagonals of theta that find the best of several optima."""
STOP = 1e-14
ENOUGH = 1e-8
SNAP = 1e-5
NEWTON_STEPS = 12
GRADIENT_TOLERANCE = 1e-3
# Newton's steps are quadratic so near: what is left is far below the noise of the criterion.
NEAR = 1e-2
ESCAPES = (1e-3, 1e-2, 1e-1, 1.0)


@dataclass(frozen=True, slots=True)
class Start:
    """One descent: where it began, how, and what it reached."""

    theta: Floats
    evaluations: int
    value: float
    method: str


@dataclass(frozen=True, slots=True)
class Convergence:
    """How the optimum was found and what was checked there.

    gradient: largest absolute derivative in theta; zero_tests: boundary tests made, escapes: how
    often one of them found a lower value and the search went on from there.
    """

    starts: tuple[Start, ...]
    evaluations: int
    gradient: float
    zero_tests: int
    escapes: int
    converged: bool
    messages: tuple[Statement, ...]


@dataclass
class _Search:
    """The best point so far and what it took."""

    criterion: Criterion
    best: State | None = None
    zero_tests: int = 0
    escapes: int = 0

    def offer(self, state: State) -> bool:
        if self.best is None or state.value < self.best.value - 1e-10:
            self.best = state
            return True
        return False


def optimise(
    criterion: Criterion, starts: Sequence[float | Floats]
) -> tuple[State, Slope, Convergence]:
    """The best of several descents, each tested at the boundary.

    starts: diagonals of theta, one number for all terms or one for each (terms,).
    """
    with one_thread(criterion.rows):
        return _optimise(criterion, starts)


def _optimise(
    criterion: Criterion, starts: Sequence[float | Floats]
) -> tuple[State, Slope, Convergence]:
    search = _Search(criterion)
    records: list[Start] = []
    for diagonal in starts:
        before, theta = criterion.evaluations, criterion.start(diagonal)
        state, method = _descend(search, criterion.evaluate(theta))
        search.offer(state)
        records.append(Start(theta, criterion.evaluations - before, state.value, method))
    assert search.best is not None
    state, slope = _escape_boundaries(search, search.best)
    state, slope = _snap(criterion, state, slope)
    size = float(np.abs(slope.gradient).max(initial=0.0))
    converged = size < GRADIENT_TOLERANCE * max(1.0, abs(state.value) * 1e-3)
    if criterion.degenerate and state.r2 < 10.0 * criterion.smallest_r2:
        raise NotEstimableError(EXACT_MESSAGE)
    spread = max(record.value for record in records) - state.value
    messages = []
    if not converged:
        messages.append(statement("gradient_not_zero", gradient=size))
    if spread > 1e-4:
        messages.append(statement("local_minima", spread=float(spread)))
    record = Convergence(
        tuple(records), criterion.evaluations, size, search.zero_tests, search.escapes,
        converged, tuple(messages),
    )  # fmt: skip
    return state, slope, record


def _descend(search: _Search, state: State) -> tuple[State, str]:
    """Average-information steps; L-BFGS-B when they do not finish."""
    criterion = search.criterion
    slope = criterion.slope(state)
    decrease = np.inf
    for _ in range(NEWTON_STEPS):
        step, decrease = _newton_step(criterion, state, slope)
        if decrease < STOP:
            return state, "newton"
        moved = _line_search(criterion, state, step, float(slope.gradient @ step))
        if moved is None:
            break
        if search.best is not None and _joins(search.best, moved):
            return search.best, "newton, joined an earlier optimum"
        state, slope = moved, criterion.slope(moved)
    if decrease < ENOUGH:
        return state, "newton"
    return _quasi_newton(criterion, state), "newton, then l-bfgs-b"


def _joins(best: State, state: State) -> bool:
    """Whether a later start has arrived at the optimum that is already known, from above."""
    distance = np.abs(np.abs(best.theta) - np.abs(state.theta)).max()
    return bool(distance < NEAR and 0.0 <= state.value - best.value < NEAR**2)


def _newton_step(criterion: Criterion, state: State, slope: Slope) -> tuple[Floats, float]:
    """A descent step in theta and the decrease that its quadratic model predicts."""
    jac = jacobian(criterion, state.factors)
    information = jac.T @ average_information(criterion, state, slope) @ jac
    full = information + bend(criterion, slope.normal)
    for curvature in (full, information):
        values, vectors = np.linalg.eigh((curvature + curvature.T) / 2.0)
        if values.min() > 1e-8 * max(values.max(), 1e-300):
            step = -vectors @ ((vectors.T @ slope.gradient) / values)
            return _limited(criterion, state, step), float(-slope.gradient @ step / 2.0)
    floor = max(1e-6 * float(np.abs(values).max()), 1e-12)
    step = -vectors @ ((vectors.T @ slope.gradient) / np.maximum(np.abs(values), floor))
    return _limited(criterion, state, step), float(-slope.gradient @ step / 2.0)


def _limited(criterion: Criterion, state: State, step: Floats) -> Floats:
    """Shorten a step so that no diagonal entry of L falls below a tenth or grows tenfold."""
    factor = 1.0
    theta, steps = state.theta.tolist(), step.tolist()
    for j in criterion.diagonal:
        here = abs(theta[j])
        move = steps[j] if theta[j] >= 0.0 else -steps[j]
        if here > 1e-3 and move < -0.9 * here:
            factor = min(factor, 0.9 * here / -move)
        elif move > 10.0 * max(here, 0.1):
            factor = min(factor, 10.0 * max(here, 0.1) / move)
    return step * factor


def _line_search(criterion: Criterion, state: State, step: Floats, slope: float) -> State | None:
    """Step halving to a sufficient decrease (Armijo, 1e-4); None when there is none."""
    length = 1.0
    noise = 1e-12 * max(1.0, abs(state.value))
    for _ in range(12):
        try:
            moved = criterion.evaluate(state.theta + length * step)
        except (np.linalg.LinAlgError, NotEstimableError):
            length *= 0.5
            continue
        if moved.value <= state.value + 1e-4 * length * slope + noise:
            return moved
        length *= 0.5
    return None


def _quasi_newton(criterion: Criterion, state: State) -> State:
    """L-BFGS-B with the exact gradient from `state`."""
    from scipy.optimize import minimize  # where Newton steps finish, its import is not needed

    best = state

    def objective(theta: Floats) -> tuple[float, Floats]:
        nonlocal best
        try:
            here = criterion.evaluate(theta)
        except (np.linalg.LinAlgError, NotEstimableError):
            return state.value + 1e3, np.zeros_like(theta)
        if here.value < best.value:
            best = here
        return here.value, criterion.slope(here).gradient

    minimize(
        objective,
        state.theta,
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": 300, "ftol": 1e-15, "gtol": 1e-7, "maxcor": 20},
    )
    return best


def _escape_boundaries(search: _Search, state: State) -> tuple[State, Slope]:
    """Leave every boundary point that is not a minimum over positive semidefinite G."""
    criterion = search.criterion
    for _ in range(10):
        slope = criterion.slope(state)
        lower = _lower_neighbour(search, state, slope)
        if lower is None:
            return state, slope
        search.escapes += 1
        state, _ = _descend(_Search(criterion), lower)
    return state, criterion.slope(state)


def _lower_neighbour(search: _Search, state: State, slope: Slope) -> State | None:
    """A point off the boundary with a lower criterion, if any of the tests finds one."""
    criterion = search.criterion
    found: State | None = None
    for term, (factor, normal) in enumerate(zip(state.factors, slope.normal, strict=True)):
        for direction in _boundary_directions(factor, normal):
            search.zero_tests += 1
            for size in ESCAPES:
                factors = [f.copy() for f in state.factors]
                g = factor @ factor.T + size**2 * np.outer(direction, direction)
                factors[term] = semidefinite_factor(g)
                tried = criterion.evaluate(criterion.pack(factors))
                if tried.value < (found or state).value - 1e-8 * max(1.0, abs(state.value) * 1e-4):
                    found = tried
    return found


def _boundary_directions(factor: Floats, normal: Floats) -> list[Floats]:
    """Directions v in which G = L L' is (nearly) singular: unit vectors (p,)."""
    values, vectors = np.linalg.eigh(factor @ factor.T)
    scale = max(float(values.max()), 1e-4)
    null = vectors[:, values < 1e-6 * scale]
    if len(factor) == 1:
        return [np.ones(1)] if abs(factor[0, 0]) < 0.05 else []
    if null.shape[1] == 0:
        return []
    inner, rotation = np.linalg.eigh(null.T @ normal @ null)
    return [null @ rotation[:, j] for j in range(len(inner))]


def semidefinite_factor(g: Floats) -> Floats:
    """A lower triangular L with L L' = g for positive semidefinite g (p, p), diagonal >= 0."""
    values, vectors = np.linalg.eigh((g + g.T) / 2.0)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    _, upper = np.linalg.qr(root.T)
    signs = np.where(upper.diagonal() < 0.0, -1.0, 1.0)
    return np.asarray((upper * signs[:, None]).T)


def _snap(criterion: Criterion, state: State, slope: Slope) -> tuple[State, Slope]:
    """Nonnegative diagonals; entries of a vanished column become exactly zero."""
    factors: Factors = []
    for factor in state.factors:
        signs = np.where(factor.diagonal() < 0.0, -1.0, 1.0)
        cleaned = factor * signs
        for column in range(len(cleaned)):
            small = np.abs(cleaned[column:, column]).max() < SNAP
            if small:
                cleaned[:, column] = 0.0
            elif cleaned[column, column] < SNAP:
                cleaned[column, column] = 0.0
        factors.append(cleaned)
    theta = criterion.pack(factors)
    if np.array_equal(theta, state.theta):
        return state, slope
    snapped = criterion.evaluate(theta)
    if snapped.value > state.value + 1e-7 * max(1.0, abs(state.value) * 1e-3):
        raise NotEstimableError("the boundary of the variance parameters could not be resolved")
    return snapped, criterion.slope(snapped)
