#!/usr/bin/env bash
# Prepares an installation, and brings an older one up to date; doing it again changes nothing.
set -euo pipefail

chown airflow:root "$MINERALS_HOME"
chmod 755 "$MINERALS_HOME"

exec setpriv --reuid=airflow --regid=0 --clear-groups bash -euo pipefail -c '
    export HOME=/home/airflow
    airflow db migrate
    airflow fab-db migrate
    airflow users create --role Admin --username admin --firstname First --lastname Administrator \
        --email "$ADMIN_EMAIL" --password "$ADMIN_PASSWORD"
    minerals migrate
    python -m deploy.bucket
'
