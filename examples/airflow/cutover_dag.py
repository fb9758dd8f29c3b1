"""Cuts a workflow's live migrations over every Saturday night. Airflow 3, with the provider `standard`.

reach_atlas ▸ cutover

`reach_atlas` reads only, so Airflow may try it again; `cutover` is tried once, because its exit codes want a person
(docs/exit-codes.md). Trying it again would do no harm: it continues the unfinished run and repeats no cutover.

Both tasks go to one queue, whose single worker keeps the state directory on its own disk. The keys are in files
that /etc/atlas-cutover/config.yaml names (`atlas.public_key_file`, `atlas.private_key_file`), so Airflow never sees them.

It starts the command line, and does not use the library (docs/library.md) in a Python task, on purpose. A task that is marked or
whose worker goes down gets a SIGTERM, which Airflow answers with an exception in the middle of whatever the task does; a
process of its own stops in order: answers on the wire are waited for, and reports are written. Its exit code becomes the task's state without a
line of code, and Airflow's pinned packages need not agree with this program's.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG

NOT_STARTED = 3  # the window closed, or an abort: the next DAG run goes on
BUSY = 5  # another process is at it

with DAG(
    dag_id="atlas_cutover_retail",
    description="MongoDB Atlas live migrations: the retail workflow",
    # A little before the workflow's window opens: `run` waits for the opening.
    schedule="50 0 * * 6",
    start_date=datetime(2026, 11, 1, tzinfo=ZoneInfo("Europe/Berlin")),
    catchup=False,
    max_active_runs=1,
    default_args={
        "queue": "cutover",
        "append_env": True,
        "env": {
            "ATLAS_CUTOVER_CONFIG": "/etc/atlas-cutover/config.yaml",
            "ATLAS_CUTOVER_STATE_DIR": "/var/lib/atlas-cutover",
        },
    },
    tags=["mongodb", "cutover"],
) as dag:
    reach_atlas = BashOperator(
        task_id="reach_atlas",
        # 3: some are not ready yet; their gates wait for them.
        bash_command="atlas-cutover plan /etc/atlas-cutover/retail.yaml --online || [ $? -eq 3 ]",
        retries=3,  # for exit code 6; a mistake in the file (2) fails as fast as it can be read
        retry_delay=timedelta(minutes=1),
    )
    cutover = BashOperator(
        task_id="cutover",
        # `exec`: Airflow's SIGTERM is for the program, which stops in order.
        bash_command="exec atlas-cutover run /etc/atlas-cutover/retail.yaml --yes --log-format json",
        skip_on_exit_code=[NOT_STARTED, BUSY],
        retries=0,
    )
    # The last task decides how the DAG run ends, so nothing follows that would succeed after a failed cutover: the summary
    # is in the task's log, and `atlas-cutover report` shows it again.
    reach_atlas >> cutover
