// Large blocks of host memory that are kept for the next caller.
//
// Every step of a model asks for the same large buffers and gives them back. The C library hands such blocks to the
// operating system and gets them again page by page, each page with a fault and zeroed: on a virtual machine this was
// 15 % of an int8 forward pass of the 17M encoder and 5 % of its training step.
#pragma once

#include <cstddef>

namespace ettin {

// Blocks from this size on are kept; smaller ones are the C library's.
constexpr size_t keptBlockBytes = 256 << 10;

// Memory aligned to 64 bytes, its contents undefined; null when there is none. Large blocks ask for huge pages.
void *allocateBlock(size_t bytes) noexcept;
// Takes null too.
void freeBlock(void *memory) noexcept;

}  // namespace ettin
