"""The equations in NumPy float64, written to be read; tests and docs lean on them, nothing that ships imports them."""
