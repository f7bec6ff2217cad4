#include "importers/unit_specifiers.h"

#include <optional>

#include "importers/draft.h"

namespace hearth::importers {
namespace {

std::string below(const char* variable_name, const char* rest) {
  return variable(variable_name) + rest;
}

// The directories of the machine, or of a user (XDG).
std::optional<std::string> directory_of(char kind, bool of_user) {
  switch (kind) {
    case 't': return of_user ? below("XDG_RUNTIME_DIR", "") : "/run";
    case 'S': return of_user ? below("HOME", "/.local/state") : "/var/lib";
    case 'C': return of_user ? below("HOME", "/.cache") : "/var/cache";
    case 'L': return of_user ? below("HOME", "/.local/state/log") : "/var/log";
    case 'E': return of_user ? below("HOME", "/.config") : "/etc";
    case 'T': return "/tmp";
    case 'V': return "/var/tmp";
    case 'h': return below("HOME", "");
    case 'u': return below("USER", "");
    default: return std::nullopt;
  }
}

std::optional<std::string> part_of(char kind, const UnitName& unit) {
  const std::string last = unit.prefix.substr(unit.prefix.rfind('-') + 1);  // npos + 1 is 0
  switch (kind) {
    case 'n': return (unit.is_template ? unit.prefix + "@" : unit.stem) + ".service";
    case 'N': return unit.is_template ? unit.prefix + "@" : unit.stem;
    case 'p': return unit.prefix;
    case 'P': return unescaped_unit(unit.prefix);
    case 'j': return last;
    case 'J': return unescaped_unit(last);
    default: return std::nullopt;
  }
}

}  // namespace

UnitName::UnitName(std::string_view path) {
  of_user = path.find("/systemd/user/") != path.npos || path.find("/.config/systemd/") != path.npos;
  if (const std::size_t slash = path.rfind('/'); slash != path.npos) path.remove_prefix(slash + 1);
  if (path.ends_with(".service")) path.remove_suffix(8);
  const std::size_t at = path.find('@');
  prefix = path.substr(0, at);
  if (at != path.npos) instance = path.substr(at + 1);
  is_template = at != path.npos && instance.empty();
  stem = is_template ? prefix : std::string(path);
}

std::string unescaped_unit(std::string_view name) {
  const auto digit = [](char c) {
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
  };
  std::string out;
  for (std::size_t i = 0; i < name.size(); ++i) {
    const bool escaped =
        name.substr(i).starts_with("\\x") && i + 3 < name.size() && digit(name[i + 2]) >= 0 && digit(name[i + 3]) >= 0;
    if (escaped) {
      out += static_cast<char>(static_cast<unsigned char>(digit(name[i + 2]) * 16 + digit(name[i + 3])));
      i += 3;
    } else {
      out += name[i] == '-' ? '/' : name[i];
    }
  }
  return foreign(out);
}

std::string without_specifiers(std::string_view text, const UnitName& unit, const Known& known, const Told& told) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%' || i + 1 == text.size()) {
      out += text[i];
      continue;
    }
    const char kind = text[++i];
    if (kind == '%') {
      out += '%';
    } else if (const auto part = part_of(kind, unit)) {
      out += *part;
    } else if (const auto directory = directory_of(kind, unit.of_user)) {
      out += *directory;
    } else if ((kind == 'i' || kind == 'I') && !unit.is_template) {
      out += kind == 'i' ? unit.instance : unescaped_unit(unit.instance);
    } else if (kind == 'd' && !known.credentials.empty()) {
      out += known.credentials;
    } else if (kind == 'H' && !known.host.empty()) {
      out += known.host;
      told("%H was replaced by the name of this machine, " + known.host, "for another one, write its name");
    } else {
      out += std::string("%") + kind;
      if (kind == 'i' || kind == 'I')
        told(std::string("%") + kind + " is not known: it is the instance of a template",
             "copy the file to " + unit.prefix + "@NAME.service, once for each NAME, and import those");
      else if (kind == 'd')
        told("%d is not carried over: each run has another directory of credentials",
             "the program finds it in CREDENTIALS_DIRECTORY");
      else
        told(std::string("%") + kind + " is not carried over", "write what it stands for");
    }
  }
  return out;
}

}  // namespace hearth::importers
