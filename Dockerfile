# One image for web, worker and release: its command names an entry of the Procfile.
FROM python:3.11-slim-bookworm AS packages
COPY requirements.txt .
RUN python -m venv /venv \
    && /venv/bin/pip install --no-cache-dir --require-hashes --only-binary :all: --no-binary pyvips -r requirements.txt

FROM python:3.11-slim-bookworm
ENV PATH=/venv/bin:$PATH DATA_DIR=/data HOST=0.0.0.0 PORT=8000
# The font of the pictures that test keys get for a prompt.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends fonts-dejavu-core \
    && rm -rf /var/lib/apt/lists/*
RUN useradd --system --uid 10001 --home-dir /app lightwell \
    && install --directory --owner lightwell /data
WORKDIR /app
COPY --from=packages /venv /venv
COPY app app
COPY migrations migrations
COPY templates templates
COPY Procfile docker-entrypoint.sh wsgi.py ./
RUN python -m compileall -q app migrations wsgi.py
USER lightwell
VOLUME /data
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s CMD ["python", "-c", \
    "import os, urllib.request as r; r.urlopen(f'http://127.0.0.1:{os.environ[\"PORT\"]}/healthz', timeout=4)"]
ENTRYPOINT ["./docker-entrypoint.sh"]
CMD ["web"]
