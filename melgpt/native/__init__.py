"""Kernels in C, compiled on the user's machine: what torch is slow at."""
