// Files of programs: whole or cut.
#include "os/program_file.h"

#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <sys/stat.h>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "os/fd.h"
#include "unit/os/temp_directory.h"

namespace hearth::os {
namespace {

using ::testing::HasSubstr;

class ProgramFile : public ::testing::Test {
 protected:
  void write(const std::string& bytes) {
    const Fd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0700));
    ASSERT_TRUE(write_all(fd.get(), bytes, path));
  }
  // One segment of `segment` bytes behind the headers, then the section headers.
  static std::string elf(std::size_t segment, std::uint16_t sections) {
    ElfW(Ehdr) header{};
    std::copy_n(ELFMAG, SELFMAG, header.e_ident);
    header.e_ident[EI_CLASS] = sizeof(void*) == 8 ? ELFCLASS64 : ELFCLASS32;
    header.e_phoff = sizeof header;
    header.e_phentsize = sizeof(ElfW(Phdr));
    header.e_phnum = 1;
    ElfW(Phdr) load{};
    load.p_type = PT_LOAD;
    load.p_offset = sizeof header + sizeof load;
    load.p_filesz = segment;
    header.e_shoff = sections == 0 ? 0 : load.p_offset + segment;
    header.e_shentsize = sizeof(ElfW(Shdr));
    header.e_shnum = sections;
    std::string bytes(reinterpret_cast<const char*>(&header), sizeof header);
    bytes.append(reinterpret_cast<const char*>(&load), sizeof load);
    return bytes + std::string(segment + sections * sizeof(ElfW(Shdr)), 'x');
  }
  std::string problem() {
    const Result<Fd> program = open_program(path);
    EXPECT_TRUE(program);
    const Status whole = check_whole(*program, path);
    return whole ? "" : whole.error().text();
  }
  test::TempDirectory directory;
  std::string path = directory / "program";
};

TEST_F(ProgramFile, it_is_the_same_under_each_of_its_names_and_when_it_has_none) {
  write("one");
  const Fd first(::open(path.c_str(), O_PATH | O_CLOEXEC));
  ASSERT_EQ(0, ::link(path.c_str(), (directory / "linked").c_str()));
  ASSERT_EQ(0, ::unlink(path.c_str()));
  const Fd linked(::open((directory / "linked").c_str(), O_PATH | O_CLOEXEC));
  write("one");
  const Fd second(::open(path.c_str(), O_PATH | O_CLOEXEC));
  EXPECT_TRUE(same_file(first.get(), linked.get()));
  EXPECT_FALSE(same_file(first.get(), second.get()));
  EXPECT_FALSE(same_file(first.get(), -1));
}

TEST_F(ProgramFile, one_that_lacks_its_last_byte_is_cut_and_it_is_said_by_how_much) {
  for (const std::uint16_t sections : {0, 3}) {
    const std::string whole = elf(1000, sections);
    write(whole);
    EXPECT_EQ("", problem());
    for (const std::size_t size : {whole.size() - 1, sizeof(ElfW(Ehdr)) + 1}) {
      write(whole.substr(0, size));
      EXPECT_THAT(problem(), HasSubstr("it is cut: " + std::to_string(size) + " bytes of ")) << sections;
    }
    for (const std::size_t size : {std::size_t{30}, sizeof(ElfW(Ehdr)) - 1}) {
      write(whole.substr(0, size));
      EXPECT_THAT(problem(), HasSubstr("it is cut: " + std::to_string(size) + " bytes"));
    }
    write(whole.substr(0, whole.size() - 1));
    EXPECT_THAT(problem(), HasSubstr(" bytes of " + std::to_string(whole.size())));
    write(whole + "appended");
    EXPECT_EQ("", problem());
  }
  write("");
  EXPECT_THAT(problem(), HasSubstr("it is empty"));
}

TEST_F(ProgramFile, sizes_that_no_file_has_are_cut_and_wrap_around_to_nothing_whole) {
  std::string bytes = elf(100, 0);
  auto* const load = reinterpret_cast<ElfW(Phdr)*>(bytes.data() + sizeof(ElfW(Ehdr)));
  load->p_filesz = static_cast<decltype(load->p_filesz)>(-1);
  write(bytes);
  EXPECT_THAT(problem(), HasSubstr("it is cut"));
}

TEST_F(ProgramFile, the_client_is_one_that_nobody_else_can_write_and_where_an_installation_has_it) {
  const std::string prefix = directory.path(), libexec = prefix + "/libexec/hearth";
  std::filesystem::create_directories(libexec);
  std::filesystem::create_directories(prefix + "/bin");
  const auto place = [](const std::string& name, mode_t mode) {
    const Fd fd(::open(name.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0700));
    EXPECT_EQ(0, ::fchmod(fd.get(), mode)) << name;
  };
  EXPECT_EQ(ENOENT, find_client(libexec).error().code);
  place(prefix + "/bin/hearth", 0755);
  EXPECT_EQ(prefix + "/bin/hearth", find_client(libexec).value());
  std::filesystem::create_directories(prefix + "/else/where");
  EXPECT_EQ(ENOENT, find_client(prefix + "/else/where").error().code) << "two directories up is a stranger's";
  place(libexec + "/hearth", 0755);
  EXPECT_EQ(libexec + "/hearth", find_client(libexec).value());
  place(libexec + "/hearth", 0757);
  EXPECT_THAT(find_client(libexec).error().text(), HasSubstr("others may write it"));
}

TEST_F(ProgramFile, what_is_no_elf_file_is_for_the_trial_to_tell) {
  write("#!/bin/sh\n");
  EXPECT_EQ("", problem());
  write(std::string(200, 'x'));
  EXPECT_EQ("", problem());
}

TEST_F(ProgramFile, this_program_is_whole) {
  path = "/proc/self/exe";
  const Fd own(::open(path.c_str(), O_PATH | O_CLOEXEC));
  EXPECT_TRUE(check_whole(own, path));
}

}  // namespace
}  // namespace hearth::os
