# hearth_test and hearth_fuzzer.

find_package(GTest REQUIRED)
include(GoogleTest)

# All test executables and what they need, without the rest: what a sanitizer build builds.
add_custom_target(hearth_tests)

set(HEARTH_PLACES "${CMAKE_BINARY_DIR}/places")
file(CONFIGURE OUTPUT "${HEARTH_PLACES}/places.h" @ONLY CONTENT [[#pragma once

#define HEARTH_SOURCE_DIR "@PROJECT_SOURCE_DIR@"
#define HEARTH_BIN_DIR "@CMAKE_BINARY_DIR@/bin"
]])

# hearth_test(NAME SOURCES file... [DEPS room...] [LIBS lib...] [LABELS label...]
#             [PROGRAMS target...] [TIMEOUT seconds] [OWN_MAIN] [ONE_PROCESS] [SERIAL])
#
# A GoogleTest executable in build/<preset>/tests, registered with ctest under the label of its
# directory below tests/ ("unit", "sim", ...) and those named. The label "full" keeps a test out of
# `./dev test`.
#
# Every test case runs in a process of its own: one that leaks children, descriptors or a signal
# mask cannot hurt the next, two cores share them, and the timeout is per case. ctest asks the
# executable for its list only when that is newer than the last list. Where a case takes
# microseconds and there are hundreds, ONE_PROCESS makes the whole executable one entry.
#
#   PROGRAMS   built before the test; it finds them in HEARTH_BIN_DIR
#   OWN_MAIN   the sources define main()
#   SERIAL     nothing else runs meanwhile (for what measures, or fills, the whole machine)
#
# "places.h" tells the sources HEARTH_SOURCE_DIR and HEARTH_BIN_DIR (absolute paths, as string literals). As definitions
# on the command line they would keep another clone's compiler cache from every test; so only from those that ask.
function(hearth_test name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "OWN_MAIN;ONE_PROCESS;SERIAL" "TIMEOUT"
    "SOURCES;DEPS;LIBS;LABELS;PROGRAMS")
  if(arg_UNPARSED_ARGUMENTS OR NOT arg_SOURCES)
    message(FATAL_ERROR "hearth_test(${name}): SOURCES missing or unknown arguments: "
      "${arg_UNPARSED_ARGUMENTS}")
  endif()
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 60)
  endif()

  add_executable(${name} ${arg_SOURCES})
  add_dependencies(hearth_tests ${name})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/tests")
  target_include_directories(${name} PRIVATE
    "${PROJECT_SOURCE_DIR}/src" "${PROJECT_SOURCE_DIR}/tests" "${HEARTH_PLACES}")
  hearth_link_rooms(${name} PRIVATE ${arg_DEPS})
  target_link_libraries(${name} PRIVATE hearth_warnings ${arg_LIBS} GTest::gmock GTest::gtest)
  if(NOT arg_OWN_MAIN)
    target_link_libraries(${name} PRIVATE GTest::gtest_main)
  endif()
  foreach(program IN LISTS arg_PROGRAMS)
    if(TARGET ${program})
      add_dependencies(${name} ${program})
    else()
      message(WARNING "hearth_test(${name}): the program \"${program}\" does not exist (yet)")
    endif()
  endforeach()

  cmake_path(RELATIVE_PATH CMAKE_CURRENT_SOURCE_DIR BASE_DIRECTORY "${PROJECT_SOURCE_DIR}/tests"
    OUTPUT_VARIABLE place)
  string(REGEX REPLACE "/.*" "" place "${place}")
  set(labels ${place} ${arg_LABELS})
  set(properties TIMEOUT ${arg_TIMEOUT})
  if(arg_SERIAL)
    list(APPEND properties RUN_SERIAL ON)
  endif()
  if(arg_ONE_PROCESS)
    add_test(NAME "${HEARTH_TEST_PREFIX}${name}" COMMAND ${name} --gtest_brief=1)
    set_tests_properties("${HEARTH_TEST_PREFIX}${name}" PROPERTIES ${properties}
      LABELS "${labels}")
  else()
    gtest_discover_tests(${name} DISCOVERY_MODE PRE_TEST DISCOVERY_TIMEOUT 30 NO_PRETTY_VALUES
      TEST_PREFIX "${HEARTH_TEST_PREFIX}"
      PROPERTIES ${properties})
    # gtest_discover_tests flattens lists, so several labels have to be set afterwards.
    set(labels_file "${CMAKE_CURRENT_BINARY_DIR}/${name}_labels.cmake")
    file(WRITE "${labels_file}"
      "if(DEFINED ${name}_TESTS)\n"
      "  set_tests_properties(\${${name}_TESTS} PROPERTIES LABELS \"${labels}\")\n"
      "endif()\n")
    set_property(DIRECTORY APPEND PROPERTY TEST_INCLUDE_FILES "${labels_file}")
  endif()
endfunction()

# hearth_fuzzer(NAME [DEPS room...] [LIBS lib...])
# NAME.cc has LLVMFuzzerTestOneInput(). In the preset "fuzz" it becomes a libFuzzer program in build/fuzz/bin. In all
# others a small one that feeds it each file of tests/fuzz/corpus/NAME (without "_fuzz"), registered with ctest as
# fuzz.NAME: so the corpora are alive, and what a fuzzer once found stays found.
function(hearth_fuzzer name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "DEPS;LIBS")
  if(arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "hearth_fuzzer(${name}): unknown arguments ${arg_UNPARSED_ARGUMENTS}")
  endif()
  add_executable(${name} ${name}.cc)
  target_include_directories(${name} PRIVATE "${PROJECT_SOURCE_DIR}/src" "${PROJECT_SOURCE_DIR}/tests")
  hearth_link_rooms(${name} PRIVATE ${arg_DEPS})
  target_link_libraries(${name} PRIVATE hearth_warnings ${arg_LIBS})
  if(HEARTH_FUZZ)
    target_link_options(${name} PRIVATE -fsanitize=fuzzer)
    return()
  endif()
  if(NOT TARGET hearth_fuzz_replay)
    add_library(hearth_fuzz_replay STATIC "${PROJECT_SOURCE_DIR}/tests/fuzz/replay.cc")
    target_link_libraries(hearth_fuzz_replay PRIVATE hearth_warnings)
  endif()
  target_link_libraries(${name} PRIVATE hearth_fuzz_replay)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/tests")
  add_dependencies(hearth_tests ${name})
  string(REGEX REPLACE "_fuzz$" "" short "${name}")
  add_test(NAME "${HEARTH_TEST_PREFIX}fuzz.${short}"
    COMMAND ${name} "${PROJECT_SOURCE_DIR}/tests/fuzz/corpus/${short}")
  set_tests_properties("${HEARTH_TEST_PREFIX}fuzz.${short}" PROPERTIES LABELS fuzz TIMEOUT 60)
endfunction()
