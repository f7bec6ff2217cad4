# Compiler and linker flags for everything that is ours.

set(CMAKE_CXX_STANDARD 23)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS ON)
set(CMAKE_CXX_SCAN_FOR_MODULES OFF)
set(CMAKE_C_STANDARD 17)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/bin")

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "" FORCE)
endif()

find_program(CCACHE ccache)
if(CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  # Relative to the source tree, so that another clone, or another build directory of this one, finds what was
  # compiled before. In one locale, as that counts, too: .ci/run and a shell have different ones.
  set(launcher "${CMAKE_COMMAND}" -E env LC_ALL=C.UTF-8 "CCACHE_BASEDIR=${PROJECT_SOURCE_DIR}" CCACHE_NOHASHDIR=1
    "${CCACHE}")
  set(CMAKE_C_COMPILER_LAUNCHER "${launcher}")
  set(CMAKE_CXX_COMPILER_LAUNCHER "${launcher}")
endif()

# -g1 is enough for stack traces, and halves the size of what Asio leaves in object files.
# Sanitizer builds are made for finding, not for speed: -O1 compiles faster and keeps more frames.
if(HEARTH_SANITIZE)
  set(optimize "-O1 -g1")
else()
  set(optimize "-O2 -g1 -DNDEBUG")
endif()
foreach(lang C CXX)
  set(CMAKE_${lang}_FLAGS_RELWITHDEBINFO "${optimize}")
  set(CMAKE_${lang}_FLAGS_DEBUG "-O0 -g")
endforeach()

add_compile_options(-fno-omit-frame-pointer)
if(CMAKE_BUILD_TYPE STREQUAL "RelWithDebInfo" AND NOT HEARTH_SANITIZE)
  add_compile_options(-ffunction-sections -fdata-sections -fstack-protector-strong
    -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
  add_link_options(-Wl,--gc-sections -Wl,--as-needed)
  # Relocations by the thousand in a tenth of the bytes, which are memory of programs that live for years.
  include(CheckLinkerFlag)
  check_linker_flag(CXX -Wl,-z,pack-relative-relocs HEARTH_PACKED_RELOCATIONS)
  if(HEARTH_PACKED_RELOCATIONS)
    add_link_options(-Wl,-z,pack-relative-relocs)
  endif()
endif()

if(HEARTH_SANITIZE)
  add_compile_options(-fsanitize=${HEARTH_SANITIZE} -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${HEARTH_SANITIZE})
endif()
if(HEARTH_FUZZ)
  if(NOT CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    message(FATAL_ERROR "HEARTH_FUZZ needs clang: use the preset \"fuzz\"")
  endif()
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()

# What our own code is compiled with; the one-file builds of Boost are not.
add_library(hearth_warnings INTERFACE)
target_compile_options(hearth_warnings INTERFACE
  -Wall -Wextra -Wshadow -Wformat=2 -Wundef
  # A designated initializer that names only what differs from the default is how we write specs.
  -Wno-missing-field-initializers
  $<$<COMPILE_LANGUAGE:CXX>:-Wnon-virtual-dtor -Woverloaded-virtual>
  $<$<CXX_COMPILER_ID:Clang>:-Wno-missing-designated-field-initializers>
  # libstdc++ 12 deprecates what its own stable_sort() and stable_partition() use.
  $<$<CXX_COMPILER_ID:Clang>:-Wno-deprecated-declarations>)
if(HEARTH_WERROR)
  target_compile_options(hearth_warnings INTERFACE -Werror)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # GCC 12 at -O2 sees these in correct code of its own headers; still shown, but not fatal.
    target_compile_options(hearth_warnings INTERFACE
      -Wno-error=maybe-uninitialized -Wno-error=restrict -Wno-error=stringop-overflow
      -Wno-error=stringop-overread -Wno-error=array-bounds -Wno-error=dangling-pointer)
  endif()
endif()
