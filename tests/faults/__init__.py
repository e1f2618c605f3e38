"""The program against damaged inputs (fuzz), and stopped at any moment (kills); docs/testing.md says more."""
