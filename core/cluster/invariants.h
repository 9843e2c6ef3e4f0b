// What holds of every image, and of every step from one image to the next. Checked after every apply in tests, of
// every change and of one image in eight in simulations, and of every snapshot that is read.
#pragma once

#include <string>
#include <vector>

#include "core/cluster/image.h"

namespace chronik::cluster {

// A sentence for each invariant that does not hold; empty where all do.
std::vector<std::string> broken_invariants(const Image& image);
// The same for a step: `after` came out of `before` by one or more commands.
std::vector<std::string> broken_invariants(const Image& before, const Image& after);

}  // namespace chronik::cluster
