"""Agreement of the ACE-Step engine with recorded outputs of the released code.

`python -m services.music.conformance` prints it.

Knows the goldens' format and which of our functions each recorded tensor is the answer of. Nothing serves
from here.
"""
