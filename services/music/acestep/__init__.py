"""ACE-Step v1 3.5B in our own code: conditioning, sampling and decoding of songs with the released weights.

Knows tensors and the released checkpoint layout; knows nothing of RPCs, attestations or audio containers.
"""
