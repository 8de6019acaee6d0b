"""Makes the bucket that Airflow's task logs go to, unless it is there."""

import json
import os
from urllib.parse import urlsplit

import boto3


def make_bucket() -> str:
    """Create the bucket of the remote log folder and give its name; an existing one stays as it is."""
    connection = json.loads(os.environ["AIRFLOW_CONN_TASK_LOGS"])
    bucket = urlsplit(os.environ["AIRFLOW__LOGGING__REMOTE_BASE_LOG_FOLDER"]).netloc
    store = boto3.client(
        "s3",
        aws_access_key_id=connection["login"],
        aws_secret_access_key=connection["password"],
        **connection["extra"],
    )
    if bucket not in {found["Name"] for found in store.list_buckets()["Buckets"]}:
        store.create_bucket(Bucket=bucket)
    return bucket


if __name__ == "__main__":
    make_bucket()
