"""How a problem is solved: closed forms of separable ones, Newton's method on what binds, interior points."""
