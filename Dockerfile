# The app with CPU wheels of PyTorch, as a user without rights. `docker build -t rrg . && docker run -p 7860:7860 -v rrg:/data rrg`
FROM python:3.12-slim

ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1

WORKDIR /app
COPY requirements.txt ./
# First torch, from the index whose wheels carry no CUDA libraries (3 GB less); then the rest finds it installed.
RUN grep -E '^(torch|torchvision)[^a-z]' requirements.txt > torch.txt \
 && pip install --index-url https://download.pytorch.org/whl/cpu -r torch.txt \
 && pip install -r requirements.txt 'psycopg[binary]>=3.2,<4' \
 && rm torch.txt

RUN useradd --uid 1000 --create-home rrg && install -d -o rrg -g rrg -m 700 /data
COPY --chown=root:root . .
USER rrg

ENV HOST=0.0.0.0 PORT=7860 RRG_HOME=/data MPLCONFIGDIR=/tmp HF_HUB_OFFLINE=1
VOLUME /data
EXPOSE 7860
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
  CMD ["python", "-c", "import os, urllib.request as r; r.urlopen('http://127.0.0.1:' + os.environ['PORT'] + '/', timeout=4)"]
STOPSIGNAL SIGTERM
CMD ["python", "app.py"]
