# What comes from the distribution's packages. A room names these targets under LIBS.

set(THREADS_PREFER_PTHREAD_FLAG ON)
find_package(Threads REQUIRED)
find_package(Boost 1.81 REQUIRED)

# Asio, Beast and JSON are compiled once here; whoever links hearth_boost sees declarations only.
# Three files, so that two cores share the work and a room that needs only JSON links only that.
add_library(hearth_boost STATIC
  "${PROJECT_SOURCE_DIR}/cmake/boost_asio.cc"
  "${PROJECT_SOURCE_DIR}/cmake/boost_beast.cc"
  "${PROJECT_SOURCE_DIR}/cmake/boost_json.cc")
target_compile_definitions(hearth_boost PUBLIC
  BOOST_ASIO_SEPARATE_COMPILATION BOOST_BEAST_SEPARATE_COMPILATION
  BOOST_ASIO_NO_DEPRECATED)
target_link_libraries(hearth_boost PUBLIC Boost::headers Threads::Threads)
# The supervisor lives for years beside its user's models: what runs seldom is made small (hearth_small).
target_compile_options(hearth_boost PRIVATE $<$<NOT:$<CONFIG:Debug>>:-Os>)

add_library(hearth_fmt STATIC "${PROJECT_SOURCE_DIR}/cmake/fmt.cc")
target_compile_definitions(hearth_fmt PUBLIC
  # Without locales: they would be a third of a MiB in the supervisor. The value is the separator of {:L}, which nobody uses.
  "FMT_STATIC_THOUSANDS_SEPARATOR=','")
# Small, but not at -Os, where it calls ceil(3): libm is 130 KiB of the supervisor's memory (bench/PROFILE.md).
target_compile_options(hearth_fmt PRIVATE $<$<NOT:$<CONFIG:Debug>>:-O1>)

# The static library: a shared one would be the only one beside libc in programs that live for years.
find_library(HEARTH_ZSTD_LIBRARY NAMES libzstd.a REQUIRED)
add_library(hearth_zstd INTERFACE)
target_link_libraries(hearth_zstd INTERFACE "${HEARTH_ZSTD_LIBRARY}")
