# Airflow and the line in one image, for every service of docker-compose.yml. The Airflow image gives the user, the
# entry point and the system's libraries; the Python environment is exactly requirements.lock, beside the image's own.
FROM apache/airflow:3.3.2-python3.11

USER root
# unshare, for readers without a network, is in util-linux; the rest of what the line needs comes as wheels.
RUN install --directory --owner=airflow --group=root /opt/minerals /srv/minerals /srv/drop

USER airflow
WORKDIR /opt/minerals
ENV PATH=/opt/minerals/.venv/bin:$PATH \
    VIRTUAL_ENV=/opt/minerals/.venv \
    GX_ANALYTICS_ENABLED=False

COPY --chown=airflow:root requirements.lock ./
RUN python3.11 -m venv .venv \
    && awk '/^uv==/ {keep = 1} keep {print} keep && !/\\$/ {exit}' requirements.lock > .venv/uv.txt \
    && .venv/bin/python -m pip install --no-cache-dir --require-hashes -r .venv/uv.txt \
    && .venv/bin/uv pip sync --no-cache --require-hashes --compile-bytecode requirements.lock

# Country outlines, which positions are compared with.
COPY --chown=airflow:root requirements-outlines.lock ./
RUN .venv/bin/uv pip install --no-cache --no-deps --target .outlines --require-hashes -r requirements-outlines.lock

COPY --chown=airflow:root pyproject.toml LICENSE ./
COPY --chown=airflow:root pipelines pipelines
COPY --chown=airflow:root deploy deploy
COPY --chown=airflow:root dags dags
COPY --chown=airflow:root schemas schemas
COPY --chown=airflow:root samples samples
RUN .venv/bin/uv pip install --no-cache --no-deps --no-build-isolation --editable .

ENV AIRFLOW__CORE__DAGS_FOLDER=/opt/minerals/dags \
    MINERALS_HOME=/srv/minerals \
    MINERALS_DROP=/srv/drop \
    MINERALS_SCHEMAS=/opt/minerals/schemas
