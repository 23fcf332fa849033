"""Several sites without a master: which tables they share, how they are joined, and how they are compared."""
