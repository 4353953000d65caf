"""Fuzz targets: one entry point, run over its corpus by `bazel test` and explored by libFuzzer in tests/fuzz/run."""

def fuzz_target(name, srcs, deps, corpus):
    """A cc_test named `name`.

    Built plainly it replays the corpus and every truncation and bit flip of it. Built with --config=fuzz (clang) it is
    a libFuzzer binary.

    Args:
      name: of the target.
      srcs: define LLVMFuzzerTestOneInput.
      deps: what is fuzzed.
      corpus: seed inputs, at least one.
    """
    native.cc_test(
        name = name,
        srcs = srcs,
        args = ["$(locations %s)" % seed for seed in corpus],
        copts = select({
            "//tests/fuzz:libfuzzer": ["-fsanitize=fuzzer"],
            "//conditions:default": [],
        }),
        data = corpus,
        linkopts = select({
            "//tests/fuzz:libfuzzer": ["-fsanitize=fuzzer"],
            "//conditions:default": [],
        }),
        tags = ["fuzz"],
        deps = deps + select({
            "//tests/fuzz:libfuzzer": [],
            "//conditions:default": ["//tests/fuzz:replay_main"],
        }),
    )
