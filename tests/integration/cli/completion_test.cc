// The completion scripts, asked by the shells themselves. Services are those of the instance that the line names.
#include "integration/cli/hearth_command.h"
#include "places.h"

namespace hearth::cli {
namespace {

bool installed(const std::string& shell) {
  return fs::exists("/bin/" + shell) || fs::exists("/usr/bin/" + shell);
}

class CompletionTest : public CommandTest {
 protected:
  void SetUp() override {
    CommandTest::SetUp();
    other = home + "/other place";
    for (const auto& [place, name] : {std::pair{directory, "alpha"}, {other, "beta"}}) {
      const Finished run = shell("hearth --dir '" + place + "' run --name " + name + " -- sleep 1000");
      ASSERT_EQ(run.code, 0) << run.err;
    }
  }
  void TearDown() override {
    if (!other.empty()) shell("hearth --dir '" + other + "' shutdown");
    CommandTest::TearDown();
  }

  // A command line of sh that finds our `hearth` in PATH, and an instance in ~/i.
  Finished shell(const std::string& line) {
    const std::string stem = home + "/shell";
    const pid_t pid = ::fork();
    if (pid == 0) {
      ::setenv("PATH", (std::string(HEARTH_BIN_DIR) + ":" + ::getenv("PATH")).c_str(), 1);
      ::setenv("HOME", home.c_str(), 1);
      ::setenv("TERM", "dumb", 1);
      ::close(0);
      ::open("/dev/null", O_RDONLY);
      ::dup2(::open((stem + ".out").c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600), 1);
      ::dup2(::open((stem + ".err").c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600), 2);
      if (::chdir(project.c_str()) != 0) ::_exit(126);
      ::execl("/bin/sh", "sh", "-c", line.c_str(), nullptr);
      ::_exit(127);
    }
    return Running(pid, stem).finish();
  }
  // A program of another shell, through a file: no quoting.
  Finished script(const std::string& interpreter, const std::string& text) {
    write("script", text);
    return shell(interpreter + " script");
  }

  // A service with two tags in the instance, and in the project's file.
  void tagged() {
    write("hearth.toml", "[service.web]\ncommand = [\"sleep\", \"1000\"]\ntags = [\"front\", \"night\"]\n");
    ASSERT_EQ(hearth({"up"}).code, 0);
  }

