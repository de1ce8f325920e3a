"""Tables with columns of any type, as inputs of networks."""
