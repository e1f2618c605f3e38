"""What each variant of the paper is: backbones, heads, tasks, solvers, and one catalogue that names every variant."""
