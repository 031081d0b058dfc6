"""A package, so that tests can import what they share (`tests.tolerances`) whatever else is installed."""
