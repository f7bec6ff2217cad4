// What other managers call it. Whoever comes from supervisord, pm2, systemd, process-compose, dinit, runit, s6, docker
// compose or the SRC types their words first; each is answered with what hearth has for it, or with why it has nothing.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace hearth::cli {

// A whole hint: "`hearth reload` applies a changed hearth.toml, ...". Empty: nobody calls anything so, or hearth itself
// has a command of that name.
std::string_view answer_to(std::string_view word);
// The same of an option: `status --watch`, "--watch" or "-w".
std::string_view answer_to_option(std::string_view command, std::string_view option);
// The same of the name of a service: "all", and "GROUP:NAME" of supervisord. Empty: nobody means something else by it.
std::string answer_to_name(std::string_view name);
std::vector<std::string_view> other_words();  // all that have an answer

}  // namespace hearth::cli
