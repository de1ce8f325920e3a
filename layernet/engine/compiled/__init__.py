"""The compiled engine: everything that needs the extra `fast`."""
