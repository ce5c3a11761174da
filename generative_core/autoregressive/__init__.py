"""Explicit, tractable: the chain rule p(x) = prod_d p(x_d | x_<d) with learned conditionals."""
