"""Files of data sets: the right array or one clear error; where they are looked for; downloads."""

import gzip
import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from benchmarks.data import files
from benchmarks.data.files import IdxFile, IdxSource, read_files
from benchmarks.data.idx import IdxError, read_idx
from gail_suite.errors import InputError

IMAGES = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)
LABELS = np.array([7, 9], dtype=np.uint8)


def idx_bytes(array: np.ndarray, *, type_code: int = 8, shape: tuple[int, ...] | None = None) -> bytes:
    shape = array.shape if shape is None else shape
    header = bytes([0, 0, type_code, len(shape)]) + b"".join(size.to_bytes(4, "big") for size in shape)
    return header + array.tobytes()


CONTENT = {"images-idx3-ubyte": idx_bytes(IMAGES), "labels-idx1-ubyte": idx_bytes(LABELS)}


def source(*mirrors: str, system_folder: Path | None = None) -> IdxSource:
    def file(name: str, array: np.ndarray) -> IdxFile:
        return IdxFile(name, array.shape, hashlib.sha256(CONTENT[name]).hexdigest())

    tiny = {"images": file("images-idx3-ubyte", IMAGES), "labels": file("labels-idx1-ubyte", LABELS)}
    return IdxSource(
        folder="tiny", files=tiny, mirrors=mirrors, system_folder=system_folder, system_remedy="apt-get install tiny"
    )


def put(folder: Path, *, packed: bool = True) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in CONTENT.items():
        if packed:
            (folder / f"{name}.gz").write_bytes(gzip.compress(content))
        else:
            (folder / name).write_bytes(content)
    return folder


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.delenv(files.VARIABLE, raising=False)
    monkeypatch.setenv("no_proxy", "*")
    folder = tmp_path / "cache"
    monkeypatch.setattr(files, "cache_folder", lambda: folder)
    return folder


def assert_right(arrays: dict[str, np.ndarray]) -> None:
    np.testing.assert_array_equal(arrays["images"], IMAGES)
    np.testing.assert_array_equal(arrays["labels"], LABELS)


# -- the format --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_idx_round_trip_and_checksum_of_the_content(tmp_path, pack):
    path = tmp_path / "x"
    path.write_bytes(pack(idx_bytes(IMAGES)))
    values, sha256 = read_idx(path)
    np.testing.assert_array_equal(values, IMAGES)
    assert values.flags.writeable
    assert sha256 == hashlib.sha256(idx_bytes(IMAGES)).hexdigest()


