"""The built-in lyricist: English songs from a seed, without a model."""
