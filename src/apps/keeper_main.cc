#include <cstring>

#include "base/version.h"
#include "keeper/keeper.h"

int main(int argc, char** argv) {
  if (argc > 1 && std::strcmp(argv[1], "--trial") == 0) return hearth::keeper::keeper_trial(hearth::version);
  return hearth::keeper::keeper_main(argc, argv);
}
