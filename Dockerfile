FROM python:3.11-slim
RUN apt-get update && apt-get install -y --no-install-recommends bash curl jq nodejs npm git tini && rm -rf /var/lib/apt/lists/*
WORKDIR /attune
COPY requirements.lock ./
RUN pip install --no-cache-dir --require-hashes -r requirements.lock
COPY . .
RUN sed -e 's|@FOLDER@|/attune|; s|@PYTHON@|python|' attune/cli/launcher > /usr/local/bin/attune && chmod +x /usr/local/bin/attune
RUN useradd --system --create-home attune && mkdir /data && chown attune /data
USER attune
ENV ATTUNE_DATA_DIR=/data PYTHONUNBUFFERED=1
ENTRYPOINT ["tini", "--"]
CMD ["python", "manage.py", "up"]
