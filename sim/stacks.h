// Memory for fibers' stacks, kept from world to world: mapping and protecting one costs microseconds, a world has
// hundreds.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <vector>

#include "core/ports/process.h"

namespace chronik::sim {

class StackArena final : public StackSource {
 public:
  StackArena() = default;
  ~StackArena() override;
  StackArena(const StackArena&) = delete;
  StackArena& operator=(const StackArena&) = delete;

  StackMemory allocate(std::size_t size) override;
  void release(StackMemory stack) override;
  // What a stack holds when it is handed out: twin runs differ in it (rule S14). Costs a write of the whole stack.
  void fill_with(std::uint8_t byte) {
    fill_ = byte;
    filling_ = true;
  }

 private:
  std::map<std::size_t, std::vector<StackMemory>> idle_;
  std::uint8_t fill_ = 0;
  bool filling_ = false;
};

}  // namespace chronik::sim
