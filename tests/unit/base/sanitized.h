// Are the checks of a sanitizer compiled in? They open descriptors themselves, so there are none to be taken from them.
#pragma once

#if defined(__has_feature)
#if __has_feature(undefined_behavior_sanitizer) || __has_feature(address_sanitizer)
#define HEARTH_SANITIZED 1
#endif
#endif
#ifndef HEARTH_SANITIZED
#define HEARTH_SANITIZED 0
#endif
