"""Sound files as programs really write them: all of the sound, or one line that says why not."""

import io
import os
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import soundfile

from scaling.sound.decode import FILE, decode_bytes, decode_file

RATE = 16_000
# Every container that is read, with codecs whose blocks differ in size.
CONTAINERS = [
    ("WAV", "PCM_16"),
    ("WAV", "GSM610"),
    ("WAV", "IMA_ADPCM"),
    ("WAVEX", "PCM_24"),
    ("RF64", "PCM_16"),
    ("W64", "PCM_16"),
    ("AIFF", "PCM_16"),
    ("AIFF", "IMA_ADPCM"),
    ("AU", "PCM_16"),
    ("CAF", "PCM_16"),
    ("CAF", "ALAC_16"),
    ("FLAC", "PCM_16"),
    ("OGG", "VORBIS"),
    ("OGG", "OPUS"),
    ("MP3", "MPEG_LAYER_III"),
    ("NIST", "PCM_16"),
    ("VOC", "PCM_16"),
    ("SVX", "PCM_16"),
    ("HTK", "PCM_16"),
]


def noise(samples: int = 40_000, channels: int = 1) -> np.ndarray:
    return np.random.default_rng(samples).normal(0, 0.1, (samples, channels))


def encoded(kind: str, coding: str | None = None, wave=None, rate: int = RATE) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, noise() if wave is None else wave, rate, format=kind, subtype=coding)
    return file.getvalue()


def length(content: bytes) -> int:
    return len(decode_bytes(content).samples)


def refused(content: bytes) -> str:
    with pytest.raises(ValueError, match=r"^[^\n]{1,200}$") as error:
        decode_bytes(content)
    return str(error.value)


