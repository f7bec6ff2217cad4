#include "elf_symbol.h"

#include <cstdlib>
#include <cstring>
#include <elf.h>
#include <fstream>
#include <sstream>
#include <vector>

namespace hearth::kill_anywhere {
namespace {

std::string slurp(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

}  // namespace

std::uint64_t symbol_offset(const std::string& program, const std::string& mangled) {
  const std::string file = slurp(program);
  Elf64_Ehdr header;
  if (file.size() < sizeof header) return 0;
  std::memcpy(&header, file.data(), sizeof header);
  std::vector<Elf64_Shdr> sections(header.e_shnum);
  if (header.e_shoff + sections.size() * sizeof(Elf64_Shdr) > file.size()) return 0;
  std::memcpy(sections.data(), file.data() + header.e_shoff, sections.size() * sizeof(Elf64_Shdr));
  for (const Elf64_Shdr& section : sections) {
    if (section.sh_type != SHT_SYMTAB || section.sh_link >= sections.size()) continue;
    const Elf64_Shdr& texts = sections[section.sh_link];
    if (section.sh_offset + section.sh_size > file.size() || texts.sh_offset + texts.sh_size > file.size()) continue;
    for (std::uint64_t at = 0; at + sizeof(Elf64_Sym) <= section.sh_size; at += sizeof(Elf64_Sym)) {
      Elf64_Sym entry;
      std::memcpy(&entry, file.data() + section.sh_offset + at, sizeof entry);
      if (ELF64_ST_TYPE(entry.st_info) != STT_FUNC || entry.st_name >= texts.sh_size) continue;
      if (mangled == file.c_str() + texts.sh_offset + entry.st_name) return entry.st_value;
    }
  }
  return 0;
}

std::uint64_t load_base(pid_t pid, const std::string& program) {
  std::ifstream in(program, std::ios::binary);
  Elf64_Ehdr header{};
  in.read(reinterpret_cast<char*>(&header), sizeof header);
  if (header.e_type != ET_DYN) return 0;
  const std::string base = program.substr(program.rfind('/') + 1);
  std::ifstream maps("/proc/" + std::to_string(pid) + "/maps");
  // The first mapping of the file is its first segment.
  for (std::string line; std::getline(maps, line);)
    if (line.ends_with("/" + base)) return std::strtoull(line.c_str(), nullptr, 16);
  return 0;
}

}  // namespace hearth::kill_anywhere
