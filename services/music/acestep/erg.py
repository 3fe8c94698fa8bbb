"""Entropy rectifying guidance: the branch to guide away from attends with its queries scaled down to τ.

Where, as released; ERG is arXiv 2504.13987. A scaled-down query makes softmax attention nearly uniform.
Linear attention divides by a sum of the same queries, which cancels τ: only softmax attentions need it.
"""

TAU = 0.01
TEXT_LAYERS = range(8, 10)
LYRIC_LAYERS = range(4, 6)
TRANSFORMER_BLOCKS = range(15, 20)
