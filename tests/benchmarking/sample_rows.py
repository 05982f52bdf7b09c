"""A row of timings as a benchmark measures it."""


def row(engine: str = "onnxruntime", *, folder: str = "out/a", cpu: str = "one", inference: float = 8.0) -> dict:
    stages = {
        "decode": {"median_ms": 4.0, "p95_ms": 5.0},
        "preprocess": {"median_ms": 1.0, "p95_ms": 1.5},
        "inference": {"median_ms": inference, "p95_ms": 9.0},
        "postprocess": {"median_ms": 1.0, "p95_ms": 1.5},
    }
    return {
        "name": "net",
        "folder": folder,
        "engine": engine,
        "threads": 2,
        "image": "640x480",
        "input": "320x256",
        "runs": 50,
        "stages": stages,
        "total": {"median_ms": 6.0 + inference, "p95_ms": 20.0},
        "cpu": cpu,
        "versions": {},
        "date": "2030-01-01T00:00:00+00:00",
    }
