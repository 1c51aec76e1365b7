"""The app's endpoints under hostile calls: each ends in an error, and the app lives on."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from gradio_client import Client, handle_file
from PIL import Image
from test_app import serving

SECONDS = 250


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving() as (address, _):
        yield address


def post(address: str, body: bytes, content: str) -> bytes:
    request = urllib.request.Request(address, body, {"Content-Type": content})
    with urllib.request.urlopen(request, timeout=SECONDS) as response:
        return response.read()


def called(url: str, name: str, data: object) -> str:
    """The events that a call of an endpoint ends with, as the server streams them."""
    body = json.dumps({"data": data}).encode()
    event = json.loads(post(f"{url}/gradio_api/call/{name}", body, "application/json"))["event_id"]
    with urllib.request.urlopen(
        f"{url}/gradio_api/call/{name}/{event}", timeout=SECONDS
    ) as response:
        return response.read().decode()


def file_data(path: str, **more: str) -> dict:
    return {"path": path, "meta": {"_type": "gradio.FileData"}, **more}


@pytest.mark.parametrize(
    "path",
    ["/etc/passwd", "../../../../etc/passwd", "/proc/self/environ", "file:///etc/passwd"],
)
def test_paths_of_the_server_are_not_read(url: str, path: str) -> None:
    for data in (file_data(path), file_data(path, url=f"file://{path}"), path):
        for name, rest in (("encode", [0.1, "auto", "auto"]), ("decode", [1])):
            try:
                said = called(url, name, [data, *rest])
            except urllib.error.HTTPError as error:
                assert 400 <= error.code < 500
                continue
            assert "event: error" in said and "event: complete" not in said
            assert "root:" not in said and "PATH=" not in said


@pytest.mark.parametrize(
    "data", [[], [None, 0.1, "auto", "auto"], [7, "much", [], {}], {"a": 1}, "text"]
)
def test_wrong_types_are_errors(url: str, data: object) -> None:
    try:
        said = called(url, "encode", data)
    except urllib.error.HTTPError as error:
        assert 400 <= error.code <= 500
    else:
        assert "event: error" in said and "event: complete" not in said
        assert "Traceback" not in said


def multipart(name: str, content: bytes) -> tuple[bytes, str]:
    head = f'--x\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n\r\n'
    return head.encode() + content + b"\r\n--x--\r\n", "multipart/form-data; boundary=x"


def test_oversized_uploads_are_refused(url: str) -> None:
    with pytest.raises((urllib.error.HTTPError, ConnectionError, urllib.error.URLError)) as caught:
        post(f"{url}/gradio_api/upload", *multipart("big.png", bytes(65 << 20)))
    if isinstance(caught.value, urllib.error.HTTPError):
        assert caught.value.code == 413


def test_names_of_uploads_choose_no_folder(url: str) -> None:
    said = post(f"{url}/gradio_api/upload", *multipart("../../../evil.png", b"x"))
    (path,) = json.loads(said)
    assert ".." not in path and Path(path).name == "evil.png" and "gradio" in path


def test_the_app_lives_on(url: str, tmp_path: Path) -> None:
    Image.fromarray(np.full((48, 64, 3), 200, np.uint8)).save(tmp_path / "grey.png")
    client = Client(url, verbose=False)
    _, said = client.predict(
        handle_file(tmp_path / "grey.png"), 1, "auto", "none", api_name="/encode"
    )
    assert (said["width"], said["height"]) == (64, 48)
