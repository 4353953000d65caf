"""A program that is compiled for size, all that it links from source included, and stripped."""

def _small_impl(settings, attr):
    return {
        "//command_line_option:copt": settings["//command_line_option:copt"] + [
            "-Os",
            "-ffunction-sections",
            "-fdata-sections",
            # <iostream> is empty: see third_party/abseil/iostream_declarations.h.
            "-D_GLIBCXX_IOSTREAM=1",
        ],
        "//third_party/debian:absl_from_source": True,
    }

_small = transition(
    implementation = _small_impl,
    inputs = ["//command_line_option:copt"],
    outputs = [
        "//command_line_option:copt",
        "//third_party/debian:absl_from_source",
    ],
)

def _small_binary_impl(ctx):
    program = ctx.actions.declare_file(ctx.label.name)
    ctx.actions.run_shell(
        inputs = [ctx.executable.binary],
        outputs = [program],
        command = "strip -s -R .comment -o '%s' '%s'" % (program.path, ctx.executable.binary.path),
        use_default_shell_env = True,
        mnemonic = "Strip",
    )
    return [DefaultInfo(executable = program, files = depset([program]))]

# `binary`, a cc_binary, in a configuration of its own; nothing else is compiled anew for it.
small_binary = rule(
    implementation = _small_binary_impl,
    executable = True,
    attrs = {
        "binary": attr.label(mandatory = True, executable = True, cfg = _small),
        "_allowlist_function_transition": attr.label(
            default = "@bazel_tools//tools/allowlists/function_transition_allowlist",
        ),
    },
)
