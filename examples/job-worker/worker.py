"""A job worker: asks for jobs of one custom action type, and runs a command on what each brings.

    worker.py Build/Jenkins/1 --query ProjectName=shop -- make dist

The command runs in a folder that holds the files of the first input artifact. If it succeeds, what is in the folder
afterwards becomes each output artifact, and `output.json`, if it left one, its output variables. The endpoint and the
keys come from the environment, as for every AWS client: AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY.
"""

import argparse
import json
import pathlib
import subprocess
import tempfile
import time
import zipfile

import boto3
from botocore.config import Config

POLL_SECONDS = 5
MESSAGE_CHARS_MAX = 5000


def main():
    arguments = parse()
    category, provider, version = arguments.type.split("/")
    wanted = {"category": category, "owner": "Custom", "provider": provider, "version": version}
    pipeline = boto3.client("codepipeline")
    while True:
        jobs = pipeline.poll_for_jobs(actionTypeId=wanted, maxBatchSize=1, queryParam=arguments.query)["jobs"]
        for job in jobs:
            work_on(pipeline, job, arguments.command)
        if jobs and arguments.once:
            return
        if not jobs:
            time.sleep(POLL_SECONDS)


def parse():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("type", help="Category/Provider/Version of the custom action type")
    parser.add_argument("--query", default={}, type=lambda text: dict([text.split("=", 1)]))
    parser.add_argument("--once", action="store_true", help="end after one job")
    parser.add_argument("command", nargs="+")
    return parser.parse_args()


def work_on(pipeline, job, command):
    try:
        status = pipeline.acknowledge_job(jobId=job["id"], nonce=job["nonce"])["status"]
    except pipeline.exceptions.InvalidNonceException:
        return  # Another worker has it.
    if status != "InProgress":
        return  # It has ended meanwhile.
    try:
        variables = do(job["data"], command)
    except Exception as error:
        message = str(error)[:MESSAGE_CHARS_MAX] or repr(error)
        failure = {"type": "JobFailed", "message": message, "externalExecutionId": job["id"]}
        pipeline.put_job_failure_result(jobId=job["id"], failureDetails=failure)
        return
    details = {"summary": "Finished", "externalExecutionId": job["id"], "percentComplete": 100}
    pipeline.put_job_success_result(jobId=job["id"], executionDetails=details, outputVariables=variables)


def do(data, command):
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        folder = scratch / "work"
        folder.mkdir()
        if data["inputArtifacts"]:
            archive = scratch / "input.zip"
            store(data).download_file(*place(data["inputArtifacts"][0]), str(archive))
            zipfile.ZipFile(archive).extractall(folder)
        ran = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        if ran.returncode != 0:
            raise RuntimeError(f"{command[0]} ended with status {ran.returncode}: {ran.stderr}")
        given = folder / "output.json"
        variables = json.loads(given.read_text()) if given.exists() else {}
        for artifact in data["outputArtifacts"]:
            archive = scratch / "output.zip"
            with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
                for path in sorted(folder.rglob("*")):
                    packed.write(path, path.relative_to(folder))
            store(data).upload_file(str(archive), *place(artifact))
        return variables


def store(data):
    """The artifact store, with the keys that were lent for this job alone."""
    lent = data["artifactCredentials"]
    return boto3.client(
        "s3",
        aws_access_key_id=lent["accessKeyId"],
        aws_secret_access_key=lent["secretAccessKey"],
        aws_session_token=lent["sessionToken"],
        config=Config(s3={"addressing_style": "path"}),
    )


def place(artifact):
    location = artifact["location"]["s3Location"]
    return location["bucketName"], location["objectKey"]


if __name__ == "__main__":
    main()
