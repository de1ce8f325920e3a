"""Symptoms: each function looks at the evidence for one cause of a bad training."""
