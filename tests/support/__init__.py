"""Fakes that speak, for the tests."""
