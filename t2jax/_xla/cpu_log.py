"""The logarithm of float64 on a CPU, without a call for each number."""

import jax
import jax.numpy as jnp
from jaxtyping import Array

from t2jax._xla.fusion import once

__all__ = ["log_by_bits"]

# log m = 2 atanh(s), s = f / (2 + f), f = m − 1, and 2 atanh(s) − 2s = s·P(s²): the minimax P of FreeBSD's e_log.c.
_EVEN = (3.999999999940941908e-01, 2.222219843214978396e-01, 1.531383769920937332e-01)  # of s⁴, s⁸, s¹²
_ODD = (6.666666666666735130e-01, 2.857142874366239149e-01, 1.818357216161805012e-01, 1.479819860511658591e-01)
_LOG_2 = (6.93147180369123816490e-01, 1.90821492927058770002e-10)  # in two parts: the first times e is exact
_SQRT_HALF = 0x3FE6A09E667F3BCD  # the bits of √½


@jax.jit
def log_by_bits(x: Array) -> Array:
    """log x of float64, on a CPU from the bits of x; elsewhere, or where x is no normal number, as JAX has it."""
    return once(jax.lax.platform_dependent(x, cpu=_on_cpu, default=jnp.log))


def _on_cpu(x: Array) -> Array:
    """log x in float64 to 0.8 ulp, without a branch: XLA calls C's for one number after another, three times slower.

    x = 2ᵉ·m with m from √½ to √2. What is subnormal counts as 0, as everywhere in XLA.
    """
    bits = jax.lax.bitcast_convert_type(x, jnp.int64)
    exponent = (bits - _SQRT_HALF) >> 52
    e = exponent.astype(x.dtype)
    f = jax.lax.bitcast_convert_type(bits - (exponent << 52), x.dtype) - 1.0
    s = f / (2.0 + f)
    square = s * s
    fourth = square * square
    even = fourth * (_EVEN[0] + fourth * (_EVEN[1] + fourth * _EVEN[2]))
    odd = square * (_ODD[0] + fourth * (_ODD[1] + fourth * (_ODD[2] + fourth * _ODD[3])))
    half = 0.5 * f * f
    # 2s = f − s·f and s·f = f²/2 − s·f²/2: the parts are added from the smallest on.
    of_x = e * _LOG_2[0] - ((half - (s * (half + (even + odd)) + e * _LOG_2[1])) - f)
    of_x = jnp.where(x < jnp.inf, of_x, x)  # ∞ and NaN
    return jnp.where(x >= float(jnp.finfo(x.dtype).tiny), of_x, jnp.where(x >= 0, -jnp.inf, jnp.nan))
