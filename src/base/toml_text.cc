#include "base/toml_text.h"

#include <algorithm>
#include <cstdint>
#include <cstdio>

namespace hearth {
namespace {

bool continues(char c) {
  return (static_cast<unsigned char>(c) & 0xC0) == 0x80;
}

}  // namespace

bool valid_utf8(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i]);
    std::size_t length = 1;
    std::uint32_t code = lead;
    if (lead >= 0x80) {
      if (lead >= 0xC2 && lead <= 0xDF) {
        length = 2;
        code = lead & 0x1F;
      } else if (lead >= 0xE0 && lead <= 0xEF) {
        length = 3;
        code = lead & 0x0F;
      } else if (lead >= 0xF0 && lead <= 0xF4) {
        length = 4;
        code = lead & 0x07;
      } else {
        return false;
      }
      if (text.size() - i < length) return false;
      for (std::size_t k = 1; k < length; ++k) {
        if (!continues(text[i + k])) return false;
        code = code << 6 | (static_cast<unsigned char>(text[i + k]) & 0x3F);
      }
      if (length == 3 && (code < 0x800 || (code >= 0xD800 && code <= 0xDFFF))) return false;
      if (length == 4 && (code < 0x10000 || code > 0x10FFFF)) return false;
    }
    i += length;
  }
  return true;
}

std::string quoted(std::string_view text) {
  const bool sound = valid_utf8(text);
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (byte < 0x20 || byte == 0x7F) {
      char escape[8];
      std::snprintf(escape, sizeof escape, "\\u%04x", byte);
      out += escape;
    } else if (byte >= 0x80 && !sound) {
      out += "\\ufffd";
    } else {
      out += c;
    }
  }
  return out + "\"";
}

std::string key_text(std::string_view key) {
  const bool bare = !key.empty() && std::ranges::all_of(key, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  });
  return bare ? std::string(key) : quoted(key);
}

}  // namespace hearth
