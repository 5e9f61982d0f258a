"""What reading commands say of work that waits."""

from fleetseal.cli import output
from fleetseal.cli.client import Client


async def suspended(client: Client) -> None:
    """Says on standard error which tasks wait for somebody to continue them."""
    tasks = await client.get("tasks", "suspended")
    if tasks:
        number = "1 task is" if len(tasks) == 1 else f"{len(tasks)} tasks are"
        done, total = (sum(task[member] for task in tasks) for member in ("done", "total"))
        output.tell(f"{number} suspended: {done} of {total} devices done. Continue: fleetseal task resume")
