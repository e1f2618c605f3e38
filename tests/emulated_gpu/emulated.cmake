# Included by the recipe in the place of CUDA's toolkit where EMULATED_GPU is set: GPU code, compiled for the CPU.
set(emulated "${EMULATED_GPU}")
set(translate "${Python3_EXECUTABLE}" "${emulated}/translate.py")

# translated(RESULT SOURCE): RESULT is SOURCE as C++, made again when it changes.
function(translated result source)
  string(MAKE_C_IDENTIFIER "${source}" name)
  add_custom_command(OUTPUT "${generated}/${name}.cpp" COMMAND ${translate} "${source}" "${generated}/${name}.cpp"
    DEPENDS "${source}" "${emulated}/translate.py" COMMENT "Translating ${source}")
  set(${result} "${generated}/${name}.cpp" PARENT_SCOPE)
endfunction()

file(GLOB_RECURSE kernels "${CAFFE_SRC}/src/caffe/*.cu" "${gpu}/*.cu")
list(FILTER kernels EXCLUDE REGEX "/src/caffe/test/|/bbox_util\\.cu$|${left_out}")  # as in the recipe
foreach(kernel IN LISTS kernels)
  translated(cpp "${kernel}")
  target_sources(caffe PRIVATE "${cpp}")
endforeach()
# A header of Caffe's launches kernels too, in a macro.
file(MAKE_DIRECTORY "${generated}/caffe/util")
execute_process(COMMAND ${translate} "${CAFFE_SRC}/include/caffe/util/math_functions.hpp"
  "${generated}/caffe/util/math_functions.hpp" COMMAND_ERROR_IS_FATAL ANY)
target_include_directories(caffe PRIVATE "${gpu}")  # kernels include what lies beside them

file(GLOB stand_ins "${emulated}/*.cpp")
target_sources(caffe PRIVATE ${stand_ins})
target_include_directories(caffe SYSTEM BEFORE PUBLIC "${emulated}/include")
target_compile_definitions(caffe PUBLIC USE_CUDNN)
if(EXISTS "${CAFFE_SRC}/include/caffe/util/nccl.hpp")  # bvlc
  target_compile_definitions(caffe PUBLIC USE_NCCL)
endif()
set_source_files_properties(${stand_ins} PROPERTIES SKIP_PRECOMPILE_HEADERS ON SKIP_UNITY_BUILD_INCLUSION ON)

# Large files, and little optimisation: quick to compile.
set(CMAKE_CXX_FLAGS_RELEASE "-O1 -DNDEBUG")
set_target_properties(caffe PROPERTIES UNITY_BUILD_BATCH_SIZE 12)

# The driver, of which lrcn asks which cards there are.
add_library(driver SHARED "${emulated}/driver/cuda.cpp")
set_target_properties(driver PROPERTIES OUTPUT_NAME cuda SOVERSION 1)
install(TARGETS driver LIBRARY DESTINATION driver)
