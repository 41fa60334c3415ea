"""GradientMix, submitted to ICLR 2023, with Dirichlet weights of ours."""
