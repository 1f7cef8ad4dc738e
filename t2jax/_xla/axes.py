"""Inside `jax.shard_map`: numbers of one problem that all vary over the same axes of the mesh."""

from typing import Any

import jax

__all__ = ["varying_alike"]


def varying_alike(tree: Any) -> Any:
    """The same arrays, each varying over all mesh axes that any of them varies over. Outside `shard_map`: the tree.

    What a loop carries, and what a derivative moves along, must vary over the same axes from its first step on, though
    some of it starts from constants, which vary over none.
    """
    own = jax.tree.map(lambda a: jax.typeof(a).mat.varying, tree)
    every = frozenset().union(*jax.tree.leaves(own))
    if not every:
        return tree

    def varying(a: Any, axes: frozenset[str]) -> Any:
        return jax.lax.pcast(a, tuple(every - axes), to="varying") if every - axes else a

    return jax.tree.map(varying, tree, own)
