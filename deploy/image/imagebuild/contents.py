"""What each image holds and how a container of it starts. deploy/image/Dockerfile says the same; a test compares them."""

from dataclasses import dataclass

NONROOT = 65532
PROGRAM_DIRECTORY = "usr/local/bin"

# The package of the build that makes each program: its folder in bazel-bin, and its target's.
PROGRAMS = {
    "keyferryd": "server",
    "keyferry": "client",
    "keyferry-injector": "injector",
    "keyferry-launch": "injector",
}


@dataclass(frozen=True)
class Image:
    name: str
    title: str
    description: str
    # The first is the one that a container runs.
    programs: tuple
    command: tuple
    ports: tuple
    # Directories of the image's own user.
    directories: tuple = ()

    @property
    def entrypoint(self):
        return f"/{PROGRAM_DIRECTORY}/{self.programs[0]}"


IMAGES = {
    image.name: image
    for image in (
        Image(
            name="server",
            title="Keyferry server",
            description="keyferryd, which keeps the credentials of MCP servers, and the command line keyferry",
            programs=("keyferryd", "keyferry"),
            command=("serve", "--config", "/etc/keyferry/keyferryd.yaml"),
            # gRPC, browsers, monitoring.
            ports=(7443, 8443, 9443),
            directories=("var/lib/keyferry",),
        ),
        Image(
            name="injector",
            title="Keyferry injector",
            description="keyferry-injector (webhook, agent) and keyferry-launch, which give pods their credentials",
            programs=("keyferry-injector", "keyferry-launch"),
            command=("--help",),
            # The webhook.
            ports=(8443,),
        ),
    )
}

ENVIRONMENT = {"PATH": f"/{PROGRAM_DIRECTORY}"}

# Hosts: /etc/hosts before DNS, whatever a C library does by itself.
TEXT_FILES = {
    "etc/group": f"root:x:0:\nnonroot:x:{NONROOT}:\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
    "etc/passwd": (
        "root:x:0:0:root:/nonexistent:/sbin/nologin\n"
        f"nonroot:x:{NONROOT}:{NONROOT}:nonroot:/nonexistent:/sbin/nologin\n"
    ),
}

CA_BUNDLE = "etc/ssl/certs/ca-certificates.crt"

# Packages whose code the programs carry within, and whose licences therefore go with them. Boost's asks for nothing in
# programs.
STATIC_PACKAGES = (
    "libabsl-dev",
    "libbz2-dev",
    "libc-ares-dev",
    "libcli11-dev",
    "libfmt-dev",
    "libgflags-dev",
    "libjemalloc-dev",
    "liblz4-dev",
    "libprotobuf-dev",
    "libre2-dev",
    "librocksdb-dev",
    "libsnappy-dev",
    "libspdlog-dev",
    "libyaml-cpp-dev",
    "libzstd-dev",
    "nlohmann-json3-dev",
    "zlib1g-dev",
)

# Those of what is compiled with the programs, as the build leaves them in bazel-bin.
BUILT_LICENSES = ("boringssl", "grpc")
LICENSE_DIRECTORY = "third_party/licenses"