@pytest.mark.parametrize(("kind", "coding"), CONTAINERS)
def test_a_file_that_is_cut_off_is_never_a_shorter_clip(kind: str, coding: str):
    content = encoded(kind, coding)
    assert length(content) - 40_000 in range(1_020)  # codecs fill up their last block
    padded = kind == "VOC" or coding == "GSM610"  # by a byte that is no sound
    for kept in (len(content) // 4, len(content) // 2, -2 if padded else -1):
        said = refused(content[:kept])
        assert "cut off" in said or "format not recognised" in said  # HTK is known by its length


@pytest.mark.parametrize("kind", ["AVR", "MAT5", "PAF", "PVF", "SDS", "IRCAM", "XI", "MPC2K"])
def test_a_format_in_which_a_cut_would_not_show_is_refused(kind: str):
    assert "it would not show if samples were missing: convert it" in refused(
        encoded(kind, "DPCM_16" if kind == "XI" else "PCM_16")
    )


@pytest.mark.parametrize("kind", ["WAV", "RF64", "W64", "AIFF", "CAF"])
def test_metadata_behind_the_sound_is_no_sound(kind: str):
    wave = noise(9_001)
    content = encoded(kind, "PCM_U8" if kind in ("WAV", "RF64", "W64") else "PCM_S8", wave)
    plain = decode_bytes(content).samples
    order = "big" if kind in ("AIFF", "CAF") else "little"
    behind = b"\0" * (len(content) % 2)  # CAF has no padding, libsndfile writes some
    size = {"CAF": 8, "W64": 8}.get(kind, 4)
    name = b"note" * 4 if kind == "W64" else b"note"
    counted = 3 + (24 if kind == "W64" else 0)
    if kind == "W64":
        behind = b"\0" * (-len(content) % 8)
    behind += name + counted.to_bytes(size, order) + b"\x7f\x7f\x7f" + b"\0" * 5
    assert np.array_equal(decode_bytes(content + behind).samples, plain)


@pytest.mark.parametrize(("kind", "coding"), [("WAV", "PCM_U8"), ("AIFF", "PCM_S8")])
def test_padding_behind_an_odd_number_of_samples_may_be_missing(kind: str, coding: str):
    content = bytearray(encoded(kind, coding, noise(9_001)))
    if kind == "AIFF":  # libsndfile counts the padding, unlike other writers
        at = content.index(b"SSND") + 4
        content[at : at + 4] = (9_009).to_bytes(4, "big")
    assert len(content) % 2 == 0
    assert length(content[:-1]) == 9_001
    assert "its last 1 bytes are missing" in refused(content[:-2])


def test_gsm_is_read_without_what_fills_up_its_last_block():
    for samples in (9_001, 9_280, 9_281, 100):
        assert length(encoded("WAV", "GSM610", noise(samples))) == samples


@pytest.mark.parametrize("mark", [0xFFFFFFFF, 0x7FFFFFFF, 0x7F000000])
@pytest.mark.parametrize(("kind", "name"), [("WAV", b"data"), ("AIFF", b"SSND"), ("AU", b".snd")])
def test_a_file_from_a_pipe_names_no_length_and_is_whole(kind: str, name: bytes, mark: int):
    content = bytearray(encoded(kind, "PCM_16"))
    at = content.index(name) + (8 if kind == "AU" else 4)
    content[at : at + 4] = mark.to_bytes(4, "little" if kind == "WAV" else "big")
    assert length(content) == 40_000


def test_containers_of_long_lengths_from_a_pipe_are_whole():
    long = bytearray(encoded("CAF", "PCM_16"))
    at = long.index(b"data") + 4
    long[at : at + 8] = b"\xff" * 8
    assert length(long) == 40_000
    long = bytearray(encoded("W64", "PCM_16"))
    at = long.index(b"data\xf3") + 16
    long[16:24] = long[at : at + 8] = b"\xff" * 8
    assert length(long) == 40_000
    assert length(b"BW64" + encoded("RF64", "PCM_16")[4:]) == 40_000


def test_flac_from_a_pipe_is_read_to_its_end():
    content = encoded("FLAC")
    piped = bytearray(content)
    piped[21] &= 0xF0
    piped[22:26] = bytes(4)
    assert np.array_equal(decode_bytes(piped).samples, decode_bytes(content).samples)
    assert "cannot be decoded beyond sample" in refused(bytes(piped[:-1]))


def test_a_header_that_names_fewer_samples_than_there_are_is_refused():
    content = bytearray(encoded("FLAC"))
    content[24:26] = (10_000).to_bytes(2, "big")
    assert "more than the 10000 samples that it announces" in refused(content)
    for kind, name in (("WAV", b"data"), ("AIFF", b"SSND")):
        content = bytearray(encoded(kind, "PCM_16"))
        at = content.index(name) + 4
        content[at : at + 4] = (20_000).to_bytes(4, "little" if kind == "WAV" else "big")
        assert "its sound continues past its announced end" in refused(content)


def test_an_aiff_that_skips_some_of_its_sound_is_refused():
    content = bytearray(encoded("AIFF", "PCM_16"))
    at = content.index(b"SSND") + 8
    content[at : at + 4] = (2_000).to_bytes(4, "big")
    assert "it skips some of its sound" in refused(content)


def mp3(wave: np.ndarray, rate: int = RATE) -> bytes:
    return encoded("MP3", "MPEG_LAYER_III", wave, rate)


def without_header(content: bytes) -> bytes:
    """An MP3 without the frame that tells its length, which the first one is."""
    assert b"Xing" in content[:200] or b"Info" in content[:200]
    return content[content.index(content[:2], content.index(b"LAME")) :]


def tagged(content: bytes) -> bytes:
    """An MP3 behind cover art that is larger than its sound (ID3v2.3, frame APIC)."""
    art = b"\0image/png\0\x03\0" + np.random.default_rng(0).bytes(90_000)
    frame = b"APIC" + len(art).to_bytes(4, "big") + b"\0\0" + art
    size = bytes(len(frame) >> shift & 0x7F for shift in (21, 14, 7, 0))
    return b"ID3\x03\0\0" + size + frame + content


def in_wav(content: bytes, rate: int = RATE) -> bytes:
    """An MP3 in a WAV file, by format tag 0x55."""
    form = b"\x55\0\x01\0" + rate.to_bytes(4, "little") + (8000).to_bytes(4, "little")
    form += b"\x01\0\0\0" + b"\x0c\0" + b"\x01\0\x02\0\0\0\x80\x01\x01\0\x71\x05"
    chunks = b"fmt " + len(form).to_bytes(4, "little") + form
    chunks += b"data" + len(content).to_bytes(4, "little") + content
    return b"RIFF" + (len(chunks) + 4).to_bytes(4, "little") + b"WAVE" + chunks


def test_a_variable_rate_mp3_without_a_header_keeps_all_its_sound():
    """Noise, then silence: a length estimated from the first frames is far too short."""
    wave = np.concatenate([noise(60_000), np.zeros((160_000, 1)), noise(20_000)])
    plain = without_header(mp3(wave))
    samples = decode_bytes(plain).samples
    assert len(samples) - len(wave) in range(3_000)  # the encoder's delay and padding
    assert np.abs(samples[-12_000:]).max() > 0.1
    assert "cut off" in refused(plain[: len(plain) - 1])


@pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 32_000, 44_100, 48_000])
@pytest.mark.parametrize("channels", [1, 2])
def test_mp3_with_cover_art_or_in_a_wav_is_whole(rate: int, channels: int):
    content = mp3(noise(30_000, channels), rate)
    plain = decode_bytes(content).samples
    assert len(plain) == 30_000
    assert np.array_equal(decode_bytes(tagged(content)).samples, plain)
    assert np.array_equal(decode_bytes(in_wav(content)).samples, plain)
    bare = without_header(content)
    longer = decode_bytes(bare).samples
    assert len(longer) - len(plain) in range(3_000)
    assert np.array_equal(decode_bytes(tagged(bare) + b"TAG".ljust(128)).samples, longer)
    assert np.array_equal(decode_bytes(in_wav(bare)).samples, longer)
    assert "cut off" in refused(in_wav(bare)[:-1])


