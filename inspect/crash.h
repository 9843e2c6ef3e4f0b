// A process that a signal ends says where it was struck.
#pragma once

namespace chronik::inspect {

// From now on a signal that ends the process (SIGSEGV, SIGBUS, SIGFPE, SIGILL) says on standard error which it was and
// in which functions it struck, and then ends it as before. Where somebody handles such signals already, as a sanitizer
// does, that one says it.
void say_where_it_crashes();

}  // namespace chronik::inspect
