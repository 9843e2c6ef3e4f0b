// Several slices as one run of bytes.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

#include "core/base/slice.h"

namespace chronik {

// What is left of `parts` behind their first `bytes` bytes. No part of it is empty.
inline std::vector<Slice> slices_behind(std::span<const Slice> parts, std::size_t bytes) {
  std::vector<Slice> rest;
  for (const Slice& part : parts) {
    const std::size_t skipped = std::min(bytes, part.size());
    bytes -= skipped;
    if (skipped < part.size()) {
      rest.push_back(part.from(skipped));
    }
  }
  return rest;
}

}  // namespace chronik
