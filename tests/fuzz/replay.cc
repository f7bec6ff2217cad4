// Feeds files to a fuzzer's function, each once, where there is no libFuzzer: so the corpora are run with every build,
// by every compiler. `NAME_fuzz FILE|DIRECTORY...`; the file at work is named before it is fed, so the last name on
// stderr is that of the culprit. Fails when there was nothing to feed.
#include <cstddef>
#include <cstdint>
#include <dirent.h>
#include <stdio.h>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

bool feed(const std::string& path) {
  FILE* file = fopen(path.c_str(), "rb");
  if (file == nullptr) return false;
  std::vector<std::uint8_t> bytes;
  std::uint8_t block[4096];
  for (std::size_t got = 0; (got = fread(block, 1, sizeof block, file)) > 0;)
    bytes.insert(bytes.end(), block, block + got);
  fclose(file);
  fprintf(stderr, "%s\n", path.c_str());
  bytes.shrink_to_fit();  // so that a sanitizer sees the first byte read too far
  LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
  return true;
}

int feed_all(const std::string& path) {
  DIR* directory = opendir(path.c_str());
  if (directory == nullptr) return feed(path) ? 1 : 0;
  int count = 0;
  while (const dirent* entry = readdir(directory))
    if (entry->d_name[0] != '.') count += feed(path + "/" + entry->d_name) ? 1 : 0;
  closedir(directory);
  return count;
}

}  // namespace

int main(int argc, char** argv) {
  int count = 0;
  for (int i = 1; i < argc; ++i) count += feed_all(argv[i]);
  printf("%d inputs\n", count);
  return count > 0 ? 0 : 1;
}
