// hearth: what people and scripts call. Linked fully static, because it is started often.
#include <cstdio>
#include <exception>

#include "cli/cli.h"

int main(int argc, char** argv) {
  try {
    return hearth::cli::run(argc, argv);
  } catch (const std::exception& error) {
    // Out of memory, or a bug; nothing here throws on purpose.
    std::fprintf(stderr, "hearth: cannot go on: %s\n", error.what());
    return 1;
  }
}