def test_joined_mp3s_are_read_to_the_end_of_the_last():
    one, other = mp3(noise(30_000)), mp3(noise(50_000))
    for first, second in ((one, other), (without_header(one), tagged(other))):
        samples = decode_bytes(first + b"TAG".ljust(128) + second).samples
        assert len(samples) - 80_000 in range(6_000)
        assert np.abs(samples[-20_000:]).std() > 0.05
    assert "split it" in refused(one + mp3(noise(), rate=44_100))


def test_an_mp3_that_lacks_frames_of_those_announced_is_cut_off():
    content = mp3(noise())
    starts = [at for at in range(len(content)) if content[at : at + 2] == content[:2]]
    assert refused(content[: starts[len(starts) // 2]]).startswith("cut off: ")


@pytest.mark.parametrize("coding", ["VORBIS", "OPUS"])
def test_chained_ogg_is_read_to_the_end_of_the_last(coding: str):
    one, other = (encoded("OGG", coding, noise(samples, 2)) for samples in (20_000, 30_000))
    parts = [decode_bytes(content).samples for content in (one, other)]
    assert np.array_equal(decode_bytes(one + other).samples, np.concatenate(parts))
    assert "cut off" in refused((one + other)[:-1])
    assert "of unlike rate or channels: split it" in refused(one + encoded("OGG", coding))


def test_ogg_pages_that_are_missing_or_have_changed_are_seen():
    content = encoded("OGG", "VORBIS", noise(200_000))
    pages = content.split(b"OggS")[1:]
    assert len(pages) > 4
    whole = [b"OggS" + page for page in pages]
    assert length(b"".join(whole)) == 200_000
    assert "1 Ogg pages are missing" in refused(b"".join(whole[:-2] + whole[-1:]))
    assert "without a mark of its end" in refused(b"".join(whole[:-1]))
    changed = bytearray(content)
    changed[-100] ^= 1
    assert "has changed" in refused(changed)


def test_what_libsndfile_reads_is_taken_whatever_its_ending(tmp_path: Path):
    for ending in ("wav", "raw", "txt", "m4a"):
        path = tmp_path / f"x.{ending}"
        for kind in ("FLAC", "MP3", "OGG"):
            path.write_bytes(encoded(kind))
            assert len(decode_file(path).samples) == 40_000


def test_what_libsndfile_does_not_read_is_named_with_the_way_out():
    assert "an MP4 file (m4a, aac), which cannot be read: convert it" in refused(
        b"\0\0\0\x20ftypM4A " + bytes(100)
    )
    assert "ffmpeg -i IN OUT.wav" in refused(b"\x30\x26\xb2\x75\x8e\x66\xcf\x11" + bytes(100))
    assert "format not recognised" in refused(b"a text, renamed")
    assert "format not recognised" in refused("\ufeffa text of a spreadsheet".encode("utf-16"))
    assert "git lfs pull" in refused(b"version https://git-lfs.github.com/spec/v1\n")
    assert refused(b"")


def test_threads_that_decode_side_by_side_are_each_told_what_is_wrong_with_their_own_file():
    # libsndfile keeps one error for the whole process; soundfile below 0.14 reads it unlocked
    contents = [b"a text", encoded("WAV", "PCM_16", noise(100))] * 2_000

    def complaint(content: bytes) -> str:
        try:
            decode_bytes(content)
        except ValueError as error:
            return str(error).partition(":")[0]
        return ""

    with ThreadPoolExecutor(4) as threads:
        said = list(threads.map(complaint, contents))
    assert set(said[::2]) == {"format not recognised"}
    assert set(said[1::2]) == {""}


def test_a_neighbour_that_a_mac_left_decides_nothing(tmp_path: Path):
    (tmp_path / "x.mp3").write_bytes(encoded("MP3"))
    (tmp_path / "._x.mp3").write_bytes(b"\0\x05\x16\x07\0\x02\0\0Mac OS X        " + bytes(60))
    assert len(decode_file(tmp_path / "x.mp3").samples) == 40_000


def test_a_resource_fork_without_a_name_is_named(tmp_path: Path, monkeypatch):
    """The one place where libsndfile still looks for a neighbour is the working directory."""
    monkeypatch.chdir(tmp_path)
    content = encoded("MP3")
    assert length(content) == 40_000
    Path("._").write_bytes(b"\0\x05\x16\x07\0\x02\0\0Mac OS X        " + bytes(60))
    assert "remove ._ from the working directory" in refused(content)


@pytest.mark.parametrize("rate", [1, 999, 768_001, 10**9])
def test_a_rate_that_no_recorder_has_is_refused(rate: int):
    content = bytearray(encoded("WAV", "PCM_16", noise(200_000)))
    content[24:28] = rate.to_bytes(4, "little")
    assert refused(content).startswith(f"a rate of {rate} Hz, not 1000 to 768000: ")


@pytest.mark.parametrize("channels", [65, 1_000, 5_000])
def test_thousands_of_channels_are_refused(channels: int):
    content = bytearray(encoded("WAV", "PCM_16"))
    content[22:24] = channels.to_bytes(2, "little")
    content[32:34] = (channels * 2).to_bytes(2, "little")
    assert "channels" in refused(content)
    assert "64" in refused(content)


def test_a_few_bytes_never_become_gigabytes():
    silent = bytearray(encoded("FLAC", "PCM_16", np.zeros((4_000_000, 1))))
    assert len(silent) < 100_000
    assert length(silent) == 4_000_000
    # The same at 1000 Hz lasts more than an hour, whether it says so or not.
    silent[18:20] = (1_000 << 4).to_bytes(3, "big")[:2]
    slow = bytearray(encoded("FLAC", "PCM_16", np.zeros((4_000_000, 1)), rate=1_000))
    assert refused(slow).startswith("4000000 samples at 1000 Hz, longer than 3600 s")
    slow[21] &= 0xF0
    slow[22:26] = bytes(4)
    assert "longer than 3600 s" in refused(slow)
    claims = bytearray(encoded("FLAC", rate=44_100))
    claims[22:26] = (80_000_000).to_bytes(4, "big")
    begin = time.monotonic()
    assert "80000000 samples x 1 channels, the most is 67108864" in refused(claims)
    assert time.monotonic() - begin < 1


def test_only_regular_files_are_opened(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        for path, said in (
            (tmp_path / "pipe", "a pipe, not a regular file"),
            (tmp_path / "socket", "a socket, not a regular file"),
            (Path("/dev/zero"), "a device, not a regular file"),
            (tmp_path, "a folder, not a regular file"),
        ):
            with pytest.raises(ValueError, match=said):
                decode_file(path)


def test_a_file_larger_than_any_clip_is_not_read(tmp_path: Path):
    path = tmp_path / "x.wav"
    with path.open("wb") as file:
        file.truncate(FILE + 1)
    with pytest.raises(ValueError, match=f"{FILE + 1} bytes, the most is {FILE}: cut the"):
        decode_file(path)
