"""Symptoms of bad training: each function returns the findings that the evidence supports.

Every threshold lies in the gap between healthy and failed training runs; the comment beside it gives the usual
values of both.
"""
