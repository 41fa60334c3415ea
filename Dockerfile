# docker build -t keras-lbreg . && docker run --rm -v "$PWD/runs:/home/lbreg/runs" keras-lbreg
FROM python:3.11-slim

RUN useradd --create-home lbreg
WORKDIR /home/lbreg/src
COPY pyproject.toml README.md LICENSE constraints.txt ./
COPY keras_lbreg keras_lbreg
RUN pip install --no-cache-dir -c constraints.txt ".[tensorflow,tune]" \
    && mkdir /home/lbreg/runs \
    && chown lbreg:lbreg /home/lbreg/runs

USER lbreg
WORKDIR /home/lbreg
ENV TF_CPP_MIN_LOG_LEVEL=2
ENTRYPOINT ["lbreg"]
CMD ["compare", "digits"]
