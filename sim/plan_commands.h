// The commands about one plan: to run it again, to tell what became of it, to make it smaller.
#pragma once

#include "sim/arguments.h"

namespace chronik::sim {

// Each gives the exit status.
int replay(const Arguments& arguments);
int explain(const Arguments& arguments);
int shrink(const Arguments& arguments);

}  // namespace chronik::sim
