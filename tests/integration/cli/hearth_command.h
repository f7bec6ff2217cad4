// Runs the real `hearth` on an instance of its own, as a user does.
#pragma once

#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <poll.h>
#include <signal.h>
#include <sstream>
#include <string>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

#include <boost/json.hpp>
#include <gtest/gtest.h>

#include "os/clock.h"
#include "os/fd.h"
#include "places.h"

namespace hearth::cli {

namespace fs = std::filesystem;

inline std::string text_of(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

struct Finished {
  int code = -1;
  std::string out, err;
  std::string all() const { return out + err; }
};

// A `hearth` under way.
class Running {
 public:
  Running(pid_t pid, std::string stem) : pid_(pid), stem_(std::move(stem)) {
    pidfd_.reset(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  }
  pid_t pid() const { return pid_; }
  std::string out() const { return text_of(stem_ + ".out"); }
  std::string err() const { return text_of(stem_ + ".err"); }
  Finished finish(int most_seconds = 60) {
    pollfd polled{pidfd_.get(), POLLIN, 0};
    if (::poll(&polled, 1, most_seconds * 1000) != 1) {
      ADD_FAILURE() << "hearth did not end within " << most_seconds << " s:\n" << out() << err();
      ::kill(pid_, SIGKILL);
    }
    int status = 0;
    ::waitpid(pid_, &status, 0);
    return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), out(), err()};
  }

 private:
  pid_t pid_;
  std::string stem_;
  os::Fd pidfd_;
};

class CommandTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "hearth-XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    home = pattern;
    directory = home + "/i";
    project = home + "/project";
    fs::create_directory(project);
  }
  void TearDown() override {
    if (fs::exists(directory)) hearth({"shutdown"});
    if (HasFailure()) {
      std::cerr << "hearth.log:\n" << text_of(directory + "/hearth.log");
    } else {
      std::error_code ignored;
      fs::remove_all(home, ignored);
    }
  }

  Running start(std::vector<std::string> words) {
    words.insert(words.begin(), {"--dir", directory});
    return start_plain(std::move(words));
  }
  // Without the instance of the test.
  Running start_plain(std::vector<std::string> words) {
    const std::string stem = home + "/" + std::to_string(++count_);
    words.insert(words.begin(), std::string(HEARTH_BIN_DIR) + "/hearth");
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    const pid_t pid = ::fork();
    if (pid == 0) {
      const int out =
          stdout_of_next >= 0 ? stdout_of_next : ::open((stem + ".out").c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
      const int err = ::open((stem + ".err").c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
      ::dup2(out, 1);
      ::dup2(err, 2);
      if (::chdir(project.c_str()) != 0) ::_exit(126);
      ::execv(argv[0], argv.data());
      ::_exit(127);
    }
    stdout_of_next = -1;
    return Running(pid, stem);
  }
  int stdout_of_next = -1;  // instead of a file that Running reads
  Finished hearth(std::vector<std::string> words) { return start(std::move(words)).finish(); }

  void write(const std::string& name, const std::string& text) { std::ofstream(project + "/" + name) << text; }

  boost::json::value status() {
    const Finished answer = hearth({"status", "--json"});
    boost::json::error_code error;
    boost::json::value value = boost::json::parse(answer.out, error);
    EXPECT_FALSE(error) << answer.out;
    return value;
  }
  std::int64_t pid_of(const std::string& role) { return status().at(role).at("pid").as_int64(); }

  // Asks again and again until `done`, each time with a real command or file access in between.
  template <typename Done>
  bool eventually(Done done) {
    const MonoNs end = after(os::read_mono(), seconds(30));
    while (!done()) {
      if (os::read_mono() > end) return false;
      ::poll(nullptr, 0, 5);
    }
    return true;
  }

  std::string home, directory, project;

 private:
  int count_ = 0;
};

}  // namespace hearth::cli
