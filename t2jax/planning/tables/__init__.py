"""Tables of scenarios: read, checked, answered, and written so that no run is lost."""
