"""Content codings of requests and responses."""

import gzip
import tracemalloc
import zlib

import pytest

from local.gateway.compression import compress, decompress
from local.gateway.responses import GatewayError, Response

TEXT = b"a text that is long enough " * 10
RESPONSE = Response(200, (("Content-Type", "text/plain"),), TEXT)
# Without the current time: the content is part of the test ids, which must not differ between workers.
GZIPPED = gzip.compress(TEXT, mtime=0)
RAW_DEFLATE = zlib.compress(TEXT, wbits=-zlib.MAX_WBITS)


@pytest.mark.parametrize(
    ("body", "coding"),
    [
        (TEXT, ""),
        (TEXT, "identity"),
        (GZIPPED, "gzip"),
        (GZIPPED, " GZIP "),
        (zlib.compress(TEXT), "deflate"),
    ],
)
def test_a_request_body_is_decompressed(body: bytes, coding: str) -> None:
    assert decompress(body, coding, len(TEXT)) == TEXT


def test_an_empty_body_has_no_coding() -> None:
    assert decompress(b"", "gzip", 10) == b""


@pytest.mark.parametrize(
    ("body", "coding"),
    [
        (TEXT, "gzip"),
        (TEXT, "br"),
        (GZIPPED, "gzip, gzip"),
        (GZIPPED[:-1], "gzip"),
        (GZIPPED + b"more", "gzip"),
        (RAW_DEFLATE, "deflate"),
    ],
)
def test_an_unsupported_coding_or_a_damaged_body(body: bytes, coding: str) -> None:
    with pytest.raises(GatewayError, match="UNSUPPORTED_MEDIA_TYPE"):
        decompress(body, coding, 1000)


def test_the_limit_is_for_the_decompressed_body_and_bounds_the_work() -> None:
    bomb = gzip.compress(bytes(50_000_000))
    tracemalloc.start()
    try:
        with pytest.raises(GatewayError, match="REQUEST_TOO_LARGE"):
            decompress(bomb, "gzip", 1_000_000)
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("accept_encoding", "coding"),
    [
        ("gzip", "gzip"),
        ("deflate", "deflate"),
        ("gzip, deflate, br", "gzip"),
        ("deflate;q=0.5, GZIP", "gzip"),
        ("deflate;q=1.0, gzip;q=0.8", "deflate"),
        ("gzip;q=nonsense, deflate;q=0.1", "deflate"),
    ],
)
def test_a_response_is_compressed(accept_encoding: str, coding: str) -> None:
    response = compress(RESPONSE, accept_encoding, len(TEXT))
    assert response.headers == (*RESPONSE.headers, ("Content-Encoding", coding))
    assert response.status == 200
    assert len(response.body) < len(TEXT)
    assert decompress(response.body, coding, len(TEXT)) == TEXT


@pytest.mark.parametrize("accept_encoding", ["", "*", "identity", "br, gzip;q=0.9", "gzip;q=0"])
def test_a_response_without_a_supported_preferred_coding(accept_encoding: str) -> None:
    assert compress(RESPONSE, accept_encoding, 0) == RESPONSE


@pytest.mark.parametrize("minimum", [None, len(TEXT) + 1])
def test_a_response_below_the_minimum(minimum: int | None) -> None:
    assert compress(RESPONSE, "gzip", minimum) == RESPONSE


def test_an_empty_response_and_one_with_a_coding() -> None:
    empty = Response(204, (), b"")
    assert compress(empty, "gzip", 0) == empty
    compressed = Response(200, (("content-encoding", "br"),), TEXT)
    assert compress(compressed, "gzip", 0) == compressed
