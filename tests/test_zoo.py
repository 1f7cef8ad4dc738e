"""Every class of laws, tasks and costs is what the optimiser takes it for."""

import jax
import pytest
import zoo

from t2jax.literature import KINDS, kind_of
from t2jax.quantities import Quantity
from t2jax.tasks import Success
from t2jax.testing import check_law, check_quantity, check_task

QUANTITIES = {**zoo.COSTS, **zoo.ALGEBRA}
TASKS = {**zoo.TASKS, "of a user's own": zoo.OWN_TASK, "a user's probability": Success(zoo.SUCCESS)}


@pytest.mark.parametrize("name", zoo.LAWS)
def test_laws(name):
    check_law(zoo.LAWS[name])


@pytest.mark.parametrize("name", TASKS)
def test_tasks(name):
    check_task(TASKS[name])


@pytest.mark.parametrize("name", QUANTITIES)
def test_quantities(name):
    check_quantity(QUANTITIES[name])


@pytest.mark.parametrize("name", zoo.PORTFOLIOS)
def test_portfolios(name):
    check_quantity(zoo.PORTFOLIOS[name], decision=zoo.PORTFOLIO.start)


def test_the_zoo_has_every_class():
    """Of the registry, and of the quantities that t2jax defines."""
    every = [*TASKS.values(), *zoo.LAWS.values(), *QUANTITIES.values(), *zoo.PORTFOLIOS.values()]
    planned = {kind for kind in KINDS.values() if kind.role.plans and kind.is_own}
    assert planned == {kind_of(one) for one in every} - {None}

    def parts(one):
        inner = jax.tree.leaves(vars(one), is_leaf=lambda part: isinstance(part, Quantity))
        return {type(one)}.union(*(parts(part) for part in inner if isinstance(part, Quantity)))

    def below(cls):
        return {cls}.union(*map(below, cls.__subclasses__()))

    defined = {cls for cls in below(Quantity) if cls.__module__.startswith("t2jax.") and not cls.__abstractmethods__}
    seen = set().union(*map(parts, every))
    assert {cls.__name__ for cls in defined - seen} == {"Traced"}  # which `minimize` makes of users' functions
