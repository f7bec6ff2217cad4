// The version of hearth. Formats have their own (src/wire, docs/formats).
#pragma once

namespace hearth {
inline constexpr char version[] = "0.1.0";
}
