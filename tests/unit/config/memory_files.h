// Files for the config room out of a map.
#pragma once

#include <fnmatch.h>
#include <map>
#include <string>

#include "config/source.h"

namespace hearth::config {

class MemoryFiles : public Files {
 public:
  void add(const std::string& path, std::string text) { files_[path] = std::move(text); }
  void refuse(const std::string& path, std::string why) { refused_[path] = std::move(why); }

  Result<File> read(const std::string& path) override {
    ++reads;
    if (const auto refused = refused_.find(path); refused != refused_.end()) {
      return failure(Remedy::no_access, "read", path, refused->second);
    }
    const auto found = files_.find(path);
    if (found == files_.end()) return failure(Remedy::not_found, "read", path, "there is none");
    return File{path, found->second};
  }
  Result<std::vector<std::string>> match(const std::string& pattern) override {
    std::vector<std::string> paths;
    for (const auto& [path, text] : files_) {
      if (::fnmatch(pattern.c_str(), path.c_str(), FNM_PATHNAME) == 0) paths.push_back(path);
    }
    return paths;
  }

  int reads = 0;

 private:
  std::map<std::string, std::string> files_, refused_;
};

}  // namespace hearth::config
