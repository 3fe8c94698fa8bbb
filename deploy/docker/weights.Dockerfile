# Weights as an image, for an image volume: no system, no program. Build context: the folder of the weights.
FROM scratch
ARG TITLE="weights"
# What `python -m services.music.weights verify FOLDER` prints.
ARG WEIGHTS_DIGEST=unknown
LABEL org.opencontainers.image.title="${TITLE}" acesteps.weights-digest="${WEIGHTS_DIGEST}"
# The mode is the folders' too: without x nobody but root could enter them.
COPY --chmod=0555 . /
