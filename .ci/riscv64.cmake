# CMake's toolchain file of the preset riscv64. Debian 12 has no libraries of that architecture: the
# headers of fmt, whatever the host's, and GoogleTest's source package must do.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR riscv64)
set(CMAKE_CXX_COMPILER riscv64-linux-gnu-g++)
set(CMAKE_FIND_ROOT_PATH /usr/riscv64-linux-gnu)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-riscv64 -L /usr/riscv64-linux-gnu)
# Alone: /usr/include as a whole has the host's C library.
set(TAPER_FMT_HEADERS ${CMAKE_BINARY_DIR}/headers)
file(MAKE_DIRECTORY ${TAPER_FMT_HEADERS})
file(CREATE_LINK /usr/include/fmt ${TAPER_FMT_HEADERS}/fmt SYMBOLIC)
