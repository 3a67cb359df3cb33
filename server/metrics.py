"""What the service counts, in the format of Prometheus. One registry for each application."""

from __future__ import annotations

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)

_SECONDS = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300)


class Metrics:
    """Counters and gauges; all are cheap enough for the event loop."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)  # resident memory, processor time, open files
        self.requests = Counter(
            "srnet_requests",
            "Requests answered.",
            ["route", "method", "status"],
            registry=registry,
        )
        self.seconds = Histogram(
            "srnet_request_seconds",
            "From the first byte to the last.",
            ["route"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.stages = Histogram(
            "srnet_stage_seconds",
            "Parts of the work on a picture: queue, decode, network, check, encode.",
            ["stage"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.megapixels = Counter(
            "srnet_megapixels",
            "Pixels of pictures that were finished.",
            ["direction"],
            registry=registry,
        )
        self.rejected = Counter(
            "srnet_rejected",
            "Requests refused, by the kind of problem.",
            ["reason"],
            registry=registry,
        )
        self.in_progress = Gauge(
            "srnet_in_progress", "Pictures worked on now.", ["kind"], registry=registry
        )
        self.queue = Gauge("srnet_queue_depth", "Pictures waiting.", ["kind"], registry=registry)
        self.uploads = Gauge("srnet_uploads", "Uploads not admitted yet.", registry=registry)

    def text(self) -> bytes:
        """The page that Prometheus reads."""
        return generate_latest(self.registry)
