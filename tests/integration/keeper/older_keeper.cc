// A keeper from before the options that it does not know.
#include <string_view>

#include "keeper/keeper.h"

int main(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    if (word == "--supervisor-program" || word == "--logger-program") return 64;
  }
  return hearth::keeper::keeper_main(argc, argv);
}
