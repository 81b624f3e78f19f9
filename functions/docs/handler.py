"""The welcome, the OpenAPI document and the page that explores it."""

from common import api
from common.schemas import Message

app = api.resolver()


@app.get("/", responses=api.answers(Message, 200), tags=["docs"])
def welcome() -> Message:
    """Say where to look."""
    return Message(message="Welcome. The API is explained at /docs and described in /openapi.json.")


handler = api.handler(app)
