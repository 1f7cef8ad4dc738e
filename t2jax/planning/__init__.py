"""What a plan is made of, whether options or the rows of a table ask for it: names of laws, rules, and reasons."""
