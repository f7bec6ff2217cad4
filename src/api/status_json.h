// The JSON of the API. docs/reference/status.md and docs/reference/api.md say what each field means; both are
// interfaces and are extended only by adding.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/request.h"
#include "model/status.h"

namespace hearth::api {

// `chosen`: indices into status.services.
std::string status_json(const InstanceStatus& status, const std::vector<std::size_t>& chosen);
std::string instance_json(const InstanceStatus& status);
std::string accepted_json(const Accepted& accepted, const OperationKey& key);
std::string error_json(const Error& error);

// The report and a hash over all of it that may change: a client that has `seen` it waits for another one.
struct ReportText {
  std::string json;
  std::uint64_t seen = 0;
};
ReportText report_json(const OrderReport& report);

const char* verb_name(Verb verb);  // "apply", "start" ...
const char* measure_name(Measure measure);
const char* outcome_name(Outcome outcome);
const char* remedy_name(Remedy remedy);  // as the enumerators
int http_status(Remedy remedy);

// 32 hex digits and back; false for anything else.
std::string key_text(const OperationKey& key);
bool parse_key(std::string_view text, OperationKey& key);

}  // namespace hearth::api
