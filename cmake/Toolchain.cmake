# SPDX-License-Identifier: Apache-2.0
#
# Language level, warnings and sanitizers: the same for every target.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "Build type" FORCE)
endif()
# -g1 keeps backtraces and halves the time that the linker takes.
set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O2 -g1 -DNDEBUG")

option(S3OVERLAY_WERROR "Warnings are errors" OFF)
set(S3OVERLAY_SANITIZE "" CACHE STRING "Empty, 'address' (with undefined) or 'thread'")

add_library(s3overlay_flags INTERFACE)
target_compile_options(s3overlay_flags INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual)
if(S3OVERLAY_WERROR)
  target_compile_options(s3overlay_flags INTERFACE -Werror)
endif()
if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
  target_compile_options(s3overlay_flags INTERFACE -Wthread-safety)
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # g++ 12 sees uninitialised reads in std::variant and std::map where there are none; clang's analysis stays on.
  target_compile_options(s3overlay_flags INTERFACE -Wno-maybe-uninitialized)
endif()

if(S3OVERLAY_SANITIZE STREQUAL "address")
  add_compile_options(-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options(-fsanitize=address,undefined)
elseif(S3OVERLAY_SANITIZE STREQUAL "thread")
  add_compile_options(-fsanitize=thread)
  add_link_options(-fsanitize=thread)
elseif(S3OVERLAY_SANITIZE)
  message(FATAL_ERROR "S3OVERLAY_SANITIZE is '${S3OVERLAY_SANITIZE}'; it may be empty, 'address' or 'thread'")
endif()

# Every room is compiled for libFuzzer: it goes by the branches that an input takes.
option(S3OVERLAY_FUZZ "Build the fuzz targets, with sanitizers (needs clang)" OFF)
if(S3OVERLAY_FUZZ)
  if(NOT CMAKE_CXX_COMPILER_ID MATCHES "Clang")
    message(FATAL_ERROR "S3OVERLAY_FUZZ needs clang: -DCMAKE_CXX_COMPILER=clang++-19")
  endif()
  add_compile_options(-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options(-fsanitize=address,undefined)
endif()

find_program(S3OVERLAY_CCACHE ccache)
if(S3OVERLAY_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER "${S3OVERLAY_CCACHE}")
endif()
