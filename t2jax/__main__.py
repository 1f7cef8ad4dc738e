"""`python -m t2jax`, as `t2jax`."""

import sys

from t2jax.cli import main

sys.exit(main())
