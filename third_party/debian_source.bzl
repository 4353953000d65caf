"""A repository made from a Debian source package's orig tarball, pinned by its SHA-256."""

def _fetch(ctx):
    """Brings ctx.attr.archive into the repository's folder and returns its path."""
    archive = ctx.path(ctx.attr.archive)
    offline = ctx.os.environ.get("KEYFERRY_SOURCES", "")
    if offline:
        found = ctx.path(offline + "/" + ctx.attr.archive)
        if not found.exists:
            fail("KEYFERRY_SOURCES has no %s; put it there, or unset KEYFERRY_SOURCES to use apt." % ctx.attr.archive)
        ctx.symlink(found, archive)
        return archive
    result = ctx.execute(
        [ctx.path(ctx.attr._fetch_script), ctx.attr.package, ctx.attr.archive],
        timeout = 600,
    )
    if result.return_code != 0:
        fail("Could not fetch the source package %s with apt:\n%s\nWithout a network, set KEYFERRY_SOURCES to a folder that holds %s." %
             (ctx.attr.package, result.stdout + result.stderr, ctx.attr.archive))
    return archive

def _check(ctx, archive):
    result = ctx.execute(["sha256sum", str(archive)])
    actual = result.stdout.split(" ")[0] if result.return_code == 0 else "unreadable"
    if actual != ctx.attr.sha256:
        fail("%s has SHA-256 %s where %s is pinned; refusing to build it." % (ctx.attr.archive, actual, ctx.attr.sha256))

def _debian_source_impl(ctx):
    archive = _fetch(ctx)
    _check(ctx, archive)
    ctx.extract(ctx.attr.archive, stripPrefix = ctx.attr.strip_prefix)

    # The tarball's own Bazel files would split it into packages, and packages stop globs.
    ctx.execute(["find", ".", "(", "-name", "BUILD", "-o", "-name", "BUILD.bazel", "-o", "-name", "WORKSPACE", "-o", "-name", ".bazelrc", "-o", "-name", ".bazelignore", ")", "-delete"])
    ctx.delete(ctx.attr.archive)
    ctx.symlink(ctx.attr.build_file, "BUILD.bazel")
    ctx.file("WORKSPACE", "workspace(name = \"%s\")\n" % ctx.name)

debian_source = repository_rule(
    implementation = _debian_source_impl,
    attrs = {
        "archive": attr.string(mandatory = True, doc = "File name of the orig tarball."),
        "build_file": attr.label(mandatory = True, allow_single_file = True),
        "package": attr.string(mandatory = True, doc = "Debian source package."),
        "sha256": attr.string(mandatory = True),
        "strip_prefix": attr.string(),
        "_fetch_script": attr.label(default = "//third_party:fetch_debian_source.sh", allow_single_file = True),
    },
    environ = ["KEYFERRY_SOURCES"],
)
