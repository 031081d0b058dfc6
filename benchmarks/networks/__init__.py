"""Trained networks out of Python packages, a file for each, and how they are asked; real_networks.py compares."""