  std::string other;
};

TEST_F(CompletionTest, bash_completes_services_of_the_instance_that_is_named) {
  if (!installed("bash")) GTEST_SKIP() << "there is no bash here";
  const auto completed = [&](const std::string& words) {
    const Finished done =
        script("bash", "source <(hearth completion bash)\nCOMP_WORDS=(" + words +
                           ")\nCOMP_CWORD=$((${#COMP_WORDS[@]} - 1))\n_hearth\necho \"${COMPREPLY[*]}\"\n");
    EXPECT_EQ(done.err, "");
    return done.out;
  };
  // As bash has them: words as they were typed, and "=" a word of its own.
  EXPECT_EQ(completed("hearth --dir " + directory + " stop ''"), "alpha\n");
  EXPECT_EQ(completed("hearth --dir \"'" + other + "'\" stop ''"), "beta\n");
  EXPECT_EQ(completed("hearth stop --dir " + directory + " ''"), "alpha\n");
  EXPECT_EQ(completed("hearth --dir = " + directory + " status al"), "alpha\n");
  EXPECT_EQ(completed("hearth --dir '~/i' stop ''"), "alpha\n");
  EXPECT_EQ(completed("hearth --dir " + home + "/nothing stop ''"), "\n");
  EXPECT_EQ(completed("hearth --dir " + directory + " sta"), "status start\n");
  EXPECT_EQ(completed("hearth --dir " + directory + " start --no"), "--no-deps --no-wait\n");
  EXPECT_EQ(completed("hearth --dir " + directory + " restart run.al"), "run.alpha\n");
  EXPECT_EQ(completed("hearth --dir " + directory + " restart ru"), "run.alpha\n");
  EXPECT_EQ(completed("hearth --dir " + directory + " down -p ''"), "run\n");
  EXPECT_EQ(completed("hearth --instance ''"), "\n");
  EXPECT_EQ(completed("hearth completion ''"), "bash zsh fish\n");
  EXPECT_EQ(completed("hearth signal US"), "USR1 USR2\n");
  EXPECT_EQ(completed("hearth --dir " + directory + " signal HUP ''"), "alpha\n");
  EXPECT_EQ(completed("hearth import p"), "pm2 procfile\n");
  EXPECT_EQ(completed("hearth import pm2 scr"), "script\n") << "a file";
  EXPECT_EQ(completed("hearth export ''"), "systemd\n");
  EXPECT_EQ(completed("hearth wait --for st"), "stopped\n");
  EXPECT_EQ(completed("hearth top -s m"), "memory\n");
  EXPECT_EQ(completed("hearth run --restart a"), "always\n");
  EXPECT_EQ(completed("hearth --dir " + directory + " scale ''"), "alpha=\n");
  EXPECT_EQ(completed("hearth run -- hearth-supervi"), "hearth-supervisor\n");
  EXPECT_EQ(completed("hearth exec alpha -- hearth-supervi"), "hearth-supervisor\n");
  EXPECT_EQ(completed("hearth --dir " + directory + " status -- ''"), "alpha\n") << "it takes no command";
  ASSERT_EQ(shell("hearth --dir " + directory + " scale alpha=2").code, 0);
  EXPECT_EQ(completed("hearth --dir " + directory + " restart alpha."), "alpha.0 alpha.1\n");
  tagged();
  // As bash cuts it, and as it does where "@" is no word of its own.
  EXPECT_EQ(completed("hearth --dir " + directory + " status @"), "@front @night\n");
  EXPECT_EQ(completed("hearth --dir " + directory + " logs @ ni"), "@night\n");
  EXPECT_EQ(completed("hearth --dir " + directory + " events @fr"), "@front\n");
  EXPECT_EQ(completed("hearth config s"), "show set schema\n");
  EXPECT_EQ(completed("hearth config get service.web.stop_t"), "service.web.stop_timeout\n");
  EXPECT_EQ(completed("hearth config set service.web.backoff.i"), "service.web.backoff.initial\n");
  EXPECT_EQ(completed("hearth config unset ''"), "service.\n") << "to the next dot";
  EXPECT_EQ(completed("hearth config set service.web.backoff"), "service.web.backoff service.web.backoff.\n");
  EXPECT_EQ(completed("hearth config unset service.web."), "service.web.command service.web.tags\n");
  EXPECT_EQ(completed("hearth config set service.web.nice ''"), "\n") << "a value";
}

TEST_F(CompletionTest, fish_completes_services_of_the_instance_that_is_named) {
  if (!installed("fish")) GTEST_SKIP() << "there is no fish here";
  const auto completed = [&](const std::string& line) {
    const Finished done =
        script("fish --no-config", "hearth completion fish | source\ncomplete -C '" + line + "' | cut -f1\n");
    EXPECT_EQ(done.err, "");
    return done.out;
  };
  EXPECT_EQ(completed("hearth --dir " + directory + " stop "), "alpha\n");
  EXPECT_EQ(completed("hearth --dir \"" + other + "\" stop "), "beta\n");
  EXPECT_EQ(completed("hearth stop --dir=" + directory + " "), "alpha\n");
  EXPECT_EQ(completed("hearth --dir ~/i stop "), "alpha\n");
  EXPECT_EQ(completed("hearth --dir " + home + "/nothing stop "), "");
  EXPECT_EQ(completed("hearth --dir " + directory + " sta"), "start\nstatus\n");
  EXPECT_EQ(completed("hearth --dir " + directory + " restart run.al"), "run.alpha\n");
  EXPECT_EQ(completed("hearth --dir " + directory + " down -p "), "run\n");
  EXPECT_EQ(completed("hearth --dir " + directory + " signal al"), "") << "first a signal";
  EXPECT_EQ(completed("hearth --dir " + directory + " signal HUP "), "alpha\n");
  EXPECT_EQ(completed("hearth import p"), "pm2\nprocfile\n");
  EXPECT_EQ(completed("hearth wait --for st"), "stopped\n");
  EXPECT_EQ(completed("hearth top -s m"), "memory\n");
  EXPECT_EQ(completed("hearth --dir " + directory + " scale "), "alpha=\n");
  tagged();
  EXPECT_EQ(completed("hearth --dir " + directory + " status @"), "@front\n@night\n");
  EXPECT_EQ(completed("hearth config un"), "unset\n");
  EXPECT_EQ(completed("hearth config get service.web.stop_t"), "service.web.stop_timeout\n");
  EXPECT_EQ(completed("hearth config unset "), "service.web.command\nservice.web.tags\n");
}

TEST_F(CompletionTest, zsh_completes_services_of_the_instance_that_is_named) {
  if (!installed("zsh")) GTEST_SKIP() << "there is no zsh here";
  fs::create_directory(project + "/functions");
  ASSERT_EQ(shell("hearth completion zsh > functions/_hearth").code, 0);
  // A shell on a terminal of its own, which tells the line that it has made of a tab.
  const auto completed = [&](const std::string& line) {
    write("inner",
          "fpath=($PWD/functions $fpath)\n"
          "autoload -Uz compinit && compinit -u -D\n"
          "unsetopt prompt_cr prompt_sp beep; PS1=\n"
          "tell() { print -r -- \"<$BUFFER>\"; exit }\nzle -N tell\n"
          "bindkey -e; bindkey '^I' complete-word; bindkey '^X' tell\n"
          "print -r -- '<begun>'\n");
    const Finished done = script("zsh -f",
                                 "zmodload zsh/zpty\n"
                                 "zpty shell zsh -f -i\n"
                                 "zpty -w shell 'source ./inner'\n"
                                 "zpty -r shell text '*<begun>*'\n"
                                 "zpty -w -n shell $'" +
                                     line +
                                     "\\t\\x18'\n"
                                     "while zpty -r shell text; do print -rn -- $text; done\n");
    const std::size_t begin = done.out.rfind('<'), end = done.out.rfind('>');
    return begin < end ? done.out.substr(begin + 1, end - begin - 1) : done.all();
  };
  EXPECT_EQ(completed("hearth --dir " + directory + " stop "), "hearth --dir " + directory + " stop alpha ");
  EXPECT_EQ(completed("hearth --dir \"" + other + "\" stop "), "hearth --dir \"" + other + "\" stop beta ");
  EXPECT_EQ(completed("hearth stop --dir " + directory + " "), "hearth stop --dir " + directory + " alpha ");
  EXPECT_EQ(completed("hearth --dir=" + directory + " stop al"), "hearth --dir=" + directory + " stop alpha ");
  EXPECT_EQ(completed("hearth --dir ~/i stop "), "hearth --dir ~/i stop alpha ");
  EXPECT_EQ(completed("hearth --dir " + directory + " stop run.al"), "hearth --dir " + directory + " stop run.alpha ");
  EXPECT_EQ(completed("hearth top -s m"), "hearth top -s memory ");
  EXPECT_EQ(completed("hearth import sys"), "hearth import systemd ");
  EXPECT_EQ(completed("hearth --dir " + directory + " scale al"), "hearth --dir " + directory + " scale alpha=");
  EXPECT_EQ(completed("hearth --dir " + directory + " down -p "), "hearth --dir " + directory + " down -p run ");
  tagged();
  EXPECT_EQ(completed("hearth --dir " + directory + " status @ni"), "hearth --dir " + directory + " status @night ");
  EXPECT_EQ(completed("hearth config get service.web.stop_t"), "hearth config get service.web.stop_timeout ");
  EXPECT_EQ(completed("hearth config unset service.web.t"), "hearth config unset service.web.tags ");
  EXPECT_EQ(completed("hearth --dir " + directory + " shutd"), "hearth --dir " + directory + " shutdown ");
}

}  // namespace
}  // namespace hearth::cli
