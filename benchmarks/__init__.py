"""Measures the function beside what its users would write instead, and simulates the quota."""
