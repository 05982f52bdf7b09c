# mobileseg_paddle_lite(<folder> <target>): the light API of an unpacked release as a library to link.
#
# Releases hold cxx/include/paddle_api.h and in cxx/lib a shared or a static library; `libpaddle_light_api_shared.so`,
# `libpaddle_api_light_bundled.a` and the x86 build's `libpaddle_full_api_shared.so` are the names of 2.10 to 2.13.
function(mobileseg_paddle_lite folder target)
  set(include "${folder}/cxx/include")
  if(NOT EXISTS "${include}/paddle_api.h")
    message(FATAL_ERROR "PADDLE_LITE_DIR=${folder} has no cxx/include/paddle_api.h: "
                        "name the unpacked folder of a Paddle Lite release")
  endif()
  foreach(name libpaddle_light_api_shared.so libpaddle_api_light_bundled.a libpaddle_full_api_shared.so
               libpaddle_api_full_bundled.a)
    if(EXISTS "${folder}/cxx/lib/${name}")
      set(library "${folder}/cxx/lib/${name}")
      break()
    endif()
  endforeach()
  if(NOT library)
    message(FATAL_ERROR "PADDLE_LITE_DIR=${folder} has no library of the light API in cxx/lib")
  endif()
  message(STATUS "Paddle Lite: ${library}")
  add_library(${target} INTERFACE)
  # SYSTEM: their headers are not written for our warnings.
  target_include_directories(${target} SYSTEM INTERFACE "${include}")
  find_package(Threads REQUIRED)
  target_link_libraries(${target} INTERFACE "${library}" ${PADDLE_LITE_EXTRA_LIBS} Threads::Threads ${CMAKE_DL_LIBS})
  if(library MATCHES "\\.a$")
    find_package(OpenMP)
    if(OpenMP_CXX_FOUND)
      target_link_libraries(${target} INTERFACE OpenMP::OpenMP_CXX)
    endif()
  endif()
endfunction()