PACKED = gzip.compress(idx_bytes(IMAGES), mtime=0)
FLIPPED = PACKED[:-6] + bytes([PACKED[-6] ^ 1]) + PACKED[-5:]  # a bit of the gzip's own checksum


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "ends too early"),
        (b"\0\0\x08", "ends too early"),
        (b"\0\0\x08\x03\0\0\0\x02", "ends too early"),
        (b"<html>not found</html>", "no idx file"),
        (idx_bytes(IMAGES, type_code=9), "no idx file"),
        (b"\0\0\x08\x00", "no idx file"),
        (b"\0\0\x08\xff" + bytes(1200), "no idx file"),
        (idx_bytes(IMAGES)[:-1], "holds only 23"),
        (idx_bytes(IMAGES) + b"x", "holds more"),
        (idx_bytes(IMAGES, shape=(2, 3, 0)), "declares 2 x 3 x 0"),
        (idx_bytes(IMAGES, shape=(2**32 - 1, 2**32 - 1, 2**32 - 1)), "where 1 to"),
        (PACKED[:-9], "ends too early"),
        (PACKED[:-1], "ends too early"),
        (FLIPPED, "damaged gzip"),
        (PACKED[:12] + b"\xff\xff\xff" + PACKED[15:], "damaged gzip"),
        (PACKED + b"junk", "damaged gzip"),
        (gzip.compress(idx_bytes(IMAGES) + b"x", mtime=0), "holds more"),
    ],
)
def test_idx_damage_is_named(tmp_path, content, problem):
    path = tmp_path / "x.gz"
    path.write_bytes(content)
    with pytest.raises(IdxError, match=problem) as caught:
        read_idx(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_gzip_bomb_is_refused_by_its_declared_size_and_never_unpacked_past_it(tmp_path, monkeypatch):
    honest, lying = tmp_path / "honest.gz", tmp_path / "lying.gz"
    zeros = np.zeros(2**24, np.uint8)
    honest.write_bytes(gzip.compress(idx_bytes(zeros), 1))
    lying.write_bytes(gzip.compress(idx_bytes(zeros, shape=(24,)), 1))
    asked = []
    monkeypatch.setattr(
        gzip.GzipFile, "read", lambda self, size, read=gzip.GzipFile.read: asked.append(size) or read(self, size)
    )
    with pytest.raises(IdxError, match="1 to 1,000,000 are allowed"):
        read_idx(honest, max_values=1_000_000)
    with pytest.raises(IdxError, match="holds more"):
        read_idx(lying)
    assert max(asked) == 25


# -- where they are looked for -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("below", ["", "tiny"])
def test_the_given_folder_has_them_itself_or_in_a_folder_of_their_name(tmp_path, packed, below):
    put(tmp_path / "here" / below, packed=packed)
    assert_right(read_files(source(), tmp_path / "here"))


def test_the_given_folder_is_the_only_one(tmp_path, monkeypatch):
    put(tmp_path / "variable" / "tiny")
    monkeypatch.setenv(files.VARIABLE, str(tmp_path / "variable"))
    with pytest.raises(InputError, match=r"tiny is neither in .*empty/tiny nor in .*images-idx3-ubyte\.gz"):
        read_files(source(), tmp_path / "empty")


def test_order_is_variable_system_cache(tmp_path, monkeypatch, cache):
    """Told apart by a damaged one, whose path the error names."""

    def damaged(folder: Path) -> Path:
        (put(folder) / "labels-idx1-ubyte.gz").write_bytes(b"x")
        return folder

    system = damaged(tmp_path / "system")
    with pytest.raises(IdxError, match="system"):
        read_files(source(system_folder=system))
    monkeypatch.setenv(files.VARIABLE, str(damaged(tmp_path / "variable")))
    with pytest.raises(IdxError, match="variable"):
        read_files(source(system_folder=system))
    monkeypatch.setenv(files.VARIABLE, str(tmp_path / "lacks-them"))
    with pytest.raises(IdxError, match="system"):
        read_files(source(system_folder=system))
    put(cache / "tiny")
    assert_right(read_files(source(system_folder=tmp_path / "not-installed")))


def test_one_data_set_under_the_name_of_another_is_refused(tmp_path):
    folder = put(tmp_path / "tiny")
    other = idx_bytes(IMAGES[::-1].copy())
    (folder / "images-idx3-ubyte.gz").write_bytes(gzip.compress(other))
    with pytest.raises(IdxError, match=f"is {hashlib.sha256(other).hexdigest()[:12]}"):
        read_files(source(), tmp_path)
    (folder / "images-idx3-ubyte.gz").write_bytes(gzip.compress(idx_bytes(IMAGES[:1])))
    with pytest.raises(IdxError, match=r"has shape \(1, 3, 4\)"):
        read_files(source(), tmp_path)


# -- downloads ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def mirror() -> Iterator[tuple[str, dict[str, bytes], list[str]]]:
    """(base URL, what it serves by path, what was asked of it)."""
    serves: dict[str, bytes] = {}
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            if self.path not in serves:
                self.send_error(404)
                return
            body = serves[self.path]
            self.send_response(200)
            self.send_header("Content-Length", str(len(body) + 100 * ("/short/" in self.path)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", serves, asked
    server.shutdown()
    server.server_close()
    thread.join()


def serve(serves: dict[str, bytes], folder: str) -> None:
    serves.update({f"/{folder}/{name}.gz": gzip.compress(content) for name, content in CONTENT.items()})


def test_download_goes_to_the_cache_once(mirror, cache):
    url, serves, asked = mirror
    serve(serves, "good")
    assert_right(read_files(source(f"{url}/good/")))
    assert len(asked) == 2
    assert_right(read_files(source(f"{url}/good/")))
    assert len(asked) == 2
    assert sorted(path.name for path in (cache / "tiny").iterdir()) == [
        ".lock",
        "images-idx3-ubyte.gz",
        "labels-idx1-ubyte.gz",
    ]


def test_the_next_mirror_is_tried_after_a_missing_a_wrong_a_short_and_an_endless_file(mirror, cache):
    url, serves, asked = mirror
    for folder in ("good", "wrong", "short", "endless"):
        serve(serves, folder)
    wrong = idx_bytes(IMAGES[::-1].copy())
    serves["/wrong/images-idx3-ubyte.gz"] = gzip.compress(wrong)
    serves["/short/images-idx3-ubyte.gz"] = gzip.compress(CONTENT["images-idx3-ubyte"])[:-9]
    serves["/endless/images-idx3-ubyte.gz"] = bytes(files.CHUNK * 3)
    folders = ("missing", "wrong", "short", "endless", "good")
    assert_right(read_files(source(*(f"{url}/{folder}" for folder in folders))))
    assert asked[:5] == [f"/{folder}/images-idx3-ubyte.gz" for folder in folders]
    assert (cache / "tiny/images-idx3-ubyte.gz").read_bytes() == serves["/good/images-idx3-ubyte.gz"]


def test_where_every_mirror_fails_one_line_says_how_each_did_and_what_to_do(mirror, cache):
    url, serves, _ = mirror
    serve(serves, "wrong")
    serves["/wrong/images-idx3-ubyte.gz"] = gzip.compress(idx_bytes(IMAGES + 1))
    with pytest.raises(InputError) as caught:
        read_files(source(f"{url}/missing", f"{url}/wrong"))
    message = str(caught.value)
    assert "\n" not in message
    assert "tiny is not on this machine" in message
    assert f"{url}/missing/images-idx3-ubyte.gz does not answer as it should (HTTP Error 404" in message
    assert f"{url}/wrong/images-idx3-ubyte.gz sends a file that is not images-idx3-ubyte" in message
    assert "apt-get install tiny, or put" in message
    assert files.VARIABLE in message
    assert [path.name for path in (cache / "tiny").iterdir()] == [".lock"]  # no wrong file, no half one


def test_offline_is_one_clear_error():
    nobody = "http://127.0.0.1:9"  # the discard port
    with pytest.raises(InputError, match=r"could not be downloaded \(http://127.0.0.1:9/.*refused"):
        read_files(source(nobody))


def test_a_damaged_cache_is_downloaded_afresh_with_a_note(mirror, cache, capsys):
    url, serves, asked = mirror
    serve(serves, "good")
    (put(cache / "tiny") / "labels-idx1-ubyte.gz").write_bytes(PACKED[:20])
    assert_right(read_files(source(f"{url}/good")))
    assert asked == ["/good/labels-idx1-ubyte.gz"]
    assert "note: downloading afresh" in capsys.readouterr().err


def test_a_disk_that_refuses_is_not_blamed_on_the_mirror(mirror, monkeypatch):
    url, serves, asked = mirror
    serve(serves, "good")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("gail_suite.demonstrations.atomic.os.replace", full)
    with pytest.raises(OSError, match="No space left"):
        read_files(source(f"{url}/good", f"{url}/good"))
    assert len(asked) == 1
