"""Numbers of bytes as a person writes and reads them."""

import pytest

from scaling.byte_size import byte_size, file_size, memory_size


@pytest.mark.parametrize(
    ("text", "count"),
    [("4GiB", 2**32), (" 500 MB ", 500_000_000), ("1.5gib", 3 * 2**29), ("2TB", 2 * 10**12)],
)
def test_sizes_are_read(text: str, count: int):
    assert byte_size(text) == count


@pytest.mark.parametrize(
    "text", ["4", "", "GiB", "-1GiB", "4 bits", "8 Gbit", "4GiB each", "4,5GiB"]
)
def test_what_is_no_size_is_refused(text: str):
    with pytest.raises(
        ValueError, match=r" is not a size: write a number and a unit, such as 4GiB or 500MB$"
    ):
        byte_size(text)


def test_sizes_are_shown_as_a_person_reads_them():
    of_memory = [memory_size(n * 2**20) for n in (700, 1024, 4199)]
    assert of_memory == ["700 MiB", "1 GiB", "4.1 GiB"]
    of_files = [file_size(n) for n in (844, 27_000_000, 8_650_000_000)]
    assert of_files == ["844 B", "27 MB", "8.7 GB"]
