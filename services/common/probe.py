"""`python -m services.common.probe [PORT] [NAME]`: exit status 0 when the service's health says so.

For container engines that can only run a command; Kubernetes asks health itself.
"""

import argparse
import sys

import grpc
from grpc_health.v1 import health_pb2

TIMEOUT_S = 3.0


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m services.common.probe", description=__doc__)
    parser.add_argument("port", type=int, nargs="?", default=8081, help="the health port (default: 8081)")
    parser.add_argument("name", nargs="?", default="readiness", help='"readiness" (default) or "liveness"')
    arguments = parser.parse_args(argv)
    with grpc.insecure_channel(f"127.0.0.1:{arguments.port}", [("grpc.enable_http_proxy", 0)]) as channel:
        check = channel.unary_unary(
            "/grpc.health.v1.Health/Check",
            request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
            response_deserializer=health_pb2.HealthCheckResponse.FromString,
        )
        try:
            status = check(health_pb2.HealthCheckRequest(service=arguments.name), timeout=TIMEOUT_S).status
        except grpc.RpcError as error:
            print(f"probe: {error.code().name.lower()}", file=sys.stderr)
            return 1
    print(health_pb2.HealthCheckResponse.ServingStatus.Name(status))
    return 0 if status == health_pb2.HealthCheckResponse.SERVING else 1


if __name__ == "__main__":
    sys.exit(main())
