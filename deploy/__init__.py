"""Runs the line's Airflow: on one machine by `make run`, in containers by docker-compose.yml."""
