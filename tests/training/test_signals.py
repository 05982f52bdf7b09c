"""The first signal is a request, the second has its usual effect."""

import os
import signal
import threading

import pytest

from mobileseg.training.signals import StopRequest

pytestmark = pytest.mark.both


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_first_signal_only_asks(number):
    before = signal.getsignal(number)
    with StopRequest() as stop:
        assert stop.received == 0
        os.kill(os.getpid(), number)
        assert stop.received == number
        assert signal.getsignal(number) is before
    assert signal.getsignal(number) is before


def test_second_interrupt_interrupts():
    # A test run started in the background inherits a SIGINT that is ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    with StopRequest() as stop:
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.received
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    signal.signal(signal.SIGINT, before)


def test_handlers_return_after_an_error():
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(RuntimeError), StopRequest():
        raise RuntimeError
    assert signal.getsignal(signal.SIGINT) is before


def test_other_threads_cannot_handle_signals():
    received = []

    def work():
        with StopRequest() as stop:
            received.append(stop.received)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert received == [0]
