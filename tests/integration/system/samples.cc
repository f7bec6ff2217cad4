#include "samples.h"

#include <algorithm>
#include <cctype>
#include <cstring>
#include <filesystem>
#include <zstd.h>

#include <gtest/gtest.h>

#include "os/fd.h"
#include "places.h"

namespace hearth::test {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t page_bytes_most = 16u << 20;
constexpr int zstd_level = 19;

void replace_all(std::string& text, const std::string& what, const std::string& by) {
  for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + by.size()))
    text.replace(at, what.size(), by);
}

template <typename Number>
void replace_numbers(std::string& page, const std::map<Number, Number>& by) {
  if (by.empty()) return;
  for (std::size_t at = 0; at + sizeof(Number) <= page.size(); at += sizeof(Number)) {
    Number value = 0;
    std::memcpy(&value, page.data() + at, sizeof value);
    if (value == 0) continue;
    const auto found = by.find(value);
    if (found != by.end()) std::memcpy(page.data() + at, &found->second, sizeof value);
  }
}

bool digit(char c) {
  return std::isdigit(static_cast<unsigned char>(c)) != 0;
}

// Whole numbers only: what is a part of a longer one stays.
std::string replace_digits(const std::string& text, const Filling& filling) {
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    std::size_t end = at;
    while (end < text.size() && digit(text[end])) ++end;
    if (end == at) {
      out += text[at++];
      continue;
    }
    std::string number = text.substr(at, end - at);
    if (number.size() < 18) {
      const std::uint64_t value = std::stoull(number);
      const auto wide = filling.wide.find(value);
      const auto narrow =
          value <= UINT32_MAX ? filling.narrow.find(static_cast<std::uint32_t>(value)) : filling.narrow.end();
      if (wide != filling.wide.end())
        number = std::to_string(wide->second);
      else if (narrow != filling.narrow.end())
        number = std::to_string(narrow->second);
    }
    out += number;
    at = end;
  }
  return out;
}

// "0.10.0" comes behind "0.9.0".
std::vector<int> parts_of(const std::string& version) {
  std::vector<int> parts;
  for (std::size_t at = 0; at < version.size();) {
    parts.push_back(std::atoi(version.c_str() + at));
    at = version.find('.', at);
    if (at != std::string::npos) ++at;
  }
  return parts;
}

}  // namespace

std::string fill_text(std::string text, const Filling& filling) {
  text = replace_digits(text, filling);
  for (const auto& [what, by] : filling.texts) replace_all(text, what, by);
  return text;
}

std::string fill_page(std::string page, const Filling& filling) {
  for (const auto& [what, by] : filling.texts)
    if (what.size() == by.size()) replace_all(page, what, by);
  replace_numbers(page, filling.wide);
  replace_numbers(page, filling.narrow);
  return page;
}

std::vector<std::string> kept_versions() {
  std::vector<std::string> versions;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(HEARTH_SOURCE_DIR "/tests/formats", error))
    if (entry.is_directory()) versions.push_back(entry.path().filename().string());
  std::sort(versions.begin(), versions.end(),
            [](const std::string& one, const std::string& other) { return parts_of(one) < parts_of(other); });
  return versions;
}

std::string place_of(const std::string& version) {
  return HEARTH_SOURCE_DIR "/tests/formats/" + version;
}

std::string test_name_of(const std::string& version) {
  std::string name = "v" + version;
  std::replace_if(
      name.begin(), name.end(), [](char c) { return std::isalnum(static_cast<unsigned char>(c)) == 0; }, '_');
  return name;
}

std::vector<std::string> files_below(const std::string& directory) {
  std::vector<std::string> files;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(directory, error))
    if (entry.is_regular_file() && !entry.is_symlink())
      files.push_back(entry.path().lexically_relative(directory).string());
  std::sort(files.begin(), files.end());
  return files;
}

std::string compressed(const std::string& bytes) {
  std::string out(ZSTD_compressBound(bytes.size()), '\0');
  const std::size_t size = ZSTD_compress(out.data(), out.size(), bytes.data(), bytes.size(), zstd_level);
  EXPECT_FALSE(ZSTD_isError(size)) << ZSTD_getErrorName(size);
  out.resize(ZSTD_isError(size) ? 0 : size);
  return out;
}

std::string decompressed(const std::string& bytes) {
  std::string out(page_bytes_most, '\0');
  const std::size_t size = ZSTD_decompress(out.data(), out.size(), bytes.data(), bytes.size());
  EXPECT_FALSE(ZSTD_isError(size)) << ZSTD_getErrorName(size);
  out.resize(ZSTD_isError(size) ? 0 : size);
  return out;
}

std::string read_sample(const std::string& place, const std::string& name) {
  if (fs::exists(place + "/" + name)) return os::read_file(place + "/" + name, page_bytes_most).value_or("");
  const Result<std::string> packed = os::read_file(place + "/" + name + ".zst", page_bytes_most);
  EXPECT_TRUE(packed) << place << " has no sample of " << name;
  return packed ? decompressed(*packed) : "";
}

std::uint32_t number_at(const std::string& bytes, std::size_t at) {
  std::uint32_t number = 0;
  if (at + sizeof number <= bytes.size()) std::memcpy(&number, bytes.data() + at, sizeof number);
  return number;
}

std::string pack(const std::vector<SampledMessage>& messages) {
  std::string out;
  for (const SampledMessage& message : messages) {
    const std::uint32_t head[2] = {static_cast<std::uint32_t>(message.bytes.size()), message.descriptors};
    out.append(reinterpret_cast<const char*>(head), sizeof head);
    out += message.bytes;
  }
  return out;
}

std::vector<SampledMessage> unpack(const std::string& bytes) {
  std::vector<SampledMessage> messages;
  std::uint32_t head[2];
  for (std::size_t at = 0; at + sizeof head <= bytes.size(); at += sizeof head + head[0]) {
    std::memcpy(head, bytes.data() + at, sizeof head);
    messages.push_back({head[1], bytes.substr(at + sizeof head, head[0])});
  }
  return messages;
}

}  // namespace hearth::test
