"""A small project that the tests serve."""

import sysconfig
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

from local.gateway.application import Gateway

# Values for the parameters of the sample's template, and the packages that its layer installs.
PARAMETERS = {"Stage": "local"}
DEPENDENCIES = Path(sysconfig.get_path("purelib"))

TEMPLATE = """
AWSTemplateFormatVersion: "2010-09-09"
Transform: AWS::Serverless-2016-10-31
Parameters:
  Stage: {Type: String, Default: prod}
  CorsOrigin: {Type: String, Default: "https://example.com"}
  Colour: {Type: String, Default: blue}
Conditions:
  IsBlue: !Equals [!Ref Colour, blue]
  IsRed: !Not [!Condition IsBlue]
Globals:
  Function:
    Runtime: python3.13
    CodeUri: functions/
    Layers: [!If [IsBlue, !Ref BlueLayer, !Ref RedLayer]]
    Timeout: 1
    Environment: &environment
      Variables:
        STAGE: !Ref Stage
        DATABASE_URL: !Sub "postgresql://app@${Database.Endpoint.Address}/social"
Resources:
  BlueLayer: {Type: AWS::Serverless::LayerVersion, Properties: {ContentUri: layers/common}}
  RedLayer: {Type: AWS::Serverless::LayerVersion, Condition: IsRed, Properties: {ContentUri: layers/red}}
  Database: {Type: AWS::RDS::DBInstance, Properties: {Engine: postgres}}
  Api:
    Type: AWS::Serverless::Api
    Properties:
      StageName: !Ref Stage
      OpenApiVersion: 3.0.1
      Auth:
        DefaultAuthorizer: Bearer
        AddDefaultAuthorizerToCorsPreflight: false
        Authorizers:
          Bearer:
            FunctionArn: !GetAtt Gatekeeper.Arn
            Identity: {Header: Authorization, ReauthorizeEvery: 60}
      BinaryMediaTypes: [multipart~1form-data]
      MinimumCompressionSize: 200
      Cors: {AllowOrigin: !Sub "'${CorsOrigin}'", AllowMethods: "'GET,POST'", MaxAge: "'600'"}
      GatewayResponses:
        MISSING_AUTHENTICATION_TOKEN:
          StatusCode: 404
          ResponseParameters: &origin {Headers: {Access-Control-Allow-Origin: !Sub "'${CorsOrigin}'"}}
          ResponseTemplates: {application/json: '{"detail": "Not Found"}'}
        UNAUTHORIZED: &unauthorized
          StatusCode: 401
          ResponseParameters: {Headers: {WWW-Authenticate: "'Bearer'"}}
          ResponseTemplates: {application/json: '{"detail": "Not authenticated"}'}
        ACCESS_DENIED: *unauthorized
        DEFAULT_4XX:
          ResponseParameters: *origin
          ResponseTemplates: {application/json: '{"detail": $context.error.messageString}'}
        DEFAULT_5XX: {ResponseTemplates: {application/json: '{"detail": "Internal error"}'}}
  Gatekeeper:
    Type: AWS::Serverless::Function
    Properties:
      Handler: gate.keeper.handler
      Environment: {Variables: {JWT_KEYS: "", LIMIT: 5}}
  Echo:
    Type: AWS::Serverless::Function
    Properties:
      Handler: echo.handler.handler
      MemorySize: 256
      AutoPublishAlias: live
      DeploymentPreference: {Type: AllAtOnce}
      Events:
        Open:
          Type: Api
          Properties: {RestApiId: !Ref Api, Path: /open, Method: ANY, Auth: {Authorizer: NONE}}
        Closed: {Type: Api, Properties: {RestApiId: !Ref Api, Path: "/things/{id}", Method: GET}}
        Post: {Type: Api, Properties: {RestApiId: !Ref Api, Path: /things, Method: POST}}
  Unused:
    Type: AWS::Serverless::Function
    Condition: IsRed
    Properties: {Handler: echo.handler.handler}
"""

GATEKEEPER = """
calls = 0

def handler(event, context):
    global calls
    calls += 1
    token = event["authorizationToken"]
    if token == "nobody":
        raise Exception("Unauthorized")
    if token == "broken":
        raise ValueError("the authorizer is broken")
    if token == "nonsense":
        return {"principalId": "1", "policyDocument": {"Statement": [{"Effect": "Perhaps"}]}}
    stage = "/".join(event["methodArn"].split("/")[:2])
    statement = {
        "Action": "execute-api:Invoke",
        "Effect": "Allow" if token.startswith("good") else "Deny",
        "Resource": stage + "/*/*",
    }
    policy = {"Version": "2012-10-17", "Statement": [statement]}
    context = {"user_id": 7, "calls": calls, "ok": True}
    return {"principalId": "7", "policyDocument": policy, "context": context}
"""

ECHO = """
import json, os, sys, time
from common.responses import ok

def handler(event, context):
    query = event["queryStringParameters"] or {}
    match query.get("do"):
        case None:
            return ok(event)
        case "environment":
            return ok({"variables": dict(os.environ), "path": sys.path, "pid": os.getpid()})
        case "import":
            __import__(query["name"])
            return ok("imported")
        case "context":
            names = [name for name in vars(context) if not name.startswith("_")]
            left = context.get_remaining_time_in_millis()
            return ok({name: getattr(context, name) for name in names} | {"left": left})
        case "print":
            print("x" * 100_000)
            os.write(1, b"written to the descriptor")
            return ok("printed")
        case "metrics":
            print(json.dumps({"_aws": {"CloudWatchMetrics": []}}))
            print("before", json.dumps({"_aws": {}}))
            print()
            return ok("printed")
        case "sleep":
            if "mark" in query:
                open(query["mark"], "w").close()
            time.sleep(float(query["seconds"]))
            return ok("slept")
        case "breakpoint":
            answer = "none"
            breakpoint()
            return ok(answer)
        case "raise":
            raise ValueError("the handler is broken")
        case "exit":
            os._exit(3)
        case "result":
            return json.loads(event["body"])
        case "large":
            return ok("x" * 6_300_000)
        case "not JSON":
            return ok(event) | {"body": object()}
"""

RESPONSES = """
import json

def ok(value):
    return {"statusCode": 200, "body": json.dumps(value)}
"""


def write_project(directory: Path) -> Path:
    """Write the sample's files into a directory and return it."""
    files = {
        "template.yaml": TEMPLATE,
        "functions/echo/__init__.py": "",
        "functions/echo/handler.py": ECHO,
        "functions/gate/__init__.py": "",
        "functions/gate/keeper.py": GATEKEEPER,
        "layers/common/python/common/__init__.py": "",
        "layers/common/python/common/responses.py": RESPONSES,
    }
    for name, text in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return directory


def gateway_for(
    project: Path, variables: Mapping[str, str], page: Callable[[str], str | None] = lambda _path: None
) -> Gateway:
    """Return a gateway for a project; the caller closes it."""
    return Gateway(project / "template.yaml", PARAMETERS, variables, DEPENDENCIES, page=page)


@asynccontextmanager
async def serving(
    project: Path, variables: Mapping[str, str] | None = None
) -> AsyncIterator[httpx.AsyncClient]:
    """Return a client of a gateway for a project, without a socket; ends every process at the end."""
    gateway = gateway_for(project, variables or {})
    transport = httpx.ASGITransport(app=gateway)
    try:
        async with httpx.AsyncClient(transport=transport, base_url="http://test", timeout=30) as client:
            yield client
    finally:
        await gateway.close()
