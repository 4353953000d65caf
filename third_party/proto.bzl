"""C++ code from .proto files with Debian's protoc and grpc_cpp_plugin."""

def cpp_protos(name, srcs, grpc = False, deps = []):
    """A cc_library of messages, and of gRPC stubs where `grpc` is set; import paths start at the package's folder."""
    stems = [src[:-len(".proto")] for src in srcs]
    suffixes = [".pb"] + ([".grpc.pb"] if grpc else [])
    sources = [stem + suffix + ".cc" for stem in stems for suffix in suffixes]
    headers = [stem + suffix + ".h" for stem in stems for suffix in suffixes]
    plugin = " --grpc_out=$(RULEDIR) --plugin=protoc-gen-grpc=/usr/bin/grpc_cpp_plugin" if grpc else ""
    native.genrule(
        name = name + "_gen",
        srcs = srcs,
        outs = sources + headers,
        cmd = "protoc -I" + (native.package_name() or ".") + " --cpp_out=$(RULEDIR)" + plugin + " $(SRCS)",
    )
    native.cc_library(
        name = name,
        srcs = sources,
        hdrs = headers,
        copts = ["-Wno-array-bounds"],
        includes = ["."],
        linkstatic = True,
        deps = deps + ["//third_party/debian:protobuf"] + (["@grpc//:grpc++"] if grpc else []),
    )
