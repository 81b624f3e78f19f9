"""Content codings: decompresses request bodies and compresses responses, as a REST API does.

https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-gzip-compression-decompression.html
"""

import zlib
from dataclasses import replace

from local.gateway.responses import GatewayError, Response

# The values of zlib's parameter `wbits`. Adding 16 selects the gzip format.
_WBITS = {"gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}
_IDENTITY = frozenset({"", "identity"})


def decompress(body: bytes, coding: str, limit: int) -> bytes:
    """Decompress a request body; `coding` is the value of its `Content-Encoding`.

    Stops at `limit` bytes, so that a small body cannot fill the memory. Raises `GatewayError`:
    REQUEST_TOO_LARGE beyond the limit, UNSUPPORTED_MEDIA_TYPE for another coding or a damaged body.
    """
    coding = coding.strip().lower()
    if coding in _IDENTITY or not body:
        return body
    if coding not in _WBITS:
        raise GatewayError("UNSUPPORTED_MEDIA_TYPE")
    decompressor = zlib.decompressobj(_WBITS[coding])
    try:
        content = decompressor.decompress(body, limit + 1)
    except zlib.error:
        raise GatewayError("UNSUPPORTED_MEDIA_TYPE") from None
    if len(content) > limit:
        raise GatewayError("REQUEST_TOO_LARGE")
    if not decompressor.eof or decompressor.unused_data:
        raise GatewayError("UNSUPPORTED_MEDIA_TYPE")
    return content


def compress(response: Response, accept_encoding: str, minimum: int | None) -> Response:
    """Compress a response with the coding that `Accept-Encoding` prefers, and set `Content-Encoding`.

    The response is unchanged if it has a coding already, if its body has less than `minimum` bytes (None
    turns compression off), or if the preferred coding is neither gzip nor deflate.
    """
    has_coding = any(name.lower() == "content-encoding" for name, _ in response.headers)
    coding = _preferred(accept_encoding)
    if minimum is None or has_coding or coding not in _WBITS or len(response.body) < max(minimum, 1):
        return response
    compressor = zlib.compressobj(wbits=_WBITS[coding])
    body = compressor.compress(response.body) + compressor.flush()
    return replace(response, body=body, headers=(*response.headers, ("Content-Encoding", coding)))


def _preferred(accept_encoding: str) -> str:
    """Return the first coding with the greatest weight, or an empty string if no coding is acceptable."""
    weights: dict[str, float] = {}
    for element in accept_encoding.lower().split(","):
        coding, _, parameter = element.partition(";")
        name, _, weight = parameter.partition("=")
        try:
            weights.setdefault(coding.strip(), float(weight) if name.strip() == "q" else 1.0)
        except ValueError:
            continue
    preferred = max(weights, key=lambda coding: weights[coding], default="")
    return preferred if weights.get(preferred) else ""
