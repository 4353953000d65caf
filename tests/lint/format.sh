# Our C++ is formatted as .clang-format says.
git ls-files -z -- '*.cc' '*.h' | xargs -0 clang-format-14 --dry-run -Werror
