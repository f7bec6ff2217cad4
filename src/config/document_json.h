// A Document as JSON text and back: what stands in the sealed memfd of an applied version, on the disk, and in
// the API's `apply`. docs/formats/document.md
//
// Stable and versioned: {"format":1,...}. A writer leaves out what has its default; a reader takes the default
// for what is absent and ignores fields it does not know, so that within one format older and newer hearths read
// each other. Another format number is refused. Keys come in a fixed order: equal documents give equal text.
//
// The reader trusts nobody: types, enumerators, names, sizes and every number are checked, strings that reach
// the kernel hold no NUL, and depth is bounded. It does not enforce what only a user of hearth.toml is held to
// (stop_timeout of at least half a second and the like), and not the names in depends_on, which lifecycle/
// refuses.
//
// Thread-safe: no shared state. Memory: about six times the text while reading or writing.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "model/service_spec.h"

namespace hearth::config {

inline constexpr int document_format = 1;

// One line, no white space, always valid UTF-8. Never fails. Doubles (backoff.factor and .jitter) are written in
// thousandths; finer ones are rounded.
std::string document_to_json(const Document& document);

// fix_input with the place in the reason ("services[3].stop_signal: ...") for text that is not a document.
Result<Document> document_from_json(std::string_view text);

}  // namespace hearth::config
