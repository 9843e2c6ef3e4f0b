// The allocator's free memory: kept while it is used again and again, given back when the broker rests.
#pragma once

namespace chronik::server {

// At the start of the process, before anything large is allocated.
void keep_freed_memory();

// A fiber's body, until it is cancelled: looks every ten seconds, and where the process has done nearly nothing since
// and much of the heap is free, gives it back to the kernel. Small long-lived objects between the free ones keep the
// allocator from doing so by itself.
void give_back_at_rest();

}  // namespace chronik::server
