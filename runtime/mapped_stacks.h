// Stacks for fibers: mapped memory with a page below that faults, so that an overflow ends the process instead of
// another fiber's data. Pages that a fiber never touches cost nothing.
#pragma once

#include "core/ports/process.h"

namespace chronik::runtime {

class MappedStacks final : public StackSource {
 public:
  StackMemory allocate(std::size_t size) override;
  void release(StackMemory stack) override;
};

}  // namespace chronik::runtime
