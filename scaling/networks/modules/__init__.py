"""Networks as torch modules: what scaling.networks describes, built; and what all are made of."""
