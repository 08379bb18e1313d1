"""A lock of a folder: others wait, and a killed owner lets go."""

import os
import signal
import subprocess
import sys
import threading

import pytest

from meegic.base.locks import lock_folder

OWNER = """
import sys, time
from meegic.base.locks import lock_folder
with lock_folder(sys.argv[1]):
    print("mine", flush=True)
    time.sleep(60)
"""


@pytest.mark.skipif(os.name == "nt", reason="folders have no locks there")
def test_row_88_others_wait_until_the_owner_ends_or_is_killed(tmp_path):
    command = [sys.executable, "-c", OWNER, str(tmp_path)]
    entered = threading.Event()

    def enter():
        with lock_folder(tmp_path):
            entered.set()

    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout.readline() == "mine\n"
        other = threading.Thread(target=enter)
        other.start()
        assert not entered.wait(0.2)
        owner.send_signal(signal.SIGKILL)
        other.join(10)
    assert entered.is_set()
    assert list(tmp_path.iterdir()) == []


def test_error_inside_lets_go(tmp_path):
    with pytest.raises(KeyError), lock_folder(tmp_path):
        raise KeyError
    with lock_folder(tmp_path):
        pass
