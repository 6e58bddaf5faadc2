# One image for every process of the Procfile; compose and Railway choose which by their start command.
FROM python:3.12-slim

ENV PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN useradd --system --user-group --create-home --home-dir /app app
WORKDIR /app

COPY requirements/main.txt requirements/main.txt
RUN pip install --require-hashes -r requirements/main.txt

COPY --chown=app:app . .
RUN mkdir -p var && chown app:app var
USER app
VOLUME /app/var

# exec, so that the process is the container's first and gets its signals; a shell only to read $PORT.
CMD ["sh", "-c", "exec python -m tradingbot.processes.web --host 0.0.0.0 --port ${PORT:-8000}"]
