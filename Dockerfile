# One image for nodes with and without a GPU: torch's wheels bring their CUDA, the node its driver (580 or later). From Ray's own image,
# so that all pods have the same Ray and Python. On one machine another Python 3.11 does, too: --build-arg BASE=python:3.11.11-slim-bookworm
ARG BASE=rayproject/ray:2.60.0-py311
FROM ${BASE}
USER root
RUN id ray > /dev/null 2>&1 || useradd --create-home --uid 1000 ray
USER ray
ENV PATH=/home/ray/.local/bin:$PATH
WORKDIR /home/ray/overhear
# what changes seldom comes first: a new commit copies a few megabytes
COPY --chown=ray requirements/cluster.lock requirements/cluster.lock
RUN pip install --no-cache-dir --require-hashes --requirement requirements/cluster.lock
# .git as well, so that each record names its commit
COPY --chown=ray . .
RUN pip install --no-cache-dir --no-deps --no-build-isolation --editable .
CMD ["overhear", "--help"]
