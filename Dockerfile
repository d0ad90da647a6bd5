# An image that serves an exported model: no torch, no root, nothing written but /tmp. Export first: smallprint export RUN --to onnx -o model
#
#   docker build -t smallprint .                       # --build-arg BASE=... takes another Debian with Python
#   smallprint key anna --keys keys.txt
#   chmod 644 keys.txt                                 # hashes of random keys; the image's user is not you
#   docker run --read-only --tmpfs /tmp --cap-drop ALL --security-opt no-new-privileges -p 8000:8000 \
#     -v "$PWD/model:/model:ro" -v "$PWD/keys.txt:/keys.txt:ro" smallprint
#
ARG BASE=python:3.12-slim
FROM ${BASE} AS build
WORKDIR /source
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY src src
RUN python -m venv --without-pip /opt/smallprint \
 && python -m pip --python /opt/smallprint/bin/python install --no-cache-dir -c constraints.txt ".[serve,documents]"

FROM ${BASE}
RUN useradd --uid 10001 --no-log-init --no-create-home --shell /usr/sbin/nologin smallprint
COPY --from=build /opt/smallprint /opt/smallprint
ENV PATH=/opt/smallprint/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 ORT_DISABLE_TELEMETRY=1
USER 10001
EXPOSE 8000
HEALTHCHECK --interval=15s --timeout=5s --start-period=10s \
  CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/ready', timeout=4)"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["smallprint", "serve", "/model", "--host", "0.0.0.0", "--port", "8000"]
CMD ["--keys", "/keys.txt"]
