// Hostile bytes for both readers of config/. The first byte chooses: a hearth.toml, or a document as JSON. What is
// accepted must survive being written and read again, and what is refused must say where and why.
// The corpus has what tests/unit/config/bad has, each file with a t put before it.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "base/toml_text.h"
#include "config/diff.h"
#include "config/document_json.h"
#include "config/environment.h"
#include "config/text.h"
#include "config/toml.h"

namespace {

using namespace hearth;

void check_round_trip(const Document& document) {
  const std::string text = config::document_to_json(document);
  const Result<Document> back = config::document_from_json(text);
  HEARTH_CHECK(back.has_value(), "a document that was written can be read");
  HEARTH_CHECK(config::diff(document, *back).empty(), "reading gives what was written");
  HEARTH_CHECK(config::document_to_json(*back) == text, "equal documents give equal text");
}

void feed_toml(std::string_view text) {
  static const std::vector<std::string> variables = {"HOME=/home/ada", "A=1", "B="};
  static const config::Environment environment(variables);
  const config::Parsed parsed = config::parse_project(text, "/srv/p/hearth.toml", environment, "f");
  HEARTH_CHECK(parsed.document.has_value() == parsed.diagnostics.empty(), "a document or problems");
  if (parsed.document) check_round_trip(*parsed.document);
  HEARTH_CHECK(parsed.diagnostics.size() <= config::max_diagnostics, "no flood of problems");
  for (const config::Diagnostic& diagnostic : parsed.diagnostics) {
    HEARTH_CHECK(!diagnostic.message.empty(), "every problem says what it is");
    HEARTH_CHECK(valid_utf8(diagnostic.text()), "messages are text");
    diagnostic.excerpt(text);
  }
}

void feed_json(std::string_view text) {
  const Result<Document> document = config::document_from_json(text);
  if (document) {
    check_round_trip(*document);
  } else {
    HEARTH_CHECK(!document.error().reason.empty(), "every refusal says why");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (data[0] == 't') {
    feed_toml(text);
  } else {
    feed_json(text);
  }
  return 0;
}
