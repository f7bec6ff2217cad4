// Golden files of tests/unit/importers. HEARTH_UPDATE_GOLDEN=1 writes them anew; then read the difference.
#pragma once

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>

#include <gtest/gtest.h>

#include "places.h"

namespace hearth::importers {

inline const std::string here = std::string(HEARTH_SOURCE_DIR) + "/tests/unit/importers/";

inline std::string text_of(const std::string& path) {
  std::ifstream file(path);
  EXPECT_TRUE(file) << path;
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

inline void expect_golden(const std::string& name, const std::string& text) {
  const std::string path = here + "golden/" + name;
  if (std::getenv("HEARTH_UPDATE_GOLDEN") != nullptr) std::ofstream(path) << text;
  EXPECT_EQ(text, text_of(path)) << path;
}

}  // namespace hearth::importers
