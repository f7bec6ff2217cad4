// Telling the service manager that started hearth how we are: sd_notify(3), as a client.
#pragma once

namespace hearth::os {

// Sends `state` ("READY=1") to NOTIFY_SOCKET, if there is one. Never blocks; what cannot be sent is lost.
void tell_service_manager(const char* state);

}  // namespace hearth::os
