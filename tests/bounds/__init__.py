"""Error bounds of operators, and runs of netlists compared with them."""
