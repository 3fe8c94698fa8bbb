"""The asynchronous client. Its synchronous twin is made from these files: see clients/python/twin.py."""
