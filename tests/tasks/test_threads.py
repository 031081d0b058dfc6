import pytest
import torch

from gatework.tasks.threads import threads_for


def test_small_work_gets_one_thread_and_large_work_all_and_the_count_comes_back():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        with threads_for(1e6):
            assert torch.get_num_threads() == 1
        with threads_for(1e12):
            assert torch.get_num_threads() == 3
        with pytest.raises(KeyError), threads_for(1e6):
            raise KeyError
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
