// Who `user` and `group` of a service are. Looked up once, by whoever applies the document.
#pragma once

#include <sys/types.h>

#include "base/result.h"
#include "model/service_spec.h"

namespace hearth::cli {

// Fills in uid, gid and groups of each service that names a user or a group, and HOME, USER and LOGNAME where its
// env says nothing else: those of the caller would lead it to his files. Fails with the first account that is not
// there, and when `own`, the user of hearth, may not become it. `file` is for messages.
Status resolve_accounts(Document& document, uid_t own, const std::string& file);

}  // namespace hearth::cli
