"""LiteLLM's side of the bench: keeps of each request what our trace keeps. Runs in LiteLLM's environment.

One JSON line a request by one write(2), fsync once a second, into the file that BENCH_TRACES names: what a process has
written outlives its kill, and the last second may be lost with the power, as with our journal.
"""

import json
import os
import threading
import time

from litellm.integrations.custom_logger import CustomLogger


class Traces(CustomLogger):
    def __init__(self) -> None:
        super().__init__()
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        self._fd = os.open(os.environ["BENCH_TRACES"], flags, 0o600)
        threading.Thread(target=self._sync, daemon=True).start()

    def _sync(self) -> None:
        while True:
            time.sleep(1)
            os.fsync(self._fd)

    async def async_log_success_event(self, kwargs, response_obj, start_time, end_time) -> None:
        choice = response_obj.choices[0]
        trace = {
            "id": response_obj.id,
            "model": kwargs["model"],
            "messages": kwargs["messages"],
            "answer": choice.message.content,
            "finish": choice.finish_reason,
            "prompt_tokens": response_obj.usage.prompt_tokens,
            "completion_tokens": response_obj.usage.completion_tokens,
            "at": start_time.isoformat(),
            "duration_s": (end_time - start_time).total_seconds(),
        }
        os.write(self._fd, json.dumps(trace).encode() + b"\n")


handler = Traces()
