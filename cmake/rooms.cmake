# A room is one directory under src/ and one target hearth_NAME. It links exactly the rooms that it
# names, so the build states the same graph that tests/tidy reads from the includes.

# hearth_link_rooms(TARGET SCOPE room...): links hearth_<room>. A room that does not exist is only a
# warning, because one can build a part of the tree; tests/tidy makes it an error.
function(hearth_link_rooms target scope)
  foreach(room IN LISTS ARGN)
    if(TARGET hearth_${room})
      target_link_libraries(${target} ${scope} hearth_${room})
    else()
      message(WARNING "${target} depends on the room \"${room}\", which does not exist, "
        "or comes later in src/CMakeLists.txt")
    endif()
  endforeach()
endfunction()

# hearth_room(NAME [DEPS room...] [LIBS lib...])
# Static library of all *.cc beside the caller. A room of headers only is one too, made from an empty
# file: so a room's own CMakeLists.txt stays valid from its first header to its last .cc.
function(hearth_room name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "DEPS;LIBS")
  if(arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "hearth_room(${name}): unknown arguments ${arg_UNPARSED_ARGUMENTS}")
  endif()
  set(target hearth_${name})
  file(GLOB sources CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/*.cc")
  if(NOT sources)
    set(sources "${CMAKE_CURRENT_BINARY_DIR}/headers_only.cc")
    if(NOT EXISTS "${sources}")
      file(TOUCH "${sources}")
    endif()
  endif()
  add_library(${target} STATIC ${sources})
  target_link_libraries(${target} PRIVATE hearth_warnings)
  # Kernel and libc interfaces are full of casts that only the short form keeps readable.
  if(NOT name IN_LIST HEARTH_C_ROOMS)
    target_compile_options(${target} PRIVATE $<$<COMPILE_LANGUAGE:CXX>:-Wold-style-cast>)
  endif()
  target_include_directories(${target} PUBLIC "${PROJECT_SOURCE_DIR}/src")
  if(IS_DIRECTORY "${PROJECT_SOURCE_DIR}/include")
    target_include_directories(${target} PUBLIC "${PROJECT_SOURCE_DIR}/include")
  endif()
  hearth_link_rooms(${target} PUBLIC ${arg_DEPS})
  target_link_libraries(${target} PUBLIC ${arg_LIBS})
endfunction()
set(HEARTH_C_ROOMS wire keeper)

# hearth_small(NAME): a room that is compiled for size. A third of the supervisor's memory is its program, and -Os takes a
# third of that away; what it does between two system calls is so little that no restart got slower (bench/PROFILE.md).
function(hearth_small name)
  target_compile_options(hearth_${name} PRIVATE $<$<NOT:$<CONFIG:Debug>>:-Os>)
endfunction()

# hearth_program(NAME [SOURCES file...] [DEPS room...] [LIBS lib...] [STATIC] [SMALL])
# An executable in build/<preset>/bin. Without SOURCES it is made from NAME.cc, where a dash in
# NAME is an underscore. The C++ library is always linked in; STATIC links in libc as well. SMALL: its own
# files are compiled as in a hearth_small room.
function(hearth_program name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "STATIC;SMALL" "" "SOURCES;DEPS;LIBS")
  if(arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "hearth_program(${name}): unknown arguments ${arg_UNPARSED_ARGUMENTS}")
  endif()
  if(NOT arg_SOURCES)
    string(REPLACE "-" "_" stem "${name}")
    set(arg_SOURCES ${stem}.cc)
  endif()
  add_executable(${name} ${arg_SOURCES})
  target_include_directories(${name} PRIVATE "${PROJECT_SOURCE_DIR}/src")
  target_compile_definitions(${name} PRIVATE HEARTH_VERSION="${PROJECT_VERSION}")
  target_link_libraries(${name} PRIVATE hearth_warnings ${arg_LIBS})
  if(arg_SMALL)
    target_compile_options(${name} PRIVATE $<$<NOT:$<CONFIG:Debug>>:-Os>)
  endif()
  hearth_link_rooms(${name} PRIVATE ${arg_DEPS})
  if(NOT HEARTH_SANITIZE)
    target_link_options(${name} PRIVATE -static-libstdc++ -static-libgcc)
    if(arg_STATIC)
      target_link_options(${name} PRIVATE -static)
    endif()
  endif()
endfunction()
