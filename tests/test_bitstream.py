"""The container comes back as it was, and damaged or foreign files are refused by name."""

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from picd.bitstream import MAX_FILE_BYTES, MAX_PIXELS, MAX_SEED, MAX_SIDE, Container, Header
from picd.errors import BitstreamError

MODEL = bytes.fromhex("abcd1234")
GOLDEN_HEADER = Header(1280, 720, 40.5, False, 7, MODEL)
GOLDEN = Container(GOLDEN_HEADER, b"text", b"layout", b"image")
GOLDEN_BYTES = bytes.fromhex(
    "5049434401abcd123402800ad00551070406746578746c61796f7574696d616765310b77c9"
)

sizes = st.tuples(st.integers(1, MAX_SIDE), st.integers(1, MAX_SIDE)).filter(
    lambda size: size[0] * size[1] <= MAX_PIXELS
)
containers = st.builds(
    lambda size, half_steps, natural, halved, seed, model, text, layout, image: Container(
        Header(*size, half_steps / 2, natural, seed, model, halved), text, layout, image
    ),
    sizes,
    st.integers(2, 200),
    st.booleans(),
    st.booleans(),
    st.integers(0, MAX_SEED),
    st.binary(min_size=4, max_size=4),
    st.binary(max_size=300),
    st.binary(max_size=300),
    st.binary(max_size=300),
)


def with_checksum(body: bytes) -> bytes:
    return body + zlib.crc32(body).to_bytes(4, "little")


@given(containers)
def test_round_trip(container):
    assert Container.unpack(container.pack(), model_id=container.header.model_id) == container


def test_golden_bytes():
    assert GOLDEN.pack() == GOLDEN_BYTES
    assert Container.unpack(GOLDEN_BYTES, model_id=MODEL) == GOLDEN


def test_fixed_cost_of_a_page():
    page = Container(Header(1280, 720, 40, False, 0, MODEL), b"t" * 600, b"l" * 400, b"i" * 2000)
    assert len(page.pack()) - 3000 <= 24


@given(containers, st.data())
def test_truncation_and_bit_flips_are_refused(container, data):
    packed = container.pack()
    cut = data.draw(st.integers(0, len(packed) - 1))
    with pytest.raises(BitstreamError):
        Container.unpack(packed[:cut], model_id=None)
    flipped = bytearray(packed)
    flipped[data.draw(st.integers(0, len(packed) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(BitstreamError):
        Container.unpack(bytes(flipped), model_id=None)


@given(st.binary(max_size=60))
def test_any_bytes_with_a_good_checksum_parse_or_are_refused(body):
    data = with_checksum(b"PICD\x01" + body)
    try:
        container = Container.unpack(data, model_id=None)
    except BitstreamError as error:
        assert "\n" not in str(error)
    else:
        assert container.pack() == data  # one encoding only


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "empty"),
        (b"\x89PNG\r\n\x1a\n" + bytes(40), "not a PICD file"),
        (b"PICD\x07" + bytes(40), "version 7"),
        (b"PICD\x01", "truncated"),
        (bytes(MAX_FILE_BYTES + 1), "limit"),
        (with_checksum(b"PICD\x01" + MODEL + b"\x80" + bytes(12)), "flags 0x80"),
        (with_checksum(b"PICD\x01" + MODEL + b"\0\x80\x80\x02\x01\x50\0"), "width"),
        (with_checksum(b"PICD\x01" + MODEL + b"\0\x80\x80\x01\x80\x80\x01\x50\0"), "limits"),
        (with_checksum(b"PICD\x01" + MODEL + b"\0\0\x01\x50\0"), "limits"),
        (with_checksum(b"PICD\x01" + MODEL + b"\0\x81\0\x01\x50\0"), "shortest"),
        (with_checksum(b"PICD\x01" + MODEL + b"\0\x01\x01\x01\0"), "quality"),
        (with_checksum(b"PICD\x01" + MODEL + b"\x02\x01\x01\x50\0\0\0"), "empty"),
        (with_checksum(b"PICD\x01" + MODEL + b"\x02\x01\x01\x50\0\x05\x01abc"), "malformed"),
        (with_checksum(b"PICD\x01" + MODEL + b"\0\x01\x01\x50" + b"\xff" * 30), "seed"),
    ],
)
def test_refusals_say_what_is_wrong(data, message):
    with pytest.raises(BitstreamError, match=message) as raised:
        Container.unpack(data, model_id=None)
    assert "\n" not in str(raised.value)


def test_another_model_is_refused_by_name():
    with pytest.raises(BitstreamError, match="made with model abcd1234, this is 00000000"):
        Container.unpack(GOLDEN_BYTES, model_id=bytes(4))


@pytest.mark.parametrize(
    "change",
    [
        {"width": 0},
        {"height": MAX_SIDE + 1},
        {"width": MAX_SIDE, "height": MAX_SIDE},
        {"quality": 0.5},
        {"quality": 40.25},
        {"seed": -1},
        {"model_id": b"abc"},
    ],
)
def test_pack_refuses_what_cannot_be_read_back(change):
    fields = {**GOLDEN_HEADER.__dict__, **change}
    with pytest.raises(ValueError):
        Container(Header(**fields), b"", b"", b"").pack()
