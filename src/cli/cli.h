// The `hearth` program: one command line in, an exit code out.
#pragma once

namespace hearth::cli {

// argv[0] is the program. Writes to stdout and stderr. exit codes: docs/reference/cli.md
int run(int argc, char** argv);

}  // namespace hearth::cli
