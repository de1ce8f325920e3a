"""Lowering: layers, losses and optimizers become instructions of a program."""
