# The music service: targets `sketch` (last, the default) and `acestep`, which alone has torch.
# Build context: the repository's root. How, and with which bases: docs/images.md.
ARG PYTHON_IMAGE=python:3.11-slim-bookworm

FROM ${PYTHON_IMAGE} AS tools
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
COPY requirements /requirements
RUN python -m venv /tools \
 && /tools/bin/pip install -r /requirements/images.txt -c /requirements/constraints.txt

FROM tools AS packages
WORKDIR /app
RUN python -m venv --without-pip .venv \
 && /tools/bin/pip --python .venv/bin/python install --no-compile \
      -r /requirements/music.txt -c /requirements/constraints.txt \
 && /tools/bin/cyclonedx-py environment --output-reproducible --of JSON -o sbom.json .venv/bin/python \
 && .venv/bin/python -m compileall -q -j 0 --invalidation-mode unchecked-hash .venv/lib

FROM packages AS packages-acestep
# Where torch's own builds are, if not the index's default one; docs/images.md.
ARG TORCH_INDEX_URL=
# torch brings one file that only newer Pythons can read.
RUN /tools/bin/pip --python .venv/bin/python install --no-compile \
      ${TORCH_INDEX_URL:+--extra-index-url "${TORCH_INDEX_URL}"} \
      -r /requirements/acestep.txt -c /requirements/constraints.txt \
 && /tools/bin/cyclonedx-py environment --output-reproducible --of JSON -o sbom.json .venv/bin/python \
 && .venv/bin/python -m compileall -q -j 0 --invalidation-mode unchecked-hash -x /py312_ .venv/lib

FROM tools AS code
WORKDIR /app
COPY protos /protos
RUN mkdir -p build/gen \
 && /tools/bin/python -m grpc_tools.protoc -I/protos --python_out=build/gen --grpc_python_out=build/gen \
      /protos/acesteps/lyrics/v1/*.proto /protos/acesteps/music/v1/*.proto
COPY LICENSE NOTICE ./
COPY services/__init__.py services/
COPY services/common services/common
COPY services/music services/music
RUN python -m compileall -q --invalidation-mode unchecked-hash services build/gen

FROM ${PYTHON_IMAGE} AS runtime
# A folder that a named volume takes its owner from.
RUN groupadd --gid 10001 acesteps \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin acesteps \
 && install -d -o 10001 -g 10001 /var/lib/acesteps
ENV PATH=/app/.venv/bin:$PATH \
    PYTHONPATH=/app:/app/build/gen \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    LANG=C.UTF-8 \
    HOME=/tmp
WORKDIR /app
USER 10001:10001
EXPOSE 50052 8081 9090
STOPSIGNAL SIGTERM
ENTRYPOINT ["python", "-m", "services.music"]

FROM runtime AS acestep
# Weights are a folder that is given; nothing is looked for elsewhere.
ENV HF_HUB_OFFLINE=1 HF_HOME=/tmp/huggingface MUSIC_ENGINE=acestep
COPY --from=packages-acestep /app /app
COPY --from=code /app /app
# Last: a new revision leaves the layers above as they are.
ARG PYTHON_IMAGE
ARG VERSION=unknown
ARG REVISION=unknown
ARG SOURCE=unknown
LABEL org.opencontainers.image.title="AceSteps music, engine acestep" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.source="${SOURCE}" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.base.name="${PYTHON_IMAGE}" \
      acesteps.sbom="/app/sbom.json"

FROM runtime AS sketch
COPY --from=packages /app /app
COPY --from=code /app /app
# Last: a new revision leaves the layers above as they are.
ARG PYTHON_IMAGE
ARG VERSION=unknown
ARG REVISION=unknown
ARG SOURCE=unknown
LABEL org.opencontainers.image.title="AceSteps music, engine sketch" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.source="${SOURCE}" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.base.name="${PYTHON_IMAGE}" \
      acesteps.sbom="/app/sbom.json"
