# The command line and the service in one image.
#   docker build -t srnet .
#   docker build -t srnet:cuda --build-arg TORCH_INDEX= .
# The first is for processors; the second takes PyTorch from the usual index, where it has CUDA.
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS build
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
# Without pip inside: what runs needs no installer.
RUN python3 -m venv --without-pip /opt/srnet
# What is installed depends on three files only, so a change of the source costs seconds.
COPY pyproject.toml constraints.txt .ci/image-constraints.txt ./
RUN python3 -c "import tomllib; t = tomllib.load(open('pyproject.toml', 'rb')); p = t['project']; print(*t['build-system']['requires'], *p['dependencies'], *p['optional-dependencies']['serve'], sep='\n')" > requirements.txt \
 && pip --python /opt/srnet/bin/python install -r requirements.txt \
    -c constraints.txt -c image-constraints.txt ${TORCH_INDEX:+--extra-index-url ${TORCH_INDEX}} \
 # PyTorch brings its own tests and C++ headers, 0.2 GB that nothing here opens.
 && torch=$(echo /opt/srnet/lib/python3*/site-packages/torch) \
 && rm -rf "$torch/include" "$torch/test" \
 && find "$torch/bin" -type f ! -name torch_shm_manager -delete
COPY README.md LICENSE ./
COPY weights weights
COPY server server
COPY srnet srnet
RUN pip --python /opt/srnet/bin/python install --no-deps --no-build-isolation .

FROM ${BASE}
COPY --from=build /opt/srnet /opt/srnet
# For whoever `--user` says, as /tmp is; a volume takes the mode over. COPY would not keep it.
RUN install -d -o 1000 -g 1000 -m 1777 /var/lib/srnet
ENV PATH=/opt/srnet/bin:$PATH \
    HOME=/tmp \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    MALLOC_ARENA_MAX=2 \
    SRNET_DATA_DIR=/var/lib/srnet \
    SRNET_CONTAINER=1
# Not root, and the first user of most Linux machines: `-v $PWD:/data` then needs no `--user`.
USER 1000:1000
WORKDIR /data
VOLUME /var/lib/srnet
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s CMD ["srnet", "health"]
ENTRYPOINT ["srnet"]
CMD ["--help"]
