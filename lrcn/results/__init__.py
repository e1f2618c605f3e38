"""The paper's numbers, and what was measured, as tables and pictures."""
