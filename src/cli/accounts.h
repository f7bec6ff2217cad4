// Who `user` and `group` of a service are. Looked up once, by whoever applies the document.
#pragma once

#include <sys/types.h>

#include "config/toml.h"

namespace hearth::cli {

// Fills in uid, gid and groups of each service that names a user or a group, and HOME, USER and LOGNAME where its
// env says nothing else: those of the caller would lead it to his files. Accounts that are not there, and those that
// `own`, the user of hearth, may not become, are problems of the configuration like others, at their places: the
// document is gone then. Does nothing when there is none.
void resolve_accounts(config::Parsed& parsed, uid_t own);

}  // namespace hearth::cli
