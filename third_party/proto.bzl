"""C++ code from .proto files with Debian's protoc and grpc_cpp_plugin."""

def cpp_protos(name, srcs, grpc = False):
    """Libraries of the generated code; import paths start at the package's folder.

    Args:
      name: of the cc_library of messages. With `grpc`, messages alone are NAME_messages, and NAME has the stubs as well.
      srcs: .proto files of this package.
      grpc: whether to generate gRPC stubs.
    """
    messages = name + "_messages" if grpc else name
    _library(messages, srcs, ".pb", "--cpp_out=$(RULEDIR)", ["//third_party/debian:protobuf"])
    if grpc:
        plugin = "--grpc_out=$(RULEDIR) --plugin=protoc-gen-grpc=/usr/bin/grpc_cpp_plugin"
        _library(name, srcs, ".grpc.pb", plugin, [":" + messages, "@grpc//:grpc++"])

def _library(name, srcs, suffix, output, deps):
    stems = [src[:-len(".proto")] for src in srcs]
    sources = [stem + suffix + ".cc" for stem in stems]
    headers = [stem + suffix + ".h" for stem in stems]
    native.genrule(
        name = name + "_gen",
        srcs = srcs,
        outs = sources + headers,
        cmd = "protoc -I" + (native.package_name() or ".") + " " + output + " $(SRCS)",
    )
    native.cc_library(
        name = name,
        srcs = sources,
        hdrs = headers,
        copts = ["-Wno-array-bounds", "-Wno-stringop-overflow"],
        includes = ["."],
        linkstatic = True,
        deps = deps,
    )
