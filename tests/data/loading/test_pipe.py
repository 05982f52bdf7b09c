"""Batches and errors on their way through a pipe."""

import io

import numpy as np
import pytest

from mobileseg.data.loading.pipe import read_batch, read_block, write_batch, write_block, write_error
from mobileseg.errors import DataError, TrainingError

pytestmark = pytest.mark.both


def written(write, content) -> bytes:
    file = io.BytesIO()
    write(file, content)
    return file.getvalue()


def test_arrays_arrive_as_they_were():
    batch = {
        "image": np.random.default_rng(0).normal(size=(2, 3, 4, 5)).astype(np.float32),
        "transposed": np.arange(6, dtype=np.int64).reshape(2, 3).T,
        "empty": np.zeros((2, 0, 4), np.uint8),
        "flag": np.array([True, False]),
        "number": np.array(3.5),
    }
    arrived = read_batch(io.BytesIO(written(write_batch, batch)))
    assert list(arrived) == list(batch)
    for key, array in batch.items():
        assert (arrived[key].dtype, arrived[key].shape) == (array.dtype, array.shape)
        np.testing.assert_array_equal(arrived[key], array)
    arrived["image"][:] = 0  # it belongs to the reader


def test_what_ends_early_is_no_batch():
    whole = written(write_batch, {"image": np.ones((2, 3), np.float32), "index": np.ones(2, np.int64)})
    assert all(read_batch(io.BytesIO(whole[:count])) is None for count in range(len(whole)))
    assert read_batch(io.BytesIO(whole)) is not None
    block = written(write_block, b"abc")
    assert [read_block(io.BytesIO(block[:count])) for count in (0, 4, 10, 11)] == [None, None, None, b"abc"]


def test_an_error_arrives_as_it_was_raised():
    with pytest.raises(TrainingError) as caught:
        read_batch(io.BytesIO(written(write_error, TrainingError("no space", remedy="make some"))))
    assert (caught.value.message, caught.value.remedy) == ("no space", "make some")
    with pytest.raises(DataError, match="cannot open it"):
        read_batch(io.BytesIO(written(write_error, OSError("cannot open it"))))


def test_an_unexpected_error_keeps_its_name_and_traceback():
    try:
        {}["palette"]
    except KeyError as error:
        content = written(write_error, error)
    with pytest.raises(DataError, match="the dataset raised KeyError: 'palette'") as caught:
        read_batch(io.BytesIO(content))
    assert "--debug" in caught.value.remedy
    assert '{}["palette"]' in str(caught.value.__cause__)
