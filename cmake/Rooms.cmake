# SPDX-License-Identifier: Apache-2.0
#
# s3overlay_room(NAME SOURCES ... LIBRARIES ...)
#   One room of the house: the static library s3overlay_NAME of the sources in src/NAME. It sees include/ and src/ (its own
#   headers as "NAME/x.h"); which of them it may include is held by scripts/check_layers.py.
function(s3overlay_room name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LIBRARIES" ${ARGN})
  add_library(s3overlay_${name} STATIC ${ARG_SOURCES})
  target_include_directories(s3overlay_${name} PUBLIC "${PROJECT_SOURCE_DIR}/include" "${PROJECT_SOURCE_DIR}/src")
  target_link_libraries(s3overlay_${name} PUBLIC s3overlay_flags fmt::fmt Threads::Threads PRIVATE ${ARG_LIBRARIES})
  if(NOT name STREQUAL "base")
    target_link_libraries(s3overlay_${name} PUBLIC s3overlay_base)
  endif()
endfunction()

# s3overlay_test(NAME SOURCES ... LIBRARIES ... [LABELS ...] [SERIAL] [TIMEOUT seconds])
#   One test program; every test case in it becomes a CTest test. SERIAL: its cases never run beside others.
function(s3overlay_test name)
  cmake_parse_arguments(ARG "SERIAL" "TIMEOUT" "SOURCES;LIBRARIES;LABELS" ${ARGN})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 120)
  endif()
  add_executable(${name} ${ARG_SOURCES})
  target_include_directories(${name} PRIVATE "${PROJECT_SOURCE_DIR}/tests")
  target_link_libraries(${name} PRIVATE ${ARG_LIBRARIES} s3overlay_test_support s3overlay_flags)
  set(properties TIMEOUT ${ARG_TIMEOUT})
  if(ARG_LABELS)
    list(APPEND properties LABELS "${ARG_LABELS}")
  endif()
  if(ARG_SERIAL)
    list(APPEND properties RUN_SERIAL TRUE)
  endif()
  # A value without a text of its own would put addresses into the name, others in each run.
  gtest_discover_tests(${name} NO_PRETTY_VALUES DISCOVERY_MODE PRE_TEST DISCOVERY_TIMEOUT 60 PROPERTIES ${properties})
endfunction()
