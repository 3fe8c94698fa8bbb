"""The synchronous client. Made by clients/python/twin.py: change `aio`."""
