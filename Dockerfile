# The command line and the service in one image.
#   docker build -t srnet .
#   docker build -t srnet:cuda --build-arg TORCH_INDEX=https://download.pytorch.org/whl/cu128 .
# An empty TORCH_INDEX takes PyTorch from the configured index.
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS build
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /src
RUN python3 -m venv /opt/srnet
# What is installed depends on two files only, so a change of the source costs seconds.
COPY pyproject.toml constraints.txt ./
RUN /opt/srnet/bin/python -c "import tomllib; p = tomllib.load(open('pyproject.toml', 'rb'))['project']; print(*p['dependencies'], *p['optional-dependencies']['serve'], sep='\n')" > requirements.txt \
 && /opt/srnet/bin/pip install -r requirements.txt -c constraints.txt ${TORCH_INDEX:+--extra-index-url ${TORCH_INDEX}}
COPY README.md LICENSE ./
COPY weights weights
COPY server server
COPY srnet srnet
RUN /opt/srnet/bin/pip install --no-deps . \
 && install -d -o 10001 -g 10001 /var/lib/srnet

FROM ${BASE}
COPY --from=build /opt/srnet /opt/srnet
COPY --from=build --chown=10001:10001 /var/lib/srnet /var/lib/srnet
ENV PATH=/opt/srnet/bin:$PATH \
    HOME=/tmp \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    MALLOC_ARENA_MAX=2 \
    SRNET_DATA_DIR=/var/lib/srnet
USER 10001:10001
WORKDIR /data
VOLUME /var/lib/srnet
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s CMD ["srnet", "health"]
ENTRYPOINT ["srnet"]
CMD ["--help"]
