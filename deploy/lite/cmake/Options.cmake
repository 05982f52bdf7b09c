# Flags of all our targets, in one interface library.
add_library(mobileseg_options INTERFACE)
target_compile_options(mobileseg_options INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wold-style-cast
  # A fused multiply-add rounds once instead of twice: the same picture would get other labels on another processor.
  -ffp-contract=off)
if(MOBILESEG_SANITIZE)
  target_compile_options(mobileseg_options INTERFACE
    -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer -g)
  target_link_options(mobileseg_options INTERFACE -fsanitize=address,undefined)
endif()
