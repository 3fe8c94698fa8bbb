# The gateway. Build context: the repository's root. How, and with which bases: docs/images.md.
ARG PYTHON_IMAGE=python:3.11-slim-bookworm
ARG NODE_IMAGE=node:24-bookworm-slim

FROM ${NODE_IMAGE} AS contracts
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
# Without what is optional: the binaries of the local chain.
RUN npm ci --omit=dev --omit=optional
COPY contracts/compile.mjs contracts/
COPY contracts/src contracts/src
RUN node contracts/compile.mjs

FROM ${PYTHON_IMAGE} AS tools
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
COPY requirements /requirements
RUN python -m venv /tools \
 && /tools/bin/pip install -r /requirements/images.txt -c /requirements/constraints.txt

FROM tools AS packages
WORKDIR /app
RUN python -m venv --without-pip .venv \
 && /tools/bin/pip --python .venv/bin/python install --no-compile \
      -r /requirements/gateway.txt -c /requirements/constraints.txt \
 && /tools/bin/cyclonedx-py environment --output-reproducible --of JSON -o sbom.json .venv/bin/python \
 && .venv/bin/python -m compileall -q -j 0 --invalidation-mode unchecked-hash .venv/lib

FROM tools AS code
WORKDIR /app
COPY protos /protos
RUN mkdir -p build/gen \
 && /tools/bin/python -m grpc_tools.protoc -I/protos --python_out=build/gen --grpc_python_out=build/gen \
      /protos/acesteps/gateway/v1/*.proto /protos/acesteps/lyrics/v1/*.proto \
      /protos/acesteps/music/v1/*.proto /protos/acesteps/signer/v1/*.proto
COPY LICENSE NOTICE ./
COPY services/__init__.py services/
COPY services/common services/common
COPY services/gateway services/gateway
RUN python -m compileall -q --invalidation-mode unchecked-hash services build/gen

FROM ${PYTHON_IMAGE} AS gateway
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
COPY --from=packages /app /app
COPY --from=contracts /app/build/contracts/SongNFT.json build/contracts/
COPY --from=code /app /app
USER 10001:10001
EXPOSE 8080 50050 8081 9090
STOPSIGNAL SIGTERM
ENTRYPOINT ["python", "-m", "services.gateway"]
# Last: a new revision leaves the layers above as they are.
ARG PYTHON_IMAGE
ARG VERSION=unknown
ARG REVISION=unknown
ARG SOURCE=unknown
LABEL org.opencontainers.image.title="AceSteps gateway" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.source="${SOURCE}" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.base.name="${PYTHON_IMAGE}" \
      acesteps.sbom="/app/sbom.json"
