// Commands in hints, for whoever calls hearth with --dir or --instance.
#pragma once

#include <string>
#include <string_view>

namespace hearth {

// "`hearth status` lists them" -> "`hearth --dir /x status` lists them": `option` ("--dir /x ", with the blank; "" =
// nothing to do) goes into each command that a hint puts between backticks. Who says a hint (the supervisor, a room of
// the client that knows no options) need not know how he was called; who shows it does. What has an option there
// already stays, and so does `hearth help`, which asks no instance.
std::string placed(std::string_view hint, std::string_view option);

// `word` for a shell to read as one word: as it is, or in single quotes.
std::string shell_word(std::string_view word);

}  // namespace hearth
