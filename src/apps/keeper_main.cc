#include "keeper/keeper.h"

int main(int argc, char** argv) {
  return hearth::keeper::keeper_main(argc, argv);
}
