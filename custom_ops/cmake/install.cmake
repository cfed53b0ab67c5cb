# What `cmake --install` gives: headers in include/fmtc, libraries, and how CMake and pkg-config find them.
include(CMakePackageConfigHelpers)
include(GNUInstallDirs)

set(shared_libraries fmtc_tflite)
if(TARGET fmtc_litert_accelerator)
  list(APPEND shared_libraries fmtc_litert_accelerator)
endif()

# The Python package has the shared libraries, each under one name, as wheels have no links, and the executor for
# microcontrollers as sources, which --emit_c copies.
if(SKBUILD)
  install(TARGETS ${shared_libraries} LIBRARY DESTINATION fmtc_tflite/_native)
  set(micro fmtc_tflite/_native/micro)
  foreach(source ${FMTC_BASE_SOURCES} ${FMTC_MICRO_REGION_SOURCES} ${FMTC_MICRO_SOURCES})
    get_filename_component(room ${source} DIRECTORY)
    install(FILES ${source} DESTINATION ${micro}/${room})
  endforeach()
  foreach(room base simd codec region micro)
    install(DIRECTORY ${room}/ DESTINATION ${micro}/${room} FILES_MATCHING
      PATTERN "*.h" PATTERN "*-inl.h" EXCLUDE PATTERN kernels EXCLUDE PATTERN "tflm_*" EXCLUDE)
  endforeach()
  install(FILES bare_metal/board.cc bare_metal/board.h bare_metal/mps2_an386.ld bare_metal/mps3_an547.ld
    DESTINATION ${micro}/bare_metal)
  install(FILES cmake/arm-none-eabi.cmake DESTINATION ${micro}/cmake)
  return()
endif()

# FMTC_ABI_VERSION in c_api/fmtc_c_api.h.
set_target_properties(${shared_libraries} PROPERTIES VERSION ${PROJECT_VERSION} SOVERSION 1)
set_target_properties(fmtc_tflite PROPERTIES EXPORT_NAME tflite)
if(TARGET fmtc_litert_accelerator)
  set_target_properties(fmtc_litert_accelerator PROPERTIES EXPORT_NAME litert)
endif()
set_target_properties(fmtc_register PROPERTIES EXPORT_NAME register)
set(static_parts fmtc_base fmtc_cpu fmtc_simd fmtc_codec fmtc_codec_kernels fmtc_region fmtc_region_kernels)
foreach(library ${shared_libraries} fmtc_register)
  target_include_directories(${library} INTERFACE $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
endforeach()

install(FILES c_api/fmtc_c_api.h tflite/register.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/fmtc)
install(FILES litert/accelerator.h RENAME litert_accelerator.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/fmtc)
install(TARGETS ${shared_libraries} fmtc_register ${static_parts} EXPORT fmtc_targets
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})

set(package_folder ${CMAKE_INSTALL_LIBDIR}/cmake/fmtc)
install(EXPORT fmtc_targets NAMESPACE fmtc:: DESTINATION ${package_folder})
configure_package_config_file(cmake/fmtc-config.cmake.in fmtc-config.cmake INSTALL_DESTINATION ${package_folder})
write_basic_package_version_file(fmtc-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/fmtc-config.cmake ${CMAKE_CURRENT_BINARY_DIR}/fmtc-config-version.cmake
  DESTINATION ${package_folder})

file(RELATIVE_PATH from_pc_to_prefix /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
configure_file(cmake/fmtc.pc.in fmtc.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/fmtc.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
