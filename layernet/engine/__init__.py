"""How training is carried out: the one seam between the loop and what computes a step."""
