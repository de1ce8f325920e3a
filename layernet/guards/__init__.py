"""Guards of a layer: its inputs, the completeness of its class, read-only arguments, modes and building."""
