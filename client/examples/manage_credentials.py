#!/usr/bin/env python3
"""A program that uses Keyferry through generated gRPC stubs, as an internal service in Python would.

It creates a credential, lists, rotates, resolves and deletes it again, and shows what each kind of failure looks like.

usage: manage_credentials.py NAME [TIMEOUT_SECONDS] < VALUE

Settings come from KEYFERRY_ADDRESS, KEYFERRY_CA_FILE, KEYFERRY_TOKEN_FILE and KEYFERRY_ORG. No value is printed. The
stubs are generated from the API's proto files (docs/clients.md) into a folder on PYTHONPATH.
"""
import os
import random
import sys
import time

import grpc

import rpc_status_pb2
from keyferry.v1 import (credentials_pb2, credentials_pb2_grpc, errors_pb2, mcp_servers_pb2, mcp_servers_pb2_grpc,
                         resolution_pb2, resolution_pb2_grpc)


def read_file(path):
    with open(path, "rb") as file:
        return file.read()


def open_channel():
    """TLS with the given CA; the token travels as call credentials, which gRPC sends over TLS alone."""
    ca = read_file(os.environ["KEYFERRY_CA_FILE"])
    token = read_file(os.environ["KEYFERRY_TOKEN_FILE"]).decode().strip()
    credentials = grpc.composite_channel_credentials(grpc.ssl_channel_credentials(ca),
                                                     grpc.access_token_call_credentials(token))
    return grpc.secure_channel(
        os.environ["KEYFERRY_ADDRESS"], credentials,
        # call() below decides what is sent again. gRPC's own reconnects come sooner than by default.
        options=[("grpc.enable_retries", 0), ("grpc.enable_http_proxy", 0), ("grpc.initial_reconnect_backoff_ms", 100),
                 ("grpc.max_reconnect_backoff_ms", 3000), ("grpc.max_receive_message_length", 32 << 20)])


def error_detail(error):
    """The keyferry.v1.ErrorDetail of a failed call; an empty one if it did not come from keyferryd."""
    detail = errors_pb2.ErrorDetail()
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            for packed in rpc_status_pb2.RpcStatus.FromString(value).details:
                packed.Unpack(detail)
    return detail


def call(method, request, timeout, idempotent=False):
    """One unary call within `timeout` seconds, all tries together.

    Sent again: UNAVAILABLE of a call that only reads (whether a change was carried out is not known then), and
    RESOURCE_EXHAUSTED with a delay, since the server refused that one unseen.
    """
    deadline = time.monotonic() + timeout
    backoff = 0.1
    while True:
        try:
            return method(request, timeout=max(0.0, deadline - time.monotonic()))
        except grpc.RpcError as error:
            delay = error_detail(error).retry_delay_ms / 1000
            again = (error.code() == grpc.StatusCode.UNAVAILABLE and idempotent or
                     error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED and delay > 0)
            wait = max(delay, backoff * random.uniform(0.5, 1))
            if not again or time.monotonic() + wait >= deadline:
                raise
            print(f"{error.code().name}, trying again", file=sys.stderr, flush=True)
            time.sleep(wait)
            backoff = min(2 * backoff, 3)


def list_credentials(stub, parent, timeout):
    """Every page of the list."""
    token = ""
    while True:
        page = call(stub.ListCredentials,
                    credentials_pb2.ListCredentialsRequest(parent=parent, page_size=2, page_token=token), timeout,
                    idempotent=True)
        yield from page.credentials
        token = page.next_page_token
        if not token:
            return


def run(channel, name, value, timeout):
    credentials = credentials_pb2_grpc.CredentialServiceStub(channel)
    servers = mcp_servers_pb2_grpc.McpServerServiceStub(channel)
    resolution = resolution_pb2_grpc.ResolutionServiceStub(channel)
    parent = f"orgs/{os.environ['KEYFERRY_ORG']}"

    count = sum(1 for _ in list_credentials(credentials, parent, timeout))
    created = call(credentials.CreateCredential, credentials_pb2.CreateCredentialRequest(
        parent=parent, credential_id=name, value=value,
        credential=credentials_pb2.Credential(description="made by the Python example")), timeout)
    print(f"created {created.name} version {created.version}")
    grown = sum(1 for _ in list_credentials(credentials, parent, timeout)) - count
    print(f"listed {grown} more")

    def rotate(etag):
        return call(credentials.RotateCredential,
                    credentials_pb2.RotateCredentialRequest(name=created.name, value=value, etag=etag), timeout)

    print(f"rotated to version {rotate(created.etag).version}")
    try:
        # The etag is of the first version: somebody else could have rotated meanwhile, and is not overwritten.
        rotate(created.etag)
        return 1
    except grpc.RpcError as error:
        detail = error_detail(error)
        print(f"refused as it should be: {error.code().name} {detail.reason}: {detail.next_step}")

    server = mcp_servers_pb2.McpServer(name=f"{parent}/mcpServers/example-python", command="true",
                                       transport=mcp_servers_pb2.MCP_TRANSPORT_STDIO)
    server.env.add(variable=name, org_secret=name)
    call(servers.ApplyMcpServer, mcp_servers_pb2.ApplyMcpServerRequest(mcp_server=server), timeout)
    resolved = call(resolution.Resolve, resolution_pb2.ResolveRequest(mcp_server=server.name), timeout, idempotent=True)
    for variable in resolved.variables:
        print(f"resolved {variable.variable} from version {variable.version}")

    call(servers.DeleteMcpServer, mcp_servers_pb2.DeleteMcpServerRequest(name=server.name), timeout)
    call(credentials.DeleteCredential, credentials_pb2.DeleteCredentialRequest(name=created.name), timeout)
    print("deleted")
    return 0


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__.split("\n\n")[2])
    timeout = float(sys.argv[2]) if len(sys.argv) == 3 else 30.0
    with open_channel() as channel:
        try:
            return run(channel, sys.argv[1], sys.stdin.buffer.read(), timeout)
        except grpc.RpcError as error:
            detail = error_detail(error)
            print(f"failed: {error.code().name} {detail.reason}: {error.details()}; {detail.next_step}", file=sys.stderr)
            return 1


if __name__ == "__main__":
    sys.exit(main())
