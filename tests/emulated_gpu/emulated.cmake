# Included by the recipe in the place of CUDA's toolkit where EMULATED_GPU is set: GPU code, compiled for the CPU.
set(emulated "${EMULATED_GPU}")
set(translate "${Python3_EXECUTABLE}" "${emulated}/translate.py")

# translated(RESULT SOURCE): RESULT is SOURCE as C++, made again when it changes.
function(translated result source)
  file(RELATIVE_PATH name "/" "${source}")
  string(MAKE_C_IDENTIFIER "${name}" name)
  add_custom_command(OUTPUT "${generated}/${name}.cpp" COMMAND ${translate} "${source}" "${generated}/${name}.cpp"
    DEPENDS "${source}" "${emulated}/translate.py" COMMENT "Translating ${source}")
  set(${result} "${generated}/${name}.cpp" PARENT_SCOPE)
endfunction()

foreach(kernel IN LISTS kernels)
  translated(cpp "${kernel}")
  target_sources(caffe PRIVATE "${cpp}")
endforeach()
# Few large files, and little optimisation: quick to compile.
set(CMAKE_CXX_FLAGS_RELEASE "-O1 -DNDEBUG")
set_target_properties(caffe PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 16)
# A header of Caffe's launches kernels too, in a macro.
file(MAKE_DIRECTORY "${generated}/caffe/util")
execute_process(COMMAND ${translate} "${CAFFE_SRC}/include/caffe/util/math_functions.hpp"
  "${generated}/caffe/util/math_functions.hpp" COMMAND_ERROR_IS_FATAL ANY)
file(GLOB stand_ins "${emulated}/*.cpp")
target_sources(caffe PRIVATE ${stand_ins})
set_source_files_properties(${stand_ins} PROPERTIES SKIP_PRECOMPILE_HEADERS ON SKIP_UNITY_BUILD_INCLUSION ON)
target_include_directories(caffe SYSTEM BEFORE PUBLIC "${emulated}/include")
target_include_directories(caffe PRIVATE "${gpu}")  # kernels include what lies beside them
target_compile_definitions(caffe PUBLIC USE_CUDNN)
