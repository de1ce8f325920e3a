"""The claims run in the kernels of their notebooks, not under pytest."""

collect_ignore_glob = ["notebook_*.py"]
