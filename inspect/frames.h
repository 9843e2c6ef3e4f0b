// Stacks as the names of functions, which a process finds in its own symbols.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

namespace chronik::inspect {

// Before any name is asked for; else, and in a stripped program, frames are shown as "?". program: argv[0].
void initialize_symbols(const char* program);

// The return addresses of the calls that the caller is in, the innermost first; how many there are. Async-signal-safe
// once it has been called.
std::size_t gather_returns(std::span<void*> into);

// Of a fiber that waits: from the function that waits up to the fiber's own body, the innermost first.
std::vector<std::string> frames_of_waiting_fiber(std::span<void* const> returns);

// Of a thread that a signal struck, gathered by the handler: from the function that it struck on.
std::vector<std::string> frames_of_struck_thread(std::span<void* const> returns);

}  // namespace chronik::inspect
