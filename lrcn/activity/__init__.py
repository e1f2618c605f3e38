"""Activity recognition: the clips and frames that nets are shown, and the classes that they tell."""
