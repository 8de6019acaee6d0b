#!/usr/bin/env bash
# Gives the catalogue a database and a user of its own on Airflow's server, when the server is made.
set -euo pipefail

psql --set ON_ERROR_STOP=1 --set password="$MINERALS_DB_PASSWORD" --username "$POSTGRES_USER" --dbname postgres <<'SQL'
CREATE ROLE minerals LOGIN PASSWORD :'password';
CREATE DATABASE minerals OWNER minerals;
REVOKE CONNECT ON DATABASE minerals FROM PUBLIC;
REVOKE CONNECT ON DATABASE airflow FROM PUBLIC;
SQL
