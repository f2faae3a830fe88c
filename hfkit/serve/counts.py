"""What a server counts of itself, as Prometheus reads it: numbers only, no text of any request."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)  # seconds
OTHER = "other"  # paths that there are none of, and requests that were refused at the door


class Counts:
    """Requests by path and status, their times, and what was computed for them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # models count in threads of their own
        self._requests: Counter[tuple[str, int]] = Counter()
        self._buckets: dict[str, list[int]] = defaultdict(lambda: [0] * (len(BUCKETS) + 1))
        self._seconds: dict[str, float] = defaultdict(float)
        self._computed: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
        self.open = 0  # requests that are being answered

    def answered(self, path: str, status: int, seconds: float) -> None:
        """Count one request; what no route has answered goes under one word."""
        path = path or OTHER
        with self._lock:
            self._requests[path, status] += 1
            self._buckets[path][bisect_left(BUCKETS, seconds)] += 1
            self._seconds[path] += seconds

    def computed(self, model: str, requests: int, rows: int) -> None:
        """Count what a model computed at once."""
        with self._lock:
            for place, value in enumerate((1, requests, rows)):
                self._computed[model][place] += value

    def text(self, waiting: Iterable[tuple[str, int]]) -> str:
        """All of it in Prometheus' text format; `waiting` has the requests that wait, by model."""
        with self._lock:
            lines = [
                *_head("hfkit_requests_total", "counter", "Requests answered."),
                *(
                    f'hfkit_requests_total{{path="{path}",status="{status}"}} {count}'
                    for (path, status), count in sorted(self._requests.items())
                ),
                *_head("hfkit_request_seconds", "histogram", "Time to answer a request."),
                *(line for path in sorted(self._buckets) for line in self._times(path)),
            ]
            names = ("batches", "requests", "rows")
            for place, name in enumerate(names):
                lines += _head(f"hfkit_computed_{name}_total", "counter", f"Computed {name}.")
                lines += [
                    f'hfkit_computed_{name}_total{{model="{_quoted(model)}"}} {found[place]}'
                    for model, found in sorted(self._computed.items())
                ]
        lines += _head("hfkit_open_requests", "gauge", "Requests being answered.")
        lines.append(f"hfkit_open_requests {self.open}")
        lines += _head("hfkit_waiting_requests", "gauge", "Requests that wait for a model.")
        lines += [f'hfkit_waiting_requests{{model="{_quoted(m)}"}} {count}' for m, count in waiting]
        return "\n".join(lines) + "\n"

    def _times(self, path: str) -> Iterable[str]:
        total, name = 0, "hfkit_request_seconds"
        for bound, count in zip((*map(str, BUCKETS), "+Inf"), self._buckets[path], strict=True):
            total += count
            yield f'{name}_bucket{{path="{path}",le="{bound}"}} {total}'
        yield f'{name}_sum{{path="{path}"}} {self._seconds[path]:.6f}'
        yield f'{name}_count{{path="{path}"}} {total}'


def _head(name: str, kind: str, help: str) -> tuple[str, str]:
    return f"# HELP {name} {help}", f"# TYPE {name} {kind}"


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
