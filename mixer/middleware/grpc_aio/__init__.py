"""grpc.aio: an interceptor for services of gRPC."""

from mixer.middleware.grpc_aio.interceptor import MixerInterceptor

__all__ = ["MixerInterceptor"]
